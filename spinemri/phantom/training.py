"""Ready training stacks: a random patient, acquired once."""

from __future__ import annotations

from typing import Literal

import numpy as np

from spinemri.anatomy.model import TissueMap
from spinemri.phantom.geometry import build_geometry
from spinemri.phantom.recipe import PhantomRecipe
from spinemri.phantom.render import render
from spinemri.phantom.sampling import Kind, random_recipe, random_sequence
from spinemri.phantom.stacks import stack_grid
from spinemri.volume import Volume

__all__ = ["Variety", "training_stack"]

Variety = Literal["usual", "harder", "surrounding"]
"""Of patients; see `training_stack`."""

_CURVED_SHARE, _CURVED_MM = 0.5, 12.0
_THIRD = 1 / 3
_THIN = (0.1, 0.35)
_LIPOMATOSIS = (2.0, 4.0)


def training_stack(
    rng: np.random.Generator, *, weighting: str | None = None, with_mass: bool | None = None, variety: Variety = "usual"
) -> tuple[Volume, TissueMap, str, bool, bool]:
    """Draw a patient and acquire one sagittal stack.

    Parameters
    ----------
    rng : numpy Generator
    weighting : {"T1", "T2", "STIR"}, optional
        Drawn if not given; T1 is plain or fat-suppressed after contrast agent.
    with_mass : bool, optional
    variety : {"usual", "harder", "surrounding"}
        Harder: every other spine is strongly curved to the side; a third of the masses is made thin, a third made to
        surround the sac. Surrounding: every mass surrounds the sac, and whoever has none has as much epidural fat
        there.

    Returns
    -------
    image : Volume
        float32, 0.6-1.0 mm in plane, 3-4.5 mm between 12-16 slices.
    coverage : TissueMap
    weighting : str
    fat_suppressed, contrast_enhanced : bool
    """
    recipe = random_recipe(rng, with_mass=with_mass)
    if variety == "harder":
        recipe = _harder(recipe, rng)
    elif variety == "surrounding":
        recipe = _surrounding(recipe, rng)
    sequence = random_sequence(rng, _kind(rng, weighting))
    geometry = build_geometry(recipe)
    image, coverage = render(geometry, stack_grid(geometry, recipe.series[0]), sequence, rng)
    return image, coverage, sequence.weighting, sequence.fat_suppressed, sequence.contrast_enhanced


def _kind(rng: np.random.Generator, weighting: str | None) -> Kind | None:
    if weighting is None:
        return None
    if weighting == "STIR":
        return "STIR"
    if weighting == "T1":
        return "T1_post_fs" if rng.random() < 0.55 else "T1"
    return "T2_fs" if rng.random() < 0.15 else "T2"


def _harder(recipe: PhantomRecipe, rng: np.random.Generator) -> PhantomRecipe:
    spine, mass = recipe.spine, recipe.mass
    if rng.random() < _CURVED_SHARE:
        spine = spine.model_copy(update={"scoliosis_mm": float(rng.normal(0.0, _CURVED_MM))})
    change: dict[str, object] = {}
    if rng.random() < _THIRD:
        change["compression"] = float(rng.uniform(*_THIN))
    if rng.random() < _THIRD:
        change["shape"] = "circumferential"
    return recipe.model_copy(update={"spine": spine, "mass": mass and mass.model_copy(update=change)})


def _surrounding(recipe: PhantomRecipe, rng: np.random.Generator) -> PhantomRecipe:
    if recipe.mass:
        return recipe.model_copy(update={"mass": recipe.mass.model_copy(update={"shape": "circumferential"})})
    fat = float(rng.uniform(*_LIPOMATOSIS))
    return recipe.model_copy(update={"spine": recipe.spine.model_copy(update={"epidural_fat": fat})})
