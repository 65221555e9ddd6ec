"""Canal coordinates, the volume truth and its shrinkage, and what the sac does."""

from __future__ import annotations

import numpy as np
import pytest

from spinemri.errors import UsageError
from spinemri.phantom.geometry import build_geometry
from spinemri.phantom.mass import MassGrid, mass_volumes_mm3
from spinemri.phantom.recipe import ForaminalExtension, MassRecipe, PhantomRecipe, SpineRecipe, VisitRecipe
from spinemri.phantom.shapes import step
from spinemri.phantom.truth import measure_sections, visit_truth

POSED = VisitRecipe(shift_mm=(7.0, -4.0, 11.0), rotation_degrees=(5.0, -3.0, 8.0))


def _recipe(**mass):
    return PhantomRecipe(seed=5, spine=SpineRecipe(scoliosis_mm=6.0), mass=MassRecipe(**mass))


def _volume_ml(geometry):
    grid = MassGrid.around(geometry.mass, geometry.canal, geometry.curve)
    return sum(mass_volumes_mm3(geometry.mass, grid)) / 1000.0


def _outside_ml(geometry):
    grid = MassGrid.around(geometry.mass, geometry.canal, geometry.curve)
    return mass_volumes_mm3(geometry.mass, grid)[1] / 1000.0


def test_canal_coordinates_go_there_and_back():
    geometry = build_geometry(_recipe(), POSED)
    rng = np.random.default_rng(0)
    s, p, left = rng.uniform(10.0, 600.0, 500), rng.uniform(-40.0, 40.0, 500), rng.uniform(-25.0, 25.0, 500)
    back = geometry.to_canal(geometry.to_lps(s, p, left))
    # Tables every 0.5 mm, interpolated linearly: a few micrometres along strongly curved parts.
    for given, found in zip((s, p, left), back, strict=True):
        np.testing.assert_allclose(found, given, atol=0.02)


def test_volume_agrees_with_a_cartesian_sum():
    recipe = _recipe(shape="left", foramina=(ForaminalExtension(disc="T6/7", side="left"),))
    geometry = build_geometry(recipe, POSED)
    h = 1.0
    centre = geometry.canal_lps("T6/7")
    axes = [np.arange(-reach, reach, h) for reach in (50.0, 50.0, 60.0)]
    total = 0.0
    for x in axes[0]:
        y, z = np.meshgrid(axes[1], axes[2], indexing="ij")
        points = np.stack([np.full(y.size, x), y.ravel(), z.ravel()], axis=-1) + centre
        section = geometry.section(*geometry.to_canal(points))
        near = np.flatnonzero((np.abs(section.p) < 30.0) & (np.abs(section.l) < 60.0))
        section = section.subset(near)
        total += step(geometry.mass.distance(section, section.canal_distance(geometry.canal)), h).sum() * h**3
    # Two different grids of 0.4 and 1.0 mm over a surface of about 30 cm2.
    assert total / 1000.0 == pytest.approx(_volume_ml(geometry), rel=0.01)


@pytest.mark.parametrize("shape", ["posterior", "left", "circumferential"])
def test_shrinkage_is_exact_whatever_the_posture(shape):
    recipe = _recipe(shape=shape, compression=0.6)
    bent = VisitRecipe(name="later", volume_factor=0.836, bending_degrees=-5.0)
    before, after = build_geometry(recipe), build_geometry(recipe, bent)
    assert _volume_ml(after) / _volume_ml(before) == pytest.approx(0.836, abs=1e-4)


def test_sac_and_cord_recover_when_the_mass_shrinks():
    recipe = _recipe(compression=0.74)
    before = build_geometry(recipe)
    after = build_geometry(recipe, VisitRecipe(name="later", volume_factor=0.7))
    healthy = build_geometry(recipe.model_copy(update={"mass": None}))
    s = before.column.position_mm("T6/7")
    sac = [float(measure_sections(g, s, s).areas["sac"][0]) for g in (before, after, healthy)]
    cord = [float(measure_sections(g, s, s).areas["cord"][0]) for g in (before, after, healthy)]
    assert sac[0] < sac[1] < sac[2]
    assert cord[0] < cord[1] <= cord[2]
    # Published cord area at T6-T7 is 35 +- 4 mm2.
    assert 29.0 < cord[2] < 42.0


@pytest.mark.parametrize(
    ("shape", "axis", "sign"), [("left", 0, 1), ("right", 0, -1), ("posterior", 1, 1), ("anterior", 1, -1)]
)
def test_mass_lies_on_its_side(shape, axis, sign):
    geometry = build_geometry(_recipe(shape=shape), POSED)
    grid = MassGrid.around(geometry.mass, geometry.canal, geometry.curve)
    points = grid.points
    inside = np.flatnonzero(geometry.mass.distance(points, grid.canal_distance) < 0.0)
    lps = geometry.to_lps(points.s[inside], points.p[inside], points.l[inside])
    on_axis = geometry.to_lps(points.s[inside], np.zeros(inside.size), np.zeros(inside.size))
    assert sign * float((lps - on_axis)[:, axis].mean()) > 2.0


def test_mass_stays_in_the_bony_canal_unless_it_has_a_foraminal_part():
    assert _outside_ml(build_geometry(_recipe())) == 0.0
    leaving = _recipe(foramina=(ForaminalExtension(disc="T6/7", side="right", bulb_mm=9.0),))
    bulb_ml = 4.0 / 3.0 * np.pi * 0.9**3
    assert _outside_ml(build_geometry(leaving)) > 0.9 * bulb_ml


def test_truth_of_the_index_shape():
    truth = visit_truth(build_geometry(_recipe(compression=0.75)))
    assert truth["mass"]["extent"]["from"] == "T5"
    assert truth["mass"]["extent"]["to"] == "T8"
    assert truth["compromise"]["worst_level"] == "T6/7"
    assert truth["compromise"]["reference_levels"] == ["T3", "T10"]
    assert 20.0 < truth["compromise"]["mscc_percent"] < 80.0
    assert [v["name"] for v in truth["levels"]["vertebrae"]][7:9] == ["T1", "T2"]


def test_no_mass_no_compromise():
    truth = visit_truth(build_geometry(PhantomRecipe(seed=2)))
    assert truth["mass"] is None
    assert truth["compromise"] is None
    assert len(truth["levels"]["vertebrae"]) == 25


def test_worst_level_outside_the_mass_is_refused():
    with pytest.raises(UsageError, match="T9"):
        build_geometry(_recipe(worst_level="T9"))
