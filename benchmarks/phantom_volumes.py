"""Mass volume on generated stacks that training did not see, by sequence: what each says of the mass.

Run as ``python benchmarks/phantom_volumes.py [--stacks 20]``. Phantoms prove code and compare sequences; they say
nothing of accuracy on patients. The weights in ``configs/default.yaml`` follow from this table.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from spinemri.anatomy.centreline import find_centreline
from spinemri.anatomy.network import model_sha256, segment
from spinemri.config import MassSettings
from spinemri.mass.find import find_mass
from spinemri.mass.uncertainty import surface_area_mm2
from spinemri.nomenclature import Tissue
from spinemri.phantom.training import training_stack

_FIRST_SEED = 100_000
_SMALLEST_ML = 1.0


@dataclass(frozen=True)
class Case:
    """One stack: its sequence, volumes in ml, Dice, and surface per volume in 1/mm."""

    sequence: str
    true_ml: float
    measured_ml: float
    dice: float
    surface_per_volume: float


def one_stack(weighting: str, seed: int) -> Case:
    """Draw a patient with a mass, segment one stack and compare."""
    rng = np.random.default_rng((7, seed))
    image, truth, name, fat_suppressed, contrast_enhanced = training_stack(rng, weighting=weighting, with_mass=True)
    tissues = segment(image, name, fat_suppressed=fat_suppressed, contrast_enhanced=contrast_enhanced)
    cover = truth.fraction(Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)
    mass = find_mass(tissues, find_centreline(tissues), MassSettings())
    voxel_ml = image.grid.voxel_volume_mm3 / 1000
    ours, theirs = mass.mask.array > 0, cover.array >= 0.5
    volume = float(cover.array.sum()) * voxel_ml
    return Case(
        f"{name}{' fat-suppressed' if fat_suppressed else ''}{' post-contrast' if contrast_enhanced else ''}",
        volume,
        float(mass.probability.array.sum()) * voxel_ml,
        2 * int((ours & theirs).sum()) / max(int(ours.sum() + theirs.sum()), 1),
        surface_area_mm2(cover) / max(volume * 1000, 1e-6),
    )


def table_row(sequence: str, cases: list[Case]) -> str:
    """Summarise one sequence.

    The last column is the uniform shift of the outline that explains the log error (robust standard deviation): the
    boundary term of the volume's uncertainty.
    """
    found = [case for case in cases if case.measured_ml > 0]
    errors = np.array([100 * (case.measured_ml / case.true_ml - 1) for case in found])
    shifts = np.array([np.log(case.measured_ml / case.true_ml) / case.surface_per_volume for case in found])
    dice = float(np.median([case.dice for case in cases]))
    return (
        f"| {sequence} | {len(cases)} | {len(found)} | {dice:.2f} | {np.median(errors):+.1f} | "
        f"{np.median(np.abs(errors)):.1f} | {1.48 * np.median(np.abs(shifts)):.2f} |"
    )


def main() -> None:
    """Print one row per sequence as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stacks", type=int, default=20, help="stacks per sequence")
    arguments = parser.parse_args()
    print(f"Network {model_sha256()[:12]}\n")
    print("| sequence | stacks | found | Dice | error (%) | absolute error (%) | boundary shift (mm) |")
    print("|---|---|---|---|---|---|---|")
    cases = [
        one_stack(weighting, _FIRST_SEED + number)
        for number in range(arguments.stacks)
        for weighting in ("T2", "T1", "STIR")
    ]
    kept = [case for case in cases if case.true_ml >= _SMALLEST_ML]
    for sequence in sorted({case.sequence for case in kept}):
        print(table_row(sequence, [case for case in kept if case.sequence == sequence]))
    print("\nMedians; masses from 1 ml.")


if __name__ == "__main__":
    main()
