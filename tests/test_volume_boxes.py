"""Boxes of voxels: what they hold, and where their grids lie on oblique, anisotropic volumes."""

import numpy as np
import pytest
from shapes import oblique_affine

from spinemri.volume import Grid, Volume, box_around, resample


def _oblique() -> Grid:
    turn = np.deg2rad(20.0)
    axes = np.array([[np.cos(turn), -np.sin(turn), 0.0], [np.sin(turn), np.cos(turn), 0.0], [0.0, 0.0, 1.0]])
    affine = np.eye(4)
    affine[:3, :3] = axes * [4.0, 0.7, 0.5]
    affine[:3, 3] = -30.0, 12.0, 7.0
    return Grid((6, 40, 50), affine)


def test_a_box_holds_everything_within_the_distance() -> None:
    mask = np.zeros((6, 40, 50), dtype=bool)
    mask[3, 20, 25] = True
    assert box_around(mask, (4.0, 0.7, 0.5), 4.0) == (slice(2, 5), slice(14, 27), slice(17, 34))


@pytest.mark.parametrize(("place", "edge"), [((0, 0, 0), 0), ((5, 39, 49), -1)])
def test_a_box_ends_with_the_array(place: tuple[int, int, int], edge: int) -> None:
    mask = np.zeros((6, 40, 50), dtype=bool)
    mask[place] = True
    box = box_around(mask, (4.0, 0.7, 0.5), 3.0)
    assert mask[box].sum() == 1
    assert [range(n)[part][edge] for part, n in zip(box, mask.shape, strict=True)] == list(place)


def test_one_slice_is_no_exception() -> None:
    assert box_around(np.ones((1, 3, 3), dtype=bool), (4.0, 1.0, 1.0), 50.0) == (slice(0, 1), slice(0, 3), slice(0, 3))


def test_the_grid_of_a_box_has_the_same_voxels_at_the_same_places() -> None:
    grid, box = _oblique(), (slice(1, 4), slice(5, 30), slice(10, 12))
    part = grid.part(box)
    index = np.array([[0.0, 0.0, 0.0], [2.0, 24.0, 1.0]])
    assert part.shape == (3, 25, 2)
    assert np.allclose(part.to_lps(index), grid.to_lps(index + np.array([1, 5, 10])))


@pytest.mark.parametrize("degrees", [3, 11, 17, 29])
def test_no_slice_of_an_oblique_stack_is_lost_on_its_own_grid(degrees: float) -> None:
    values = np.random.default_rng(0).random((9, 20, 30)).astype(np.float32)
    volume = Volume(values, oblique_affine((3.6, 0.9, 0.7), degrees), "frame")
    box = (slice(0, 9), slice(4, 20), slice(0, 30))
    assert np.array_equal(resample(volume, volume.grid.part(box), outside=-1.0).array, values[box])


@pytest.mark.parametrize("degrees", [3, 11, 17, 29])
def test_no_slice_is_lost_on_a_grid_with_the_same_slices_and_other_pixels(degrees: float) -> None:
    volume = Volume(np.ones((9, 40, 40), np.float32), oblique_affine((3.6, 0.9, 0.9), degrees).astype(np.float32), "f")
    finer = oblique_affine((3.6, 0.7, 0.7), degrees).astype(np.float32).astype(np.float64)
    source = Volume(volume.array, volume.affine.astype(np.float64), "f")
    moved = resample(source, Grid((9, 45, 45), finer), outside=-1.0).array
    assert float((moved[[0, -1], 5:-5, 5:-5] < 0).mean()) == 0.0
    beyond = finer.copy()
    beyond[:3, 3] -= 0.02 * finer[:3, 0]
    assert float((resample(source, Grid((9, 45, 45), beyond), outside=-1.0).array[0] < 0).mean()) == 1.0
