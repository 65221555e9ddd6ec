"""Level names on real scans, against their labels and what was counted by eye.

Run from the checkout::

    SPINEMRI_DATA=../shared/data python benchmarks/levels.py

Every scan of the lumbar sets is segmented and its levels are named. The truth is the labels: bodies or discs counted
from the lowest one upwards, whose name was read off the images (``tests/data/real_levels.json``). A level is right if
the structure that bears its name lies nearer to the label's centre than `MATCH_MM`. The cervicothoracic scans have a
point in T2 that must lie nearest to the body of that name.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.build import build_anatomy
from spinemri.anatomy.levels import LevelHints
from spinemri.anatomy.model import Levels
from spinemri.anatomy.network import model_sha256, segment
from spinemri.nomenclature import REGULAR_COLUMN, disc_name
from spinemri.training.real import load_nifti
from spinemri.volume import Volume, apply_affine

COUNTED: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).parents[1] / "tests" / "data" / "real_levels.json").read_text("utf-8")
)
MATCH_MM = 10.0
_SPIDER_DISC = 2
_SMALLEST_DISC_MM3 = 800.0
_LPS_FROM_RAS = np.array([-1.0, -1.0, 1.0])

Point = NDArray[np.float64]
Truth = dict[str, Point]


@dataclass(frozen=True)
class Row:
    """What one scan showed: names asked for and right, the largest distance of a right one in mm."""

    scan: str
    numbering: str
    anchor: str
    asked: int
    right: int
    largest_mm: float
    wrong: str


def centre(labels: Volume, where: NDArray[np.bool_]) -> Point:
    """Centre of mass of some voxels in LPS mm."""
    point: Point = labels.grid.to_lps(np.argwhere(where).mean(0))
    return point


def bodies(labels: Volume, lowest: str) -> Truth:
    """Centres of labelled bodies, named from the lowest upwards (sets number them either way); S1 is left out."""
    column = [*REGULAR_COLUMN[: REGULAR_COLUMN.index("L5") + 1], "S1"]
    upwards = column[column.index(lowest) :: -1]
    numbers = [n for n in range(1, int(labels.array.max()) + 1) if (labels.array == n).any()]
    centres = sorted((centre(labels, labels.array == n) for n in numbers), key=lambda point: float(point[2]))
    return {name: at for name, at in zip(upwards, centres, strict=False) if name != "S1"}


def numbered_discs(labels: Volume) -> Truth:
    """Centres of labelled discs, 1 being L5/S1."""
    names = _disc_names_upwards()
    return {names[n - 1]: centre(labels, labels.array == n) for n in range(1, int(labels.array.max()) + 1)}


def unnumbered_discs(labels: Volume) -> Truth:
    """Centres of discs that share one label, counted from the lowest; the cut ones at the top edge are left out."""
    parts, count = ndimage.label(ndimage.binary_opening(labels.array == _SPIDER_DISC))
    voxel = labels.grid.voxel_volume_mm3
    kept = [n for n in range(1, count + 1) if (parts == n).sum() * voxel >= _SMALLEST_DISC_MM3]
    centres = sorted((centre(labels, parts == n) for n in kept), key=lambda point: float(point[2]))
    return dict(zip(_disc_names_upwards(), centres, strict=False))


def _disc_names_upwards() -> list[str]:
    column = [*REGULAR_COLUMN[: REGULAR_COLUMN.index("L5") + 1], "S1"][::-1]
    return [disc_name(upper, lower) for lower, upper in pairwise(column)]


def compare(scan: str, levels: Levels, truth: Mapping[str, Point], *, discs: bool) -> Row:
    """Look every true level up by its name."""
    named = {part.name: np.array(part.centre_lps_mm) for part in (levels.discs if discs else levels.vertebrae)}
    distance = {name: float(np.linalg.norm(named[name] - at)) for name, at in truth.items() if name in named}
    right = {name: mm for name, mm in distance.items() if mm <= MATCH_MM}
    wrong = ", ".join(name for name in truth if name not in right)
    return Row(
        scan, levels.numbering, levels.anchor, len(truth), len(right), max(right.values(), default=float("nan")), wrong
    )


def name_levels(image: Path, weighting: str) -> Levels:
    """Segment a scan and name its levels."""
    tissues = segment(load_nifti(image), weighting, fat_suppressed=False, contrast_enhanced=False)
    return build_anatomy(tissues, hints=LevelHints()).levels


def one_scan(data: Path, key: str) -> Row:
    """Measure one scan of ``real_levels.json``."""
    folder, name = key.split("/")
    spider = folder == "spider_t2"
    image = data / folder / (f"{name}_T2w.nii.gz" if spider else f"{name}.nii.gz")
    labels = load_nifti(image.with_name(f"{name}_dseg.nii.gz"))
    weighting = "T1" if name.endswith("_T1") else "other" if "wf" in name else "T2"
    if spider or folder == "lumbar_t2_discs":
        truth = unnumbered_discs(labels) if spider else numbered_discs(labels)
    else:
        truth = bodies(labels, COUNTED[key]["lowest_labelled_body"])
    return compare(key, name_levels(image, weighting), truth, discs=spider or folder == "lumbar_t2_discs")


def t2_point(image: Path) -> str:
    """Say which body the point in T2 lies nearest to."""
    points = nib.load(image.with_name(image.name.replace("_T2w", "_label-C2_T2_points")))
    index = np.argwhere(np.asarray(points.dataobj) > 0)
    world = apply_affine(np.asarray(points.affine), index.astype(float)) * _LPS_FROM_RAS
    lower = world[world[:, 2].argmin()]
    levels = name_levels(image, "T2")
    if not levels.vertebrae:
        return "no vertebra found"
    nearest = min(levels.vertebrae, key=lambda v: float(np.linalg.norm(np.array(v.centre_lps_mm) - lower)))
    away = float(np.linalg.norm(np.array(nearest.centre_lps_mm) - lower))
    return f"{levels.numbering} from {levels.anchor}: {nearest.name}, {away:.1f} mm"


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SPINEMRI_DATA", "../shared/data")))
    parser.add_argument("sets", nargs="*", help="folders; all that are labelled by default")
    arguments = parser.parse_args()
    keys = [key for key in COUNTED if "unlabelled" not in key]
    keys = [key for key in keys if not arguments.sets or key.split("/")[0] in arguments.sets]
    print(f"Network {model_sha256()[:12]}\n\n| scan | numbering | anchor | right | largest error (mm) | not right |")
    print("|---|---|---|---|---|---|")
    rows = []
    for key in keys:
        row = one_scan(arguments.data, key)
        rows.append(row)
        score = f"{row.right} of {row.asked} | {row.largest_mm:.1f} | {row.wrong or '-'}"
        print(f"| {row.scan} | {row.numbering} | {row.anchor} | {score} |", flush=True)
    whole = sum(row.right == row.asked and row.numbering == "absolute" for row in rows)
    print(f"\nEvery visible level right and absolute: {whole} of {len(rows)} scans.")
    if not arguments.sets or "cervicothoracic_t2_cord" in arguments.sets:
        print("\n| scan | body nearest to the point in T2 |\n|---|---|")
        for image in sorted((arguments.data / "cervicothoracic_t2_cord").glob("*_T2w.nii.gz")):
            if image.with_name(image.name.replace("_T2w", "_label-C2_T2_points")).exists():
                print(f"| {image.name[:7]} | {t2_point(image)} |", flush=True)


if __name__ == "__main__":
    main()
