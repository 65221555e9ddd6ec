"""Time and memory of segmenting a study of five sagittal series of 20 x 512 x 512 voxels, and of finding its mass.

Run from the checkout as ``python benchmarks/speed.py [REPEATS]``. The series show a generated patient with a mass,
0.6 mm in plane and 4 mm between slices; each is segmented in its own space and all are fused on the grid of the first,
as in a run. A process of its own is started for every repeat, so that its peak memory is its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

from spinemri.anatomy.centreline import find_centreline
from spinemri.anatomy.cord import settle_cord
from spinemri.anatomy.model import TissueMap
from spinemri.anatomy.network import segment
from spinemri.config import Config
from spinemri.mass.find import find_mass
from spinemri.mass.second_look import SequenceImage, networks_sha256
from spinemri.mass.segment import fuse, outline_mass
from spinemri.phantom.geometry import build_geometry
from spinemri.phantom.recipe import SequenceParameters
from spinemri.phantom.render import render
from spinemri.phantom.sampling import random_recipe, random_sequence
from spinemri.phantom.stacks import stack_grid
from spinemri.volume import Grid, Volume, resample

SERIES = ("T2", "T1", "STIR", "T2_fs", "T1_post_fs")
SHAPE = (20, 512, 512)
SPACING_MM = (4.0, 0.6, 0.6)
LIMIT_SECONDS, LIMIT_MASS_SECONDS, LIMIT_GIB = 15.0, 5.0, 2.0


def study() -> list[tuple[Volume, SequenceParameters]]:
    """Acquire one generated patient with a mass in every sequence, all on the same grid."""
    recipe = random_recipe(np.random.default_rng(3), with_mass=True)
    geometry = build_geometry(recipe)
    grid = stack_grid(geometry, recipe.series[0])
    affine = grid.affine.copy()
    affine[:3, :3] *= np.array(SPACING_MM) / grid.spacing
    affine[:3, 3] = grid.to_lps((np.array(grid.shape) - 1) / 2) - affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    series = []
    for number, kind in enumerate(SERIES):
        rng = np.random.default_rng(number)
        sequence = random_sequence(rng, kind)
        image, _ = render(geometry, grid, sequence, rng)
        series.append((resample(image, Grid(SHAPE, affine)), sequence))
    return series


def once() -> None:
    """Segment, settle the cord, and find the mass; print seconds of both, the peak in GiB and the volume in ml."""
    series, settings = study(), Config().mass
    seconds: dict[str, float] = {}
    networks_sha256()

    def maps() -> Iterator[tuple[TissueMap, float]]:
        for image, sequence in series:
            fat, agent = sequence.fat_suppressed, sequence.contrast_enhanced
            yield segment(image, sequence.weighting, fat_suppressed=fat, contrast_enhanced=agent), 1.0

    began = time.monotonic()
    tissues = fuse(maps())
    seconds["segment"] = time.monotonic() - began
    began = time.monotonic()
    shown = [SequenceImage(image, s.weighting, s.fat_suppressed, s.contrast_enhanced) for image, s in series]
    refined = outline_mass(tissues, shown, settings)
    mass = find_mass(refined, find_centreline(refined), settings)
    seconds["mass"] = time.monotonic() - began
    began = time.monotonic()
    settle_cord(refined, series[0][0])
    seconds["segment"] += time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    volume_ml = float(mass.probability.array.sum()) * refined.grid.voxel_volume_mm3 / 1000
    print(f"{seconds['segment']:.2f} {seconds['mass']:.2f} {peak:.2f} {volume_ml:.1f}")


def main() -> None:
    """Print a row per repeat, and whether the slowest keeps within what is asked for."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"Network {networks_sha256()[:12]}\n\n| run | segmentation (s) | mass (s) | peak (GiB) |\n|---|---|---|---|")
    rows = []
    for number in range(repeats):
        code = "import speed; speed.once()"
        run = [sys.executable, "-c", code]
        out = subprocess.run(run, cwd=sys.path[0], capture_output=True, text=True, check=True)  # noqa: S603
        rows.append([float(value) for value in out.stdout.split()])
        seconds, mass_seconds, peak, volume_ml = rows[-1]
        print(f"| {number + 1} | {seconds:.1f} | {mass_seconds:.1f} | {peak:.2f} |", flush=True)
    limits = (LIMIT_SECONDS, LIMIT_MASS_SECONDS, LIMIT_GIB)
    met = "yes" if (np.array(rows)[:, :3].max(0) <= limits).all() else "NO"
    print(
        f"\nThe mass that is found has {volume_ml:.1f} ml. Asked for: {limits[0]:.0f} s, {limits[1]:.0f} s and "
        f"{limits[2]:.0f} GiB: {met}."
    )


if __name__ == "__main__":
    main()
