"""The vertebral column in front of the canal: its axis, and what lies along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from spinemri.anatomy.curve import Curve, SectionShape, extend, inside, recentre
from spinemri.anatomy.model import Centreline, TissueMap
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume, sample_at

__all__ = ["Column", "Profile", "find_column"]

_COLUMN_TISSUES = (Tissue.BODY, Tissue.DISC, Tissue.SACRUM)
_MAX_ANTERIOR_MM = 62.0
_MAX_LATERAL_MM = 28.0
_WAVELENGTH_MM = 70.0
_MIN_AREA_MM2 = 40.0
_IN_FRONT_OF_CANAL = SectionShape.box((-50.0, -4.0), (-14.0, 14.0), 2.0)
_AROUND_AXIS = SectionShape.box((-22.0, 22.0), (-14.0, 14.0), 2.0)
_CORE = SectionShape.box((-7.0, 7.0), (-6.0, 6.0), 2.0)


@dataclass(frozen=True, eq=False)
class Profile:
    """Mean fractions in the core of the column, one value per mm of its axis.

    Attributes
    ----------
    body, disc, sacrum : (n,) ndarray
        In 0..1.
    visible : (n,) ndarray
        Part of the core that lies in the field of view.
    """

    body: NDArray[np.float64]
    disc: NDArray[np.float64]
    sacrum: NDArray[np.float64]
    visible: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Column:
    """The chain of bodies, discs and sacrum.

    Attributes
    ----------
    axis : Curve
        Through the middle of the bodies, cranial to caudal.
    profile : Profile
        Along `axis`.
    front : Volume
        True for voxels that lie in front of the canal, where bodies and discs may be.
    canal : Curve
        Centre of the bony canal.
    """

    axis: Curve
    profile: Profile
    front: Volume
    canal: Curve


def find_column(tissues: TissueMap, centreline: Centreline) -> Column | None:
    """Find the axis of the vertebral column and the tissues along it.

    Discs stand square on this axis, while a plane across the canal meets them askew in a curved spine.

    Parameters
    ----------
    tissues : TissueMap
    centreline : Centreline

    Returns
    -------
    Column or None
        None where there are no bodies and discs in front of the canal.
    """
    canal = Curve(centreline.points_lps, centreline.tangent, centreline.posterior, centreline.left)
    front = _in_front_of(tissues, canal)
    bones = tissues.fraction(*_COLUMN_TISSUES)
    masked = bones.with_array(bones.array * front.array)
    points = _start(masked, canal)
    for _ in range(5):
        if len(points) < 10:
            return None
        points = recentre(points, masked, _AROUND_AXIS, wavelength_mm=_WAVELENGTH_MM, min_area_mm2=_MIN_AREA_MM2)
    if len(points) < 10:
        return None
    # Discs at the ends and the sacrum's curve need some axis beyond the outermost body.
    axis = Curve.through(extend(points, 8.0))
    return Column(axis, _profile(tissues, axis), front, canal)


def _in_front_of(tissues: TissueMap, canal: Curve) -> Volume:
    """Mark voxels of bodies, discs and sacrum that lie in front of the canal; laminae and far islands are dropped."""
    bones = tissues.fraction(*_COLUMN_TISSUES)
    voxels = np.argwhere(bones.array > 0.05)
    _, back, left = canal.coordinates(bones.grid.to_lps(voxels.astype(float))).T
    kept = (back < 0) & (back > -_MAX_ANTERIOR_MM) & (np.abs(left) < _MAX_LATERAL_MM)
    front = np.zeros(bones.shape, dtype=np.bool_)
    front[tuple(voxels[kept].T)] = True
    return bones.with_array(front)


def _start(bones: Volume, canal: Curve) -> NDArray[np.float64]:
    """First guess of the axis: the centres of what lies in front of each point of the canal."""
    places = _IN_FRONT_OF_CANAL.points(canal)
    fraction = sample_at(bones, places).astype(np.float64)
    area = fraction.sum(1) * _IN_FRONT_OF_CANAL.step_mm**2
    found = np.flatnonzero(area > 2 * _MIN_AREA_MM2)
    if len(found) < 10:
        return np.empty((0, 3))
    centre = np.einsum("nm,nmk->nk", fraction, places)[found] / fraction.sum(1)[found, None]
    depth_mm = np.einsum("ij,ij->i", canal.points[found] - centre, canal.posterior[found])
    span = np.arange(found[0], found[-1] + 1)
    depth_mm = gaussian_filter1d(np.interp(span, found, depth_mm), 15.0, mode="nearest")
    return np.asarray(canal.points[span] - depth_mm[:, None] * canal.posterior[span])


def _profile(tissues: TissueMap, axis: Curve) -> Profile:
    places = _CORE.points(axis)
    seen = inside(tissues.grid, places)
    count = np.maximum(seen.sum(1), 1)
    body, disc, sacrum = (
        (sample_at(tissues.fraction(tissue), places) * seen).sum(1) / count for tissue in _COLUMN_TISSUES
    )
    return Profile(body, disc, sacrum, seen.mean(1))
