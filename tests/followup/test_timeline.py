from datetime import date

from spinemri.followup.change import mass_change
from spinemri.followup.timeline import days_between, find_nadir, find_recurrence, study_day

DATES = ("2024-03-01", "2024-03-25", "2024-09-01", "2025-03-01")


def recurrence(masses, **options):
    def compare(earlier, later):
        return mass_change(masses[earlier], masses[later], correlation=0.5)

    return find_recurrence(masses, DATES, compare, **options)


def test_days_need_two_dates():
    assert days_between(study_day("2024-02-28"), study_day("2024-03-01")) == 2
    assert days_between(date(2024, 3, 1), date(2024, 2, 28)) == -2
    assert days_between(study_day(""), date(2024, 3, 1)) is None
    assert study_day("20240x01") is None


def test_nadir_leaves_out_what_cannot_be_trusted(make):
    masses = [make.mass(6), make.mass(1, truncated=True), make.mass(4), make.mass(5)]
    nadir = find_nadir(masses, DATES)
    assert (nadir.study_date, nadir.volume_ml) == ("2024-09-01", 4)


def test_a_mass_no_longer_found_is_the_nadir_without_a_volume(make):
    nadir = find_nadir([make.mass(6), make.mass(None), make.mass(3)], DATES)
    assert (nadir.study_date, nadir.volume_ml) == ("2024-03-25", None)
    assert find_nadir([make.mass(None), make.mass(None)], DATES) is None


def test_growth_beyond_its_interval_from_the_nadir_is_recurrence(make):
    found = recurrence([make.mass(6), make.mass(4), make.mass(4.2), make.mass(5)])
    assert (found.suspected, found.since) == (True, "2025-03-01")


def test_growth_within_its_interval_is_not(make):
    found = recurrence([make.mass(6), make.mass(4), make.mass(4.2), make.mass(4.3)])
    assert (found.suspected, found.since) == (False, None)


def test_a_slow_recurrence_counts_against_the_nadir_not_the_visit_before(make):
    found = recurrence([make.mass(6), make.mass(4), make.mass(4.3), make.mass(4.7)])
    assert (found.suspected, found.since) == (True, "2025-03-01")


def test_a_mass_that_comes_back_is_recurrence(make):
    found = recurrence([make.mass(6), make.mass(None), make.mass(2)])
    assert (found.suspected, found.since) == (True, "2024-09-01")


def test_two_visits_before_and_after_treatment_cannot_show_recurrence(make):
    assert recurrence([make.mass(6), make.mass(5)]).suspected is None
    assert recurrence([make.mass(6), make.mass(9)]).suspected is None


def test_growth_since_a_baseline_after_treatment_is_recurrence(make):
    found = recurrence([make.mass(4), make.mass(6)], treated_before_baseline=True)
    assert (found.suspected, found.since) == (True, "2024-03-25")


def test_steady_growth_without_a_nadir_is_no_recurrence(make):
    found = recurrence([make.mass(4), make.mass(6), make.mass(9)])
    assert found.suspected is False


def test_a_visit_that_cannot_be_compared_is_neither_nadir_nor_recurrence(make):
    masses = [make.mass(8), None, make.mass(3), make.mass(7)]
    assert find_nadir(masses, DATES).volume_ml == 3
    assert recurrence(masses).since == "2025-03-01"
    assert find_nadir([None, None], DATES[:2]) is None
    assert recurrence([make.mass(8), make.mass(3), None]).suspected is None
