"""Antero-posterior diameter of the bony canal in generated patients: from the network against the exact coverage.

Run from the checkout::

    python benchmarks/canal_phantoms.py 20

Patients that training did not see, healthy and with a mass, each in T2 and in T1. The canal is measured at the height
of every vertebra, as a run does, once in what the network says of the image and once in the exact coverage.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.build import build_anatomy
from spinemri.anatomy.centreline import find_centreline
from spinemri.anatomy.levels import LevelHints
from spinemri.anatomy.model import TissueMap
from spinemri.anatomy.network import model_sha256, segment
from spinemri.config import MassSettings
from spinemri.mass.find import find_mass
from spinemri.measure.planes import sample_sections
from spinemri.measure.sections import measure_sections
from spinemri.phantom.geometry import Geometry, build_geometry
from spinemri.phantom.norms import COLUMN
from spinemri.phantom.render import render
from spinemri.phantom.sampling import Kind, random_recipe, random_sequence
from spinemri.phantom.stacks import stack_grid

Array = NDArray[np.float64]

FIRST_SEED = 700_000
CONTRASTS: tuple[Kind, ...] = ("T2", "T1")
NEAR_MM = 2.0
AWAY_MM = 6.0


def depths(tissues: TissueMap, places: Array) -> Array | None:
    """AP diameter in mm of the bony canal at points, (n, 3); NaN where the canal is not seen, None without one."""
    line = find_centreline(tissues)
    if line is None:
        return None
    anatomy = build_anatomy(tissues, hints=LevelHints())
    mass = find_mass(tissues, line, MassSettings())
    sections = measure_sections(sample_sections(anatomy, mass, line), step_mm=line.step_mm)
    reach = round(NEAR_MM / line.step_mm)
    found = np.full(len(places), np.nan)
    for number, (arc, place) in enumerate(zip(line.nearest(places), places, strict=True)):
        seen = sections.canal.ap_mm[max(0, arc - reach) : arc + reach + 1]
        if np.linalg.norm(line.points_lps[arc] - place) <= AWAY_MM and np.isfinite(seen).any():
            found[number] = np.nanmedian(seen)
    return found


def canal_places(geometry: Geometry, exact: TissueMap) -> Array:
    """Points in the canal at the height of every vertebra, LPS mm."""
    line = find_centreline(exact)
    if line is None:
        return np.zeros((0, 3))
    bodies = np.array([geometry.level_lps(name) for name in COLUMN])
    points = line.points_lps[line.nearest(bodies)]
    beside = np.abs(((bodies - points) * line.tangent[line.nearest(bodies)]).sum(1)) < NEAR_MM
    return np.asarray(points[beside])


def patient(seed: int) -> Iterator[tuple[str, bool, Array]]:
    """Yield contrast, whether there is a mass, and the differences at every vertebra in view."""
    rng = np.random.default_rng(seed)
    recipe = random_recipe(rng)
    geometry = build_geometry(recipe)
    for contrast in CONTRASTS:
        sequence = random_sequence(rng, contrast)
        image, exact = render(geometry, stack_grid(geometry, recipe.series[0]), sequence, rng)
        places = canal_places(geometry, exact)
        tissues = segment(image, sequence.weighting, fat_suppressed=False, contrast_enhanced=False)
        measured, true = depths(tissues, places), depths(exact, places)
        if measured is not None and true is not None:
            off = measured - true
            yield contrast, recipe.mass is not None, off[np.isfinite(off)]


def main() -> None:
    """Print how far the canals lie from the truth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patients", type=int, nargs="?", default=20)
    arguments = parser.parse_args()
    rows: dict[tuple[str, bool], list[Array]] = {}
    for seed in range(FIRST_SEED, FIRST_SEED + arguments.patients):
        for contrast, mass, off in patient(seed):
            rows.setdefault((contrast, mass), []).append(off)
    print(f"Network {model_sha256()[:12]}\n")
    print("| contrast | mass | patients | levels | within 1 mm | median difference (mm) | mean absolute | largest |")
    print("|---|---|---|---|---|---|---|---|")
    for (contrast, mass), parts in sorted(rows.items(), reverse=True):
        off = np.concatenate(parts)
        print(
            f"| {contrast} | {'yes' if mass else 'no'} | {len(parts)} | {len(off)} | {np.mean(np.abs(off) <= 1):.0%} | "
            f"{np.median(off):+.2f} | {np.abs(off).mean():.2f} | {np.abs(off).max():.1f} |"
        )


if __name__ == "__main__":
    main()
