"""Levels and centreline on generated patients: their masks are exact, and so is what they should give."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from spinemri.anatomy.build import build_anatomy
from spinemri.anatomy.curve import inside
from spinemri.anatomy.levels import LevelHints
from spinemri.phantom import build_geometry, random_recipe, render, stack_grid


@cache
def acquire(seed):
    """Render one sagittal stack of a random patient, coarse enough to be quick."""
    rng = np.random.default_rng(seed)
    recipe = random_recipe(rng)
    geometry = build_geometry(recipe)
    series = recipe.series[0].model_copy(update={"voxel_mm": 1.4})
    _, tissues = render(geometry, stack_grid(geometry, series), series.sequence, rng)
    return geometry, tissues


def seen(geometry, tissues):
    """Vertebrae from C2 to L5 whose centre lies in the stack."""
    names = [name for name in geometry.column.names if name != "C1" and not name.startswith("S")]
    return {name: geometry.level_lps(name) for name in names if inside(tissues.grid, geometry.level_lps(name))}


@pytest.mark.parametrize(("seed", "anchor"), [(5, "C2"), (15, "sacrum")])
def test_all_visible_levels_are_named_and_found(seed, anchor):
    geometry, tissues = acquire(seed)
    anatomy = build_anatomy(tissues, hints=LevelHints())
    assert (anatomy.levels.numbering, anatomy.levels.anchor) == ("absolute", anchor)
    found = {vertebra.name: vertebra for vertebra in anatomy.levels.vertebrae}
    truth = seen(geometry, tissues)
    assert set(truth) <= set(found)
    error_mm = [np.linalg.norm(np.array(found[n].centre_lps_mm) - truth[n]) for n in truth if found[n].complete]
    assert max(error_mm) < 4.0


@pytest.mark.parametrize("seed", [3, 5, 15])
def test_the_line_keeps_to_the_centre_of_the_canal(seed):
    geometry, tissues = acquire(seed)
    centreline = build_anatomy(tissues, hints=LevelHints()).centreline
    _, back, left = geometry.to_canal(centreline.points_lps)
    away_mm = np.hypot(back, left)
    # Masses of up to half the canal's width lie in these canals; the tolerance is a quarter of its depth.
    assert np.median(away_mm) < 1.0
    assert away_mm.max() < 4.0


def test_one_given_level_names_a_thoracic_stack():
    geometry, tissues = acquire(3)
    truth = seen(geometry, tissues)
    hints = LevelHints(user=(("T8", tuple(truth["T8"])),))
    levels = build_anatomy(tissues, hints=hints).levels
    assert levels.anchor == "user"
    found = {vertebra.name: np.array(vertebra.centre_lps_mm) for vertebra in levels.vertebrae}
    assert set(truth) <= set(found)
    inner = list(truth)[1:-1]
    assert max(np.linalg.norm(found[name] - truth[name]) for name in inner) < 4.0
