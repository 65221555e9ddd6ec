"""Resampling of fractions onto planes across the canal."""

from dataclasses import replace

import numpy as np
import pytest

from spinemri.anatomy.model import TissueMap
from spinemri.errors import InternalError
from spinemri.mass.model import Mass
from spinemri.measure.planes import finer_across_slices, mass_in_canal, sample_sections
from spinemri.measure.sections import measure_sections
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume

OBLIQUE = np.array([[3.6, 0.1, 0.0, -20.0], [-0.3, 0.65, 0.05, 5.0], [0.1, -0.05, 0.65, 7.0], [0, 0, 0, 1.0]])


def test_thin_slices_keep_the_total_and_the_place():
    array = np.random.default_rng(1).random((9, 4, 5)).astype(np.float32)
    array[:2] = array[-2:] = 0
    thick = Volume(array, OBLIQUE)
    thin = finer_across_slices(thick)
    assert thin.shape == (45, 4, 5)
    # Conservation is exact up to float32 rounding.
    assert np.allclose(thin.array.sum(0) / 5, array.sum(0), atol=1e-5)
    where = np.arange(45.0) / 5 - 0.4
    moments = [np.tensordot(x, v.array, axes=1) / v.array.sum(0) for x, v in ((where, thin), (np.arange(9.0), thick))]
    assert np.allclose(*moments, atol=1e-4)
    first = thick.grid.to_lps(np.zeros(3))
    assert np.allclose(thin.grid.to_lps(np.array([2.0, 0.0, 0.0])), first, atol=1e-9)


def test_slices_that_are_thin_already_stay():
    volume = Volume(np.zeros((3, 3, 3), np.float32), np.diag([0.9, 0.6, 0.6, 1.0]))
    assert finer_across_slices(volume) is volume


def test_thick_slices_that_meet_at_the_middle_of_a_cord_keep_its_diameter(patient):
    anatomy, mass = patient(shift_mm=1.8, tilt_degrees=(0.0, 0.0), mass_present=False)
    sections = measure_sections(sample_sections(anatomy, mass, anatomy.centreline), step_mm=1.0)
    # Linear interpolation between the two slices would read 5.2 of the cord's 6 mm.
    assert np.nanmedian(sections.cord.ap_mm) == pytest.approx(6.0, abs=0.3)


def test_mass_outside_the_canal_takes_its_soft_margin_along():
    probability = np.zeros((3, 8, 4), np.float32)
    probability[1, 1:7, 1] = [0.3, 0.9, 0.9, 0.8, 0.9, 0.2]
    labels = np.zeros((3, 8, 4), np.uint8)
    labels[1, 2:4, 1], labels[1, 4:6, 1] = Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE
    mass = Mass("measured", Volume(probability, OBLIQUE), Volume(labels, OBLIQUE), (), False, 1.0, 0.1)
    inside = mass_in_canal(mass).array
    assert np.allclose(inside[1, :, 1], [0, 0.3, 0.9, 0.9, 0, 0, 0, 0])


def test_structures_apart_from_the_canal_are_left_out(patient):
    anatomy, mass = patient()
    clean = sample_sections(anatomy, mass, anatomy.centreline)
    coverage = anatomy.tissues.coverage.copy()
    x, y, _ = np.moveaxis(anatomy.tissues.grid.to_lps(np.indices(coverage.shape[1:]).transpose(1, 2, 3, 0)), -1, 0)
    apart = (np.abs(y + 16) < 3) & (np.abs(x) < 12)
    coverage[:, apart] = 0
    coverage[Tissue.EPIDURAL, apart] = 1
    dirty_anatomy = replace(anatomy, tissues=replace(anatomy.tissues, coverage=coverage))
    dirty = sample_sections(dirty_anatomy, mass, anatomy.centreline)
    difference = np.abs(dirty.canal - clean.canal).sum((1, 2)) * clean.pixel_mm**2
    # The false part has 140 mm2 per section; only the soft border it shares with the canal may change.
    assert np.median(difference) < 3.0


def test_a_canal_that_leaves_the_field_of_view_is_marked(patient):
    anatomy, mass = patient()
    grid = anatomy.tissues.grid
    coverage = anatomy.tissues.coverage[:, :, :, :200]
    tissues = TissueMap(coverage, grid.affine, anatomy.tissues.frame_of_reference_uid)
    lower = [Volume(v.array[:, :, :200], grid.affine) for v in (mass.probability, mass.mask)]
    stack = sample_sections(
        replace(anatomy, tissues=tissues), replace(mass, probability=lower[0], mask=lower[1]), anatomy.centreline
    )
    # 300 rows of 0.65 mm are centred on the canal's middle; row 200 is 32 mm above it, sooner at the tilted border.
    z = anatomy.centreline.points_lps[:, 2]
    assert stack.cut[z > 34].all()
    assert not stack.cut[z < 28].any()


def test_grids_that_differ_are_refused(patient):
    anatomy, mass = patient()
    shifted = Volume(mass.probability.array, mass.probability.affine + np.eye(4, k=3), "")
    with pytest.raises(InternalError, match="GRID_MISMATCH"):
        sample_sections(anatomy, replace(mass, probability=shifted), anatomy.centreline)
