"""Polygons that, filled, give the mask back to the pixel."""

import numpy as np
import pytest
from skimage.draw import polygon2mask

from spinemri.export.dicom.contours import closed_contours


def filled(contours: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Fill by the even-odd rule; rows come first there."""
    out = np.zeros(shape, dtype=bool)
    for ring in contours:
        out ^= polygon2mask(shape, ring[:, ::-1])
    return out


def drawn(*rows: str) -> np.ndarray:
    return np.array([[character != "." for character in row] for row in rows])


MASKS = {
    "one pixel": drawn("...", ".#.", "..."),
    "at the border": drawn("##..", "##..", "...#", "..##"),
    "one hole": drawn("######", "#....#", "#....#", "######"),
    "two holes": drawn("#######", "#..#..#", "#..#..#", "#######"),
    "an island in a hole": drawn("#######", "#.....#", "#.###.#", "#.###.#", "#.....#", "#######"),
    "a hole in an island": drawn("########", "#......#", "#.####.#", "#.#..#.#", "#.####.#", "#......#", "########"),
    "corners that touch": drawn("##..", "##..", "..##", "..##"),
    "a hole at a corner": drawn("####", "#.##", "##.#", "####"),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
def test_filling_gives_the_mask_back(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(filled(closed_contours(mask), mask.shape), mask)


def test_any_mask_comes_back() -> None:
    generator = np.random.default_rng(11)
    for share in (0.2, 0.5, 0.8):
        mask = generator.random((23, 31)) < share
        np.testing.assert_array_equal(filled(closed_contours(mask), mask.shape), mask)


def test_a_hole_needs_no_polygon_of_its_own() -> None:
    assert len(closed_contours(MASKS["two holes"])) == 1
    assert len(closed_contours(MASKS["an island in a hole"])) == 2


def test_nothing_has_no_outline() -> None:
    assert closed_contours(np.zeros((5, 7), dtype=np.uint8)) == []
