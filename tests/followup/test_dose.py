"""Dose to the mass, and treated levels, on oblique and anisotropic grids."""

from dataclasses import replace

import numpy as np
import pytest

from spinemri.anatomy.model import Levels, Vertebra
from spinemri.followup.dose import dose_to_mass, to_frame, treated_levels
from spinemri.intake.treatment import Course, FrameLink, Target
from spinemri.mass.model import Mass
from spinemri.volume import Volume, apply_affine

FRAME, PLANNING = "1.2", "1.3"


def affine(spacing, origin, degrees=(6.0, 4.0)):
    a, b = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = turn * spacing, origin
    return out


def mass():
    """One slab of 8 x 20 x 60 mm in voxels of 4 x 1 x 1 mm, half of its outermost slices filled."""
    grid = affine((4.0, 1.0, 1.0), (-8.0, -10.0, -30.0))
    share = np.zeros((5, 20, 60), np.float32)
    share[1:4] = 1.0
    share[1] = share[3] = 0.5
    probability = Volume(share, grid, FRAME)
    return Mass("measured", probability, probability.with_array((share > 0.4).astype(np.uint8)), (), False, 1.0, 0.1)


def dose(value, shape=(50, 50, 60), frame=FRAME, origin=(-50.0, -50.0, -60.0)):
    """A dose of `value(points)` Gy in voxels of 2.5 x 2 x 3 mm."""
    grid = affine((2.5, 2.0, 3.0), origin, (-3.0, 2.0))
    points = np.stack(np.indices(shape), -1).astype(float) @ grid[:3, :3].T + grid[:3, 3]
    return Volume(value(points).astype(np.float32), grid, frame)


def test_a_linear_dose_over_the_mass():
    one = mass()
    middle = one.probability.grid.to_lps(np.array([2.0, 9.5, 29.5]))
    along = one.probability.affine[:3, 2]
    found, flags = dose_to_mass(dose(lambda p: 20 + 0.1 * (p - middle) @ along), one, np.eye(4), 20.0)
    assert flags == ()
    assert found.mean_gy == pytest.approx(20.0, abs=0.01)
    # Sixty rows 1 mm apart at 0.1 Gy/mm: 5 % lie more than 27 mm below the middle, and 19 Gy is 10 mm below it.
    assert found.d95_gy == pytest.approx(17.3, abs=0.11)
    assert found.v95_percent == pytest.approx(100 * 40 / 60, abs=2.0)


def test_without_a_prescription_there_is_no_share():
    found, _ = dose_to_mass(dose(lambda p: np.full(p.shape[:-1], 19.0)), mass(), np.eye(4), None)
    assert found.v95_percent is None
    assert found.d95_gy == pytest.approx(19.0)


def test_a_mass_beyond_the_dose_grid_has_no_dose():
    small = dose(lambda p: np.full(p.shape[:-1], 19.0), shape=(50, 50, 20))
    found, flags = dose_to_mass(small, mass(), np.eye(4), 20.0)
    assert found is None
    assert [flag.code for flag in flags] == ["RT_DOSE_GRID_SMALL"]


def test_a_registration_is_used_in_either_direction_and_otherwise_nothing_is_given():
    motion = affine((1.0, 1.0, 1.0), (12.0, -7.0, 30.0))
    there = dose(lambda p: np.linalg.norm(p, axis=-1), frame=PLANNING)
    for link in (FrameLink(FRAME, PLANNING, motion), FrameLink(PLANNING, FRAME, np.linalg.inv(motion))):
        matrix, flags = to_frame(Course(dose=there, links=(link,)), FRAME)
        np.testing.assert_allclose(matrix, motion, atol=1e-9)
        assert [flag.code for flag in flags] == ["RT_REGISTERED"]
    matrix, flags = to_frame(Course(dose=there), FRAME)
    assert matrix is None
    assert [flag.code for flag in flags] == ["RT_FRAME_DIFFERS"]


def test_treated_levels_by_dose_and_by_target():
    names = ("T4", "T5", "T6", "T7", "T8")
    centres = [(0.0, -20.0, 44.0 - 22.0 * k) for k in range(5)]
    levels = Levels(
        tuple(Vertebra(n, c, True, 1.0) for n, c in zip(names, centres, strict=True)), (), "absolute", "", 1
    )
    motion = affine((1.0, 1.0, 1.0), (3.0, 5.0, -4.0))
    moved = apply_affine(motion, np.array(centres))
    field = dose(lambda p: np.where((p[..., 2] < moved[1, 2] + 8) & (p[..., 2] > moved[3, 2] - 8), 20.0, 2.0))
    assert treated_levels(Course(dose=field), levels, motion, 20.0) == "T5-T7"
    target = Target("PTV", np.array([[0, 0, moved[0, 2] + 1], [0, 0, moved[2, 2] - 1]]), FRAME)
    assert treated_levels(Course(target=target), levels, motion, None) == "T4-T6"
    assert (
        treated_levels(Course(target=replace(target, points_lps=np.full((2, 3), 900.0))), levels, motion, None) is None
    )
    # A row with a gap is not a range.
    split = dose(lambda p: np.where(np.abs(p[..., 2] - moved[2, 2]) > 11.0, 20.0, 2.0))
    assert treated_levels(Course(dose=split), levels, motion, 20.0) is None
