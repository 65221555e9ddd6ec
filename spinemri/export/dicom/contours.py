"""Outlines of a mask in one image, as closed polygons without holes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import find_contours, points_in_poly

__all__ = ["closed_contours"]

Ring = NDArray[np.float64]

_BORDER = 0.5


def closed_contours(mask: NDArray[Any]) -> list[Ring]:
    """Outline every part of a mask.

    A hole is joined to the outline around it by a channel of no width, as RT structure sets have it (DICOM PS3.3
    C.8.8.6.3): filled by the even-odd rule, the polygons cover the centres of the mask's pixels and no others.

    Parameters
    ----------
    mask : (rows, columns) ndarray
        Nonzero inside.

    Returns
    -------
    list of (n, 2) ndarray
        (column, row) in pixels, pixel centres at whole numbers; the first point is not repeated. Empty for an empty
        mask.
    """
    padded = np.pad(mask != 0, 1).astype(np.float64)
    rings = [np.asarray(ring[:-1, ::-1] - 1.0) for ring in find_contours(padded, _BORDER)]
    if not rings:
        return []
    areas = np.array([_signed_area(ring) for ring in rings])
    # The largest ring cannot be a hole, and holes turn the other way.
    turn = np.sign(areas[np.abs(areas).argmax()])
    outer = [ring for ring, area in zip(rings, areas, strict=True) if area * turn > 0]
    holes = [ring for ring, area in zip(rings, areas, strict=True) if area * turn < 0]
    for hole in holes:
        around = _innermost_around(outer, hole)
        outer[around] = _joined(outer[around], hole)
    return outer


def _signed_area(ring: Ring) -> float:
    x, y = ring.T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def _innermost_around(rings: list[Ring], hole: Ring) -> int:
    around = [index for index, ring in enumerate(rings) if points_in_poly(hole[:1], ring)[0]]
    return min(around, key=lambda index: abs(_signed_area(rings[index])))


def _joined(ring: Ring, hole: Ring) -> Ring:
    """Walk around the ring, across to the hole where they are nearest, around it, and back."""
    distances = np.linalg.norm(ring[:, None] - hole[None], axis=-1)
    here, there = np.unravel_index(int(distances.argmin()), distances.shape)
    around_ring = np.roll(ring, -here, axis=0)
    around_hole = np.roll(hole, -there, axis=0)
    return np.concatenate([around_ring, around_ring[:1], around_hole, around_hole[:1]])
