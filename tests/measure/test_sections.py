"""Areas and diameters against closed forms."""

import time
from dataclasses import replace

import numpy as np
import pytest

from spinemri.anatomy.model import Centreline, TissueMap
from spinemri.measure.planes import sample_sections
from spinemri.measure.sections import Structure, measure_sections, seen_only, smooth_along
from spinemri.volume import Volume

# Slices that meet at the canal's middle or are centred on it, straight and oblique.
VIEWS = [
    {},
    {"shift_mm": 1.8},
    {"shift_mm": 0.9, "tilt_degrees": (12.0, 5.0)},
    {"slice_mm": 4.4, "tilt_degrees": (0.0, 0.0), "shift_mm": 1.1},
]
# Half width and half AP diameter of the ellipses that the patient is made of.
ELLIPSES = {"canal": (11.0, 8.5), "sac": (8.0, 5.0), "cord": (4.5, 3.0)}


def measured(patient, **view):
    anatomy, mass = patient(**view)
    return measure_sections(sample_sections(anatomy, mass, anatomy.centreline), step_mm=1.0)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ELLIPSES)
def test_sizes_beyond_the_mass(patient, view, name):
    half_width, half_ap = ELLIPSES[name]
    structure = getattr(measured(patient, **view), name)
    unaffected = slice(15, 50)
    # Fractions are preserved by every step: 2 %. Half a millimetre is less than an in-plane voxel.
    assert np.allclose(structure.area_mm2[unaffected], np.pi * half_width * half_ap, rtol=0.02)
    assert np.allclose(structure.ap_mm[unaffected], 2 * half_ap, atol=0.4)
    assert np.allclose(structure.transverse_mm[unaffected], 2 * half_width, atol=0.4)


@pytest.mark.parametrize("view", VIEWS)
def test_mass_area_and_occupancy_along_an_ellipsoid(patient, view):
    sections = measured(patient, **view)
    w = np.arange(-93, 94)
    area = np.pi * 8 * 4 * np.clip(1 - (w / 28) ** 2, 0, None)
    inside = np.abs(w) < 80
    # 2 mm2 is 2 % of the largest section.
    assert np.allclose(sections.mass.area_mm2[inside], area[inside], atol=2.0)
    assert np.nanmax(sections.occupancy_percent) == pytest.approx(100 * 32 / (11 * 8.5), abs=1.0)


def test_a_structure_that_is_absent_has_no_diameter(patient):
    sections = measured(patient, mass_present=False)
    assert np.nanmax(sections.mass.area_mm2) == 0.0
    assert np.isnan(sections.mass.ap_mm).all()
    assert np.nanmax(sections.occupancy_percent) == 0.0


def test_a_stack_too_narrow_for_the_canal_shows_its_depth_and_the_whole_cord(patient):
    anatomy, mass = patient(slice_mm=2.0, tilt_degrees=(0.0, 0.0))
    # Slices 6 to 14 of 21 reach 9 mm to either side: the canal ends at 11 mm, the sac at 8, the cord at 4.5.
    kept = slice(6, 15)
    grid = anatomy.tissues.grid
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_lps(np.array([kept.start, 0.0, 0.0]))
    tissues = TissueMap(anatomy.tissues.coverage[:, kept], affine, anatomy.tissues.frame_of_reference_uid)
    volumes = [Volume(np.ascontiguousarray(v.array[kept]), affine) for v in (mass.probability, mass.mask)]
    narrow = replace(anatomy, tissues=tissues), replace(mass, probability=volumes[0], mask=volumes[1])
    sections = measure_sections(sample_sections(*narrow, anatomy.centreline), step_mm=1.0)
    unaffected = slice(15, 50)
    assert np.isnan(sections.canal.area_mm2[unaffected]).all()
    assert np.isnan(sections.canal.transverse_mm[unaffected]).all()
    assert np.isnan(sections.canal.centroid_mm[unaffected]).all()
    # Half a millimetre is less than an in-plane voxel; fractions are preserved to 2 %, as in the whole stack.
    assert np.allclose(sections.canal.ap_mm[unaffected], 17.0, atol=0.5)
    assert np.allclose(sections.cord.area_mm2[unaffected], np.pi * 4.5 * 3.0, rtol=0.02)


def test_smoothing_leaves_gaps_and_straight_lines_alone():
    line = np.arange(10.0)
    line[4] = np.nan
    out = smooth_along(line, step_mm=1.0)
    assert np.isnan(out[4])
    assert np.allclose(out[[1, 2, 6, 7]], line[[1, 2, 6, 7]])
    # The neighbours of a gap average what is known.
    assert out[3] == pytest.approx(2.5)


def test_four_hundred_sections_take_less_than_three_seconds(patient):
    anatomy, mass = patient()
    short = anatomy.centreline
    fine = np.linspace(0, len(short) - 1, 400).astype(int)
    long = Centreline(short.points_lps[fine], short.tangent[fine], short.posterior[fine], short.left[fine])
    start = time.process_time()
    measure_sections(sample_sections(anatomy, mass, long), step_mm=1.0)
    assert time.process_time() - start < 3.0


def test_where_an_outline_ends_what_is_left_of_it_does_not_look_narrow():
    area = np.array([40.0, 40.0, 40.0, 2.0, 0.0, np.nan])
    cord = Structure(area, area / 8, area / 4, np.zeros((6, 2)))
    seen = seen_only(cord)
    for values, whole in ((seen.area_mm2, 40.0), (seen.ap_mm, 5.0), (seen.transverse_mm, 10.0)):
        np.testing.assert_array_equal(np.isfinite(values), [True, True, True, False, False, False])
        np.testing.assert_allclose(smooth_along(values, step_mm=1.0)[:3], whole)
    assert smooth_along(area, step_mm=1.0)[2] < 30
