"""The rule behind the ESCC grade."""

from dataclasses import replace

import pytest

from spinemri.measure.escc import EsccEvidence, escc_grade

FREE = EsccEvidence(
    sac_ap_ratio=0.98,
    sac_area_ratio=0.97,
    mass_cord_distance_mm=4.0,
    cord_ap_ratio=1.0,
    cord_area_ratio=1.0,
    csf_fraction=0.7,
    csf_area_mm2=80.0,
)


@pytest.mark.parametrize(
    ("changes", "grade"),
    [
        ({}, "1a"),
        ({"sac_ap_ratio": 0.7}, "1b"),
        ({"sac_area_ratio": 0.7}, "1b"),
        ({"sac_ap_ratio": 0.7, "mass_cord_distance_mm": 0.5}, "1c"),
        ({"sac_ap_ratio": 0.5, "mass_cord_distance_mm": 0.0, "cord_ap_ratio": 0.6, "csf_area_mm2": 12.0}, "2"),
        ({"sac_ap_ratio": 0.5, "mass_cord_distance_mm": 0.0, "cord_area_ratio": 0.6, "csf_fraction": 0.05}, "3"),
        # Between mass and flattened cord a voxel or two are half dura, half either; beside a round cord that is a gap.
        ({"sac_ap_ratio": 0.3, "mass_cord_distance_mm": 1.5, "cord_ap_ratio": 0.5}, "2"),
        ({"sac_ap_ratio": 0.3, "mass_cord_distance_mm": 1.5}, "1b"),
        # A thin cord that nothing touches is not compressed by the mass.
        ({"cord_area_ratio": 0.7}, "1a"),
        ({"csf_fraction": float("nan")}, None),
        # Half of next to nothing is not a rim of fluid that can be seen.
        (
            {
                "sac_ap_ratio": 0.2,
                "mass_cord_distance_mm": 0.3,
                "cord_ap_ratio": 0.2,
                "csf_fraction": 0.5,
                "csf_area_mm2": 4.0,
            },
            "3",
        ),
    ],
)
def test_grades(changes, grade):
    assert escc_grade(replace(FREE, **changes)) == grade


def test_evidence_stays_when_no_grade_is_given():
    record = replace(FREE, cord_area_ratio=float("nan")).record(None)
    assert record["cord_area_ratio"] is None
    assert record["csf_fraction"] == 0.7
    assert "high_grade" not in record


def test_high_grade_is_two_and_three():
    assert [FREE.record(g)["high_grade"] for g in ("1a", "1b", "1c", "2", "3")] == [False, False, False, True, True]
