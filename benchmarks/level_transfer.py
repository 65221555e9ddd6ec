"""How often a follow-up gets the baseline's level names, and how often another patient is noticed, on phantoms.

Run as ``python benchmarks/level_transfer.py [NUMBER]``. Every phantom is seen twice: moved by up to 15 mm and turned
by up to 10 degrees, bent by up to 6 degrees, with another slice pitch and angle, from up to two levels further up or
down, with a smaller mass. Names are judged against the generator's truth; tissues are its exact coverage.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from spinemri.anatomy.build import build_anatomy
from spinemri.anatomy.levels import LevelHints
from spinemri.anatomy.model import Anatomy
from spinemri.followup import transfer_levels
from spinemri.followup.registration import Registration, register_visits
from spinemri.phantom import build_geometry, random_recipe, render, stack_grid
from spinemri.phantom.recipe import PhantomRecipe, SequenceParameters, SeriesRecipe, VisitRecipe
from spinemri.volume import Volume

LEVELS = ("T4", "T5", "T6", "T7", "T8", "T9", "T10")


@dataclass(frozen=True, eq=False)
class Seen:
    """One visit with the true canal height of every vertebra that the anatomy stage found."""

    anatomy: Anatomy
    image: Volume
    truth: tuple[str, ...]


def see(recipe: PhantomRecipe, visit: VisitRecipe, series: SeriesRecipe) -> Seen:
    """Render one visit and find its anatomy."""
    geometry = build_geometry(recipe, visit)
    rng = np.random.default_rng([recipe.seed, visit.noise_seed])
    image, tissues = render(geometry, stack_grid(geometry, series), SequenceParameters(), rng)
    anatomy = build_anatomy(tissues, hints=LevelHints())
    names = [f"C{n}" for n in range(3, 8)] + [f"T{n}" for n in range(1, 13)] + [f"L{n}" for n in range(1, 6)]
    places = np.array([geometry.level_lps(name) for name in names])
    centres = np.array([v.centre_lps_mm for v in anatomy.levels.vertebrae])
    nearest = np.linalg.norm(centres[:, None] - places, axis=-1).argmin(1)
    return Seen(anatomy, image, tuple(names[index] for index in nearest))


def two_visits(rng: np.random.Generator, number: int) -> tuple[Seen, Seen]:
    """Draw a patient and see them twice."""
    follow = VisitRecipe(
        name="followup",
        volume_factor=float(rng.uniform(0.4, 1.1)),
        shift_mm=tuple(rng.uniform(-15, 15, 3)),
        rotation_degrees=tuple(rng.uniform(-10, 10, 3)),
        bending_degrees=float(rng.uniform(-6, 6)),
        noise_seed=1,
    )
    recipe = random_recipe(rng, with_mass=number % 3 > 0).model_copy(update={"visits": (VisitRecipe(), follow)})
    place = 2 + number % 3
    first = SeriesRecipe(name="first", centre=LEVELS[place], slices=13, slice_pitch_mm=4.0, voxel_mm=1.0)
    changed: dict[str, Any] = {
        "centre": LEVELS[place + (0, 2, -2)[number % 3]],
        "slice_pitch_mm": float(rng.choice([3.3, 4.0, 4.4])),
        "oblique_degrees": float(rng.uniform(-5, 5)),
    }
    return see(recipe, VisitRecipe(), first), see(recipe, follow, first.model_copy(update=changed))


def true_shift(baseline: Seen, followup: Seen) -> int:
    """Return the pairing of vertebrae that the truth tells."""
    common = [name for name in baseline.truth[1:-1] if name in followup.truth[1:-1]]
    middle = common[len(common) // 2]
    return baseline.truth.index(middle) - followup.truth.index(middle)


def describe(registration: Registration | None) -> str:
    """Write a registration's figures on one line."""
    if registration is None:
        return "none"
    best = registration.best
    return f"similarity {best.similarity:.2f} margin {registration.margin:.2f} over {best.vertebrae} vertebrae"


def main(count: int) -> None:
    """Run the benchmark and print a line per pair of visits."""
    rng = np.random.default_rng(20300101)
    visits = [two_visits(rng, number) for number in range(count)]
    right = noticed = 0
    for number, (baseline, followup) in enumerate(visits):
        start = time.perf_counter()
        found = register_visits(baseline.anatomy, baseline.image, followup.anatomy, followup.image)
        seconds = time.perf_counter() - start
        correct = found is not None and found.best.levels == true_shift(baseline, followup)
        _, flags = transfer_levels(baseline.anatomy, baseline.image, followup.anatomy, followup.image)
        right += correct and not {flag.code for flag in flags} & {"LEVEL_TRANSFER_FAILED", "VISITS_DO_NOT_MATCH"}
        other = visits[(number + 1) % count][0]
        stranger = register_visits(other.anatomy, other.image, followup.anatomy, followup.image)
        _, warnings = transfer_levels(other.anatomy, other.image, followup.anatomy, followup.image)
        noticed += any(flag.code == "VISITS_DO_NOT_MATCH" for flag in warnings)
        print(f"{number}: {'right' if correct else 'WRONG'}, {describe(found)}, {seconds:.1f} s")
        print(f"   another patient: {describe(stranger)}, {[flag.code for flag in warnings]}")
    print(f"right names {right}/{count}, another patient noticed {noticed}/{count}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
