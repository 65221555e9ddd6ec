"""Canal and cord compromise of generated patients, from mild to complete compression, with exact tissues.

Run as ``python benchmarks/compromise.py OUT [--patients 60]``. Every patient has a mass beside the thoracic cord and is
laid obliquely into a sagittal stack of 3 to 4 mm slices; the coverage of every voxel is exact, so that what differs
from the truth is what measuring adds. ``--pitch-mm 1`` lays the same patients into thin slices, to tell the rules of
measuring from what thick slices do not hold. The truth comes from the patient's own analytic geometry: sections
perpendicular to the canal in pixels of 0.25 mm, and for the grade the same patient without the mass. Each patient is
stored in OUT as a JSON file, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.build import build_anatomy
from spinemri.anatomy.levels import LevelHints
from spinemri.anatomy.model import Anatomy
from spinemri.intake.model import Role
from spinemri.mass.model import Mass
from spinemri.measure import measure_study
from spinemri.measure.compromise import compression_percent
from spinemri.measure.escc import EsccEvidence, escc_grade
from spinemri.nomenclature import Tissue
from spinemri.phantom.geometry import Geometry, build_geometry
from spinemri.phantom.layers import canal_layers
from spinemri.phantom.norms import COLUMN
from spinemri.phantom.recipe import MassRecipe, PhantomRecipe, SeriesRecipe, SpineRecipe, VisitRecipe
from spinemri.phantom.render import render
from spinemri.phantom.stacks import stack_grid
from spinemri.phantom.truth import level_of_section
from spinemri.volume import Volume

SHAPES = (
    "posterior", "circumferential", "left", "posterior", "anterior", "posterolateral_right", "posterior",
    "circumferential", "right", "posterolateral_left",
)  # fmt: skip
MILDEST, WORST = 0.10, 0.80
GRADES = ("1a", "1b", "1c", "2", "3")
PIXEL_MM, REACH_MM = 0.25, 16.0
STRATA = {"mild": (0.0, 0.3), "moderate": (0.3, 0.55), "severe": (0.55, 1.0)}
STRUCTURES = {
    "canal": (Tissue.CORD, Tissue.DURAL_SAC, Tissue.EPIDURAL, Tissue.MASS_CANAL),
    "sac": (Tissue.CORD, Tissue.DURAL_SAC),
    "cord": (Tissue.CORD,),
    "mass": (Tissue.MASS_CANAL,),
}
AREAS = ("canal_area_mm2", "sac_area_mm2", "cord_area_mm2")

Record = dict[str, Any]


def draw_patient(seed: int, pitch_mm: float | None = None) -> PhantomRecipe:
    """Draw a patient; every second one has a narrow sac around a thick cord, so that little fluid is left.

    The distance between slices is drawn, too, unless it is given.
    """
    rng = np.random.default_rng((17, seed))
    tight = bool(seed % 2)
    spine = SpineRecipe(
        thoracic_kyphosis_degrees=float(rng.uniform(20, 55)),
        scoliosis_mm=float(rng.normal(0, 3)),
        canal_size=float(rng.uniform(0.9, 1.15)),
        sac_size=float(rng.uniform(0.7, 0.85) if tight else rng.uniform(0.9, 1.1)),
        cord_size=float(rng.uniform(1.15, 1.35) if tight else rng.uniform(0.9, 1.1)),
        epidural_fat=float(rng.uniform(0.3, 1.5)),
    )
    first = int(rng.integers(COLUMN.index("T4"), COLUMN.index("T8")))
    last = first + int(rng.integers(1, 4))
    worst = f"{COLUMN[first]}/{COLUMN[first + 1][1:]}" if last == first + 1 else COLUMN[first + 1]
    mass = MassRecipe(
        shape=SHAPES[seed % len(SHAPES)],  # type: ignore[arg-type]
        from_level=COLUMN[first],
        to_level=COLUMN[last],
        worst_level=worst,
        compression=float(rng.uniform(MILDEST, WORST)),
        wrap_per_mm=float(rng.uniform(-0.01, 0.03)),
        lobulation=float(rng.uniform(0, 0.25)),
        fullness=float(rng.uniform(1.5, 4)),
    )
    drawn_mm = float(rng.choice([3.0, 3.3, 3.6, 4.0]))
    pitch = pitch_mm or drawn_mm
    series = SeriesRecipe(
        name="sag_t2",
        centre=worst,
        voxel_mm=0.7,
        slice_pitch_mm=pitch,
        slices=2 * round(16.0 / pitch) + 1,
        field_of_view_mm=(100.0, 230.0),
        shift_mm=(float(rng.uniform(-0.5, 0.5)) * pitch, 0.0, 0.0),
        oblique_degrees=float(rng.normal(0, 3)),
    )
    visit = VisitRecipe(
        rotation_degrees=(float(rng.uniform(-8, 8)), float(rng.normal(0, 1.5)), float(rng.normal(0, 3)))
    )
    return PhantomRecipe(name=f"patient-{seed}", seed=seed, spine=spine, mass=mass, series=(series,), visits=(visit,))


def measured(geometry: Geometry) -> Record:
    """Measure the exact tissues of a stack as a run measures those that it finds."""
    series = geometry.recipe.series[0]
    image, coverage = render(geometry, stack_grid(geometry, series), series.sequence, np.random.default_rng(0))
    x, y, z = (float(v) for v in geometry.level_lps("T7"))
    return measured_tissues(image, build_anatomy(coverage, hints=LevelHints(user=(("T7", (x, y, z)),))))


def measured_tissues(image: Volume, anatomy: Anatomy) -> Record:
    """Measure compromise in an anatomy with exact tissues."""
    probability = anatomy.tissues.fraction(Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)
    mask = probability.with_array(np.where(probability.array >= 0.5, Tissue.MASS_CANAL, 0).astype(np.uint8))
    mass = Mass("measured", probability, mask, (), truncated=False, existence=1.0, volume_log_sd=0.1)
    result = measure_study({Role.SAGITTAL_T2: image}, Role.SAGITTAL_T2, anatomy, mass)
    return result.compromise.model_dump() | {"flags": [flag.code for flag in result.flags]}


@dataclass(frozen=True)
class ExactSection:
    """One section of the exact geometry: areas (mm2), AP diameters through the centroids (mm), gap (mm)."""

    areas: dict[str, float]
    ap: dict[str, float]
    gap_mm: float


def exact_section(geometry: Geometry, s: float) -> ExactSection:
    """Measure a section in pixels of 0.25 mm, its borders as wide as the phantom draws them in the stack."""
    axis = np.arange(-REACH_MM, REACH_MM, PIXEL_MM)
    p, left = (x.ravel() for x in np.meshgrid(axis, axis, indexing="ij"))
    cover, rest = np.zeros((len(Tissue), p.size)), np.ones(p.size)
    for layer in canal_layers(
        geometry, geometry.section(np.full_like(p, s), p, left), geometry.recipe.series[0].voxel_mm
    ):
        weight = layer.coverage * rest[layer.where]
        rest[layer.where] -= weight
        tissue = np.broadcast_to(layer.tissue, weight.shape)
        np.add.at(cover, (tissue, layer.where), weight)
    maps = {name: cover[list(tissues)].sum(0).reshape(len(axis), -1) for name, tissues in STRUCTURES.items()}
    lengths = {name: one.sum(0) * PIXEL_MM for name, one in maps.items()}
    return ExactSection(
        areas={name: float(one.sum()) * PIXEL_MM for name, one in lengths.items()},
        ap={name: float(np.interp(one @ axis / max(one.sum(), 1e-9), axis, one)) for name, one in lengths.items()},
        gap_mm=_gap_mm(maps["mass"] >= 0.5, maps["cord"] >= 0.5),
    )


def _gap_mm(mass: NDArray[np.bool_], cord: NDArray[np.bool_]) -> float:
    """Shortest distance between the borders of mass and cord."""
    if not mass.any() or not cord.any():
        return float("inf")
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~cord, sampling=PIXEL_MM)
    return max(0.0, float(distance[mass].min()) - PIXEL_MM)


def true_values(geometry: Geometry, found: Record) -> Record:
    """Return the truth at the section that was found worst, with the references that were used.

    The grade comes from the same rule, but from what the same patient would look like there without the mass.
    """
    s = float(geometry.to_canal(np.array(found["worst_point_lps_mm"]))[0])
    bare = build_geometry(geometry.recipe.model_copy(update={"mass": None}), geometry.visit)
    here, without = exact_section(geometry, s), exact_section(bare, s)
    names = [name for name in found["reference_levels"] or () if name]
    beside = [exact_section(geometry, geometry.column.position_mm(name)) for name in names]

    def lost(name: str) -> float | None:
        around = [section.ap[name] for section in beside]
        return compression_percent(here.ap[name], around[0], around[1]) if len(around) == 2 else None

    evidence = EsccEvidence(
        sac_ap_ratio=here.ap["sac"] / without.ap["sac"],
        sac_area_ratio=here.areas["sac"] / without.areas["sac"],
        mass_cord_distance_mm=here.gap_mm,
        cord_ap_ratio=here.ap["cord"] / without.ap["cord"],
        cord_area_ratio=here.areas["cord"] / without.areas["cord"],
        csf_fraction=1.0 - here.areas["cord"] / here.areas["sac"],
        csf_area_mm2=here.areas["sac"] - here.areas["cord"],
    )
    return {
        "mcc_percent": lost("sac"),
        "mscc_percent": lost("cord"),
        **{f"{name}_area_mm2": here.areas[name] for name in ("canal", "sac", "cord")},
        "escc_grade": escc_grade(evidence),
        "escc_evidence": vars(evidence),
        "level": level_of_section(geometry, s),
    }


def patient_record(seed: int, pitch_mm: float | None = None) -> Record | None:
    """Measure one patient and its truth; None where nothing could be measured, as with a mass of a few mm3."""
    geometry = build_geometry(draw_patient(seed, pitch_mm))
    found = measured(geometry)
    if found["worst_point_lps_mm"] is None or geometry.recipe.mass is None:
        return None
    return {
        "seed": seed,
        "shape": geometry.recipe.mass.shape,
        "compression": geometry.recipe.mass.compression,
        "pitch_mm": geometry.recipe.series[0].slice_pitch_mm,
        "truth": true_values(geometry, found),
        "measured": found,
    }


def weighted_kappa(one: Iterable[str], other: Iterable[str], power: int) -> float:
    """Agreement of two gradings beyond chance, weighted by distance (1) or its square (2) (Cohen 1968)."""
    table = np.zeros((len(GRADES), len(GRADES)))
    for a, b in zip(one, other, strict=True):
        table[GRADES.index(a), GRADES.index(b)] += 1
    rank = np.arange(len(GRADES))
    weight = np.abs(rank[:, None] - rank) ** power
    chance = np.outer(table.sum(1), table.sum(0)) / table.sum()
    return float(1 - (weight * table).sum() / (weight * chance).sum())


def print_tables(records: list[Record]) -> None:
    """Print what was asked for as Markdown: by severity, and the grades."""
    print(
        f"{len(records)} patients.\n\n| compression | patients | MCC (points) | largest | MSCC (points) | largest |",
        end="",
    )
    print(" canal area (%) | sac area (%) | cord area (%) |\n|---|---|---|---|---|---|---|---|---|")
    for name, (low, high) in {**STRATA, "all": (0.0, 1.0)}.items():
        chosen = [r for r in records if low <= r["compression"] < high]
        cells = [_cells(chosen, key, _points) for key in ("mcc_percent", "mscc_percent")]
        cells += [_cells(chosen, key, _percent).split(" | ")[0] for key in AREAS]
        print(f"| {name} | {len(chosen)} | {' | '.join(cells)} |")
    graded = [r for r in records if r["truth"]["escc_grade"] and r["measured"]["escc_grade"]]
    grades = [[r[which]["escc_grade"] for r in graded] for which in ("truth", "measured")]
    print("\n| true grade | " + " | ".join(GRADES) + " | null |\n|---|" + "---|" * (len(GRADES) + 1))
    for grade in GRADES:
        found = [r["measured"]["escc_grade"] for r in records if r["truth"]["escc_grade"] == grade]
        print(f"| {grade} | " + " | ".join(str(found.count(other)) for other in (*GRADES, None)) + " |")
    print(
        f"\nWeighted kappa of ESCC: {weighted_kappa(*grades, 1):.3f} linear, {weighted_kappa(*grades, 2):.3f} squared."
    )


def _points(found: float, true: float) -> float:
    return found - true


def _percent(found: float, true: float) -> float:
    return 100 * (found / true - 1)


def _cells(records: list[Record], key: str, error: Callable[[float, float], float]) -> str:
    """Mean absolute error with bias, and the largest error."""
    pairs = [(r["measured"][key], r["truth"][key]) for r in records]
    errors = np.array([error(found, true) for found, true in pairs if found is not None and true is not None])
    if not len(errors):
        return "- | -"
    return f"{np.abs(errors).mean():.1f} ({errors.mean():+.1f}) | {errors[np.abs(errors).argmax()]:+.1f}"


def main() -> None:
    """Measure what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the records")
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--first", type=int, default=0, help="seed of the first patient")
    parser.add_argument("--pitch-mm", type=float, help="slice distance of all, in a folder of its own (else 3 to 4)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    records = []
    for seed in range(arguments.first, arguments.first + arguments.patients):
        path = arguments.out / f"{seed}.json"
        if not path.exists():
            partial = path.with_suffix(".part")
            partial.write_text(json.dumps(patient_record(seed, arguments.pitch_mm)))
            partial.replace(path)
        if record := json.loads(path.read_text()):
            records.append(record)
    print_tables(records)


if __name__ == "__main__":
    main()
