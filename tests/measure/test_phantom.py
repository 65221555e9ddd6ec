"""Measurements of a generated patient whose exact coverage is given, against its truth."""

import numpy as np
import pytest

from spinemri.anatomy.build import build_anatomy
from spinemri.anatomy.levels import LevelHints
from spinemri.intake.model import Role
from spinemri.mass.model import Mass
from spinemri.measure import measure_study
from spinemri.nomenclature import Tissue
from spinemri.phantom import PhantomRecipe, build_geometry, render, stack_grid
from spinemri.phantom.recipe import MassRecipe, SeriesRecipe
from spinemri.phantom.truth import visit_truth


def measured(geometry):
    series = geometry.recipe.series[0]
    image, coverage = render(geometry, stack_grid(geometry, series), series.sequence, np.random.default_rng(0))
    point = tuple(float(v) for v in geometry.level_lps("T7"))
    anatomy = build_anatomy(coverage, hints=LevelHints(user=(("T7", point),)))
    probability = coverage.fraction(Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)
    mask = probability.with_array(np.where(probability.array >= 0.5, Tissue.MASS_CANAL, 0).astype(np.uint8))
    mass = Mass("measured", probability, mask, (), truncated=False, existence=1.0, volume_log_sd=0.1)
    return measure_study({Role.SAGITTAL_T2: image}, Role.SAGITTAL_T2, anatomy, mass)


@pytest.fixture(
    scope="module",
    params=[
        (MassRecipe(), SeriesRecipe(name="sag_t2", voxel_mm=0.8, field_of_view_mm=(140, 250))),
        (
            MassRecipe(shape="anterior", compression=0.5, worst_level="T6"),
            SeriesRecipe(
                name="sag_t2", voxel_mm=0.8, field_of_view_mm=(140, 250), slice_pitch_mm=4.0, oblique_degrees=6.0
            ),
        ),
    ],
    ids=["posterior", "anterior oblique"],
)
def pair(request):
    mass, series = request.param
    geometry = build_geometry(PhantomRecipe(seed=2, mass=mass, series=(series,)))
    return measured(geometry), visit_truth(geometry)


def test_mass(pair):
    result, truth = pair
    mass, expected = result.mass, truth["mass"]
    # Exact coverage in, so that only sampling remains.
    assert mass.volume_ml == pytest.approx(expected["volume_ml"], rel=0.02)
    assert mass.extent.from_level == expected["extent"]["from"]
    assert mass.extent.to_level == expected["extent"]["to"]
    assert mass.extent.length_mm == pytest.approx(expected["extent"]["length_mm"], abs=3.0)
    assert mass.position == expected["position"]


def test_compromise(pair):
    result, truth = pair
    record, expected = result.compromise, truth["compromise"]
    # Points of percent; the truth is that of a single section, the measurement averages 3 mm.
    assert record.mcc_percent == pytest.approx(expected["mcc_percent"], abs=4.0)
    # Slices of 4 mm, the cord two of them wide: its AP diameter is known to about 4 % at each of three places.
    assert record.mscc_percent == pytest.approx(expected["mscc_percent"], abs=8.0)
    assert record.canal_occupancy_percent == pytest.approx(expected["max_canal_occupancy_percent"], abs=3.0)
    assert list(record.reference_levels) == expected["reference_levels"]
    assert record.worst_level == expected["worst_level"]
    assert np.linalg.norm(np.subtract(record.worst_point_lps_mm, expected["worst_point_lps_mm"])) < 6.0
    assert record.canal_area_mm2 == pytest.approx(expected["canal_area_mm2"], rel=0.06)
    assert record.cord_area_mm2 == pytest.approx(expected["cord_area_mm2"], rel=0.06)
