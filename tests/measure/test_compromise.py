"""Canal and cord compromise against closed forms."""

import numpy as np
import pytest

from spinemri.anatomy.model import Levels, Vertebra
from spinemri.measure.compromise import compression_percent, occupied_length_mm
from spinemri.measure.references import _middle_known


def codes(result):
    return {flag.code for flag in result.flags}


@pytest.mark.parametrize("view", [{}, {"shift_mm": 1.8}, {"shift_mm": 0.9, "tilt_degrees": (8.0, 3.0)}])
def test_a_posterior_mass_at_its_worst_section(measured, view):
    record = measured(**view).compromise
    # The mass's face lies at the canal's centre: 6 of 10 mm are left to the sac, 4 of 6 to the cord.
    assert record.mcc_percent == pytest.approx(40.0, abs=3.0)
    # The mass dents this cord along its midline, which slices of 3.6 mm blunt: 4.0 mm are read as 4.4.
    assert record.mscc_percent == pytest.approx(100 / 3, abs=8.0)
    assert record.reference_levels == ("T3", "T10")
    assert record.worst_level == "T6/7"
    assert record.worst_point_lps_mm == pytest.approx((0.0, 0.0, 0.0), abs=4.0)
    assert record.canal_occupancy_percent == pytest.approx(100 * 32 / (11 * 8.5), abs=1.0)
    assert record.canal_occupancy_level == "T6/7"
    # Occupancy is 34.2 % (1 - (w / 28)^2): above 25 % over 29 mm.
    assert record.length_over_25_percent_mm == pytest.approx(29.0, abs=2.0)
    assert record.length_over_50_percent_mm == 0.0
    assert record.canal_area_mm2 == pytest.approx(np.pi * 11 * 8.5, rel=0.02)
    assert record.sac_ap_mm == pytest.approx(6.0, abs=0.3)
    assert record.ascor == pytest.approx(record.cord_area_mm2 / record.canal_area_mm2, rel=1e-6)


def test_cord_compressed_with_fluid_beside_it_is_grade_two(measured):
    record = measured().compromise
    assert record.escc_grade == "2"
    assert record.escc_evidence["high_grade"] is True
    assert record.escc_evidence["mass_cord_distance_mm"] == pytest.approx(0.0, abs=0.5)
    assert record.escc_evidence["sac_ap_ratio"] == pytest.approx(0.6, abs=0.03)


def test_a_thin_mass_that_leaves_the_sac_alone_is_grade_one_a(measured):
    # Between the sac's back at 4 mm and the canal's at 8.5 mm.
    record = measured(mass_centre=(0.0, 6.3, 0.0), mass_axes=(6.0, 2.0, 25.0)).compromise
    assert record.escc_grade == "1a"
    assert record.escc_evidence["high_grade"] is False
    assert record.mcc_percent == pytest.approx(0.0, abs=4.0)
    # From the mass's face at 4.3 mm to the cord's back at 2 mm.
    assert record.escc_evidence["mass_cord_distance_mm"] == pytest.approx(2.3, abs=0.6)


def test_worst_section_follows_the_mass(measured):
    record = measured(mass_centre=(0.0, 4.0, -12.0), mass_axes=(8.0, 4.0, 20.0)).compromise
    assert record.worst_level == "T6"
    assert record.worst_point_lps_mm[2] == pytest.approx(12.0, abs=4.0)
    # From T5 to T7: references T3 and T9.
    assert record.reference_levels == ("T3", "T9")


def test_a_missing_reference_gives_null_and_names_its_side(measured):
    result = measured(mass_centre=(0.0, 4.0, -33.0))
    record = result.compromise
    assert record.reference_levels == (None, "T8")
    assert record.mcc_percent is None
    assert record.mscc_percent is None
    assert record.worst_level == "T5"
    flag = next(f for f in result.flags if f.code == "MCC_REFERENCE_MISSING")
    assert "above" in flag.message
    assert "below" not in flag.message


