"""Segmentation on real scans that training never saw: Dice, 95 % Hausdorff distance, calibration, time.

Run from the checkout::

    SPINEMRI_DATA=../shared/data python benchmarks/segmentation.py
    SPINEMRI_DATA=../shared/data python benchmarks/segmentation.py --set spider_t2 --limit 1

Every scan is read as NIfTI, segmented, the border of its cord settled, and compared on its own grid with what its set
outlines; a tissue is where it is the most likely one, as in ``anatomy_dseg``. Sets that outline a few levels are
compared between their outermost labelled slices and heights. Calibration counts voxels within 10 mm of what is
outlined. ``spider_t2`` may be trained on except for the scans used here; all other sets are for evaluation only, the
cords 11 and 21 among them.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.cord import settle_cord
from spinemri.anatomy.model import TissueMap
from spinemri.anatomy.network import model_sha256, segment
from spinemri.nomenclature import Tissue
from spinemri.training.evaluation import dice, expected_calibration_error, hausdorff95_mm, labelled_extent, near
from spinemri.training.real import VALIDATION_IDS, load_nifti

REACH_MM = 10.0


@dataclass(frozen=True)
class Structure:
    """One outlined structure.

    Attributes
    ----------
    name : str
    tissues : tuple of Tissue
        Ours that it consists of.
    ids : range
        Of the set.
    dice : float or None
        Least mean Dice that is asked for.
    hd95_mm : float or None
        Greatest mean distance in mm that is asked for.
    """

    name: str
    tissues: tuple[Tissue, ...]
    ids: range
    dice: float | None = None
    hd95_mm: float | None = None


@dataclass(frozen=True)
class Case:
    """A scan with its outlines and what the header would tell of its contrast."""

    name: str
    image: Path
    labels: Path
    weighting: str


@dataclass(frozen=True)
class DataSet:
    """Scans that outline the same structures.

    Attributes
    ----------
    name : str
    folder : str
    structures : tuple of Structure
    weighting : str
    pattern : str
        Of the images' names.
    suffixes : (str, str)
        What the labels' names have in the place of what the images' names have.
    ids : frozenset of str
        How the names of the scans begin; all of them if empty.
    whole : bool
        Everything in view is outlined.
    ignored : range
        Ids of the labels that are neither the structure nor background.
    """

    name: str
    folder: str
    structures: tuple[Structure, ...]
    weighting: str
    pattern: str = "*.nii.gz"
    suffixes: tuple[str, str] = (".nii.gz", "_dseg.nii.gz")
    ids: frozenset[str] = frozenset()
    whole: bool = False
    ignored: range = range(0)

    def cases(self, data: Path) -> list[Case]:
        """List the scans whose outlines are there."""
        found = []
        for image in sorted((data / self.folder).glob(self.pattern)):
            labels = image.with_name(image.name.replace(*self.suffixes))
            wanted = not self.ids or image.name.split("_")[0] in self.ids
            if labels != image and labels.is_file() and wanted and "_dseg" not in image.name:
                found.append(Case(image.name.removesuffix(".nii.gz"), image, labels, self.weighting))
        return found


BODIES = (Structure("body", (Tissue.BODY,), range(1, 100), dice=0.88),)
SETS = (
    DataSet(
        "spider_t2 (validation)",
        "spider_t2",
        (
            Structure("dural sac", (Tissue.CORD, Tissue.DURAL_SAC), range(3, 4), dice=0.94, hd95_mm=3.0),
            Structure("vertebra", (Tissue.BODY, Tissue.POSTERIOR_ELEMENTS), range(1, 2), dice=0.92),
            Structure("disc", (Tissue.DISC,), range(2, 3), dice=0.90),
        ),
        "T2",
        suffixes=("_T2w.nii.gz", "_dseg.nii.gz"),
        ids=VALIDATION_IDS,
        whole=True,
    ),
    DataSet("lumbar_t2_bodies", "lumbar_t2_bodies", BODIES, "T2"),
    DataSet("lumbar_waterfat_bodies", "lumbar_waterfat_bodies", BODIES, "other"),
    # The lowest outlined body is S1, seen on the images: to us it is sacrum.
    DataSet(
        "thoracolumbar T1",
        "thoracolumbar_t1_t2_bodies",
        (Structure("body", (Tissue.BODY,), range(2, 100), dice=0.88),),
        "T1",
        pattern="*_T1.nii.gz",
        ignored=range(1, 2),
    ),
    DataSet(
        "thoracolumbar T2",
        "thoracolumbar_t1_t2_bodies",
        (Structure("body", (Tissue.BODY,), range(2, 100)),),
        "T2",
        pattern="*_T2.nii.gz",
        ignored=range(1, 2),
    ),
    DataSet("lumbar_t2_discs", "lumbar_t2_discs", (Structure("disc", (Tissue.DISC,), range(1, 100), dice=0.85),), "T2"),
    DataSet(
        "cervicothoracic_t2_cord",
        "cervicothoracic_t2_cord",
        (Structure("cord", (Tissue.CORD,), range(1, 2), dice=0.90),),
        "T2",
        suffixes=("_T2w.nii.gz", "_label-cord.nii.gz"),
        ids=frozenset({"errsm11", "errsm21"}),
    ),
)


@dataclass(frozen=True)
class Score:
    """One structure of one scan."""

    dice: float
    hd95_mm: float
    calibration: float


def score(tissues: TissueMap, labels: NDArray[Any], structure: Structure, region: NDArray[np.bool_]) -> Score:
    """Compare one structure within a region."""
    spacing = tissues.grid.spacing
    truth = np.isin(labels, structure.ids) & region
    ours = np.isin(tissues.labels.array, structure.tissues) & region
    around = near(labels > 0, spacing, REACH_MM) & region
    probability = tissues.fraction(*structure.tissues).array[around]
    return Score(
        dice(ours, truth),
        hausdorff95_mm(ours, truth, spacing),
        expected_calibration_error(probability, truth[around]),
    )


def measure(data_set: DataSet, case: Case) -> tuple[list[Score], float]:
    """Segment a scan; return the score of every structure and the seconds that segmenting took."""
    image, labels = load_nifti(case.image), load_nifti(case.labels).array
    began = time.monotonic()
    tissues = segment(image, case.weighting, fat_suppressed=False, contrast_enhanced=False)
    tissues = settle_cord(tissues, image)
    seconds = time.monotonic() - began
    outlined = np.isin(labels, [number for structure in data_set.structures for number in structure.ids])
    region = np.ones(labels.shape, dtype=bool) if data_set.whole else labelled_extent(outlined)
    region &= ~np.isin(labels, data_set.ignored)
    return [score(tissues, labels, structure, region) for structure in data_set.structures], seconds


def report(data_set: DataSet, cases: Sequence[Case]) -> list[str]:
    """Print the table of one set; return its lines of the summary."""
    print(f"\n## {data_set.name}\n")
    names = [structure.name for structure in data_set.structures]
    print("| scan | " + " | ".join(f"{name}: Dice | HD95 (mm) | ECE" for name in names) + " | s |")
    print("|---" * (3 * len(names) + 2) + "|")
    rows = []
    for case in cases:
        scores, seconds = measure(data_set, case)
        rows.append([[one.dice, one.hd95_mm, one.calibration] for one in scores])
        cells = " | ".join(f"{one.dice:.3f} | {one.hd95_mm:.1f} | {one.calibration:.3f}" for one in scores)
        print(f"| {case.name} | {cells} | {seconds:.1f} |", flush=True)
    table = np.array(rows)
    return [
        _summary(data_set, structure, table[:, number], len(cases))
        for number, structure in enumerate(data_set.structures)
    ]


def _summary(data_set: DataSet, structure: Structure, scores: NDArray[np.float64], count: int) -> str:
    """One line: means over scans, the worst scan, and whether that is what is asked for."""
    overlap, hd95_mm, calibration = scores.mean(0)
    asked, met = [], True
    if structure.dice is not None:
        asked.append(f"Dice >= {structure.dice:.2f}")
        met &= bool(overlap >= structure.dice)
    if structure.hd95_mm is not None:
        asked.append(f"HD95 <= {structure.hd95_mm:.0f} mm")
        met &= bool(hd95_mm <= structure.hd95_mm)
    verdict = f"{', '.join(asked)}: {'yes' if met else 'NO'}" if asked else "-"
    return (
        f"| {data_set.name} | {count} | {structure.name} | {overlap:.3f} | {scores[:, 0].min():.3f} | {hd95_mm:.1f} "
        f"| {scores[:, 1].max():.1f} | {calibration:.3f} | {verdict} |"
    )


def main() -> None:
    """Print all tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SPINEMRI_DATA", "../shared/data")))
    parser.add_argument("--set", action="append", dest="sets", help="name of a folder; repeatable; all by default")
    parser.add_argument("--limit", type=int, help="at most so many scans of each set")
    arguments = parser.parse_args()
    print(f"Network {model_sha256()[:12]}")
    lines = []
    for data_set in SETS:
        cases = list(islice(data_set.cases(arguments.data), arguments.limit))
        if cases and (not arguments.sets or data_set.folder in arguments.sets):
            lines += report(data_set, cases)
    print("\n## All sets\n")
    print("| set | scans | structure | Dice | worst | HD95 (mm) | worst | ECE | asked for |")
    print("|---|---|---|---|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
