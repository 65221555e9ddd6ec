"""A patient who moved between two series: found to a fraction of a millimetre, left alone where it does not matter."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from spinemri.anatomy.alignment import estimate_shift, place_series, placed_tissues, structure_image
from spinemri.anatomy.model import TissueMap
from spinemri.intake.model import Role
from spinemri.nomenclature import Tissue
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


def _spine(seed: int = 0) -> TissueMap:
    """Bodies and discs in front of a canal with a cord in it, arches behind; the reading wavers at every border."""
    labels = np.zeros(SHAPE, dtype=int)
    labels[2:11, 40:80] = Tissue.BODY
    for height in range(20, 190, 36):
        labels[2:11, 40:80, height : height + 8] = Tissue.DISC
        labels[2:11, 98:115, height + 10 : height + 26] = Tissue.POSTERIOR_ELEMENTS
    labels[4:9, 80:98] = Tissue.DURAL_SAC
    labels[5:8, 85:93] = Tissue.CORD
    wavering = gaussian_filter(np.random.default_rng(seed).standard_normal((len(Tissue), *SHAPE)), (0, 0.5, 2, 2))
    odds = np.stack([gaussian_filter((labels == t).astype(float), (0.3, 1.0, 1.0)) for t in Tissue])
    odds = np.maximum(odds + 0.4 * wavering * (odds > 0.02), 0.0)
    return TissueMap((odds / odds.sum(0)).astype(np.float32), _affine(), "frame")


def _pair(shift: tuple[float, float, float]) -> tuple[Volume, Volume]:
    """One spine read from two series, the second of which says that it lies elsewhere."""
    return structure_image(_spine(0)), structure_image(placed_tissues(_spine(1), -np.array(shift)))


@pytest.mark.parametrize("shift", [(2.0, -1.5, 3.0), (0.0, 4.0, -6.0), (3.0, 0.0, 0.0), (0.0, -1.5, 0.0)])
def test_shift_between_two_series(shift: tuple[float, float, float]) -> None:
    found = estimate_shift(*_pair(shift))
    assert np.abs(found - shift)[1:].max() < 0.2
    # Across slices of 3.5 mm less is known.
    assert abs(found[0] - shift[0]) < 0.4


@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (0.3, -0.4, 0.3)])
def test_what_lies_right_is_left_alone(shift: tuple[float, float, float]) -> None:
    assert not estimate_shift(*_pair(shift)).any()


@pytest.mark.parametrize(("slices", "moved"), [(5, True), (3, False)])
def test_a_series_of_three_slices_is_left_where_it_is(slices: int, moved: bool) -> None:
    fixed, moving = _pair((0.0, 3.0, -4.0))
    first = (moving.shape[0] - slices) // 2
    part = (slice(first, first + slices), *(slice(0, size) for size in moving.shape[1:]))
    few = Volume(moving.array[part], moving.grid.part(part).affine)
    assert estimate_shift(fixed, few).any() == moved


def test_the_contents_of_the_canal_look_alike_whatever_a_series_shows_of_them() -> None:
    spine = _spine()
    coverage = spine.coverage.copy()
    coverage[Tissue.MASS_CANAL], coverage[Tissue.DURAL_SAC] = coverage[Tissue.DURAL_SAC], 0.0
    other = TissueMap(coverage, spine.affine, "frame")
    assert np.allclose(structure_image(spine).array, structure_image(other).array, atol=1e-6)


def test_moved_series_are_placed_and_named_but_not_resampled() -> None:
    fixed, moving = _pair((0.0, 4.0, -6.0))
    images = {Role.SAGITTAL_T2: fixed, Role.SAGITTAL_T1: moving, Role.SAGITTAL_T1_POST_FS: fixed}
    shifts = {Role.SAGITTAL_T1: estimate_shift(fixed, moving), Role.SAGITTAL_T1_POST_FS: np.zeros(3)}
    where, flags = place_series(images, shifts, Role.SAGITTAL_T2)
    assert [flag.code for flag in flags] == ["SERIES_MOVED"]
    assert "4.0 mm posterior, -6.0 mm superior onto sagittal_t2" in flags[0].message
    assert np.array_equal(where[Role.SAGITTAL_T1].array, moving.array)
    assert np.abs(where[Role.SAGITTAL_T1].affine - fixed.affine).max() < 0.4
    assert where[Role.SAGITTAL_T2] is fixed
    assert where[Role.SAGITTAL_T1_POST_FS] is fixed


def test_readings_that_show_no_common_spine_are_not_moved() -> None:
    fixed, _ = _pair((0.0, 0.0, 0.0))
    upside_down = fixed.with_array(np.ascontiguousarray(fixed.array[:, ::-1]))
    nothing = fixed.with_array(np.zeros(SHAPE, np.float32))
    far = Volume(fixed.array, _pair((0.0, 500.0, 0.0))[1].affine, "frame")
    for moving in (upside_down, nothing, far):
        assert not estimate_shift(fixed, moving).any()


def test_the_estimate_is_reproducible() -> None:
    pair = _pair((1.0, 2.0, 2.0))
    assert estimate_shift(*pair).tobytes() == estimate_shift(*pair).tobytes()
