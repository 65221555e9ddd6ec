"""Smooth curves in the patient, their frames, and the sections across them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from spinemri.volume import Grid, Volume, sample_at

__all__ = ["Curve", "SectionShape", "extend", "inside", "recentre", "resample_evenly", "smooth"]

Points = NDArray[np.float64]

_LEFT_LPS = np.array([1.0, 0.0, 0.0])
_END_MM = 8
_GROWTH_MM = 12.0


@dataclass(frozen=True, eq=False)
class Curve:
    """Points 1 mm apart from cranial to caudal with an orthonormal frame at each.

    Attributes
    ----------
    points : (n, 3) ndarray
        LPS mm.
    tangent, posterior, left : (n, 3) ndarray
        Caudal along the curve; perpendicular to it within the patient's sagittal plane, on the posterior side;
        and completing to the patient's left (``left x tangent = posterior``). A frame based on the sagittal plane
        does not twist and stays defined where the sacral canal runs straight to the back.
    """

    points: Points
    tangent: Points
    posterior: Points
    left: Points

    @classmethod
    def through(cls, points: Points) -> Curve:
        """Attach frames to evenly spaced points."""
        tangent = _unit(np.gradient(points, axis=0))
        posterior = _unit(np.cross(_LEFT_LPS, tangent))
        return cls(points, tangent, posterior, np.cross(tangent, posterior))

    def __len__(self) -> int:
        return len(self.points)

    def coordinates(self, lps: Points) -> Points:
        """Express points of the patient relative to the curve.

        Parameters
        ----------
        lps : (m, 3) ndarray
            LPS mm.

        Returns
        -------
        (m, 3) ndarray
            Arc length from the cranial end, distance to the posterior and to the left, in mm.
        """
        _, index = cKDTree(self.points).query(lps)
        offset = lps - self.points[index]
        along, back, left = (
            np.einsum("ij,ij->i", offset, axis[index]) for axis in (self.tangent, self.posterior, self.left)
        )
        return np.stack([index + along, back, left], axis=1)

    def at(self, arc_length_mm: float) -> Points:
        """Return the point (3,) in LPS mm at an arc length, clipped to the curve."""
        where = np.arange(len(self), dtype=float)
        return np.array([np.interp(arc_length_mm, where, self.points[:, axis]) for axis in range(3)])


@dataclass(frozen=True, eq=False)
class SectionShape:
    """Where a section is sampled: distances to the posterior and to the left of the curve in mm."""

    back: NDArray[np.float64]
    left: NDArray[np.float64]
    step_mm: float

    @classmethod
    def box(cls, back_mm: tuple[float, float], left_mm: tuple[float, float], step_mm: float = 1.0) -> SectionShape:
        """Sample a rectangle on a regular grid."""
        back, left = np.meshgrid(
            np.arange(back_mm[0], back_mm[1] + step_mm / 2, step_mm),
            np.arange(left_mm[0], left_mm[1] + step_mm / 2, step_mm),
            indexing="ij",
        )
        return cls(back.ravel(), left.ravel(), step_mm)

    def points(self, curve: Curve) -> Points:
        """Return the samples' places (n, m, 3) in LPS mm for every point of a curve."""
        back = self.back[None, :, None] * curve.posterior[:, None]
        left = self.left[None, :, None] * curve.left[:, None]
        return np.asarray(curve.points[:, None] + back + left)


def _unit(vectors: Points) -> Points:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12))


def inside(grid: Grid, lps: Points) -> NDArray[np.bool_]:
    """Tell which points (..., 3) lie within the outermost voxel faces of a grid."""
    index = grid.to_index(lps)
    upper = np.array(grid.shape) - 0.5
    return np.asarray(((index >= -0.5) & (index <= upper)).all(-1))


def smooth(values: Points, weights: NDArray[np.float64], wavelength_mm: float, step_mm: float = 1.0) -> Points:
    """Smooth evenly spaced points by a penalty on third differences (Whittaker-Eilers, *Anal Chem* 2003).

    A little penalty on second differences is added. Undulations of the given wavelength keep half their amplitude,
    shorter ones vanish, a parabola passes almost unchanged, and a smooth arc bridges points without weight.

    Parameters
    ----------
    values : (n, 3) ndarray
    weights : (n,) ndarray
        1 for a trustworthy point, 0 for none.
    wavelength_mm : float
    step_mm : float
        Distance between neighbouring points.

    Returns
    -------
    (n, 3) ndarray
    """
    count = len(values)
    if count < 5:
        return values
    third = sparse.diags([-1.0, 3.0, -3.0, 1.0], [0, 1, 2, 3], shape=(count - 3, count))
    second = sparse.diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(count - 2, count))
    cutoff = wavelength_mm / (2 * np.pi * step_mm)
    # The second differences tame a parabola's freedom to turn away at the ends and in gaps.
    penalty = 0.7 * cutoff**6 * (third.T @ third) + 0.3 * cutoff**4 * (second.T @ second)
    # The floor keeps the system regular where hardly any point has a weight.
    weight = np.maximum(weights, 1e-6)
    system = (sparse.diags(weight) + penalty).tocsc()
    return np.asarray(spsolve(system, values * weight[:, None]), dtype=np.float64)


