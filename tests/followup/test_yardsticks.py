import pytest

from spinemri.followup import compare_results
from spinemri.followup.paired import PairedEstimate, combined
from spinemri.followup.yardsticks import RECIST_SPHERE_VOLUME_PERCENT, longest_diameter_mm, yardsticks
from spinemri.measure.record import ExtentRecord, FlagRecord


def of_length(make, length_mm):
    return make.mass(extent=ExtentRecord(from_level="T5", to_level="T8", length_mm=length_mm))


def test_sphere_equivalents_of_the_diameter_limits():
    assert pytest.approx((-65.7, 72.8), abs=0.05) == RECIST_SPHERE_VOLUME_PERCENT


def test_longest_diameter_is_the_largest_of_three(make):
    assert longest_diameter_mm(make.mass()) == 88.0
    assert longest_diameter_mm(make.mass(extent=None)) == 16.0
    assert longest_diameter_mm(make.mass(None)) is None


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ((90, 63), "response"),
        ((90, 64), "stable"),
        ((90, 108), "progression"),
        ((22, 26.9), "stable"),  # +22 % but under 5 mm
        ((90, 60, 74), "progression"),  # against the smallest, not the baseline
        ((90, 85, 90), "stable"),
    ],
)
def test_recist_by_longest_diameter(make, lengths, expected):
    masses = [of_length(make, length) for length in lengths]
    assert yardsticks(masses, None)["recist_1_1_diameter"] == expected


@pytest.mark.parametrize(
    ("change", "sphere", "reins", "observer"),
    [
        (-66.0, "response", "response", "beyond"),
        (-19.8, "stable", "stable", "beyond"),
        (-16.4, "stable", "stable", "within"),
        (25.0, "stable", "progression", "beyond"),
        (73.0, "progression", "progression", "beyond"),
        (None, None, None, None),
    ],
)
def test_volume_yardsticks(make, change, sphere, reins, observer):
    found = yardsticks([make.mass(), make.mass()], change)
    assert found["recist_1_1_sphere_volume"] == sphere
    assert found["reins_volume_20_percent"] == reins
    assert found["interobserver_volume_19_7_percent"] == observer


def test_a_vanished_mass_has_no_diameter(make):
    found = yardsticks([make.mass(), make.mass(None)], None)
    assert set(found.values()) == {None}


def test_a_mass_that_the_field_of_view_cuts_has_no_longest_diameter(make):
    masses = [of_length(make, 88.0), of_length(make, 50.0).model_copy(update={"truncated": True})]
    assert yardsticks(masses, None)["recist_1_1_diameter"] is None
    assert yardsticks([*masses, of_length(make, 86.0)], None)["recist_1_1_diameter"] == "stable"


@pytest.mark.parametrize(
    ("masses", "expected"),
    [
        ((30, None, 20), "progression"),
        ((30, None, 3), "progression"),  # whatever its size
        ((30, "cut", 20), "response"),
        ((30, "not compared", 20), "response"),
        ((None, 20, 30), None),  # without a baseline diameter
        ((30, 20, None), None),
    ],
)
def test_a_sole_lesion_that_is_seen_again_is_progression(make, masses, expected):
    others = {None: make.mass(None), "cut": make.mass(None, truncated=True), "not compared": None}
    records = [others[size] if size in others else _thin(make, size) for size in masses]
    assert yardsticks(records, None)["recist_1_1_diameter"] == expected


def _thin(make, length_mm):
    return of_length(make, length_mm).model_copy(update={"max_ap_mm": 1.0, "max_transverse_mm": 1.0})


def _recist_after(make, length_mm, **between):
    """RECIST of 90, something between, and a last length."""
    return compare_results(
        [
            make.result(of_length(make, 90)),
            make.result(date="2024-04-01", **between),
            make.result(of_length(make, length_mm), date="2024-06-01"),
        ],
        None,
    ).timepoints[2].yardsticks["recist_1_1_diameter"]  # fmt: skip


@pytest.mark.parametrize(
    "unfit",
    [{"patient": "another"}, {"flags": (FlagRecord(code="VISITS_DO_NOT_MATCH", message="", severity="error"),)}, {}],
    ids=["another patient", "does not match", "fit"],
)
def test_only_visits_that_can_be_compared_have_a_smallest_diameter(make, unfit):
    found = _recist_after(make, 80, mass=of_length(make, 40), **unfit)
    assert found == ("stable" if unfit else "progression")


def test_a_mass_that_one_outline_misses_is_not_gone(make, monkeypatch):
    assert _recist_after(make, 80, mass=make.mass(None)) == "progression"
    still_there = combined([PairedEstimate("boundary_shift", -0.1, 0.3)])
    monkeypatch.setattr("spinemri.followup.compare.paired_change", lambda *_, **__: still_there)
    assert _recist_after(make, 80, mass=make.mass(None)) == "stable"
