"""Bodies and discs one by one: which voxels belong to which, where their centres lie, what the image cuts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.column import Column, find_column
from spinemri.anatomy.discs import DiscMark, DiscRow, find_discs
from spinemri.anatomy.model import Centreline, TissueMap
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume

__all__ = ["BodyInstance", "Chain", "DiscInstance", "find_chain"]

_SLOPE_RIDGE = 2000.0
_MAX_SLOPE = 0.6
_SACRAL_BODY_SHARE = 0.85
_CENTRE_REACH_MM = 22.0
_CUT_SHARE = 0.01
_DENS_FREE_SHARE = 1.1
_MIN_BODY_SHARE = 0.35


@dataclass(frozen=True)
class BodyInstance:
    """One vertebral body.

    Attributes
    ----------
    centre_lps_mm : tuple of float
    complete : bool
        False where the field of view cuts it above, below, in front or behind, or much of it was not found.
    cut : bool
        The field of view cuts it.
    height_mm : float
        Extent along the column.
    volume_mm3 : float
    sacral : bool
        It is the upper end of the sacrum.
    """

    centre_lps_mm: tuple[float, float, float]
    complete: bool
    cut: bool
    height_mm: float
    volume_mm3: float
    sacral: bool = False


@dataclass(frozen=True)
class DiscInstance:
    """One disc; `inferred` where only the spacing of its neighbours says that it is there.

    `slope` is its tilt against the plane across the column: mm caudal per mm posterior and per mm left.
    """

    centre_lps_mm: tuple[float, float, float]
    position_mm: float
    slope: tuple[float, float]
    inferred: bool


@dataclass(frozen=True, eq=False)
class Chain:
    """Bodies and discs in turn, cranial to caudal.

    Attributes
    ----------
    discs : tuple of DiscInstance
    bodies : tuple of (BodyInstance or None)
        One more than discs: ``bodies[i]`` lies above ``discs[i]``. None where nothing of it is visible.
    body_map, disc_map : Volume
        uint8, 1 + the index into `bodies` and `discs`, 0 elsewhere.
    column : Column
    row : DiscRow
    """

    discs: tuple[DiscInstance, ...]
    bodies: tuple[BodyInstance | None, ...]
    body_map: Volume
    disc_map: Volume
    column: Column
    row: DiscRow


@dataclass(frozen=True, eq=False)
class _Voxels:
    """Voxels of one tissue in front of the canal: indices, LPS mm, and column coordinates."""

    index: NDArray[np.intp]
    lps: NDArray[np.float64]
    along: NDArray[np.float64]
    back: NDArray[np.float64]
    left: NDArray[np.float64]


def find_chain(tissues: TissueMap, centreline: Centreline) -> Chain | None:
    """Find bodies and discs as instances.

    Parameters
    ----------
    tissues : TissueMap
    centreline : Centreline

    Returns
    -------
    Chain or None
        None where no column or no disc was found.
    """
    column = find_column(tissues, centreline)
    row = find_discs(column.profile) if column is not None else None
    if column is None or row is None or not row.marks:
        return None
    disc_voxels = _voxels(tissues, column, (Tissue.DISC,))
    bone_tissues = (Tissue.BODY, Tissue.SACRUM) if row.promontory is not None else (Tissue.BODY,)
    body_voxels = _voxels(tissues, column, bone_tissues)
    planes = np.array([_plane(mark, disc_voxels, row.spacing_mm(mark.position_mm)) for mark in row.marks])
    disc_of = _nearest_disc(disc_voxels, planes, row)
    body_of = _body_between(body_voxels, planes, row)
    bodies = _without_crumbs([_body(body_voxels, body_of == i, i, row, column) for i in range(len(planes) + 1)])
    discs = tuple(
        _disc(mark, plane, disc_voxels.lps[disc_of == i], column)
        for i, (mark, plane) in enumerate(zip(row.marks, planes, strict=True))
    )
    hidden = [i for i, body in enumerate(bodies) if body is None]
    body_map = _map(body_voxels, np.where(np.isin(body_of, hidden), -1, body_of), column.front)
    return Chain(discs, bodies, body_map, _map(disc_voxels, disc_of, column.front), column, row)


def _without_crumbs(bodies: list[BodyInstance | None]) -> tuple[BodyInstance | None, ...]:
    """Drop what lies beyond the outermost discs, inside the image, and is too small for a body."""
    usual_mm3 = float(np.median([body.volume_mm3 for body in bodies if body is not None] or [0.0]))
    outermost = (0, len(bodies) - 1)
    return tuple(
        None
        if number in outermost and body is not None and not body.cut and body.volume_mm3 < _MIN_BODY_SHARE * usual_mm3
        else body
        for number, body in enumerate(bodies)
    )


def _voxels(tissues: TissueMap, column: Column, wanted: tuple[Tissue, ...]) -> _Voxels:
    index = np.argwhere(np.isin(tissues.labels.array, [int(t) for t in wanted]) & column.front.array)
    lps = tissues.grid.to_lps(index.astype(float))
    if not len(index):
        empty = np.empty(0)
        return _Voxels(index, lps, empty, empty, empty)
    along, back, left = column.axis.coordinates(lps).T
    return _Voxels(index, lps, along, back, left)


def _plane(mark: DiscMark, voxels: _Voxels, spacing_mm: float) -> NDArray[np.float64]:
    """Fit the disc's mid-plane: its arc length and how it tilts with the distance back and left of the axis.

    The ridge keeps a disc of a few voxels square on the column.
    """
    plane = np.array([mark.position_mm, 0.0, 0.0])
    for reach in (0.4, 0.3, 0.3):
        height = _heights(voxels, plane)
        near = (np.abs(voxels.along - height) < reach * spacing_mm) & (np.abs(voxels.back) < _CENTRE_REACH_MM)
        if near.sum() < 10:
            return plane
        design = np.stack([np.ones(near.sum()), voxels.back[near], voxels.left[near]], axis=1)
        normal = design.T @ design + np.diag([0.0, _SLOPE_RIDGE, _SLOPE_RIDGE])
        plane = np.linalg.solve(normal, design.T @ voxels.along[near])
        plane[1:] = np.clip(plane[1:], -_MAX_SLOPE, _MAX_SLOPE)
    return plane


def _heights(voxels: _Voxels, plane: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(plane[0] + plane[1] * voxels.back + plane[2] * voxels.left)


def _nearest_disc(voxels: _Voxels, planes: NDArray[np.float64], row: DiscRow) -> NDArray[np.intp]:
    distance = np.abs(np.stack([voxels.along - _heights(voxels, plane) for plane in planes]))
    nearest = distance.argmin(0) if len(voxels.along) else np.empty(0, dtype=np.intp)
    reach = np.array([0.4 * row.spacing_mm(mark.position_mm) for mark in row.marks])
    return np.where(distance.min(0) < reach[nearest], nearest, -1) if len(nearest) else nearest


def _body_between(voxels: _Voxels, planes: NDArray[np.float64], row: DiscRow) -> NDArray[np.intp]:
    """Count the discs above each voxel; below the last disc no more than one vertebra is taken."""
    below = np.stack([voxels.along - _heights(voxels, plane) for plane in planes])
    level = np.asarray((below > 0).sum(0))
    share = _SACRAL_BODY_SHARE if row.promontory is not None else 1.2
    limit_mm = share * row.spacing_mm(row.marks[-1].position_mm)
    return np.where(below[-1] > limit_mm, -1, level)


def _body(voxels: _Voxels, mine: NDArray[np.bool_], which: int, row: DiscRow, column: Column) -> BodyInstance | None:
    core = mine & (np.abs(voxels.back) < column.reach_mm) & (np.abs(voxels.left) < _CENTRE_REACH_MM)
    if not core.any():
        return None
    height_mm = float(np.subtract(*np.percentile(voxels.along[core], [97.5, 2.5])))
    spacing_mm = row.spacing_mm(float(voxels.along[core].max()))
    if height_mm < 0.2 * spacing_mm or core.sum() < 20:
        return None
    edge = _cut_share(voxels.index[core], column.front.shape, (1, 2))
    # The centre of the axis is that of its body: the dens above it is left out.
    level = core & (voxels.along > float(voxels.along[core].max()) - _DENS_FREE_SHARE * spacing_mm)
    centre = voxels.lps[level].mean(0)
    if _cut_share(voxels.index[core], column.front.shape, (0,)) > 0.02:
        centre = _into_canal_plane(centre, column)
    sacral = row.promontory is not None and which == len(row.marks)
    cut = edge >= _CUT_SHARE
    complete = not cut and height_mm > 0.45 * spacing_mm
    volume_mm3 = float(core.sum()) * column.front.grid.voxel_volume_mm3
    place = (float(centre[0]), float(centre[1]), float(centre[2]))
    return BodyInstance(place, complete, cut, height_mm, volume_mm3, sacral)


def _cut_share(index: NDArray[np.intp], shape: tuple[int, int, int], axes: tuple[int, ...]) -> float:
    """Share of voxels on the grid's outer faces across some axes."""
    last = np.array(shape) - 1
    return float(((index == 0) | (index == last))[:, axes].any(1).mean())


def _into_canal_plane(centre: NDArray[np.float64], column: Column) -> NDArray[np.float64]:
    """Move a centre into the sagittal plane of the canal.

    A slab narrower than the body shows only part of it, off centre where the slab is oblique; the canal is narrow
    enough to be seen whole.
    """
    _, _, left = column.canal.coordinates(centre[None])[0]
    nearest = int(np.linalg.norm(column.canal.points - centre, axis=1).argmin())
    return np.asarray(centre - left * column.canal.left[nearest])


def _disc(mark: DiscMark, plane: NDArray[np.float64], lps: NDArray[np.float64], column: Column) -> DiscInstance:
    centre = lps.mean(0) if len(lps) >= 20 and not mark.inferred else column.axis.at(float(plane[0]))
    slope = (float(plane[1]), float(plane[2]))
    return DiscInstance((float(centre[0]), float(centre[1]), float(centre[2])), float(plane[0]), slope, mark.inferred)


def _map(voxels: _Voxels, instance: NDArray[np.intp], like: Volume) -> Volume:
    array = np.zeros(like.shape, dtype=np.uint8)
    array[tuple(voxels.index.T)] = instance + 1
    return like.with_array(array)
