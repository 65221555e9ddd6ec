"""Level names on generated patients with 23, 24 and 25 presacral vertebrae and fields of view drawn at random.

Run from the checkout as ``python benchmarks/level_phantoms.py [NUMBER]``. Tissues are the generator's exact coverage
at thick slices: this judges the naming, not the network. Three in eight patients have an unusual column, far more
than in life; so calibration is also given with each patient weighted by how common such a column is.

In one patient in five one disc is bone (fused bodies); one in three has a mass in the canal.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.build import build_anatomy
from spinemri.anatomy.levels import LevelHints
from spinemri.anatomy.model import Levels, TissueMap
from spinemri.nomenclature import Tissue
from spinemri.phantom import build_geometry, random_recipe, stack_grid
from spinemri.phantom.bones import bone_layers
from spinemri.phantom.geometry import Geometry
from spinemri.phantom.layers import canal_layers
from spinemri.phantom.norms import Variant
from spinemri.volume import Grid

VARIANTS: tuple[Variant, ...] = (
    "regular", "regular", "sixth_lumbar", "regular", "thirteenth_thoracic", "regular", "four_lumbar", "regular",
)  # fmt: skip
COMMON = {"regular": 0.90, "sixth_lumbar": 0.045, "thirteenth_thoracic": 0.015, "four_lumbar": 0.04}
TITLES = {
    "regular": "24 presacral",
    "sixth_lumbar": "L6",
    "thirteenth_thoracic": "T13",
    "four_lumbar": "sacralised L5",
}
FUSED_SHARE = 0.2
SECTIONS = (-0.25, 0.25)
MATCH_MM = 10.0
BINS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 1.001)
SEED = 20400101


@dataclass(frozen=True)
class Row:
    """One patient: what was read, and whether every whole body that is visible has its name."""

    variant: Variant
    numbering: str
    anchor: str
    confidence: float
    right: bool
    levels: int
    largest_mm: float
    story: str


def cover(geometry: Geometry, grid: Grid) -> TissueMap:
    """Fraction of every voxel by tissue, without making an image."""
    out = np.zeros((len(Tissue), *grid.shape), np.float32)
    index = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in grid.shape[1:]], indexing="ij"), axis=-1)
    for number in range(grid.shape[0]):
        for offset in SECTIONS:
            where = np.concatenate([np.full((*index.shape[:2], 1), number + offset), index], axis=-1)
            out[:, number] += _section(geometry, grid, where).reshape(-1, *grid.shape[1:]) / len(SECTIONS)
    return TissueMap(out, grid.affine)


def _section(geometry: Geometry, grid: Grid, index: NDArray[np.float64]) -> NDArray[np.float32]:
    s, p, l = (c.ravel().astype(np.float32) for c in geometry.to_canal(grid.to_lps(index)))  # noqa: E741
    points = geometry.section(s, p, l)
    cover_of = np.zeros((len(Tissue), len(s)), np.float32)
    left = np.ones(len(s), np.float32)
    pitch = grid.spacing[1]
    for layer in chain(canal_layers(geometry, points, pitch), bone_layers(geometry, points, pitch)):
        part = np.flatnonzero(layer.coverage > 0.0)
        where = layer.where[part]
        weight = (layer.coverage[part] * left[where]).astype(np.float32)
        left[where] -= weight
        tissue = layer.tissue if isinstance(layer.tissue, Tissue) else layer.tissue[part]
        cover_of[tissue, where] += weight
    cover_of[Tissue.BACKGROUND] += left
    return cover_of


def patient(number: int) -> tuple[Geometry, TissueMap, Variant]:
    """Draw a patient, a field of view of 4 to 24 levels, and its tissues."""
    rng = np.random.default_rng([SEED, number])
    variant = VARIANTS[number % len(VARIANTS)]
    recipe = random_recipe(rng, with_mass=number % 3 == 0 and variant != "four_lumbar")
    spine = recipe.spine.model_copy(update={"variant": variant, "marrow_signal": ()})
    recipe = recipe.model_copy(update={"spine": spine})
    series = recipe.series[0]
    update = {
        "centre": "L4" if series.centre == "L5" else series.centre,
        "voxel_mm": 1.6,
        "slices": 9,
        "field_of_view_mm": (130.0, float(rng.uniform(130.0, 480.0))),
        "shift_mm": (series.shift_mm[0], -12.0 + 0.2 * series.shift_mm[1], series.shift_mm[2]),
    }
    geometry = build_geometry(recipe)
    tissues = cover(geometry, stack_grid(geometry, series.model_copy(update=update)))
    return geometry, altered(tissues, geometry, rng), variant


def altered(tissues: TissueMap, geometry: Geometry, rng: np.random.Generator) -> TissueMap:
    """Turn one visible disc into bone in one patient in five."""
    if rng.random() >= FUSED_SHARE:
        return tissues
    discs = [name for name in geometry.column.disc_names() if name[0] in "CTL" and not name.startswith("C1")]
    name = str(rng.choice(discs))
    coverage = tissues.coverage.copy()
    index = np.argwhere(coverage[Tissue.DISC] > 0.0)
    s, _, _ = geometry.to_canal(tissues.grid.to_lps(index.astype(float)))
    own = tuple(index[np.abs(s - geometry.column.position_mm(name)) < 9.0].T)
    coverage[(Tissue.BODY, *own)] += coverage[(Tissue.DISC, *own)]
    coverage[(Tissue.DISC, *own)] = 0.0
    return TissueMap(coverage, tissues.affine)


def truth(geometry: Geometry) -> dict[str, NDArray[np.float64]]:
    """Centres of the mobile bodies from C2 downwards."""
    names = [name for name in geometry.column.names if name != "C1" and not name.startswith("S")]
    return {name: geometry.level_lps(name) for name in names}


def judge(number: int) -> Row:
    """Name one patient's levels and compare them."""
    geometry, tissues, variant = patient(number)
    levels = build_anatomy(tissues, hints=LevelHints()).levels
    right, checked, largest = compare(levels, truth(geometry))
    named = [v.name for v in levels.vertebrae]
    story = f"{number}: {named[0]}-{named[-1]}, {[f.code for f in levels.flags]}" if named else f"{number}: nothing"
    return Row(variant, levels.numbering, levels.anchor, levels.confidence, right, checked, largest, story)


