"""Antero-posterior diameter of the bony canal against readings by eye, on real scans that training never saw.

Run from the checkout::

    SPINEMRI_DATA=../shared/data python benchmarks/canal.py
    SPINEMRI_DATA=../shared/data python benchmarks/canal.py --draw pictures/

A reading is a pair of points on the middle slice: where the posterior wall of a vertebral body and the front of the
lamina or spinous process behind it meet a line across the canal at mid-body. Readings lie in ``canal_readings.csv``;
they were made on pictures that ``--draw`` makes, which show no segmentation. The canal is measured there as a run does.

Two further readers read the same places on pictures of that kind, shifted at random and in random order,
knowing neither the first readings nor what was measured. The file holds how far behind the first reading's points
theirs lie, in mm.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal import find_peaks

from spinemri.anatomy.build import build_anatomy
from spinemri.anatomy.centreline import find_centreline
from spinemri.anatomy.curve import Curve
from spinemri.anatomy.levels import LevelHints
from spinemri.anatomy.model import Centreline, TissueMap
from spinemri.anatomy.network import model_sha256, segment
from spinemri.config import MassSettings
from spinemri.mass.find import find_mass
from spinemri.measure.planes import sample_sections
from spinemri.measure.sections import measure_sections
from spinemri.nomenclature import Tissue
from spinemri.training.real import VALIDATION_IDS, load_nifti
from spinemri.volume import Volume

READINGS = Path(__file__).with_name("canal_readings.csv")
WINDOW_MM = (-16.0, 22.0)
HALF_HEIGHT_MM = 11.0
STEP_MM = 0.25
SCANS: tuple[tuple[str, str], ...] = (
    *((f"spider_t2/{scan}_T2w.nii.gz", "T2") for scan in sorted(VALIDATION_IDS)),
    ("lumbar_t2_bodies/VB2_02_T2.nii.gz", "T2"),
    ("lumbar_t2_bodies/VB2_05_T2.nii.gz", "T2"),
    ("lumbar_waterfat_bodies/VB3_01_T1wf.nii.gz", "other"),
    ("lumbar_waterfat_bodies/VB3_03_T1wf.nii.gz", "other"),
    ("thoracolumbar_t1_t2_bodies/VB1_10_DzZ_T1.nii.gz", "T1"),
    ("thoracolumbar_t1_t2_bodies/VB1_11_DzZ_T2.nii.gz", "T2"),
    ("cervicothoracic_t2_cord/errsm11_T2w.nii.gz", "T2"),
    ("cervicothoracic_t2_cord/errsm21_T2w.nii.gz", "T2"),
)


@dataclass(frozen=True)
class Reading:
    """Two points of a scan, in LPS mm, and the distance between them as two others read it."""

    scan: str
    front: NDArray[np.float64]
    back: NDArray[np.float64]
    again_mm: tuple[float, float]

    @property
    def ap_mm(self) -> float:
        """Distance between the points in mm."""
        return float(np.linalg.norm(self.back - self.front))


def segmented(data: Path, scan: str, weighting: str) -> tuple[Volume, TissueMap, Centreline]:
    """Segment a scan and find its canal."""
    image = load_nifti(data / scan)
    tissues = segment(image, weighting, fat_suppressed=False, contrast_enhanced=False)
    centreline = find_centreline(tissues)
    if centreline is None:
        raise SystemExit(f"No canal in {scan}.")
    return image, tissues, centreline


def mid_bodies(tissues: TissueMap, curve: Curve) -> list[int]:
    """Arc lengths in mm half way between neighbouring discs, from how much disc lies before the canal."""
    depth = np.arange(9.0, 16.0)
    points = curve.points[:, None] - depth[None, :, None] * curve.posterior[:, None]
    index = np.moveaxis(tissues.grid.to_index(points), -1, 0)
    disc = ndimage.map_coordinates(tissues.coverage[Tissue.DISC], index, order=1).mean(1)
    peaks, _ = find_peaks(ndimage.gaussian_filter1d(disc, 2), height=0.25, distance=12)
    return [int((above + below) // 2) for above, below in pairwise(peaks)]


def across(image: Volume, curve: Curve, arc: int) -> NDArray[np.float64]:
    """Sample the image along the canal (rows) and across it in the sagittal plane (columns) about one point."""
    back = np.arange(*WINDOW_MM, STEP_MM)
    along = np.arange(-HALF_HEIGHT_MM, HALF_HEIGHT_MM, STEP_MM)
    points = curve.points[arc] + along[:, None, None] * curve.tangent[arc] + back[None, :, None] * curve.posterior[arc]
    index = np.moveaxis(image.grid.to_index(points), -1, 0)
    return np.asarray(ndimage.map_coordinates(image.array.astype(np.float64), index, order=3, mode="nearest"))


def draw(data: Path, folder: Path) -> None:
    """Write one picture per scan: the image about every mid-body, with a scale in mm and nothing else."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - measuring needs no pictures

    folder.mkdir(parents=True, exist_ok=True)
    for scan, weighting in SCANS:
        image, tissues, centreline = segmented(data, scan, weighting)
        curve = Curve(centreline.points_lps, centreline.tangent, centreline.posterior, centreline.left)
        arcs = mid_bodies(tissues, curve)[-6:]
        figure = Figure(figsize=(4.6 * len(arcs), 4.2), layout="constrained")
        for number, arc in enumerate(arcs):
            axes = figure.add_subplot(1, len(arcs), number + 1)
            window = across(image, curve, arc)
            axes.imshow(
                window,
                cmap="gray",
                extent=(*WINDOW_MM, HALF_HEIGHT_MM, -HALF_HEIGHT_MM),
                vmax=np.percentile(window, 99),
            )
            axes.set_xticks(np.arange(WINDOW_MM[0], WINDOW_MM[1] + 1, 2))
            axes.set_xticks(np.arange(WINDOW_MM[0], WINDOW_MM[1] + 1, 1), minor=True)
            axes.tick_params(labelsize=7, top=True, which="both")
            axes.axhline(0, color="yellow", linewidth=0.4, linestyle=":")
            axes.set_title(f"{scan.split('/')[1].split('.')[0]} arc {arc}", fontsize=8)
        figure.savefig(folder / f"{scan.split('/')[1].split('.')[0]}.png", dpi=72)
        print(f"{scan}: {arcs}", flush=True)


