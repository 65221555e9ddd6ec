"""Volume and change of a mass on generated pairs of visits that training did not see.

Run as ``python benchmarks/change.py [--pairs 20]``. A patient is drawn with a mass and examined twice in sagittal
T2, T1 and T1 fat-suppressed after contrast agent, lying differently, planned differently, bent a little, with other
noise, and with a mass that is 50 to 110 % of what it was; in every fourth pair it did not change. Each sequence is
measured alone, and all three together as `spinemri compare` does, without and with the second look at the canal.

Phantoms prove code and compare sequences; they say nothing of accuracy on patients. The weights in
``configs/default.yaml``, `BOUNDARY_SD_MM` and `SHARED_CORRELATION` follow from these tables.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from spinemri.anatomy.centreline import find_centreline
from spinemri.anatomy.model import TissueMap
from spinemri.anatomy.network import model_sha256, segment
from spinemri.config import MassSettings
from spinemri.followup.change import SHARED_CORRELATION, LogVolume, volume_change
from spinemri.intake.model import Role
from spinemri.mass.find import find_mass
from spinemri.mass.refine import refine_where_found
from spinemri.mass.segment import fuse
from spinemri.mass.uncertainty import surface_area_mm2
from spinemri.nomenclature import Tissue
from spinemri.phantom.geometry import build_geometry
from spinemri.phantom.recipe import PhantomRecipe, VisitRecipe
from spinemri.phantom.render import render
from spinemri.phantom.sampling import random_mass, random_sequence, random_series, random_spine
from spinemri.phantom.stacks import stack_grid
from spinemri.volume import Volume

_SMALLEST_ML = 1.0
_NETWORK_ALONE = "all, network alone"
_SEQUENCES = {"T2": Role.SAGITTAL_T2, "T1": Role.SAGITTAL_T1, "T1_post_fs": Role.SAGITTAL_T1_POST_FS}


@dataclass(frozen=True)
class Reading:
    """What one sequence, or all, said of one visit; volumes in ml, surface per volume in 1/mm."""

    true_ml: float
    measured_ml: float
    log_sd: float
    dice: float
    surface_per_volume: float


@dataclass(frozen=True)
class Pair:
    """Two visits, each read by every sequence and by all together."""

    name: str
    visits: tuple[dict[str, Reading], dict[str, Reading]]

    def true_change(self) -> float:
        """Change in per cent of the first volume."""
        first, second = (visit["all"].true_ml for visit in self.visits)
        return 100 * (second / first - 1)


def draw_patient(seed: int) -> PhantomRecipe:
    """Draw a patient with a mass, three sequences in one plan, and two visits."""
    rng = np.random.default_rng((11, seed))
    spine = random_spine(rng)
    mass = random_mass(rng, spine)
    plan = random_series(rng, mass).model_copy(
        update={
            "voxel_mm": 0.7,
            "slice_pitch_mm": float(rng.choice([3.3, 3.6, 4.0])),
            "slices": 15,
            "centre": mass.worst_level,
            "field_of_view_mm": (170.0, 280.0),
            "shift_mm": (0.0, 5.0, 0.0),
        }
    )
    names = tuple(_SEQUENCES)
    series = tuple(plan.model_copy(update={"name": n, "sequence": random_sequence(rng, n)}) for n in names)  # type: ignore[arg-type]
    factor = 1.0 if seed % 4 == 0 else float(rng.uniform(0.5, 1.1))
    visits = tuple(_draw_visit(rng, number, factor if number else 1.0) for number in range(2))
    return PhantomRecipe(name=f"pair-{seed}", seed=seed, spine=spine, mass=mass, series=series, visits=visits)


def _draw_visit(rng: np.random.Generator, number: int, factor: float) -> VisitRecipe:
    left, posterior, up = (float(x) for x in rng.uniform(-10, 10, 3))
    return VisitRecipe(
        name=f"visit_{number}",
        volume_factor=factor,
        shift_mm=(left, posterior, up),
        rotation_degrees=(float(rng.uniform(-6, 6)), float(rng.normal(0, 1.5)), float(rng.uniform(-5, 5))),
        bending_degrees=float(rng.normal(0, 2)),
        planning_shift_mm=(float(rng.uniform(-1.7, 1.7)), 0.0, 0.0),
        planning_degrees=float(rng.normal(0, 2)),
        noise_seed=number,
    )


def read_visit(recipe: PhantomRecipe, visit: VisitRecipe) -> dict[str, Reading]:
    """Acquire and measure one visit, by sequence and together."""
    geometry = build_geometry(recipe, visit)
    weights = MassSettings().sequence_weights.model_dump()
    maps: list[tuple[TissueMap, float]] = []
    readings: dict[str, Reading] = {}
    images: list[Volume] = []
    for number, series in enumerate(recipe.series):
        rng = np.random.default_rng([recipe.seed, visit.noise_seed, number])
        grid = stack_grid(geometry, series)
        image, truth = render(geometry, grid, series.sequence, rng)
        images.append(Volume(image.array, image.affine, "phantom"))
        tissues = segment(
            images[-1],
            series.sequence.weighting,
            fat_suppressed=series.sequence.fat_suppressed,
            contrast_enhanced=series.sequence.contrast_enhanced,
        )
        cover = truth.fraction(Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)
        readings[series.name] = _reading(tissues, cover, images[-1:])
        maps.append((tissues, weights[_SEQUENCES[series.name].value]))
        if number == 0:
            reference = cover
    fused = fuse(maps)
    readings[_NETWORK_ALONE] = _reading(fused, reference, [])
    readings["all"] = _reading(fused, reference, images)
    return readings


def _reading(tissues: TissueMap, cover: Volume, images: list[Volume]) -> Reading:
    """Find the mass as a run does; without images the second look at the canal is left out."""
    refined = refine_where_found(tissues, images, MassSettings())
    mass = find_mass(refined, find_centreline(refined), MassSettings())
    voxel_ml = cover.grid.voxel_volume_mm3 / 1000
    ours, theirs = mass.mask.array > 0, cover.array >= 0.5
    volume = float(cover.array.sum()) * voxel_ml
    return Reading(
        volume,
        float(mass.probability.array.sum()) * voxel_ml,
        mass.volume_log_sd,
        2 * int((ours & theirs).sum()) / max(int(ours.sum() + theirs.sum()), 1),
        surface_area_mm2(cover) / max(volume * 1000, 1e-6),
    )


def volume_row(sequence: str, pairs: list[Pair]) -> str:
    """Summarise the volumes that one sequence gave.

    The last two columns are the uniform shift of the outline that explains the log error (robust standard deviation),
    which is the boundary term of a volume's uncertainty, and the correlation of the two visits' log errors.
    """
    readings = [visit[sequence] for pair in pairs for visit in pair.visits]
    found = [reading for reading in readings if reading.measured_ml > 0]
    errors = np.array([100 * (reading.measured_ml / reading.true_ml - 1) for reading in found])
    shifts = np.array([np.log(r.measured_ml / r.true_ml) / r.surface_per_volume for r in found])
    both = [pair.visits for pair in pairs if all(visit[sequence].measured_ml > 0 for visit in pair.visits)]
    logs = np.array([[np.log(v[sequence].measured_ml / v[sequence].true_ml) for v in visits] for visits in both])
    correlation = float(np.corrcoef(logs.T)[0, 1]) if len(logs) > 2 else float("nan")
    dice = float(np.median([reading.dice for reading in readings]))
    return (
        f"| {sequence} | {len(readings)} | {len(found)} | {dice:.2f} | {np.median(errors):+.1f} | "
        f"{np.median(np.abs(errors)):.1f} | {1.48 * np.median(np.abs(shifts)):.2f} | {correlation:.2f} |"
    )


def change_row(sequence: str, pairs: list[Pair]) -> str:
    """Summarise the changes that one sequence gave: errors in percentage points, and what the intervals are worth."""
    errors, covered, called, unchanged = [], 0, 0, 0
    for pair in pairs:
        first, second = (visit[sequence] for visit in pair.visits)
        if first.measured_ml <= 0 or second.measured_ml <= 0:
            continue
        change = volume_change(
            LogVolume(first.measured_ml, first.log_sd),
            LogVolume(second.measured_ml, second.log_sd),
            correlation=SHARED_CORRELATION,
        )
        true = pair.true_change()
        low, high = change.ci95_percent or (0.0, 0.0)
        errors.append((change.percent or 0.0) - true)
        covered += low <= true <= high
        if abs(true) < 0.5:
            unchanged += 1
            called += change.verdict != "not_distinguishable"
    error = np.array(errors)
    size = np.abs(error)
    return (
        f"| {sequence} | {len(errors)} of {len(pairs)} | {np.mean(size):.1f} | {np.median(size):.1f} | "
        f"{np.mean(error):+.1f} | {100 * covered / max(len(errors), 1):.0f} % | {called} of {unchanged} |"
    )


def main() -> None:
    """Print both tables and the cases as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20, help="pairs of visits with at least 1 ml")
    parser.add_argument("--first", type=int, default=1000, help="seed of the first pair")
    arguments = parser.parse_args()
    print(f"Network {model_sha256()[:12]}\n\n| pair | mass | true ml | true change | measured ml | measured change |")
    print("|---|---|---|---|---|---|")
    pairs: list[Pair] = []
    seed = arguments.first
    while len(pairs) < arguments.pairs:
        recipe = draw_patient(seed)
        seed += 1
        first, second = (read_visit(recipe, visit) for visit in recipe.visits)
        pair = Pair(recipe.name, (first, second))
        if min(first["all"].true_ml, second["all"].true_ml) < _SMALLEST_ML:
            continue
        pairs.append(pair)
        print(_case_row(recipe, pair), flush=True)
    print("\n| sequence | visits | found | Dice | error (%) | absolute error (%) | boundary shift (mm) | correlation |")
    print("|---|---|---|---|---|---|---|---|")
    for sequence in (*_SEQUENCES, _NETWORK_ALONE, "all"):
        print(volume_row(sequence, pairs))
    print(
        "\nMedians.\n\n| sequence | both found | mean error (points) | median | bias | 95 % covers | "
        "unchanged called changed |"
    )
    print("|---|---|---|---|---|---|---|")
    for sequence in (*_SEQUENCES, _NETWORK_ALONE, "all"):
        print(change_row(sequence, pairs))


def _case_row(recipe: PhantomRecipe, pair: Pair) -> str:
    first, second = (visit["all"] for visit in pair.visits)
    mass = recipe.mass
    what = f"{mass.shape}, {mass.from_level}-{mass.to_level}, {mass.compression:.2f}" if mass else ""
    change = f"{100 * (second.measured_ml / first.measured_ml - 1):+.1f} %" if first.measured_ml else "-"
    return (
        f"| {pair.name} | {what} | {first.true_ml:.2f} / {second.true_ml:.2f} | {pair.true_change():+.1f} % | "
        f"{first.measured_ml:.2f} / {second.measured_ml:.2f} | {change} |"
    )


if __name__ == "__main__":
    main()
