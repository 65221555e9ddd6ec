"""Labels from coverages: the largest tissue, and the dura where it fills half."""

import numpy as np
import pytest

from spinemri.anatomy.model import TissueMap
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume

AFFINE = np.array([[3.3, 0.2, 0, 5], [-0.2, 0.7, 0, -9], [0, 0, 0.6, 40], [0, 0, 0, 1.0]])


def _labels_of(**fractions: float) -> int:
    coverage = np.zeros((len(Tissue), 1, 1, 1), np.float32)
    for name, fraction in fractions.items():
        coverage[Tissue[name]] = fraction
    return int(TissueMap(coverage, AFFINE, "1.2.3").labels.array[0, 0, 0])


@pytest.mark.parametrize(
    ("fractions", "label"),
    [
        ({"BODY": 0.6, "DISC": 0.4}, Tissue.BODY),
        ({"CORD": 0.3, "DURAL_SAC": 0.25, "EPIDURAL": 0.45}, Tissue.CORD),
        ({"CORD": 0.25, "DURAL_SAC": 0.3, "MASS_CANAL": 0.45}, Tissue.DURAL_SAC),
        # Most of the voxel lies outside the dura, so it is not sac, although no other tissue fills more of it.
        ({"DURAL_SAC": 0.4, "MASS_CANAL": 0.35, "BACKGROUND": 0.25}, Tissue.MASS_CANAL),
        ({"DURAL_SAC": 0.45, "BACKGROUND": 0.3, "EPIDURAL": 0.25}, Tissue.BACKGROUND),
    ],
)
def test_label_of_a_shared_voxel(fractions: dict[str, float], label: Tissue) -> None:
    assert _labels_of(**fractions) == label


def test_labels_of_a_label_map_are_that_map() -> None:
    ids = np.arange(len(Tissue), dtype=np.uint8).reshape(2, 5, 1)
    labels = TissueMap.from_labels(Volume(ids, AFFINE, "1.2.3")).labels
    assert np.array_equal(labels.array, ids)
    assert np.array_equal(labels.affine, AFFINE)
