"""Levels counted in outlines of real scans, against what was counted by eye in the images."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinemri.anatomy.build import build_anatomy
from spinemri.anatomy.levels import LevelHints
from spinemri.anatomy.model import TissueMap
from spinemri.nomenclature import REGULAR_COLUMN, Tissue
from spinemri.volume import Volume, canonical

COUNTED = json.loads((Path(__file__).parents[1] / "data" / "real_levels.json").read_text())
TISSUE_OF_LABEL = np.array([Tissue.BACKGROUND, Tissue.BODY, Tissue.DISC, Tissue.DURAL_SAC], dtype=np.uint8)


def levels_of_outlines(real_data, scan):
    # Body and posterior elements are one label here, there is no sacrum, and the sac stands for the canal.
    image = nib.load(real_data / "spider_t2" / f"{scan}_dseg.nii.gz")
    labels = TISSUE_OF_LABEL[np.asarray(image.dataobj).astype(int)]
    tissues = TissueMap.from_labels(canonical(Volume(labels, np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine)))
    return build_anatomy(tissues, hints=LevelHints()).levels


@pytest.mark.parametrize("scan", ["007", "055", "162", "220"])
def test_counts_as_the_eye_does(real_data, scan):
    levels = levels_of_outlines(real_data, scan)
    names = [vertebra.name for vertebra in levels.vertebrae]
    assert (levels.numbering, levels.anchor) == ("absolute", "sacrum")
    assert names[-1] == "L5"
    # A body cut by the upper edge may or may not be there, and what has no outline cannot be found.
    top = REGULAR_COLUMN.index(COUNTED[f"spider_t2/{scan}"]["topmost_body"])
    assert abs(REGULAR_COLUMN.index(names[0]) - top) <= 1
    assert names == list(REGULAR_COLUMN[REGULAR_COLUMN.index(names[0]) : REGULAR_COLUMN.index("L5") + 1])


def test_a_transitional_spine_is_not_called_sure(real_data):
    # By eye L5 of this patient is sacralised, or S1 lumbarised: whoever counts from the sacrum cannot know.
    levels = levels_of_outlines(real_data, "107")
    assert levels.numbering == "relative"
    assert levels.confidence + levels.alternative.probability > 0.9
    assert {"NO_LEVEL_ANCHOR", "TRANSITIONAL_SUSPECTED"} & {flag.code for flag in levels.flags}
