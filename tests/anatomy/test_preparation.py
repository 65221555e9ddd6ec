"""What the network sees must not depend on the scanner's scale or on a coil's fall-off."""

import numpy as np
import pytest

from spinemri.anatomy.preparation import condition_planes, context_offset, flatten_illumination, interpolated
from spinemri.volume import Volume


def _volume(array: np.ndarray) -> Volume:
    return Volume(array.astype(np.float32), np.diag([3.6, 0.7, 0.7, 1.0]))


def _texture() -> np.ndarray:
    rng = np.random.default_rng(0)
    return 100 + 40 * rng.standard_normal((9, 150, 200)).clip(-2, 2)


def test_scale_makes_no_difference() -> None:
    one = flatten_illumination(_volume(_texture())).array
    other = flatten_illumination(_volume(37.5 * _texture())).array
    assert np.allclose(one, other, atol=1e-3)


def test_a_coils_fall_off_vanishes() -> None:
    fall_off = np.linspace(0.5, 2.0, 150)[None, :, None]
    raw = _texture() * fall_off
    flat = flatten_illumination(_volume(raw)).array
    before, after = (image[:, 90:130].mean() / image[:, 20:60].mean() for image in (raw, flat))
    assert before > 1.7
    # The floor that keeps air dark, and the ends of the image, leave a third of it at most.
    assert after - 1 < (before - 1) / 3


def test_an_empty_image_stays_empty() -> None:
    assert flatten_illumination(_volume(np.zeros((5, 40, 40)))).array.max() == 0


@pytest.mark.parametrize(("pitch", "offset"), [(0.9, 4.0), (1.0, 3.0), (3.3, 1.0), (4.4, 1.0)])
def test_neighbours_lie_about_a_thick_slice_away(pitch: float, offset: float) -> None:
    assert context_offset(pitch) == offset
    assert 2.9 <= offset * pitch <= 5.2


def test_unknown_contrast_tells_the_network_nothing() -> None:
    assert condition_planes("other", fat_suppressed=None, contrast_enhanced=None).tolist() == [0, 0, 0, 0]
    assert condition_planes("STIR", fat_suppressed=None, contrast_enhanced=None).tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_interpolation_is_linear_and_continues_the_edges(axis: int) -> None:
    """Against numpy's own, line by line."""
    values = np.random.default_rng(2).normal(size=(5, 6, 7)).astype(np.float32)
    size = values.shape[axis]
    places = np.linspace(-1.5, size + 0.5, 23)
    found = interpolated(values, places, axis)
    expected = np.apply_along_axis(lambda line: np.interp(places, np.arange(size), line), axis, values)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_single_sample_is_continued() -> None:
    assert np.array_equal(
        interpolated(np.full((1, 2), 3.0, np.float32), np.array([-1.0, 0.0, 4.0]), 0), np.full((3, 2), 3)
    )
