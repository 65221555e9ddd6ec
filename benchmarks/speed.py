"""Time and memory of segmenting a study of five sagittal series, each of 20 x 512 x 512 voxels.

Run from the checkout as ``python benchmarks/speed.py [REPEATS]``. The series show a generated patient, 0.6 mm in plane
and 4 mm between slices; each is segmented in its own space and all are fused on the grid of the first, as in a run. A
process of its own is started for every repeat, so that its peak memory is that of the segmentation.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import numpy as np

from spinemri.anatomy.network import model_sha256, segment
from spinemri.mass.segment import fuse
from spinemri.phantom.training import training_stack
from spinemri.volume import Grid, Volume, resample

SERIES = ("T2", "T1", "T1", "STIR", "T1")
SHAPE = (20, 512, 512)
SPACING_MM = (4.0, 0.6, 0.6)
LIMIT_SECONDS, LIMIT_GIB = 15.0, 2.0


def study() -> list[tuple[Volume, str, bool, bool]]:
    """Acquire one generated patient in the contrast of every series, with what is known of it, on the same grid."""
    series = []
    for name in SERIES:
        image, _, weighting, fat, agent = training_stack(np.random.default_rng(3), weighting=name)
        affine = image.affine.copy()
        affine[:3, :3] *= np.array(SPACING_MM) / image.spacing
        affine[:3, 3] = image.grid.to_lps((np.array(image.shape) - 1) / 2)
        affine[:3, 3] -= affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
        series.append((resample(image, Grid(SHAPE, affine)), weighting, fat, agent))
    return series


def once() -> None:
    """Segment and fuse; print seconds and the peak of this process in GiB."""
    series = study()
    model_sha256()
    began = time.monotonic()
    fuse(
        (segment(image, weighting, fat_suppressed=fat, contrast_enhanced=agent), 1.0)
        for image, weighting, fat, agent in series
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{time.monotonic() - began:.2f} {peak:.2f}")


def main() -> None:
    """Print a row per repeat, and whether the slowest keeps within what is asked for."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"Network {model_sha256()[:12]}\n\n| run | seconds | peak (GiB) |\n|---|---|---|")
    rows = []
    for number in range(repeats):
        code = "import speed; speed.once()"
        run = [sys.executable, "-c", code]
        out = subprocess.run(run, cwd=sys.path[0], capture_output=True, text=True, check=True)  # noqa: S603
        rows.append([float(value) for value in out.stdout.split()])
        print(f"| {number + 1} | {rows[-1][0]:.1f} | {rows[-1][1]:.2f} |", flush=True)
    seconds, peak = np.array(rows).max(0)
    met = "yes" if seconds <= LIMIT_SECONDS and peak <= LIMIT_GIB else "NO"
    print(f"\nAsked for: {LIMIT_SECONDS:.0f} s and {LIMIT_GIB:.0f} GiB: {met}.")


if __name__ == "__main__":
    main()
