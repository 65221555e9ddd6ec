"""Random patients, masses and sequences, far wider than any one clinic sees, for training and stress tests."""

from __future__ import annotations

from typing import Literal

import numpy as np

from spinemri.phantom.column import build_column
from spinemri.phantom.norms import COLUMN
from spinemri.phantom.recipe import (
    ForaminalExtension,
    MassRecipe,
    MassShape,
    PhantomRecipe,
    SequenceParameters,
    SeriesRecipe,
    SpineRecipe,
    VisitRecipe,
)

__all__ = ["Kind", "random_recipe", "random_sequence"]

Kind = Literal["T2", "T1", "T1_post_fs", "STIR", "T2_fs"]
SHAPES: tuple[MassShape, ...] = (
    "posterior", "posterior", "posterior", "anterior", "left", "right", "posterolateral_left",
    "posterolateral_right", "circumferential",
)  # fmt: skip
MASS_PROBABILITY = 0.65


def _pick(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _log_pick(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def random_spine(rng: np.random.Generator) -> SpineRecipe:
    """Draw a spine: one in eight has lipomatosis, one in five some vertebrae of odd signal."""
    lipomatosis = rng.random() < 0.12
    odd: tuple[tuple[str, float], ...] = ()
    if rng.random() < 0.2:
        levels = rng.choice(COLUMN[2:25], size=int(rng.integers(1, 4)), replace=False)
        odd = tuple((str(level), _log_pick(rng, 0.45, 2.2)) for level in levels)
    return SpineRecipe(
        cervical_lordosis_degrees=_pick(rng, 0.0, 40.0),
        thoracic_kyphosis_degrees=_pick(rng, 15.0, 62.0),
        lumbar_lordosis_degrees=_pick(rng, 25.0, 68.0),
        scoliosis_mm=float(rng.normal(0.0, 3.0)),
        body_size=_pick(rng, 0.8, 1.15),
        disc_height=_pick(rng, 0.7, 1.25),
        canal_size=_pick(rng, 0.84, 1.22),
        sac_size=_pick(rng, 0.85, 1.12),
        cord_size=_pick(rng, 0.85, 1.15),
        epidural_fat=_pick(rng, 2.0, 4.0) if lipomatosis else _pick(rng, 0.2, 1.8),
        disc_degeneration=_pick(rng, 0.0, 0.9),
        disc_bulge_mm=_pick(rng, 0.0, 3.5),
        osteophyte_mm=_pick(rng, 0.0, 2.5),
        marrow_fat=_pick(rng, 0.08, 0.75),
        marrow_signal=odd,
        muscle_fat=_pick(rng, 0.02, 0.4),
        subcutaneous_fat_mm=_log_pick(rng, 4.0, 45.0),
        csf_flow=_pick(rng, 0.0, 0.6),
    )


def random_mass(rng: np.random.Generator, spine: SpineRecipe) -> MassRecipe:
    """Draw a mass anywhere from T1 to L4, most often thoracic, of about 0.3 to 30 ml."""
    column = build_column(spine, np.random.default_rng(0))
    first = int(np.clip(rng.normal(COLUMN.index("T6"), 4.5), COLUMN.index("C4"), COLUMN.index("L3")))
    span = int(np.clip(rng.geometric(0.28) - 1, 0, 6))
    last = min(first + span, COLUMN.index("L5"))
    discs = column.disc_names()
    inner = [COLUMN[k] for k in range(first, last + 1)] if span == 0 else [discs[k] for k in range(first, last)]
    worst = str(rng.choice(inner))
    foramina: tuple[ForaminalExtension, ...] = ()
    if rng.random() < 0.2:
        side: Literal["left", "right"] = "left" if rng.random() < 0.5 else "right"
        disc = worst if "/" in worst else discs[first]
        foramina = (
            ForaminalExtension(disc=disc, side=side, neck_mm=_pick(rng, 2.5, 5.0), bulb_mm=_pick(rng, 4.0, 15.0)),
        )
    shape: MassShape = SHAPES[int(rng.integers(len(SHAPES)))]
    return MassRecipe(
        shape=shape,
        from_level=COLUMN[first],
        to_level=COLUMN[last],
        worst_level=worst,
        compression=_pick(rng, 0.22, 0.85),
        wrap_per_mm=_pick(rng, -0.02, 0.05),
        lobulation=_pick(rng, 0.0, 0.35),
        fullness=_log_pick(rng, 1.3, 6.0),
        foramina=foramina,
        t1_to_marrow=_log_pick(rng, 0.5, 1.8),
        t2_to_marrow=_log_pick(rng, 0.5, 2.6),
        enhancement=_pick(rng, 1.0, 2.4),
        fat_fraction=_pick(rng, 0.0, 0.8) if rng.random() < 0.25 else _pick(rng, 0.0, 0.3),
        texture=_pick(rng, 0.02, 0.2),
    )


def random_recipe(rng: np.random.Generator, *, with_mass: bool | None = None) -> PhantomRecipe:
    """Draw a patient with one visit and one sagittal series.

    Parameters
    ----------
    rng : numpy Generator
    with_mass : bool, optional
        Forces a mass or none; by default two in three have one.

    Returns
    -------
    PhantomRecipe
        The field of view shows about 4 to 24 levels and, if there is a mass, most of it.
    """
    wanted = rng.random() < MASS_PROBABILITY if with_mass is None else with_mass
    spine = random_spine(rng)
    mass = random_mass(rng, spine) if wanted else None
    return PhantomRecipe(
        name="random",
        seed=int(rng.integers(2**31)),
        spine=spine,
        mass=mass,
        series=(random_series(rng, mass),),
        visits=(
            VisitRecipe(
                shift_mm=(_pick(rng, -15.0, 15.0), _pick(rng, -15.0, 15.0), _pick(rng, -15.0, 15.0)),
                rotation_degrees=(_pick(rng, -10.0, 10.0), float(rng.normal(0.0, 1.5)), _pick(rng, -8.0, 8.0)),
                noise_seed=int(rng.integers(2**31)),
            ),
        ),
    )


def random_series(rng: np.random.Generator, mass: MassRecipe | None) -> SeriesRecipe:
    """Draw a sagittal stack of 200-400 mm, 0.6-1.0 mm in plane and 3-4.5 mm between slices."""
    vertebrae = list(COLUMN[2:25])
    thoracic = np.exp(-0.5 * ((np.arange(len(vertebrae)) - 10.0) / 6.0) ** 2) + 0.25
    centre = str(rng.choice(vertebrae, p=thoracic / thoracic.sum()))
    if mass is not None and rng.random() < 0.9:
        centre = mass.worst_level
    length = _pick(rng, 200.0, 400.0)
    voxel = max(_pick(rng, 0.6, 1.0), length / 512.0)
    return SeriesRecipe(
        name="sag",
        centre=centre,
        voxel_mm=voxel,
        slice_pitch_mm=_pick(rng, 3.0, 4.5),
        slices=int(rng.integers(12, 17)),
        field_of_view_mm=(_pick(rng, 130.0, 250.0), length),
        shift_mm=(_pick(rng, -5.0, 5.0), _pick(rng, -25.0, 40.0), _pick(rng, -60.0, 60.0)),
        oblique_degrees=_pick(rng, -10.0, 10.0),
    )


def random_sequence(rng: np.random.Generator, kind: Kind | None = None) -> SequenceParameters:
    """Draw a sequence with broad repetition and echo times.

    Parameters
    ----------
    rng : numpy Generator
    kind : {"T2", "T1", "T1_post_fs", "STIR", "T2_fs"}, optional
        Drawn if not given.
    """
    kinds: tuple[Kind, ...] = ("T2", "T1", "T1_post_fs", "STIR", "T2_fs")
    kind = kinds[int(rng.choice(5, p=[0.36, 0.2, 0.24, 0.12, 0.08]))] if kind is None else kind
    common = {
        "fat_residue": _pick(rng, 0.03, 0.35),
        "noise": _log_pick(rng, 0.005, 0.06),
        "bias": _pick(rng, 0.0, 0.9),
        "coil_decay_mm": _log_pick(rng, 55.0, 400.0),
        "blur_voxels": _pick(rng, 0.2, 0.75),
        "ghosting": _pick(rng, 0.0, 0.05) if rng.random() < 0.3 else 0.0,
    }
    if kind in ("T1", "T1_post_fs"):
        post = kind == "T1_post_fs"
        return SequenceParameters(
            weighting="T1", repetition_time_ms=_pick(rng, 380.0, 850.0), echo_time_ms=_pick(rng, 7.0, 20.0),
            fat_suppressed=post, contrast_enhanced=post, echo_train_length=3, **common,
        )  # fmt: skip
    if kind == "STIR":
        return SequenceParameters(
            weighting="STIR", repetition_time_ms=_pick(rng, 3000.0, 6000.0), echo_time_ms=_pick(rng, 30.0, 90.0),
            inversion_time_ms=_pick(rng, 145.0, 190.0), fat_suppressed=True, **common,
        )  # fmt: skip
    return SequenceParameters(
        weighting="T2", repetition_time_ms=_pick(rng, 2200.0, 6000.0), echo_time_ms=_pick(rng, 75.0, 130.0),
        fat_suppressed=kind == "T2_fs", **common,
    )  # fmt: skip
