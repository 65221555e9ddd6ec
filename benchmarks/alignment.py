"""How well series of one study are brought together: generated visits and real scans whose patients did not move.

Run from the checkout::

    SPINEMRI_DATA=../shared/data python benchmarks/alignment.py --visits 40

Every series is taken as it lies, and again with a header that is wrong by 2 to 8 mm in any direction. The visits are
the first of the pairs of `change` (seeds from 1000); the real scans are those that training never saw, recoloured as T1
and post-contrast T1, in thick slices (`mass_cases.mass_free_studies`).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from mass_cases import mass_free_studies
from numpy.typing import NDArray

from spinemri.anatomy.alignment import LEAVE_ALONE_MM, estimate_shift, placed, structure_image
from spinemri.anatomy.network import segment
from spinemri.phantom.pairs import acquire_visits, draw_pair
from spinemri.training.visits import CONTRASTS, ROLES
from spinemri.volume import Volume

FIRST_SEED = 1000
SHIFT_MM = (2.0, 8.0)


def generated(visits: int) -> Iterator[tuple[str, dict[str, Volume]]]:
    """Yield the first visit of so many pairs, its images by contrast."""
    contrast_of = {role: contrast for contrast, role in ROLES.items()}
    for seed in range(FIRST_SEED, FIRST_SEED + visits):
        (study, _), _ = acquire_visits(draw_pair(seed))
        yield f"{seed}", {contrast_of[stack.role]: stack.reader() for stack in study.stacks if stack.role}


def errors_mm(images: Mapping[str, Volume], rng: np.random.Generator) -> Iterator[tuple[str, float, float]]:
    """Yield contrast, by how far a still series was moved, and what remains of a known shift."""
    drawn = {}
    for contrast, image in images.items():
        weighting, suppressed, enhanced = CONTRASTS[contrast]
        reading = segment(image, weighting, fat_suppressed=suppressed, contrast_enhanced=enhanced)
        drawn[contrast] = structure_image(reading)
    for contrast in list(drawn)[1:]:
        direction: NDArray[np.float64] = rng.normal(size=3)
        shift = direction / np.linalg.norm(direction) * rng.uniform(*SHIFT_MM)
        still = estimate_shift(drawn["T2"], drawn[contrast])
        found = estimate_shift(drawn["T2"], placed(drawn[contrast], -shift))
        yield contrast, float(np.linalg.norm(still)), float(np.linalg.norm(found - shift))


def main() -> None:
    """Print a row per set and contrast."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=40)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SPINEMRI_DATA", "../shared/data")))
    arguments = parser.parse_args()
    print(f"Shifts below {LEAVE_ALONE_MM} mm are left alone.\n")
    print("| set | series | number | still, but moved | error of a shift (mm) | largest |\n|---|---|---|---|---|---|")
    for name, studies in (("generated", generated(arguments.visits)), ("real", mass_free_studies(arguments.data))):
        rng = np.random.default_rng(0)
        rows = [row for _, images in studies for row in errors_mm(images, rng)]
        for contrast in list(CONTRASTS)[1:]:
            still, remaining = (np.array([row[k] for row in rows if row[0] == contrast]) for k in (1, 2))
            moved = int((still > 0).sum())
            print(
                f"| {name} | {contrast} | {len(still)} | {moved} | {np.median(remaining):.2f} | {remaining.max():.2f} |"
            )


if __name__ == "__main__":
    main()
