"""What a phantom is made from: everything that a generated study depends on, and nothing else."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from spinemri.errors import UsageError
from spinemri.phantom.norms import Variant

__all__ = [
    "ForaminalExtension",
    "MassRecipe",
    "MassShape",
    "PhantomRecipe",
    "SequenceParameters",
    "SeriesRecipe",
    "SpineRecipe",
    "VisitRecipe",
    "load_recipe",
    "recipe_sha256",
]

MassShape = Literal["posterior", "anterior", "left", "right", "posterolateral_left", "posterolateral_right",
                    "circumferential"]  # fmt: skip
Vector = tuple[float, float, float]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
FolderName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,31}$")]


class _Recipe(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SpineRecipe(_Recipe):
    """The patient without the mass; sizes are factors on published means (see `norms`).

    Angles are in degrees, lengths in mm. `marrow_signal` multiplies the marrow signal of single vertebrae, so
    that haemangiomas, infiltration and fractures' oedema can be imitated. `variant` adds or takes away a vertebra.
    """

    variant: Variant = "regular"

    cervical_lordosis_degrees: float = 25.0
    thoracic_kyphosis_degrees: float = 38.0
    lumbar_lordosis_degrees: float = 50.0
    scoliosis_mm: float = 3.0
    body_size: Positive = 1.0
    disc_height: Positive = 1.0
    canal_size: Positive = 1.0
    sac_size: Positive = 1.0
    cord_size: Positive = 1.0
    epidural_fat: Annotated[float, Field(ge=0.0)] = 1.0
    disc_degeneration: Fraction = 0.2
    disc_bulge_mm: Annotated[float, Field(ge=0.0)] = 0.3
    osteophyte_mm: Annotated[float, Field(ge=0.0)] = 0.2
    marrow_fat: Fraction = 0.4
    marrow_signal: tuple[tuple[str, Positive], ...] = ()
    muscle_fat: Fraction = 0.1
    subcutaneous_fat_mm: Positive = 14.0
    csf_flow: Fraction = 0.2
    size_jitter: Fraction = 0.03

    @model_serializer(mode="wrap")
    def _without_the_regular_variant(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave the regular variant out: recipes written before there were others keep their identifiers."""
        content: dict[str, Any] = handler(self)
        if self.variant == "regular":
            del content["variant"]
        return content


class ForaminalExtension(_Recipe):
    """A part of the mass that leaves the canal through a neural foramen.

    Attributes
    ----------
    disc : str
        Level of the foramen, e.g. ``"T6/7"``.
    side : {"left", "right"}
    neck_mm, bulb_mm : float
        Radius in the foramen and radius of the paravertebral part.
    """

    disc: str
    side: Literal["left", "right"]
    neck_mm: Positive = 4.0
    bulb_mm: Positive = 8.0


class MassRecipe(_Recipe):
    """An epidural mass.

    Attributes
    ----------
    compression : float
        Greatest thickness of the mass as a fraction of the canal's diameter in the mass's direction.
    wrap_per_mm : float
        Curvature of the surface that faces the sac, 1/mm: positive hugs the sac, negative bulges into it.
    lobulation : float
        Relative amplitude of the waviness of that surface.
    fullness : float
        Shape along the canal: 1 spindle, 3 and more sausage; a short thick mass stays rounder.
    t1_to_marrow, t2_to_marrow : float
        Signal relative to the marrow of normal vertebrae without fat suppression.
    enhancement : float
        Signal after over signal before contrast agent; 1 is none.
    fat_fraction : float
        Part of the signal that fat suppression removes.
    """

    shape: MassShape = "posterior"
    from_level: str = "T5"
    to_level: str = "T8"
    worst_level: str = "T6/7"
    compression: Annotated[float, Field(gt=0.0, le=0.92)] = 0.6
    wrap_per_mm: float = 0.01
    lobulation: Fraction = 0.15
    fullness: Positive = 2.5
    foramina: tuple[ForaminalExtension, ...] = ()
    t1_to_marrow: Positive = 1.1
    t2_to_marrow: Positive = 1.2
    enhancement: Positive = 1.3
    fat_fraction: Fraction = 0.15
    texture: Fraction = 0.06


