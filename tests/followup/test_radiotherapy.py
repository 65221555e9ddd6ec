from datetime import date

import pytest

from spinemri.anatomy.model import Levels, Vertebra
from spinemri.errors import UsageError
from spinemri.followup import Radiotherapy, parse_radiotherapy
from spinemri.followup.radiotherapy import margin_levels, parse_date, radiotherapy_record
from spinemri.followup.treated import under_new_names
from spinemri.measure.record import ExtentRecord


def test_the_index_case_is_covered_with_two_levels_above_and_one_below():
    course = parse_radiotherapy(start="2024-03-04", end="20240315", dose_gy=20, fractions=10, levels="t3 - T9")
    record = radiotherapy_record(course, ExtentRecord(from_level="T5", to_level="T8", length_mm=90))
    assert course == Radiotherapy(date(2024, 3, 4), date(2024, 3, 15), 20, 10, "T3-T9")
    assert (record.mass_covered, record.margin_levels) == (True, (2, 1))
    assert (record.start, record.end, record.levels) == ("2024-03-04", "2024-03-15", "T3-T9")


@pytest.mark.parametrize(
    ("treated", "extent", "present", "expected"),
    [
        (("T6", "T9"), ("T5", "T8"), (), (-1, 1)),
        (("T6", "T7"), ("T4", "T9"), (), (-2, -2)),
        (("C7", "T2"), ("T1", "T1"), (), (1, 1)),
        (("T11", "L2"), ("T12", "L1"), (), (1, 1)),
        (("T11", "L2"), ("T12", "L1"), ("T12", "T13", "L1"), (1, 1)),
        (("T11", "L1"), ("T12", "T12"), ("T12", "T13", "L1"), (1, 2)),
    ],
)
def test_margins_count_whole_vertebrae(treated, extent, present, expected):
    assert margin_levels(treated, extent, present) == expected


def test_a_mass_beyond_the_treated_levels_is_not_covered():
    record = radiotherapy_record(
        Radiotherapy(levels="T6-T9"), ExtentRecord(from_level="T5", to_level="T8", length_mm=90)
    )
    assert record.mass_covered is False


def column(*names, moved_mm=0.0):
    places = [(2.0, -30.0 + 3.0 * k + moved_mm, 100.0 - 22.0 * k) for k in range(len(names))]
    bodies = tuple(Vertebra(name, place, True, 1.0) for name, place in zip(names, places, strict=True))
    return Levels(bodies, (), "absolute", "user", 1.0)


@pytest.mark.parametrize(
    ("levels_from", "after", "expected", "codes"),
    [
        ("plan", column("T5", "T6", "T7", "T8", moved_mm=2.0), "T6-T8", []),
        ("plan", column("T4", "T5", "T6", "T7"), "T5-T7", []),
        ("plan", column("T3", "T4", "T5", None), None, ["RT_LEVELS_NOT_REMEASURED"]),
        ("plan", column("T4", "T5", "T6"), None, ["RT_LEVELS_NOT_REMEASURED"]),
        ("given", column("T5", "T6", "T7", "T8"), "T5-T7", []),
    ],
)
def test_levels_of_a_plan_are_places_and_those_of_a_person_names(levels_from, after, expected, codes):
    course = Radiotherapy(levels="T5-T7", levels_from=levels_from, dose_gy=20.0)
    renamed, flags = under_new_names(course, column("T4", "T5", "T6", "T7"), after)
    assert (renamed.levels, renamed.dose_gy) == (expected, 20.0)
    assert [flag.code for flag in flags] == codes


def test_nothing_said_is_none_and_an_unknown_extent_leaves_cover_open():
    assert parse_radiotherapy() is None
    record = radiotherapy_record(Radiotherapy(levels="T7"), None)
    assert (record.levels, record.mass_covered, record.margin_levels) == ("T7-T7", None, None)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"start": "4 March"}, "BAD_DATE"),
        ({"end": "2024-02-30"}, "BAD_DATE"),
        ({"end": ""}, "BAD_DATE"),
        ({"start": "2024-03-15", "end": "2024-03-04"}, "RT_END_BEFORE_START"),
        ({"levels": "T9-T3"}, "BAD_RT_LEVELS"),
        ({"levels": "3-9"}, "BAD_RT_LEVELS"),
        ({"levels": "T3-T6-T9"}, "BAD_RT_LEVELS"),
        ({"levels": ""}, "BAD_RT_LEVELS"),
        ({"dose_gy": -1}, "BAD_RT_DOSE"),
        ({"dose_gy": float("nan")}, "BAD_RT_DOSE"),
        ({"fractions": 0}, "BAD_RT_FRACTIONS"),
    ],
)
def test_impossible_radiotherapy_is_refused_with_the_value(given, code):
    with pytest.raises(UsageError) as caught:
        parse_radiotherapy(**given)
    assert caught.value.code == code
    assert caught.value.exit_status == 2


def test_dates_in_both_spellings():
    assert parse_date("2024-03-04") == parse_date("20240304") == date(2024, 3, 4)
