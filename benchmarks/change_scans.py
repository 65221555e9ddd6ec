"""Change of a mass grown in real scans that training never saw, seen at two visits.

Run from the checkout; every pair is stored in a folder per network, so that a run that was stopped goes on::

    SPINEMRI_DATA=../shared/data python benchmarks/change_scans.py OUT
    python benchmarks/change.py --table OUT/<network>

The mass is that of `grown_masses`, at two volumes: one mass that has shrunk, grown or stayed. Each visit shows it on
the scan's own T2 and on the scan recoloured as T1 and post-contrast fat-suppressed T1. Between the visits the patient
is turned and shifted, both by half so that both are interpolated once, the slices lie elsewhere or are thinner at
first, and noise, shading and scale are those of the day. Anatomy and texture are real, the motion is not. Sac, bone and
disc, between which the mass grows, are as the network labels the healthy scan.
"""

from __future__ import annotations

import argparse
import os
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
from change import compared, keep
from grown_masses import POSITIONS, Grown, grow, painted
from mass_cases import ENHANCEMENT, canal_of, signal_shares
from numpy.typing import NDArray

from spinemri.anatomy.preparation import flatten_illumination
from spinemri.followup.joint_look import all_networks_sha256
from spinemri.phantom.pairs import KINDS, RADIOTHERAPY_PERCENT, Kind
from spinemri.training.real import SpiderScan, self_labelled_scan
from spinemri.training.visits import Day, acquire, draw_motion, recoloured
from spinemri.volume import Volume

Floats = NDArray[np.float32]
Array = NDArray[np.float64]

SMALLEST_ML, SMALLEST_TREATED_ML, LARGEST_ML = 0.5, 3.0, 12.0
SCANS = (
    *(f"lumbar_t2_bodies/VB2_{number}_T2" for number in ("02", "04", "05", "06", "07")),
    *("lumbar_t2_discs/IVD_11_T2", "lumbar_t2_discs/IVD_20_T2", "thoracolumbar_t1_t2_bodies/VB1_11_DzZ_T2"),
    *("cervicothoracic_t2_cord/errsm11_T2w", "cervicothoracic_t2_cord/errsm21_T2w"),
)
"""T2 scans that training never saw, in slices of 1 mm and wide enough to be shifted."""

HALF_WIDTH_MM = 24.0
MOST_TURN_DEGREES = (10.0, 3.0, 3.0)
MOST_SHIFT_MM = (4.0, 10.0, 10.0)
THICK_MM, THIN_MM = 4.0, 3.0
_SAC = 3


@dataclass(frozen=True)
class Plan:
    """What happens between the visits of one pair; everything follows from its name."""

    kind: Kind
    change_percent: float
    volumes_ml: tuple[float, float]
    slice_mm: tuple[float, float]


def plan_pair(number: int, rng: np.random.Generator) -> Plan:
    """Draw the change: of ten pairs three have none, two lose 16.4 % from 3 ml on, five change by up to 60 %.

    A loss of 16.4 % is seen in slices of 3 mm; of the others a quarter in slices of 3 mm, then of 4 mm, the rest in
    slices of 4 mm.
    """
    kind = KINDS[number % len(KINDS)]
    change = {"unchanged": 0.0, "radiotherapy": RADIOTHERAPY_PERCENT}.get(kind, float(rng.uniform(-60, 60)))
    smallest = SMALLEST_TREATED_ML if kind == "radiotherapy" else SMALLEST_ML
    first_ml = float(np.exp(rng.uniform(np.log(smallest), np.log(LARGEST_ML))))
    slices = (THIN_MM if number % 4 == 1 else THICK_MM, THICK_MM)
    if kind == "radiotherapy":
        slices = (THIN_MM, THIN_MM)
    return Plan(kind, change, (first_ml, first_ml * (1 + change / 100)), slices)