class SequenceParameters(_Recipe):
    """How one stack is acquired: times in ms, slice thickness in mm (None: the slice pitch)."""

    weighting: Literal["T1", "T2", "STIR"] = "T2"
    fat_suppressed: bool = False
    contrast_enhanced: bool = False
    repetition_time_ms: Positive = 3500.0
    echo_time_ms: Positive = 100.0
    inversion_time_ms: Positive | None = None
    echo_train_length: int = 15
    fat_residue: Fraction = 0.1
    slice_thickness_mm: Positive | None = None
    noise: Annotated[float, Field(ge=0.0)] = 0.02
    bias: Annotated[float, Field(ge=0.0)] = 0.3
    coil_decay_mm: Positive = 120.0
    blur_voxels: Annotated[float, Field(ge=0.0)] = 0.3
    ghosting: Fraction = 0.0


class SeriesRecipe(_Recipe):
    """One stack: where it lies and how it is acquired.

    Attributes
    ----------
    name : str
        Folder and series description, e.g. ``"sag_t2"``.
    centre : str
        Vertebra or disc at the middle of the stack.
    field_of_view_mm : (2,) float
        Sagittal: antero-posterior, cranio-caudal. Axial: left-right, antero-posterior.
    shift_mm : (3,) float
        Offset of the stack's centre along L, P, S from the body of the level named in `centre`.
    oblique_degrees : float
        Rotation of a sagittal stack about the long axis; tilt of an axial one beyond the level's own.
    """

    name: FolderName
    plane: Literal["sagittal", "axial"] = "sagittal"
    centre: str = "T6/7"
    voxel_mm: Positive = 0.7
    slice_pitch_mm: Positive = 3.3
    slices: Annotated[int, Field(ge=1)] = 15
    field_of_view_mm: tuple[Positive, Positive] = (300.0, 300.0)
    shift_mm: Vector = (0.0, 0.0, 0.0)
    oblique_degrees: float = 0.0
    localizer: bool = False
    sequence: SequenceParameters = SequenceParameters()


class VisitRecipe(_Recipe):
    """One examination.

    Attributes
    ----------
    volume_factor : float
        Mass volume relative to the first visit's; 1 keeps it, 0.836 is 16.4 % less.
    shift_mm, rotation_degrees : (3,) float
        How the patient lies in the scanner, about L, P and S.
    bending_degrees : float
        Added to the thoracic kyphosis.
    planning_shift_mm, planning_degrees : (3,) float, float
        How far off every stack is planned, since no two technologists place it alike; degrees are added to the
        series' `oblique_degrees`.
    """

    name: FolderName = "baseline"
    date: dt.date = dt.date(2024, 1, 8)
    volume_factor: Annotated[float, Field(gt=0.0, le=3.0)] = 1.0
    shift_mm: Vector = (0.0, 0.0, 0.0)
    rotation_degrees: Vector = (0.0, 0.0, 0.0)
    bending_degrees: float = 0.0
    planning_shift_mm: Vector = (0.0, 0.0, 0.0)
    planning_degrees: float = 0.0
    noise_seed: int = 0


class PhantomRecipe(_Recipe):
    """Everything that determines a generated patient and every examination of them."""

    name: str = "phantom"
    seed: int = 0
    age_years: Annotated[int, Field(ge=0, le=120)] = 40
    sex: Literal["F", "M", "O"] = "O"
    field_strength_tesla: Positive = 1.5
    spine: SpineRecipe = SpineRecipe()
    mass: MassRecipe | None = None
    series: tuple[SeriesRecipe, ...] = (SeriesRecipe(name="sag_t2"),)
    visits: Annotated[tuple[VisitRecipe, ...], Field(min_length=1)] = (VisitRecipe(),)

    @model_validator(mode="after")
    def _names_are_unique(self) -> PhantomRecipe:
        for kind, names in (("series", [s.name for s in self.series]), ("visits", [v.name for v in self.visits])):
            if len(set(names)) != len(names):
                raise ValueError(f"{kind} have names in common: {names}")
        return self


def load_recipe(path: Path) -> PhantomRecipe:
    """Read a recipe from YAML or JSON.

    Raises
    ------
    UsageError
        RECIPE_UNREADABLE or RECIPE_INVALID.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError("RECIPE_UNREADABLE", f"{path.name} cannot be read as YAML or JSON: {error}") from error
    try:
        return PhantomRecipe.model_validate(content)
    except ValidationError as error:
        raise UsageError("RECIPE_INVALID", f"{path.name} is not a recipe: {error}") from error


def recipe_sha256(recipe: PhantomRecipe) -> str:
    """Return the SHA-256 of a recipe's canonical JSON, the root of every identifier of the phantom."""
    text = json.dumps(recipe.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
