"""Level names on real scans, against their labels and what was counted by eye.

Run from the checkout::

    SPINEMRI_DATA=../shared/data python benchmarks/levels.py

Every scan of the lumbar sets is segmented and its levels are named. The truth is the labels: bodies or discs counted
from the lowest one upwards, whose name was read off the images (``tests/data/real_levels.json``). A level is right if
the structure that bears its name lies nearer to the label's centre than `MATCH_MM`. The cervicothoracic scans have a
point in T2 that must lie in the body of that name.

Then each scan is cropped so that neither C2 nor the sacrum is visible, to every window of four to eight levels, and
named again from the cropped tissues: the last table says how often the names were right, by the probability that was
stated. ``--no-crops`` leaves this out. ``--cache DIR`` keeps the segmentations, ``--draw DIR`` draws every scan that is
not right, not absolute, or farther than 4 mm off: found names on the left, true ones on the right.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.build import build_anatomy
from spinemri.anatomy.levels import LevelHints
from spinemri.anatomy.model import Anatomy, Levels, TissueMap
from spinemri.anatomy.network import model_sha256, segment
from spinemri.measure.levels import levels_record
from spinemri.nomenclature import REGULAR_COLUMN, disc_name, vertebra_id
from spinemri.training.real import load_nifti
from spinemri.volume import Volume, apply_affine

COUNTED: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).parents[1] / "tests" / "data" / "real_levels.json").read_text("utf-8")
)
MATCH_MM = 10.0
FAR_MM = 4.0
SPANS = (4, 6, 8)
CROP_STEP = 2
BINS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 1.001)
_SPIDER_DISC = 2
_SMALLEST_DISC_MM3 = 800.0
_PIECE_MM = 15.0
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
    """Centres of discs that share one label, counted from the lowest; the cut ones at the top edge are left out.

    Opened, so that neighbours part; what that breaks off a worn disc belongs to the piece next to it.
    """
    disc = labels.array == _SPIDER_DISC
    parts, count = ndimage.label(ndimage.binary_opening(disc))
    voxel = labels.grid.voxel_volume_mm3
    kept = [n for n in range(1, count + 1) if (parts == n).sum() * voxel >= _SMALLEST_DISC_MM3]
    core = np.where(np.isin(parts, kept), parts, 0)
    distance, nearest = ndimage.distance_transform_edt(core == 0, sampling=labels.spacing, return_indices=True)
    whole = np.where(disc & (distance <= _PIECE_MM), core[tuple(nearest)], 0)
    seen_whole = [n for n in kept if not (whole[:, :, -1] == n).any()]
    centres = sorted((centre(labels, whole == n) for n in seen_whole), key=lambda point: float(point[2]))
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


def name_levels(image: Path, weighting: str, cache: Path | None) -> Anatomy:
    """Segment a scan, or take its segmentation from the cache, and name its levels."""
    return build_anatomy(_segmented(image, weighting, cache), hints=LevelHints())


def _segmented(image: Path, weighting: str, cache: Path | None) -> TissueMap:
    stored = None if cache is None else cache / model_sha256()[:12] / f"{image.parent.name}-{image.name}.npz"
    if stored is not None and stored.exists():
        with np.load(stored) as file:
            return TissueMap(file["coverage"].astype(np.float32) / 255, file["affine"])
    tissues = segment(load_nifti(image), weighting, fat_suppressed=False, contrast_enhanced=False)
    if stored is not None:
        stored.parent.mkdir(parents=True, exist_ok=True)
        coverage = np.rint(tissues.coverage * 255).astype(np.uint8)
        np.savez_compressed(stored, coverage=coverage, affine=tissues.affine)
    return tissues


def draw(image: Path, anatomy: Anatomy, truth: Mapping[str, Point], out: Path) -> None:
    """Draw the slice through the middle of the column with the names that were found, and with the true ones."""
    import matplotlib.pyplot as plt  # noqa: PLC0415 - slow to import, for this option only

    volume = load_nifti(image)
    found = [*anatomy.levels.vertebrae, *anatomy.levels.discs]
    named = {part.name or "?": np.array(part.centre_lps_mm) for part in found}
    places = {side: _indices(volume, points) for side, points in (("found", named), ("true", truth))}
    middle = int(np.median([index[0] for points in places.values() for index in points.values()]))
    figure, axes = plt.subplots(1, 2, figsize=(9, 8), layout="constrained")
    for axis, (side, points) in zip(axes, places.items(), strict=True):
        plane = volume.array[min(max(middle, 0), volume.shape[0] - 1)]
        aspect = volume.spacing[2] / volume.spacing[1]
        axis.imshow(plane.T, origin="lower", cmap="gray", aspect=aspect, vmax=np.percentile(plane, 99.5))
        for name, index in points.items():
            axis.text(index[1], index[2], name, color="cyan" if side == "found" else "yellow", ha="center", fontsize=8)
        axis.set_title(side)
        axis.axis("off")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / f"levels-{image.parent.name}-{image.name.split('.')[0]}.png", dpi=70)
    plt.close(figure)


def _indices(volume: Volume, points: Mapping[str, Point]) -> dict[str, Point]:
    return {name: volume.grid.to_index(point[None])[0] for name, point in points.items()}


@dataclass(frozen=True)
class Crop:
    """One cropped scan: what was said of it, and whether every whole body had its right name."""

    numbering: str
    confidence: float
    right: bool


def crops(anatomy: Anatomy) -> Iterator[Crop]:
    """Name the levels of every window that shows neither C2 nor the sacrum; the whole scan's names are the truth."""
    shown = [v for v in anatomy.levels.vertebrae if v.name in REGULAR_COLUMN]
    free = [v for v in shown if v.name not in {"C2", "C3", "S1"}]
    for span in SPANS:
        for start in range(0, len(free) - span, CROP_STEP):
            part = _cropped(anatomy.tissues, free[start].centre_lps_mm, free[start + span].centre_lps_mm)
            levels = build_anatomy(part, hints=LevelHints()).levels
            truth = {v.name: np.array(v.centre_lps_mm) for v in shown}
            named = [v for v in levels.vertebrae if v.complete]
            if named:
                right = all(_nearest_name(truth, v.centre_lps_mm) == v.name for v in named)
                yield Crop(levels.numbering, levels.confidence, right)


