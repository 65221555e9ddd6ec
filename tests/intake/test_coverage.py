"""What of the spine the chosen stack leaves out."""

import re

import pytest
from dicom_writer import T1_HEADER, SeriesHeader, write_sagittal_series

from spinemri.errors import Severity
from spinemri.intake import Role, read_study

T2 = SeriesHeader()
HEIGHT_MM = 48 * 5.0
COMPOSED = ("DERIVED", "PRIMARY", "M", "COMPOSED")


@pytest.fixture
def station(tmp_path, make_volume):
    """Write a sagittal series whose lowest voxels lie at a height of the patient."""

    def write(bottom_mm, header=T2, *, spacing_mm=5.0, **changes):
        volume = make_volume(
            spacing=(3.7, 4.0, spacing_mm),
            angles=(0, 0, 0),
            origin=(-11, -80, bottom_mm),
            seed=changes.get("number", 0),
        )
        write_sagittal_series(volume, tmp_path / str(changes.get("number", header.number)), header, **changes)

    return write


def left_out(folder):
    """Return (direction, mm, stack) of everything that the study's finding names."""
    flags = [flag for stack in read_study(folder).stacks for flag in stack.flags]
    assert {flag.code for flag in flags} <= {"SPINE_NOT_ALL_MEASURED"}
    assert {flag.severity for flag in flags} <= {Severity.WARNING}
    found = [re.findall(r"(\d+) mm further (\w+) \((\w+)\)", flag.message) for flag in flags]
    return [(where, int(mm), stack) for items in found for mm, where, stack in items]


def test_a_station_below_the_measured_one_is_named(tmp_path, station):
    station(0, description="t2 sag BWS")
    station(0, T1_HEADER)
    station(-200, description="t2 sag LWS", number=8)
    study = read_study(tmp_path)
    assert study.by_role(Role.SAGITTAL_T2).stack_id == "s001_1"
    assert [flag.code for flag in study.by_role(Role.SAGITTAL_T2).flags] == ["SPINE_NOT_ALL_MEASURED"]
    assert left_out(tmp_path) == [("caudally", 200, "s008_1")]


def test_stations_above_and_below_are_named_in_one_finding(tmp_path, station):
    station(0)
    station(0, T1_HEADER)
    station(HEIGHT_MM, number=7)
    station(-220, description="stir sag", number=8, scanning_sequence="IR", inversion_ms=150, echo_ms=50)
    assert left_out(tmp_path) == [("cranially", 240, "s007_1"), ("caudally", 220, "s008_1")]


def test_a_station_of_t1_alone_is_named(tmp_path, station):
    station(0)
    station(0, description="stir sag", number=3, scanning_sequence="IR", inversion_ms=150, echo_ms=50)
    station(-90, T1_HEADER)
    assert left_out(tmp_path) == [("caudally", 90, "s002_1")]


@pytest.mark.parametrize("bottom_mm", [-40, -10, 0, 40])
def test_a_few_centimetres_are_no_station(tmp_path, station, bottom_mm):
    station(0)
    station(0, T1_HEADER)
    station(bottom_mm, description="t2 sag again", number=8, image_type=("DERIVED", "PRIMARY", "M"))
    assert left_out(tmp_path) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")},
        {"image_type": ("DERIVED", "SECONDARY", "SUBTRACTION")},
        {"image_type": COMPOSED},
        {"description": "pd sag", "repetition_ms": 2500, "echo_ms": 25},
        {"body_part": "BRAIN"},
        {"tags": {"FrameOfReferenceUID": "9.9"}},
    ],
)
def test_what_is_no_station_is_not_named(tmp_path, station, changes):
    station(0)
    station(0, T1_HEADER)
    station(-200, number=8, **changes)
    assert left_out(tmp_path) == []


def test_a_whole_spine_overview_around_the_measured_part_is_not_named(tmp_path, station):
    station(0)
    station(0, T1_HEADER)
    station(-200, number=8, spacing_mm=12.0, description="t2 sag", image_type=("DERIVED", "PRIMARY", "M"))
    station(-200, T1_HEADER, number=9, spacing_mm=12.0, image_type=("DERIVED", "PRIMARY", "M"))
    study = read_study(tmp_path)
    assert study.by_role(Role.LOCALIZER).stack_id == "s008_1"
    assert left_out(tmp_path) == []


def test_a_taller_station_that_hardly_overlaps_is_no_overview(tmp_path, station):
    station(0)
    station(0, T1_HEADER)
    station(-280, number=8, spacing_mm=6.0)
    study = read_study(tmp_path)
    assert study.by_role(Role.LOCALIZER).stack_id == "s008_1"
    # Voxels end half a step beyond their centres.
    assert left_out(tmp_path) == [("caudally", pytest.approx(280, abs=1), "s008_1")]
