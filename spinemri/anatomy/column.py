"""The vertebral column in front of the canal: its axis, and what lies along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

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
_LINE_MM = 2.0
_LATERAL_MM = np.arange(-8.0, 9.0, 4.0)
_ANTERIOR_MM = np.arange(4.0, 56.0, _LINE_MM)
_MAX_CANAL_GAP_MM = 20.0
_MAX_INNER_GAP_MM = 6.0
_MAX_DEPARTURE = 1.5
_DIAMETER = SectionShape.box((-20.0, 20.0), (-2.0, 2.0))
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
    canal_mm : (n,) ndarray
        Antero-posterior diameter of the bony canal beside it.
    """

    body: NDArray[np.float64]
    disc: NDArray[np.float64]
    sacrum: NDArray[np.float64]
    visible: NDArray[np.float64]
    canal_mm: NDArray[np.float64]


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
    reach_mm : float
        How far in front of and behind the axis the bodies may reach.
    """

    axis: Curve
    profile: Profile
    front: Volume
    canal: Curve
    reach_mm: float


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
    points, reach_mm = _start(masked, canal)
    around = SectionShape.box((-reach_mm, reach_mm), (-14.0, 14.0), 2.0)
    for _ in range(5):
        if len(points) < 10:
            return None
        points = recentre(points, masked, around, wavelength_mm=_WAVELENGTH_MM, min_area_mm2=_MIN_AREA_MM2)
        points = _beside_canal(points, canal)
    if len(points) < 10:
        return None
    # Discs at the ends and the sacrum's curve need some axis beyond the outermost body.
    axis = Curve.through(extend(points, 8.0))
    return Column(axis, _profile(tissues, axis, canal), front, canal, reach_mm)


def _in_front_of(tissues: TissueMap, canal: Curve) -> Volume:
    """Mark voxels of bodies, discs and sacrum that lie in front of the canal; laminae and far islands are dropped."""
    bones = tissues.fraction(*_COLUMN_TISSUES)
    voxels = np.argwhere(bones.array > 0.05)
    _, back, left = canal.coordinates(bones.grid.to_lps(voxels.astype(float))).T
    kept = (back < 0) & (back > -_MAX_ANTERIOR_MM) & (np.abs(left) < _MAX_LATERAL_MM)
    front = np.zeros(bones.shape, dtype=np.bool_)
    front[tuple(voxels[kept].T)] = True
    return bones.with_array(front)


def _start(bones: Volume, canal: Curve) -> tuple[NDArray[np.float64], float]:
    """First guess of the axis, and how far around it the bodies reach.

    On lines from the canal to the front the first stretch of bone is the body; what follows after a gap (the face,
    islands) is not.
    """
    back = -np.tile(_ANTERIOR_MM[:, None], len(_LATERAL_MM)).ravel()
    shape = SectionShape(back, np.tile(_LATERAL_MM, len(_ANTERIOR_MM)), _LINE_MM)
    fraction = sample_at(bones, shape.points(canal)).reshape(len(canal), len(_ANTERIOR_MM), -1).mean(2)
    near_mm, far_mm = _first_stretch(fraction > 0.35)
    found = np.flatnonzero(far_mm - near_mm >= 8.0)
    if len(found) < 10:
        return np.empty((0, 3)), 0.0
    span = np.arange(found[0], found[-1] + 1)
    middle = np.interp(span, found, ((near_mm + far_mm) / 2)[found])
    depth_mm = gaussian_filter1d(middle, 15.0, mode="nearest")
    reach_mm = float(np.clip(np.percentile((far_mm - near_mm)[found], 75) / 2 + 7.0, 12.0, 26.0))
    return np.asarray(canal.points[span] - depth_mm[:, None] * canal.posterior[span]), reach_mm


def _beside_canal(points: NDArray[np.float64], canal: Curve) -> NDArray[np.float64]:
    """Cut the cranial end where it leaves the canal for the face or the skull base."""
    if len(points) < 20:
        return points
    away_mm, _ = cKDTree(canal.points).query(points)
    usual_mm = np.median(away_mm[: len(away_mm) // 2 + 10])
    near = np.flatnonzero(away_mm < _MAX_DEPARTURE * usual_mm)
    return points[near[0] :] if len(near) else points[:0]


def _first_stretch(bone: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nearest and farthest distance in mm of the bone next to the canal, line by line (n, m); equal where none."""
    near = np.full(len(bone), np.nan)
    far = np.full(len(bone), np.nan)
    for distance, here in zip(_ANTERIOR_MM, bone.T, strict=True):
        starts = here & np.isnan(near) & (distance <= _MAX_CANAL_GAP_MM)
        near[starts] = distance
        goes_on = here & (starts | (distance - far <= _MAX_INNER_GAP_MM))
        far[goes_on] = distance
    return np.nan_to_num(near), np.nan_to_num(far)


def _profile(tissues: TissueMap, axis: Curve, canal: Curve) -> Profile:
    places = _CORE.points(axis)
    seen = inside(tissues.grid, places)
    count = np.maximum(seen.sum(1), 1)
    body, disc, sacrum = (
        (sample_at(tissues.fraction(tissue), places) * seen).sum(1) / count for tissue in _COLUMN_TISSUES
    )
    _, beside = cKDTree(canal.points).query(axis.points)
    return Profile(body, disc, sacrum, seen.mean(1), _diameter_mm(tissues.canal, canal)[beside])


def _diameter_mm(bony: Volume, canal: Curve) -> NDArray[np.float64]:
    """Antero-posterior diameter of the canal at each point of its centre line, near the midplane."""
    lines = sample_at(bony, _DIAMETER.points(canal)).sum(1) * _DIAMETER.step_mm
    return np.asarray(lines / len(np.unique(_DIAMETER.left)))