@pytest.mark.parametrize(("moved_mm", "kept"), [(0.0, True), (2.0, True), (5.0, False)])
def test_a_body_cut_by_the_end_of_the_field_of_view_is_a_reference_if_its_middle_is_seen(moved_mm, kept):
    centres = np.array([[0.0, -24.0, 22.0 * (3 - n)] for n in range(7)])
    centres[0, 2] -= moved_mm
    vertebrae = tuple(
        Vertebra(None, tuple(float(x) for x in centre), complete=n > 0, confidence=1.0)
        for n, centre in enumerate(centres)
    )
    levels = Levels(vertebrae, (), "unknown", "none", 0.0)
    assert _middle_known(levels, 0) is kept
    assert _middle_known(levels, 3)
    assert not _middle_known(Levels(vertebrae[:2], (), "unknown", "none", 0.0), 0)


def test_references_need_no_names(measured):
    record = measured(names=(None,) * 8).compromise
    assert record.reference_levels == (None, None)
    assert record.mcc_percent == pytest.approx(40.0, abs=3.0)
    assert record.worst_level is None


LUMBAR = ("T11", "T12", "L1", "L2", "L3", "L4", "L5", "S1")


def test_below_the_conus_there_is_no_cord_to_grade(measured):
    result = measured(conus_w=-40.0, names=LUMBAR)
    assert result.compromise.escc_grade is None
    assert result.compromise.mscc_percent is None
    assert result.compromise.cord_area_mm2 is None
    assert result.compromise.mcc_percent == pytest.approx(40.0, abs=3.0)
    assert "ESCC_BELOW_CONUS" in codes(result)


def test_a_cord_outline_that_ends_at_a_thoracic_level_is_not_the_conus(measured):
    result = measured(conus_w=-40.0)
    assert "CORD_NOT_SEEN" in codes(result)
    assert "ESCC_BELOW_CONUS" not in codes(result)


def test_roots_outlined_as_cord_farther_down_do_not_put_a_section_above_the_conus(measured, monkeypatch):
    monkeypatch.setattr("spinemri.measure.escc.conus_index", lambda sections: len(sections) - 1)
    result = measured(conus_w=-40.0, names=LUMBAR)
    assert result.compromise.worst_level == "L2/3"
    assert "ESCC_BELOW_CONUS" in codes(result)


def test_a_cord_that_reaches_farther_down_than_usual_is_graded(measured):
    result = measured(names=LUMBAR)
    assert result.compromise.worst_level == "L2/3"
    assert result.compromise.escc_grade == "2"


def test_a_sac_pressed_shut_is_never_without_a_word(measured):
    # The mass fills the canal at the level of the middle.
    result = measured(mass_centre=(0.0, 0.0, 0.0), mass_axes=(14.0, 11.0, 20.0))
    record = result.compromise
    assert record.escc_grade is None
    assert "high-grade" in next(f for f in result.flags if f.code == "ESCC_NOT_ASSESSABLE").message
    assert (record.mcc_percent is None) == ("SAC_NOT_MEASURABLE" in codes(result))


def test_a_mass_all_along_the_field_of_view_has_no_grade_and_says_so(measured):
    result = measured(mass_axes=(8.0, 4.0, 400.0))
    assert result.compromise.escc_grade is None
    assert {"MCC_REFERENCE_MISSING", "ESCC_NOT_ASSESSABLE"} <= codes(result)


def test_a_reference_below_the_conus_gives_no_cord_compression(measured):
    result = measured(conus_w=50.0)
    assert result.compromise.mscc_percent is None
    assert result.compromise.mcc_percent == pytest.approx(40.0, abs=3.0)
    assert "MSCC_REFERENCE_MISSING" in codes(result)
    # One neighbour is enough to say that the cord is compressed.
    assert result.compromise.escc_grade == "2"


def test_compression_formula_and_its_limits():
    assert compression_percent(3.0, 6.0, 6.0) == pytest.approx(50.0)
    assert compression_percent(7.0, 6.0, 6.0) < 0
    assert compression_percent(float("nan"), 6.0, 6.0) is None
    assert compression_percent(3.0, 0.0, 6.0) is None


def test_occupied_length_counts_what_is_known():
    assert occupied_length_mm(np.array([10.0, 30.0, np.nan, 60.0]), 25.0, 1.5) == 3.0