def pair_record(data: Path, scan: str, position: str, number: int) -> dict[str, Any] | None:
    """Grow, acquire, measure and compare one pair; None where the canal has no room."""
    case, flat = _fine_scan(data, scan)
    name = f"{Path(scan).name}-{position}"
    rng = np.random.default_rng(zlib.crc32(f"pair {name}".encode()))
    plan = plan_pair(number, rng)
    grown = grow(canal_of(case), position, plan.volumes_ml, rng)
    if grown is None:
        return None
    contrasts = recoloured(case, flat, rng)
    marrow = float(np.median(flat[case.labels == 1]))
    signals = _draw_signals(list(contrasts), marrow, rng)
    grain = int(rng.integers(2**31))
    motion = draw_motion(case.image, MOST_TURN_DEGREES, MOST_SHIFT_MM, rng)
    studies = []
    for visit, (mass, slice_mm) in enumerate(zip(grown, plan.slice_mm, strict=True)):
        shown = {
            contrast: painted(image, mass, signals[contrast], case.image.spacing, grain)
            for contrast, image in contrasts.items()
        }
        day = Day(visit, motion if visit else _inverse(motion), slice_mm, marrow)
        studies.append(acquire(case.image, shown, mass.coverage, day, name, rng)[0])
    drawn = {
        "seed": number,
        "name": name,
        "kind": plan.kind,
        "change_percent": _change_percent(grown),
        "volumes_ml": [mass.volume_ml for mass in grown],
        "pitch_mm": plan.slice_mm,
        "shape": position,
        "region": "cord" if scan.startswith("cervico") else "cauda equina",
    }
    return drawn | compared(studies)


def _draw_signals(contrasts: list[str], marrow: float, rng: np.random.Generator) -> dict[str, float]:
    """Signal of the mass on T2, T1 and post-contrast T1, the same at both visits."""
    shares = signal_shares(str(rng.choice(list(ENHANCEMENT))), rng)
    return {contrast: marrow * share for contrast, share in zip(contrasts, shares, strict=True)}


@lru_cache(maxsize=1)
def _fine_scan(data: Path, scan: str) -> tuple[SpiderScan, Floats]:
    """Return a scan cut to the slices around its sac, and its image with even illumination."""
    whole = self_labelled_scan(data / f"{scan}.nii.gz", mass_is_sac=True)
    whole = replace(whole, labels=_one_sac(whole.labels))
    sac = np.argwhere(whole.labels == _SAC)[:, 0]
    middle, reach = round(float(np.median(sac))), round(HALF_WIDTH_MM / whole.image.spacing[0])
    across, *plane = whole.labels.shape
    box = (slice(max(middle - reach, 0), min(middle + reach + 1, across)), *(slice(0, n) for n in plane))
    grid = whole.image.grid.part(box)
    image = Volume(whole.image.array[box], grid.affine, whole.image.frame_of_reference_uid)
    case = SpiderScan(image, whole.labels[box], whole.sacrum[box])
    return case, np.asarray(flatten_illumination(image).array)


def _one_sac(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Leave one sac: fat of the belly wall may have been labelled, too."""
    parts = cc3d.connected_components(labels == _SAC, connectivity=26)
    largest = int(np.bincount(parts.ravel())[1:].argmax()) + 1
    return np.where((labels == _SAC) & (parts != largest), 0, labels).astype(np.uint8)


def _change_percent(grown: list[Grown]) -> float:
    before, after = (mass.volume_ml for mass in grown)
    return 100 * (after / before - 1)


def _inverse(transform: Array) -> Array:
    return np.asarray(np.linalg.inv(transform), np.float64)


def store(folder: Path, data: Path, job: tuple[int, tuple[str, str]]) -> str:
    """Make a pair's record unless it is there; return a line about it."""
    number, (scan, position) = job
    path = folder / f"{number}.json"
    if path.exists():
        return ""
    record = pair_record(data, scan, position, number)
    return f"{number}: no room" if record is None else keep(path, record)


def main() -> None:
    """Make every record that is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the records; one below it per network")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SPINEMRI_DATA", "../shared/data")))
    parser.add_argument("--workers", type=int, default=1, help="processes")
    arguments = parser.parse_args()
    folder = arguments.out / all_networks_sha256()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    jobs = list(enumerate(product(SCANS, (*POSITIONS, "circumferential"))))
    with ProcessPoolExecutor(arguments.workers) as pool:
        for line in filter(None, pool.map(partial(store, folder, arguments.data), jobs)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
