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

import numpy as np

from spinemri.anatomy.centreline import find_centreline
from spinemri.anatomy.network import model_sha256, segment
from spinemri.config import Config
from spinemri.mass.find import find_mass
from spinemri.mass.refine import refine_where_found
from spinemri.mass.segment import fuse
from spinemri.phantom.training import training_stack
from spinemri.volume import Grid, Volume, resample

SERIES = ("T2", "T1", "T1", "STIR", "T1")
SHAPE = (20, 512, 512)
SPACING_MM = (4.0, 0.6, 0.6)
LIMIT_SECONDS, LIMIT_MASS_SECONDS, LIMIT_GIB = 15.0, 5.0, 2.0


def study() -> list[tuple[Volume, str, bool, bool]]:
    """Acquire one generated patient in the contrast of every series, with what is known of it, on the same grid."""
    series = []
    for name in SERIES:
        image, _, weighting, fat, agent = training_stack(np.random.default_rng(3), weighting=name, with_mass=True)
        affine = image.affine.copy()
        affine[:3, :3] *= np.array(SPACING_MM) / image.spacing
        affine[:3, 3] = image.grid.to_lps((np.array(image.shape) - 1) / 2)
        affine[:3, 3] -= affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
        series.append((resample(image, Grid(SHAPE, affine)), weighting, fat, agent))
    return series


def once() -> None:
    """Segment and fuse, then find the mass; print seconds of both, the peak in GiB and the volume in ml."""
    series = study()
    model_sha256()
    began = time.monotonic()
    tissues = fuse(
        (segment(image, weighting, fat_suppressed=fat, contrast_enhanced=agent), 1.0)
        for image, weighting, fat, agent in series
    )
    segmented = time.monotonic()
    settings = Config().mass
    refined = refine_where_found(tissues, [image for image, *_ in series], settings)
    mass = find_mass(refined, find_centreline(refined), settings)
    found = time.monotonic()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    volume_ml = float(mass.probability.array.sum()) * refined.grid.voxel_volume_mm3 / 1000
    print(f"{segmented - began:.2f} {found - segmented:.2f} {peak:.2f} {volume_ml:.1f}")


def main() -> None:
    """Print a row per repeat, and whether the slowest keeps within what is asked for."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"Network {model_sha256()[:12]}\n\n| run | segmentation (s) | mass (s) | peak (GiB) |\n|---|---|---|---|")
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
