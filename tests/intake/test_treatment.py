"""Radiotherapy objects as a planning system exports them."""

from datetime import date

import numpy as np
import pytest
from treatment_objects import write_dose, write_object, write_plan, write_registration, write_target

from spinemri.errors import InputError
from spinemri.intake.treatment import read_course
from spinemri.volume import sample_at

FRAME = "1.2.3"


def oblique(spacing=(2.0, 3.0, 4.0), origin=(-30.0, 12.0, 80.0)):
    a, b = np.deg2rad([7.0, -5.0])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * spacing, origin
    return affine


def ramp(affine, shape=(20, 16, 24)):
    """A dose that is linear in the patient, 0.01 to 0.03 Gy per mm along its axes."""
    index = np.stack(np.indices(shape), -1).astype(float)
    points = index @ affine[:3, :3].T + affine[:3, 3]
    return 30.0 + 0.01 * points @ [1.0, 2.0, 3.0]


@pytest.mark.parametrize("plane", [4.0, -4.0])
def test_dose_lies_where_the_object_says(tmp_path, plane):
    affine = oblique(spacing=(2.0, 3.0, plane))
    write_dose(tmp_path, ramp(affine), affine, FRAME)
    dose = read_course(tmp_path).dose
    point = affine[:3, :3] @ [7.3, 4.8, 11.2] + affine[:3, 3]
    # Linear interpolation of a linear dose is exact; stored in steps of 0.001 Gy.
    assert sample_at(dose, point[None])[0] == pytest.approx(30.0 + 0.01 * point @ [1.0, 2.0, 3.0], abs=0.002)
    assert dose.frame_of_reference_uid == FRAME


def test_prescription_fractions_and_days_of_delivery(tmp_path):
    write_plan(tmp_path)
    for day in ("20240305", "20240301", "20240315"):
        write_object(tmp_path, "RTRECORD", day, TreatmentDate=day)
    course = read_course(tmp_path)
    assert (course.prescribed_gy, course.fractions) == (20.0, 10)
    assert course.delivered == (date(2024, 3, 1), date(2024, 3, 5), date(2024, 3, 15))


def test_without_a_prescription_the_beams_add_up(tmp_path):
    write_plan(tmp_path, doses=(), fractions=8)
    assert read_course(tmp_path).prescribed_gy == pytest.approx(16.0)


def test_several_prescriptions_are_said(tmp_path):
    write_plan(tmp_path, doses=(20.0, 24.0))
    course = read_course(tmp_path)
    assert course.prescribed_gy == 24.0
    assert [flag.code for flag in course.flags] == ["RT_SEVERAL_PRESCRIPTIONS"]


def test_target_and_registration(tmp_path):
    matrix = oblique(spacing=(1.0, 1.0, 1.0))
    write_target(tmp_path, np.array([[0, 0, 5.0], [9, 0, 5.0], [9, 9, 5.0]]), FRAME)
    write_registration(tmp_path, FRAME, "1.9", matrix)
    course = read_course(tmp_path)
    assert course.target.kind == "PTV"
    assert course.target.points_lps.shape == (3, 3)
    np.testing.assert_allclose(course.links[0].matrix, matrix, atol=1e-6)
    assert (course.links[0].source_uid, course.links[0].target_uid) == ("1.9", FRAME)


def beam_dose(folder):
    write_dose(folder, ramp(oblique()), oblique(), FRAME, DoseSummationType="BEAM")


def two_plans(folder):
    write_plan(folder)
    write_object(folder, "RTPLAN", "second")


def one_plane(folder):
    write_dose(folder, ramp(oblique()), oblique(), FRAME, GridFrameOffsetVector=[0.0, 4.0])


def two_patients(folder):
    write_plan(folder)
    write_target(folder, np.zeros((3, 3)), FRAME)
    write_object(folder, "RTSTRUCT", "other", patient="P2")


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (beam_dose, "NO_RADIOTHERAPY"),
        (two_plans, "RT_SEVERAL_PLANS"),
        (one_plane, "RT_DOSE_UNREADABLE"),
        (two_patients, "SEVERAL_PATIENTS"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path, make, code):
    make(tmp_path)
    with pytest.raises(InputError) as caught:
        read_course(tmp_path)
    assert caught.value.code == code