def _cropped(tissues: TissueMap, upper: Sequence[float], lower: Sequence[float]) -> TissueMap:
    """Keep the slab between two points; its faces cut the bodies there."""
    ends = sorted(tissues.grid.to_index(np.array(point))[2] for point in (upper, lower))
    first, stop = int(ends[0]), int(ends[1]) + 1
    affine = tissues.affine.copy()
    affine[:3, 3] = tissues.grid.to_lps(np.array([0.0, 0.0, first]))
    return TissueMap(np.ascontiguousarray(tissues.coverage[..., first:stop]), affine)


def _nearest_name(truth: Mapping[str | None, Point], centre_mm: Sequence[float]) -> str | None:
    return min(truth, key=lambda name: float(np.linalg.norm(truth[name] - np.array(centre_mm))))


def print_crops(cropped: Sequence[Crop]) -> None:
    """Print how often names were right, by the probability that was stated."""
    print("\n| stated | crops | absolute | mean stated | right |\n|---|---|---|---|---|")
    for low, high in pairwise(BINS):
        here = [crop for crop in cropped if low <= crop.confidence < high]
        if here:
            fixed = sum(crop.numbering == "absolute" for crop in here)
            means = np.mean([(crop.confidence, crop.right) for crop in here], axis=0)
            print(f"| {low:.1f} to {min(high, 1.0):.1f} | {len(here)} | {fixed} | {means[0]:.2f} | {means[1]:.2f} |")


def one_scan(data: Path, key: str, cache: Path | None, pictures: Path | None) -> tuple[Row, Anatomy]:
    """Measure one scan of ``real_levels.json``, and draw it if it is not as it should be."""
    folder, name = key.split("/")
    spider = folder == "spider_t2"
    image = data / folder / (f"{name}_T2w.nii.gz" if spider else f"{name}.nii.gz")
    labels = load_nifti(image.with_name(f"{name}_dseg.nii.gz"))
    weighting = "T1" if name.endswith("_T1") else "other" if "wf" in name else "T2"
    if spider or folder == "lumbar_t2_discs":
        truth = unnumbered_discs(labels) if spider else numbered_discs(labels)
    else:
        truth = bodies(labels, COUNTED[key]["lowest_labelled_body"])
    anatomy = name_levels(image, weighting, cache)
    row = compare(key, anatomy.levels, truth, discs=spider or folder == "lumbar_t2_discs")
    fine = row.right == row.asked and row.numbering == "absolute" and row.largest_mm <= FAR_MM
    if pictures is not None and not fine:
        draw(image, anatomy, truth, pictures)
    return row, anatomy