def compare(levels: Levels, centres: dict[str, NDArray[np.float64]]) -> tuple[bool, int, float]:
    """Whether every whole body bears the name of the true one it lies on, how many, and the largest distance in mm."""
    names, places = list(centres), np.array(list(centres.values()))
    right, away = [], [0.0]
    for vertebra in levels.vertebrae:
        distance = np.linalg.norm(places - np.array(vertebra.centre_lps_mm), axis=1)
        if not vertebra.complete or distance.min() > MATCH_MM:
            continue
        right.append(names[int(distance.argmin())] == vertebra.name)
        away.append(float(distance.min()))
    return bool(right) and all(right), len(right), max(away)


def print_identification(rows: Sequence[Row]) -> None:
    """Print how many are right, by column and by what the count rests on."""
    print("| column | patients | absolute | of these right | relative | of these right | largest centre error (mm) |")
    print("|---|---|---|---|---|---|---|")
    for title, part in _groups(rows):
        fixed = [row for row in part if row.numbering == "absolute"]
        loose = [row for row in part if row.numbering != "absolute"]
        figures = f"{len(fixed)} | {sum(r.right for r in fixed)} | {len(loose)} | {sum(r.right for r in loose)}"
        print(f"| {title} | {len(part)} | {figures} | {max(row.largest_mm for row in part):.1f} |")


def _groups(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    kinds = [(title, [r for r in rows if r.variant == kind]) for kind, title in TITLES.items()]
    views = [(f"any, {name}", [r for r in rows if r.anchor == name]) for name in ("C2", "sacrum", "none")]
    return [(title, part) for title, part in [*kinds, *views, ("all", list(rows))] if part]


def print_calibration(rows: Sequence[Row]) -> None:
    """Print stated against observed probability, as drawn and weighted by how common each column is."""
    share = {kind: sum(row.variant == kind for row in rows) / len(rows) for kind in COMMON}
    weight = np.array([COMMON[row.variant] / share[row.variant] for row in rows])
    stated = np.array([row.confidence for row in rows])
    right = np.array([row.right for row in rows], dtype=float)
    print("\n| stated | patients | mean stated | right | right, weighted |\n|---|---|---|---|---|")
    for low, high in pairwise(BINS):
        here = (stated >= low) & (stated < high)
        if here.any():
            weighted = float(np.average(right[here], weights=weight[here]))
            means = f"{stated[here].mean():.2f} | {right[here].mean():.2f} | {weighted:.2f}"
            print(f"| {low:.2f} to {min(high, 1.0):.2f} | {here.sum()} | {means} |")


def main(count: int) -> None:
    """Print both tables and every wrong patient."""
    rows = [row for row in map(judge, range(count)) if row.levels]
    print_identification(rows)
    print_calibration(rows)
    print("\nNot right:")
    for row in rows:
        if not row.right:
            print(f"- {TITLES[row.variant]}, {row.numbering} {row.confidence:.2f} from {row.anchor}, {row.story}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
