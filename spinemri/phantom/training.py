"""Ready training stacks: a random patient, acquired once."""

from __future__ import annotations

import numpy as np

from spinemri.anatomy.model import TissueMap
from spinemri.phantom.geometry import build_geometry
from spinemri.phantom.render import render
from spinemri.phantom.sampling import Kind, random_recipe, random_sequence
from spinemri.phantom.stacks import stack_grid
from spinemri.volume import Volume

__all__ = ["training_stack"]


def training_stack(
    rng: np.random.Generator, *, weighting: str | None = None, with_mass: bool | None = None
) -> tuple[Volume, TissueMap, str, bool, bool]:
    """Draw a patient and acquire one sagittal stack.

    Parameters
    ----------
    rng : numpy Generator
    weighting : {"T1", "T2", "STIR"}, optional
        Drawn if not given; T1 is plain or fat-suppressed after contrast agent.
    with_mass : bool, optional

    Returns
    -------
    image : Volume
        float32, 0.6-1.0 mm in plane, 3-4.5 mm between 12-16 slices.
    coverage : TissueMap
    weighting : str
    fat_suppressed, contrast_enhanced : bool
    """
    recipe = random_recipe(rng, with_mass=with_mass)
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