def t2_point(image: Path, cache: Path | None) -> tuple[str, Anatomy]:
    """Say whether the point in T2 lies in the body of that name or at its height, and which body is the nearest."""
    points = nib.load(image.with_name(image.name.replace("_T2w", "_label-C2_T2_points")))
    index = np.argwhere(np.asarray(points.dataobj) > 0)
    world = apply_affine(np.asarray(points.affine), index.astype(float)) * _LPS_FROM_RAS
    lower = world[world[:, 2].argmin()]
    anatomy = name_levels(image, "T2", cache)
    levels, grid = anatomy.levels, anatomy.level_map.grid
    if not levels.vertebrae:
        return "no vertebra found", anatomy
    voxel = tuple(np.rint(grid.to_index(lower)).astype(int))
    inside = "inside T2" if anatomy.level_map.array[voxel] == vertebra_id("T2") else "not inside T2"
    inside += f", {_at_height(anatomy, lower)}"
    nearest = min(levels.vertebrae, key=lambda v: float(np.linalg.norm(np.array(v.centre_lps_mm) - lower)))
    away = float(np.linalg.norm(np.array(nearest.centre_lps_mm) - lower))
    said = f"{levels.numbering} from {levels.anchor} ({levels.confidence:.2f})"
    return f"{said}: {inside}; nearest {nearest.name}, {away:.1f} mm", anatomy


def _at_height(anatomy: Anatomy, point: Point) -> str:
    """Say between whose endplates a point lies."""
    for body in levels_record(anatomy.levels, anatomy.level_map).vertebrae:
        plates = (body.superior_endplate, body.inferior_endplate)
        if all(
            plate is not None and np.dot(point - np.array(plate.point_lps_mm), plate.normal_lps) <= 0
            for plate in plates
        ):
            return f"at the height of {body.name}, between its endplates"
    return "between the endplates of no body"


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SPINEMRI_DATA", "../shared/data")))
    parser.add_argument("--no-crops", action="store_true")
    parser.add_argument("--cache", type=Path, help="folder for segmentations; one below it per network")
    parser.add_argument("--draw", type=Path, help="folder for pictures of what is not right")
    parser.add_argument("sets", nargs="*", help="folders; all that are labelled by default")
    arguments = parser.parse_args()
    keys = [key for key in COUNTED if "unlabelled" not in key]
    keys = [key for key in keys if not arguments.sets or key.split("/")[0] in arguments.sets]
    print(f"Network {model_sha256()[:12]}\n\n| scan | numbering | anchor | right | largest error (mm) | not right |")
    print("|---|---|---|---|---|---|")
    rows = []
    cropped: list[Crop] = []
    for key in keys:
        row, anatomy = one_scan(arguments.data, key, arguments.cache, arguments.draw)
        cropped += [] if arguments.no_crops or row.right < row.asked else crops(anatomy)
        rows.append(row)
        score = f"{row.right} of {row.asked} | {row.largest_mm:.1f} | {row.wrong or '-'}"
        print(f"| {row.scan} | {row.numbering} | {row.anchor} | {score} |", flush=True)
    right = [row for row in rows if row.right == row.asked]
    absolute = sum(row.numbering == "absolute" for row in right)
    print(f"\nEvery labelled level right: {len(right)} of {len(rows)} scans, {absolute} of them absolute.")
    if not arguments.sets or "cervicothoracic_t2_cord" in arguments.sets:
        print("\n| scan | body nearest to the point in T2 |\n|---|---|")
        for image in sorted((arguments.data / "cervicothoracic_t2_cord").glob("*_T2w.nii.gz")):
            if image.with_name(image.name.replace("_T2w", "_label-C2_T2_points")).exists():
                said, anatomy = t2_point(image, arguments.cache)
                cropped += [] if arguments.no_crops else crops(anatomy)
                print(f"| {image.name[:7]} | {said} |", flush=True)
    if cropped:
        print_crops(cropped)


if __name__ == "__main__":
    main()
