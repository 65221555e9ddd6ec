"""Endplates of vertebral bodies as planes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemri.volume import Grid

__all__ = ["Endplate", "endplates"]

_BIN_MM = 2.0
_CENTRAL = 0.8
_FARTHEST_MM = 2.5
_ROUNDS = 3
_FEWEST = 12
_STEEPEST_DEG = 45.0


@dataclass(frozen=True)
class Endplate:
    """A plane through an endplate.

    Attributes
    ----------
    point_lps_mm : tuple of float
        Over or under the body's centre.
    normal_lps : tuple of float
        Unit vector, pointing out of the body.
    """

    point_lps_mm: tuple[float, float, float]
    normal_lps: tuple[float, float, float]


def endplates(
    voxels: NDArray[np.intp], grid: Grid, up_lps: NDArray[np.float64]
) -> tuple[Endplate | None, Endplate | None]:
    """Fit planes to the upper and the lower face of one body.

    The body is looked at along the column: over a raster of 2 mm its outermost voxels make the face. Of the central
    four fifths of the raster a plane is fitted by least squares, three times, each time without what lies farther than
    2.5 mm from it: a rim osteophyte or a Schmorl node does not tilt it.

    Parameters
    ----------
    voxels : (n, 3) ndarray of int
        Indices of the body's voxels.
    grid : Grid
    up_lps : (3,) ndarray
        Cranial direction of the column there; any length.

    Returns
    -------
    superior, inferior : Endplate or None
        None where too little of the face is seen, or it would be steeper than 45 degrees.
    """
    frame = _frame(up_lps)
    centre = grid.to_lps(voxels.astype(float)).mean(0)
    places = (grid.to_lps(voxels.astype(float)) - centre) @ frame.T
    # Half of a voxel lies beyond its centre, along the axis that runs with the column.
    half_mm = float(np.abs(frame[2] @ grid.affine[:3, :3]).max()) / 2
    upper, lower = (_face(places * [1.0, 1.0, sign]) for sign in (1.0, -1.0))
    return _endplate(upper, frame, centre, half_mm, 1.0), _endplate(lower, frame, centre, half_mm, -1.0)


def _frame(up_lps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows: two directions across the column and the one along it."""
    up = up_lps / np.linalg.norm(up_lps)
    across = np.cross(up, np.eye(3)[np.abs(up).argmin()])
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(up, across), up])


def _face(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Highest place over each cell of the raster that lies centrally, (n, 3) mm."""
    reach = np.percentile(np.abs(places[:, :2]), 98, axis=0) * _CENTRAL
    central = places[(np.abs(places[:, :2]) <= reach).all(1)]
    if not len(central):
        return central
    cell = np.floor(central[:, :2] / _BIN_MM).astype(int)
    order = np.lexsort((-central[:, 2], cell[:, 1], cell[:, 0]))
    ordered = cell[order]
    first = np.r_[True, (np.diff(ordered, axis=0) != 0).any(1)]
    return np.asarray(central[order][first])


def _endplate(
    face: NDArray[np.float64], frame: NDArray[np.float64], centre: NDArray[np.float64], half_mm: float, sign: float
) -> Endplate | None:
    plane = np.zeros(3)
    kept = np.ones(len(face), dtype=bool)
    for _ in range(_ROUNDS):
        if kept.sum() < _FEWEST:
            return None
        design = np.column_stack([np.ones(len(face)), face[:, :2]])
        plane = np.linalg.lstsq(design[kept], face[kept, 2], rcond=None)[0]
        kept = np.abs(face[:, 2] - design @ plane) <= _FARTHEST_MM
    if np.hypot(*plane[1:]) > np.tan(np.deg2rad(_STEEPEST_DEG)):
        return None
    normal = sign * np.array([0.0, 0.0, 1.0]) - np.array([*plane[1:], 0.0])
    normal = (normal / np.linalg.norm(normal)) @ frame
    point = centre + sign * (plane[0] + half_mm) * frame[2]
    return Endplate(_triple(point), _triple(normal))


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
