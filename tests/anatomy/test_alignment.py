"""A patient who moved between two series: found to half a millimetre, left alone where it does not matter."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from spinemri.anatomy.alignment import align_series, estimate_shift
from spinemri.intake.model import Role
from spinemri.volume import Volume

SHAPE = (13, 150, 190)


def _affine() -> np.ndarray:
    """Oblique sagittal stack, 3.5 x 0.9 x 0.9 mm, turned by 8 and 5 degrees."""
    a, b = np.deg2rad([8, 5])
    turn_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = turn_z @ turn_x @ np.diag([3.5, 0.9, 0.9])
    affine[:3, 3] = (-22, -60, -80)
    return affine


def _scene(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal(SHAPE), (1.0, 5.0, 5.0))
    return (np.digitize(field / field.std(), [-1, -0.2, 0.5, 1.2]) + 1).astype(np.float32)


def _pair(shift: tuple[float, float, float]) -> tuple[Volume, Volume]:
    """The same scene in two contrasts, whose second series says that it lies elsewhere."""
    scene = _scene()
    noise = np.random.default_rng(1).normal(0, 0.1, (2, *SHAPE))
    other = np.array([0, 3.0, 1.0, 4.0, 2.0, 0.5])[scene.astype(int)]
    affine = _affine()
    moved = affine.copy()
    moved[:3, 3] -= shift
    first = Volume((scene + noise[0]).astype(np.float32), affine, "frame")
    return first, Volume((other + noise[1]).astype(np.float32), moved, "frame")


@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (2.0, -1.5, 3.0), (0.0, 4.0, -6.0)])
def test_shift_between_two_contrasts(shift: tuple[float, float, float]) -> None:
    found = estimate_shift(*_pair(shift))
    # Half a pixel in plane and a quarter of a slice across: what interpolation between thick slices allows.
    assert np.abs(found - shift)[1:].max() < 0.5
    assert abs(found[0] - shift[0]) < 0.9


def test_moved_series_are_placed_and_named_but_not_resampled() -> None:
    fixed, moving = _pair((0.0, 4.0, -6.0))
    images, flags = align_series({Role.SAGITTAL_T2: fixed, Role.SAGITTAL_T1: moving}, Role.SAGITTAL_T2)
    assert [flag.code for flag in flags] == ["SERIES_MOVED"]
    assert np.array_equal(images[Role.SAGITTAL_T1].array, moving.array)
    assert np.abs(images[Role.SAGITTAL_T1].affine - fixed.affine).max() < 0.9
    assert images[Role.SAGITTAL_T2] is fixed


def test_series_that_lie_right_or_elsewhere_are_left_alone() -> None:
    fixed, still = _pair((0.0, 0.0, 0.0))
    far = Volume(still.array, _pair((0.0, 8.0, 0.0))[1].affine, "another frame")
    images, flags = align_series(
        {Role.SAGITTAL_T2: fixed, Role.SAGITTAL_T1: still, Role.SAGITTAL_T1_POST_FS: far}, Role.SAGITTAL_T2
    )
    assert flags == ()
    assert images[Role.SAGITTAL_T1] is still
    assert images[Role.SAGITTAL_T1_POST_FS] is far


def test_images_that_do_not_belong_together_are_not_moved() -> None:
    fixed, _ = _pair((0.0, 0.0, 0.0))
    unrelated = Volume(_scene(9), _affine(), "frame")
    assert np.linalg.norm(estimate_shift(fixed, unrelated)) < 15


def test_the_estimate_is_reproducible() -> None:
    pair = _pair((1.0, 2.0, 2.0))
    assert estimate_shift(*pair).tobytes() == estimate_shift(*pair).tobytes()
