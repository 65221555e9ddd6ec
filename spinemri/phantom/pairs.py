"""Generated pairs of visits: how they are drawn, acquired and given to a comparison."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import numpy as np

from spinemri.intake.model import Plane, Role, Stack, Study, Weighting
from spinemri.nomenclature import Tissue
from spinemri.phantom.geometry import build_geometry
from spinemri.phantom.mass import MassGrid, mass_volumes_mm3
from spinemri.phantom.norms import COLUMN
from spinemri.phantom.recipe import MassRecipe, PhantomRecipe, SeriesRecipe, SpineRecipe, VisitRecipe
from spinemri.phantom.render import render
from spinemri.phantom.sampling import random_mass, random_sequence, random_spine
from spinemri.phantom.stacks import stack_grid
from spinemri.volume import Volume

__all__ = ["KINDS", "RADIOTHERAPY_PERCENT", "Kind", "PairRecipe", "acquire_visits", "draw_pair", "stack_of"]

Kind = Literal["unchanged", "radiotherapy", "any"]
KINDS: tuple[Kind, ...] = ("unchanged", "any", "radiotherapy", "any", "unchanged", "any", "radiotherapy", "any",
                           "unchanged", "any")  # fmt: skip
"""In ten pairs three do not change, two lose 16.4 % from 3 ml on, five change by anything from -60 to +60 %."""

RADIOTHERAPY_PERCENT = -16.4
LIMITS_ML: dict[Kind, tuple[float, float]] = {
    "unchanged": (0.5, 20.0), "radiotherapy": (3.0, 20.0), "any": (0.5, 20.0)
}  # fmt: skip
SEQUENCES = {"T2": Role.SAGITTAL_T2, "T1": Role.SAGITTAL_T1, "T1_post_fs": Role.SAGITTAL_T1_POST_FS}
MOST_SHIFT_MM, MOST_TURN_DEGREES = 15.0, 10.0
HALF_WIDTH_MM = 16.0
BEYOND_MASS_MM = 55.0
DEPTH_MM = 120.0
THICK_TO_PITCH = 1 / 1.1
_LEAST_SHARE, _MOST_LEVELS = 0.4, 6


@dataclass(frozen=True)
class PairRecipe:
    """Two visits of one patient.

    Attributes
    ----------
    kind : str
    change_percent, volumes_ml : float, (float, float)
        The truth; volumes of the mass in the unbent spine.
    pitch_mm : (float, float)
        Distance between slices at either visit.
    visits : (PhantomRecipe, PhantomRecipe)
        The same patient with the series and the one visit of that day.
    """

    kind: Kind
    change_percent: float
    volumes_ml: tuple[float, float]
    pitch_mm: tuple[float, float]
    visits: tuple[PhantomRecipe, PhantomRecipe]

    @property
    def mass(self) -> MassRecipe:
        """The mass of the patient."""
        mass = self.visits[0].mass
        if mass is None:
            raise ValueError("the patient has no mass")
        return mass


def draw_pair(seed: int) -> PairRecipe:
    """Draw a pair; everything follows from the seed.

    A loss of 16.4 % is always seen in slices 3.3 mm apart; a quarter of the other pairs is taken in slices of 3 mm and
    then of 4 mm. Masses keep to the canal, so that few slices show them whole.
    """
    rng = np.random.default_rng((19, seed))
    kind = KINDS[seed % len(KINDS)]
    change = {"unchanged": 0.0, "radiotherapy": RADIOTHERAPY_PERCENT}.get(kind, float(rng.uniform(-60, 60)))
    factors = (1.0, 1 + change / 100) if change <= 0 else (1 / (1 + change / 100), 1.0)
    spine, mass, whole_ml = _draw_patient(rng, seed, LIMITS_ML[kind], factors[0])
    pitches = _pitches(rng, kind, seed)
    sequences = {name: random_sequence(rng, name) for name in SEQUENCES}  # type: ignore[arg-type]
    oblique = float(rng.normal(0, 2))
    visits = []
    for number, (factor, pitch) in enumerate(zip(factors, pitches, strict=True)):
        series = tuple(_series(rng, mass, name, first, (pitch, oblique)) for name, first in sequences.items())
        visit = _draw_visit(rng, number, factor, pitch)
        visits.append(
            PhantomRecipe(name=f"pair-{seed}", seed=seed, spine=spine, mass=mass, series=series, visits=(visit,))
        )
    volumes = (whole_ml * factors[0], whole_ml * factors[1])
    return PairRecipe(kind, change, volumes, pitches, (visits[0], visits[1]))


def _draw_patient(
    rng: np.random.Generator, seed: int, limits_ml: tuple[float, float], factor: float
) -> tuple[SpineRecipe, MassRecipe, float]:
    """Draw until the baseline volume is near one that was drawn evenly over the logarithm of the limits."""
    wanted = float(np.exp(rng.uniform(*np.log(limits_ml))))
    while True:
        spine = random_spine(rng)
        mass = random_mass(rng, spine).model_copy(update={"foramina": ()})
        if COLUMN.index(mass.to_level) - COLUMN.index(mass.from_level) > _MOST_LEVELS:
            continue
        recipe = PhantomRecipe(name=f"pair-{seed}", seed=seed, spine=spine, mass=mass)
        geometry = build_geometry(recipe)
        if geometry.mass is None:
            continue
        grid = MassGrid.around(geometry.mass, geometry.canal, geometry.curve)
        whole_ml = sum(mass_volumes_mm3(geometry.mass, grid)) / 1000
        if abs(np.log(whole_ml * factor / wanted)) < 0.25 and limits_ml[0] <= whole_ml * factor <= limits_ml[1]:
            return spine, mass, whole_ml


def _pitches(rng: np.random.Generator, kind: Kind, seed: int) -> tuple[float, float]:
    """Distance between slices at both visits: 3 mm, then 4 mm with a tenth of gap, where the protocol changes."""
    pitch = float(rng.choice([3.3, 3.6, 4.0, 4.4]))
    if kind == "radiotherapy":
        return 3.3, 3.3
    if (seed // len(KINDS) + seed) % 4 == 1:
        return 3.3, 4.4
    return pitch, pitch


def _series(
    rng: np.random.Generator, mass: MassRecipe, name: str, first: object, plan: tuple[float, float]
) -> SeriesRecipe:
    """Plan one stack around the mass; noise, bias and ghosts are those of the day."""
    pitch, oblique = plan
    today = random_sequence(rng, name)  # type: ignore[arg-type]
    day = {"noise": today.noise, "bias": today.bias, "ghosting": today.ghosting}
    sequence = first.model_copy(update=day | {"slice_thickness_mm": round(pitch * THICK_TO_PITCH, 1)})  # type: ignore[attr-defined]
    levels = COLUMN.index(mass.to_level) - COLUMN.index(mass.from_level) + 1
    middle = COLUMN[(COLUMN.index(mass.to_level) + COLUMN.index(mass.from_level)) // 2]
    return SeriesRecipe(
        name=name.lower(),
        centre=middle,
        voxel_mm=0.7,
        slice_pitch_mm=pitch,
        slices=2 * int(np.ceil(HALF_WIDTH_MM / pitch)) + 1,
        field_of_view_mm=(DEPTH_MM, 2 * BEYOND_MASS_MM + 27.0 * levels),
        shift_mm=(0.0, 8.0, 0.0),
        oblique_degrees=oblique,
        sequence=sequence,
    )


def _draw_visit(rng: np.random.Generator, number: int, factor: float, pitch: float) -> VisitRecipe:
    direction = rng.normal(size=3)
    shift = direction / np.linalg.norm(direction) * rng.uniform(0, MOST_SHIFT_MM if number else 0.0)
    turn = (
        rng.uniform(-MOST_TURN_DEGREES, MOST_TURN_DEGREES),
        np.clip(rng.normal(0, 2), -5, 5),
        rng.uniform(-MOST_TURN_DEGREES, MOST_TURN_DEGREES) * 0.6,
    )
    left, posterior, up = (float(v) for v in shift)
    about_l, about_p, about_s = (float(v) * number for v in turn)
    return VisitRecipe(
        name=f"visit_{number}",
        date=dt.date(2024, 1, 8) + dt.timedelta(days=60 * number),
        volume_factor=factor,
        shift_mm=(left, posterior, up),
        rotation_degrees=(about_l, about_p, about_s),
        bending_degrees=float(rng.normal(0, 2)) * number,
        planning_shift_mm=(float(rng.uniform(-0.5, 0.5)) * pitch, 0.0, float(rng.uniform(-5, 5))),
        planning_degrees=float(rng.normal(0, 1.5)),
        noise_seed=number,
    )


def acquire_visits(pair: PairRecipe) -> tuple[tuple[Study, Volume], tuple[Study, Volume]]:
    """Acquire both visits as studies that a comparison takes, without files between.

    Returns
    -------
    tuple of two (Study, Volume)
        Each with the true coverage by mass on the grid of its first series.
    """
    first, second = (_acquired(recipe, number) for number, recipe in enumerate(pair.visits))
    return first, second


def _acquired(recipe: PhantomRecipe, number: int) -> tuple[Study, Volume]:
    visit = recipe.visits[0]
    geometry = build_geometry(recipe, visit)
    frame, stacks, masses = f"2.25.{recipe.seed}{number}", [], []
    for index, series in enumerate(recipe.series):
        rng = np.random.default_rng([recipe.seed, number, index])
        image, tissues = render(geometry, stack_grid(geometry, series), series.sequence, rng)
        masses.append(Volume(tissues.coverage[[Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE]].sum(0), image.affine))
        image = Volume(np.rint(image.array), image.affine, frame)
        sequence = series.sequence
        contrast = sequence.weighting, sequence.fat_suppressed, sequence.contrast_enhanced
        role = next(role for name, role in SEQUENCES.items() if name.lower() == series.name)
        stacks.append(stack_of(role, image, contrast, f"{frame}.{index}"))
    uid = f"2.25.9{recipe.seed}{number}"
    study = Study(uid, visit.date.isoformat(), f"patient-{recipe.seed}", tuple(stacks), (), f"{recipe.seed}-{number}")
    return study, masses[0]


def stack_of(role: Role, image: Volume, contrast: tuple[str, bool, bool], uid: str) -> Stack:
    """Return a stack as intake would of a made image.

    Parameters
    ----------
    role : Role
    image : Volume
    contrast : (str, bool, bool)
        Weighting, fat suppression, contrast agent.
    uid : str
        Of the series.
    """
    weighting, fat_suppressed, contrast_enhanced = contrast
    return Stack(
        stack_id=role.value,
        series_instance_uid=uid,
        series_description=role.value,
        plane=Plane.SAGITTAL,
        weighting=Weighting(weighting),
        fat_suppressed=fat_suppressed,
        contrast_enhanced=contrast_enhanced,
        region="",
        grid=image.grid,
        frame_of_reference_uid=image.frame_of_reference_uid,
        acquired="",
        reader=lambda: image,
        role=role,
        code="CHOSEN",
        reason="generated",
    )