def resample_evenly(points: Points, step_mm: float = 1.0) -> Points:
    """Place points every `step_mm` along the polyline through `points` (n, 3)."""
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    arc = np.concatenate([[0.0], np.cumsum(lengths)])
    where = np.arange(0.0, arc[-1] + 1e-9, step_mm)
    return np.stack([np.interp(where, arc, points[:, axis]) for axis in range(3)], axis=1)


def extend(points: Points, length_mm: float, fit_mm: int = 12) -> Points:
    """Continue a 1 mm polyline straight on at both ends."""
    steps = np.arange(1, int(length_mm) + 1)[:, None]
    span = min(fit_mm, len(points) - 1)
    head = _unit(points[0] - points[span])
    tail = _unit(points[-1] - points[-1 - span])
    return np.concatenate([points[0] + steps[::-1] * head, points, points[-1] + steps * tail])


def recentre(
    points: Points, volume: Volume, shape: SectionShape, *, wavelength_mm: float, min_area_mm2: float
) -> Points:
    """Move a curve to the centres of a structure's cross-sections, and let it grow or shrink to its ends.

    Parameters
    ----------
    points : (n, 3) ndarray
        A 1 mm polyline in LPS mm, cranial to caudal.
    volume : Volume
        The structure's fraction per voxel.
    shape : SectionShape
        How far around the curve the structure may reach.
    wavelength_mm : float
        See `smooth`.
    min_area_mm2 : float
        Sections with less of the structure are not trusted, and cut off at the ends.

    Returns
    -------
    (m, 3) ndarray
        A 1 mm polyline; empty where the structure has no section that is large enough.
    """
    curve = Curve.through(_straightened(points))
    places = shape.points(curve)
    fraction = np.clip(sample_at(volume, places), 0.0, 1.0).astype(np.float64)
    area = fraction.sum(1) * shape.step_mm**2
    found = (area >= min_area_mm2) & inside(volume.grid, curve.points)
    if found.sum() < 5:
        return np.empty((0, 3))
    centre = np.einsum("nm,nmk->nk", fraction, places) / np.maximum(fraction.sum(1), 1e-6)[:, None]
    weights = _trust(area, places, found, volume.grid)
    smoothed = _robust_smooth(np.where(found[:, None], centre, curve.points), weights, wavelength_mm)
    # A plane beyond the end may still cut the structure's corner: the curve ends where it leaves the structure.
    ends = np.flatnonzero(found & (sample_at(volume, smoothed) > 0.3))
    return resample_evenly(smoothed[ends[0] : ends[-1] + 1]) if len(ends) > 5 else np.empty((0, 3))


def _straightened(points: Points) -> Points:
    """Replace the ends by straight ones, somewhat longer, so that the curve can grow.

    A plane that the structure's end clips has a centroid off the axis, which would tilt the plane further at every
    round; a straight end keeps the direction of the curve further in.
    """
    kept = points[_END_MM:-_END_MM] if len(points) > 5 * _END_MM else points
    return extend(kept, _GROWTH_MM + (len(points) - len(kept)) / 2, fit_mm=2 * _END_MM)


def _trust(area: NDArray[np.float64], places: Points, found: NDArray[np.bool_], grid: Grid) -> NDArray[np.float64]:
    """Weigh sections: small ones, and ones that the field of view cuts, have biased centroids."""
    visible = inside(grid, places).mean(1)
    # Steep, or a plane that is clipped by the structure's end would tilt itself further at every round.
    weight = np.minimum(area / np.median(area[found]), 1.0) ** 3 * (visible / visible[found].max()) ** 4
    return np.where(found, weight, 0.0)


def _robust_smooth(centres: Points, weights: NDArray[np.float64], wavelength_mm: float) -> Points:
    """Smooth twice, the second time with little weight for sections that lie off the first curve."""
    first = smooth(centres, weights, wavelength_mm)
    residual_mm = np.linalg.norm(centres - first, axis=1)
    return smooth(centres, weights / (1.0 + (residual_mm / 3.0) ** 2), wavelength_mm)
