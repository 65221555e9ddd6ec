"""What is measured as a whole, and what is left out with a reason."""

from dataclasses import replace

import numpy as np
import pytest

from spinemri.errors import Flag
from spinemri.intake.model import Role
from spinemri.measure import measure_study
from spinemri.measure.record import CompromiseRecord
from spinemri.nomenclature import Tissue


def measure(anatomy, mass):
    return measure_study({Role.SAGITTAL_T2: anatomy.tissues.sac}, Role.SAGITTAL_T2, anatomy, mass)


def codes(result):
    return [flag.code for flag in result.flags]


def test_one_profile_row_per_millimetre(measured):
    result = measured()
    assert len(result.profile) == 187
    assert result.profile[93].level == "T6/7"
    assert result.profile[93].z_lps_mm == pytest.approx(0.0)
    assert result.profile[93].mass_area_mm2 == pytest.approx(np.pi * 32, abs=2)
    # The tilted slab leaves out a corner at either end only.
    assert result.profile[10].canal_ap_mm == pytest.approx(17.0, abs=0.4)


def test_without_a_canal_everything_is_null(patient):
    anatomy, mass = patient()
    result = measure(replace(anatomy, centreline=None), mass)
    assert codes(result) == ["NO_CANAL"]
    assert result.profile == ()
    assert result.compromise == CompromiseRecord()
    assert result.mass.status == "not_assessable"
    assert result.mass.volume_ml is None
    assert len(result.levels.vertebrae) == 8


def test_without_a_mass_the_canal_is_measured_and_nothing_flagged(measured):
    result = measured(mass_present=False)
    assert codes(result) == []
    assert result.mass.status == "not_found"
    assert result.mass.volume_ml is None
    assert result.compromise == CompromiseRecord()
    assert result.profile[93].cord_ap_mm == pytest.approx(6.0, abs=0.4)


def test_masks_without_the_epidural_space_give_no_canal(patient):
    anatomy, mass = patient()
    coverage = anatomy.tissues.coverage.copy()
    coverage[0] += coverage[Tissue.EPIDURAL]
    coverage[Tissue.EPIDURAL] = 0
    result = measure(replace(anatomy, tissues=replace(anatomy.tissues, coverage=coverage)), mass)
    assert "CANAL_UNKNOWN" in codes(result)
    assert result.compromise.canal_occupancy_percent is None
    assert result.compromise.canal_area_mm2 is None
    assert result.profile[93].canal_area_mm2 is None
    assert result.profile[93].sac_area_mm2 is not None
    assert result.compromise.mcc_percent == pytest.approx(40.0, abs=3.0)


def test_a_truncated_mass_is_flagged_once(patient):
    anatomy, mass = patient()
    result = measure(anatomy, replace(mass, truncated=True))
    assert result.mass.truncated is True
    assert codes(result) == ["MASS_TOUCHES_EDGE"]
    told = Flag("MASS_TOUCHES_EDGE", "The mass stage has said so.")
    assert codes(measure(anatomy, replace(mass, truncated=True, flags=(told,)))) == []


def test_a_mass_outside_the_canal_has_a_volume_but_no_compromise(patient):
    anatomy, mass = patient()
    outside = mass.mask.with_array(np.where(mass.mask.array > 0, Tissue.MASS_OUTSIDE, 0).astype(np.uint8))
    coverage = anatomy.tissues.coverage.copy()
    coverage[Tissue.MASS_OUTSIDE] = coverage[Tissue.MASS_CANAL]
    coverage[Tissue.MASS_CANAL] = 0
    result = measure(replace(anatomy, tissues=replace(anatomy.tissues, coverage=coverage)), replace(mass, mask=outside))
    assert codes(result) == ["MASS_OUTSIDE_CANAL"]
    assert result.mass.volume_ml == pytest.approx(3.75, rel=0.01)
    assert result.mass.extent is None
    assert result.compromise == CompromiseRecord()


def test_a_mass_that_reaches_the_end_of_the_canal_has_an_open_extent(measured):
    result = measured(mass_centre=(0.0, 4.0, -80.0))
    assert "EXTENT_OPEN" in codes(result)


def test_the_same_input_gives_the_same_numbers(patient):
    anatomy, mass = patient()
    assert measure(anatomy, mass) == measure(anatomy, mass)
