"""The space half way between two visits, into which both are resampled once (METRICS.md "Change").

Words used here
---------------
midpoint
    LPS mm half way along the rigid motion that brings one visit onto the other. Resampling one visit alone would
    smooth it alone, and a smoother mass looks smaller.
bend
    What is left after the rigid motion: each vertebra moves by a small shift and turn of its own, and points between
    two vertebrae by a mixture of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemri.volume import Grid, apply_affine

__all__ = ["Bend", "Midpoint", "grid_points", "half_transform", "level_positions"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bend:
    """A displacement that is rigid at every vertebra.

    Attributes
    ----------
    nodes : (n, 3) ndarray
        A point in the canal at each vertebra, midpoint mm, in order along the spine.
    shifts, turns : (n, 3) ndarray
        Shift in mm and rotation vector in radians (small) about the node, from the earlier to the later visit.
    """

    nodes: Array
    shifts: Array
    turns: Array

    @classmethod
    def none(cls, nodes: Array) -> Bend:
        """Return the bend that moves nothing."""
        return cls(nodes, np.zeros_like(nodes), np.zeros_like(nodes))

    def at(self, points: Array, levels: NDArray[np.floating]) -> Array:
        """Displacement in mm of points (n, 3) whose `level_positions` are given, (n, 3)."""
        below = np.clip(levels.astype(np.intp), 0, max(len(self.nodes) - 2, 0))
        above = np.minimum(below + 1, len(self.nodes) - 1)
        share = (levels - below)[:, None]
        return (1 - share) * self._rigid(points, below) + share * self._rigid(points, above)

    def _rigid(self, points: Array, node: NDArray[np.intp]) -> Array:
        return np.asarray(self.shifts[node] + np.cross(self.turns[node], points - self.nodes[node]))


@dataclass(frozen=True, eq=False)
class Midpoint:
    """Correspondence of two visits, written symmetrically.

    Attributes
    ----------
    to_visits : (4, 4) ndarray, (4, 4) ndarray
        Rigid: midpoint mm to the earlier visit's LPS mm, and to the later visit's.
    bend : Bend
    """

    to_visits: tuple[Array, Array]
    bend: Bend

    def points(self, visit: int, points: Array, levels: NDArray[np.floating]) -> Array:
        """Map midpoint mm (n, 3) to LPS mm of a visit, 0 or 1; each takes half of the bend."""
        half = 0.5 * self.bend.at(points, levels)
        return apply_affine(self.to_visits[visit], points + (half if visit else -half))


def half_transform(rigid: Array) -> Array:
    """Return the rigid transform that gives another one when applied twice.

    Half the angle about the same axis (Rodrigues 1840); the shift follows from ``(R + 1) t = T``.

    Parameters
    ----------
    rigid : (4, 4) ndarray
        Rotation and shift, turning by less than 180 degrees.

    Returns
    -------
    (4, 4) ndarray

    Examples
    --------
    >>> half_transform(np.array([[1, 0, 0, 4.0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))[0, 3]
    2.0
    """
    whole = rigid[:3, :3]
    # For a rotation R, (R + 1) / sqrt(trace(R) + 1) is a rotation by half the angle up to a symmetric part, which the
    # polar decomposition removes.
    left, _, right = np.linalg.svd(whole + np.eye(3))
    out = np.eye(4)
    out[:3, :3] = left @ right
    out[:3, 3] = np.linalg.solve(out[:3, :3] + np.eye(3), rigid[:3, 3])
    return out


def level_positions(points: Array, nodes: Array) -> NDArray[np.float64]:
    """Return where points lie along the vertebrae: a whole number at a node, linear between, clipped to the ends.

    Parameters
    ----------
    points : (n, 3) ndarray
        Midpoint mm.
    nodes : (m, 3) ndarray
        m >= 2.

    Returns
    -------
    (n,) ndarray
    """
    found = np.zeros(len(points))
    least = np.full(len(points), np.inf)
    for index, (start, step) in enumerate(zip(nodes, np.diff(nodes, axis=0), strict=False)):
        share = np.clip((points - start) @ step / (step @ step), 0.0, 1.0)
        distance = np.square(points - start - share[:, None] * step).sum(1)
        nearer = distance < least
        least[nearer], found[nearer] = distance[nearer], index + share[nearer]
    return found


def grid_points(grid: Grid) -> Array:
    """List the voxel centres of a grid in its own mm, (n, 3), in the order of a flattened array."""
    index = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in grid.shape], indexing="ij"), axis=-1)
    return grid.to_lps(index.reshape(-1, 3))