def readings() -> Iterator[Reading]:
    """Read all readings."""
    with READINGS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            front, back = (np.array([float(row[f"{end}_{axis}_mm"]) for axis in "lps"]) for end in ("front", "back"))
            first_mm = float(np.linalg.norm(back - front))
            second, third = (
                first_mm + float(row[f"{reader}_back_mm"]) - float(row[f"{reader}_front_mm"])
                for reader in ("second", "third")
            )
            yield Reading(row["scan"], front, back, (second, third))


def compare(data: Path) -> None:
    """Print every reading beside what is measured there."""
    print("| scan | centre of the reading, LPS (mm) | read (mm) | by two others | measured (mm) | difference |")
    print("|---|---|---|---|---|---|")
    known, compared, measured_mm = list(readings()), [], []
    for scan, weighting in SCANS:
        of_scan = [reading for reading in known if reading.scan == scan]
        if not of_scan:
            continue
        _, tissues, centreline = segmented(data, scan, weighting)
        mass = find_mass(tissues, centreline, MassSettings())
        anatomy = build_anatomy(tissues, hints=LevelHints())
        sections = measure_sections(sample_sections(anatomy, mass, centreline), step_mm=centreline.step_mm)
        for reading in of_scan:
            middle = (reading.front + reading.back) / 2
            measured = float(sections.canal.ap_mm[centreline.nearest(middle[None])[0]])
            measured_mm.append(measured)
            compared.append([reading.ap_mm, *reading.again_mm])
            place = ", ".join(f"{value:.0f}" for value in middle)
            again = " ".join(f"{value:.1f}" for value in reading.again_mm)
            difference = measured - reading.ap_mm
            print(
                f"| {scan} | {place} | {reading.ap_mm:.1f} | {again} | {measured:.1f} | {difference:+.1f} |", flush=True
            )
    summarise(np.array(compared), np.array(measured_mm))


def summarise(read_mm: NDArray[np.float64], measured_mm: NDArray[np.float64]) -> None:
    """Print how far measurements and readers, (n, 3), differ from the first reading, and from the nearest one."""
    found = {"measured": measured_mm, "second reader": read_mm[:, 1], "third reader": read_mm[:, 2]}
    print()
    for name, values in found.items():
        off = values - read_mm[:, 0]
        print(
            f"- {name}: {np.sum(np.abs(off) <= 1.0)} of {len(off)} within 1 mm of the first reading; median difference "
            f"{np.median(off):+.2f} mm, mean absolute difference {np.abs(off).mean():.2f} mm, "
            f"largest {np.abs(off).max():.1f} mm."
        )
    nearest = np.abs(read_mm - measured_mm[:, None]).min(1)
    print(f"- measured: {np.sum(nearest <= 1.0)} of {len(nearest)} within 1 mm of one of the three readings.")


def main() -> None:
    """Compare with the readings, or draw what is to be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SPINEMRI_DATA", "../shared/data")))
    parser.add_argument("--draw", type=Path, help="folder for pictures to read from")
    arguments = parser.parse_args()
    print(f"Network {model_sha256()[:12]}\n")
    if arguments.draw:
        draw(arguments.data, arguments.draw)
    else:
        compare(arguments.data)


if __name__ == "__main__":
    main()
