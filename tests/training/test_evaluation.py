"""Metrics on cases small enough to be worked out by hand."""

import math

import numpy as np
import pytest

from spinemri.training.evaluation import (
    dice,
    expected_calibration_error,
    hausdorff95_mm,
    labelled_extent,
    near,
    surface_distances_mm,
)

SPACING = (4.0, 0.5, 0.8)


def _box(shape: tuple[int, int, int], start: tuple[int, int, int], stop: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return mask


class TestDice:
    def test_by_hand(self) -> None:
        # 2 x 3 x 2 = 12 and 2 x 3 x 2 = 12 voxels share 1 x 3 x 2 = 6.
        first, second = _box((5, 5, 5), (0, 0, 0), (2, 3, 2)), _box((5, 5, 5), (1, 0, 0), (3, 3, 2))
        assert dice(first, second) == 0.5

    def test_the_empty_mask(self) -> None:
        empty, full = np.zeros((2, 2, 2), bool), np.ones((2, 2, 2), bool)
        assert dice(empty, empty) == 1.0
        assert dice(empty, full) == 0.0


class TestHausdorff:
    @pytest.mark.parametrize(("axis", "expected"), [(0, 4.0), (1, 0.5), (2, 0.8)])
    def test_two_voxels_side_by_side_are_one_spacing_apart(self, axis: int, expected: float) -> None:
        first = np.zeros((4, 4, 4), bool)
        first[1, 1, 1] = True
        assert hausdorff95_mm(first, np.roll(first, 1, axis), SPACING) == pytest.approx(expected)

    def test_both_directions_are_pooled(self) -> None:
        # One voxel against a row of 21 from 0 to 20 along an axis of 0.5 mm: distances 0 once and 0, 0.5, ... 10 mm.
        first, second = _box((1, 21, 1), (0, 0, 0), (1, 1, 1)), np.ones((1, 21, 1), bool)
        distances = surface_distances_mm(first, second, SPACING)
        np.testing.assert_allclose(np.sort(distances), [0.0, *np.arange(21) * 0.5])
        # Rank 0.95 * 21 = 19.95 of 0 to 21, between 9.0 and 9.5.
        assert hausdorff95_mm(first, second, SPACING) == pytest.approx(9.0 + 0.95 * 0.5)
        assert hausdorff95_mm(second, first, SPACING) == hausdorff95_mm(first, second, SPACING)

    def test_only_surfaces_count(self) -> None:
        # A cube of 5 in one of 7: every face is one voxel away, the inside does not dilute it.
        outer, inner = _box((9, 9, 9), (1, 1, 1), (8, 8, 8)), _box((9, 9, 9), (2, 2, 2), (7, 7, 7))
        distances = surface_distances_mm(outer, inner, (1.0, 1.0, 1.0))
        # 7^3 - 5^3 voxels outside, 5^3 - 3^3 inside.
        assert len(distances) == 218 + 98
        assert distances.min() == 1.0
        # The corner of the outer cube is farthest: one voxel along each axis.
        assert distances.max() == pytest.approx(math.sqrt(3))

    def test_a_mask_at_the_edge_of_the_image_has_a_surface_there(self) -> None:
        full = np.ones((3, 3, 3), bool)
        assert len(surface_distances_mm(full, full, SPACING)) == 2 * 26
        assert hausdorff95_mm(full, full, SPACING) == 0.0

    def test_the_empty_mask(self) -> None:
        empty, full = np.zeros((2, 2, 2), bool), np.ones((2, 2, 2), bool)
        assert hausdorff95_mm(empty, empty, SPACING) == 0.0
        assert hausdorff95_mm(empty, full, SPACING) == math.inf

    def test_it_agrees_with_simpleitk(self) -> None:
        sitk = pytest.importorskip("SimpleITK")
        rng = np.random.default_rng(5)
        masks = [rng.random((6, 20, 18)) < 0.02 for _ in range(2)]
        images = []
        for mask in masks:
            image = sitk.GetImageFromArray(mask.transpose(2, 1, 0).astype(np.uint8))
            image.SetSpacing(SPACING)
            images.append(image)
        filter_ = sitk.HausdorffDistanceImageFilter()
        filter_.Execute(*images)
        # Single voxels are their own surface, so that the greatest distance between surfaces is that between sets.
        largest = surface_distances_mm(*masks, SPACING).max()
        assert largest == pytest.approx(filter_.GetHausdorffDistance(), abs=1e-4)


class TestCalibration:
    def test_by_hand(self) -> None:
        # Bins of 1/15: three voxels at 0.1 (one is the tissue), two at 0.8 (both are).
        probability = np.array([0.1, 0.1, 0.1, 0.8, 0.8])
        truth = np.array([True, False, False, True, True])
        expected = 3 / 5 * abs(1 / 3 - 0.1) + 2 / 5 * abs(1.0 - 0.8)
        assert expected_calibration_error(probability, truth) == pytest.approx(expected)

    def test_errors_of_one_bin_cancel_and_those_of_two_do_not(self) -> None:
        truth = np.array([True, False])
        assert expected_calibration_error(np.array([0.5, 0.5]), truth) == 0.0
        assert expected_calibration_error(np.array([0.4, 0.6]), truth) == pytest.approx(0.6)

    def test_certainty_falls_into_the_last_bin(self) -> None:
        assert expected_calibration_error(np.array([1.0, 0.0]), np.array([True, False])) == 0.0
        assert expected_calibration_error(np.array([1.0, 0.95]), np.array([True, False])) == pytest.approx(0.475)

    def test_frequencies_that_match_give_nothing_but_chance(self) -> None:
        rng = np.random.default_rng(3)
        probability = rng.random(200_000)
        # The standard error of a bin of 13 000 is 0.004 at most, its mean over bins less.
        assert expected_calibration_error(probability, rng.random(200_000) < probability) < 0.005

    def test_no_voxels(self) -> None:
        assert math.isnan(expected_calibration_error(np.empty(0), np.empty(0, bool)))


def test_near_is_measured_in_mm() -> None:
    mask = np.zeros((3, 9, 9), bool)
    mask[1, 4, 4] = True
    reached = near(mask, SPACING, 1.0)
    # Two voxels of 0.5 mm, one of 0.8 mm, none of 4 mm; sqrt(0.5^2 + 0.8^2) = 0.94 is within reach, too.
    assert reached[1, 2:7, 4].all()
    assert reached[1, 4, 3:6].all()
    assert reached[1, 5, 5]
    assert not reached[1, 6, 5]
    assert not reached[0].any()


def test_labelled_extent_keeps_slices_and_heights_and_all_depths() -> None:
    mask = np.zeros((6, 7, 8), bool)
    mask[2, 3, 4] = mask[4, 5, 6] = True
    np.testing.assert_array_equal(labelled_extent(mask), _box((6, 7, 8), (2, 0, 4), (5, 7, 7)))
