"""From ordered slices to a regular grid: the affine, and how each slice of the grid is made from what was acquired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemri.errors import Flag
from spinemri.intake.model import Plane
from spinemri.intake.tags import Frame
from spinemri.volume import Grid, nearest_axes

__all__ = ["SlicePlan", "plan_slices", "plane_of"]

_TOLERANCE = 0.02
_TOLERANCE_MM = 0.05
_MAX_FILLED_FRACTION = 0.25
_MAX_JITTER = 0.5


@dataclass(frozen=True, eq=False)
class SlicePlan:
    """Which acquired slices make each slice of a regular grid.

    Attributes
    ----------
    grid : Grid
        Axes along columns, rows and slices, LPS mm, not yet canonical.
    lower, upper : (n,) ndarray of int
        Acquired slices on either side of each slice of the grid.
    weight : (n,) ndarray of float
        Share of `upper`; 0 where an acquired slice lies at the place itself.
    flags : tuple of Flag
    problem : str
        Why the stack cannot be used; empty if it can.
    """

    grid: Grid
    lower: NDArray[np.intp]
    upper: NDArray[np.intp]
    weight: NDArray[np.float64]
    flags: tuple[Flag, ...] = ()
    problem: str = ""


def plan_slices(frames: Sequence[Frame]) -> SlicePlan:
    """Lay a regular grid through slices ordered along their normal.

    The slice step is the mean of the acquired positions (never SliceThickness), so a sheared stack stays sheared. A
    slice that is missing or lies off the regular place is made by linear interpolation between its neighbours.

    Parameters
    ----------
    frames : sequence of Frame
        Parallel, in order of position, one a place.

    Returns
    -------
    SlicePlan
    """
    positions = np.array([frame.position for frame in frames])
    along, step, count = _regular(frames, positions)
    grid = Grid((frames[0].columns, frames[0].rows, count), _affine(frames[0], positions[0], step))
    targets = np.arange(count, dtype=float)
    upper = np.clip(np.searchsorted(along, targets - 1e-9), 0, len(along) - 1)
    lower = np.clip(upper - 1, 0, None)
    nearest = np.where(np.abs(along[lower] - targets) < np.abs(along[upper] - targets), lower, upper)
    spacing_mm = float(np.linalg.norm(step))
    exact = np.abs(along[nearest] - targets) <= max(_TOLERANCE, _TOLERANCE_MM / spacing_mm)
    gap = np.where(upper > lower, along[upper] - along[lower], 1.0)
    weight = np.where(exact, 0.0, np.clip((targets - along[lower]) / gap, 0.0, 1.0))
    flags, problem = _judge(along, exact, targets - along[nearest], spacing_mm)
    return SlicePlan(grid, np.where(exact, nearest, lower), np.where(exact, nearest, upper), weight, flags, problem)


def _regular(
    frames: Sequence[Frame], positions: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return positions in units of the regular step, the step in mm (3,), and the number of slices."""
    normal = np.cross(frames[0].orientation[:3], frames[0].orientation[3:])
    if len(frames) == 1:
        return np.zeros(1), normal * (frames[0].slice_thickness_mm or 1.0), 1
    depth = (positions - positions[0]) @ normal
    gaps = np.diff(depth)
    # Gap by gap, because a whole number of median steps need not fit a long stack of slightly uneven slices.
    count = 1 + int(np.sum(np.maximum(1, np.round(gaps / np.median(gaps)))))
    step: NDArray[np.float64] = (positions[-1] - positions[0]) / (count - 1)
    along: NDArray[np.float64] = depth / depth[-1] * (count - 1)
    return along, step, count


def _affine(first: Frame, origin: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return columns, rows, slices -> LPS mm (DICOM PS3.3 C.7.6.2.1.1)."""
    between_rows, between_columns = first.pixel_spacing
    affine = np.eye(4)
    affine[:3, 0] = np.array(first.orientation[:3]) * between_columns
    affine[:3, 1] = np.array(first.orientation[3:]) * between_rows
    affine[:3, 2] = step
    affine[:3, 3] = origin
    return affine


def _judge(
    along: NDArray[np.float64], exact: NDArray[np.bool_], offset: NDArray[np.float64], spacing_mm: float
) -> tuple[tuple[Flag, ...], str]:
    """Say what was interpolated, or why too much would have to be."""
    missing = int(np.sum(~exact & (np.abs(offset) > _MAX_JITTER)))
    uneven = int(np.sum(~exact)) - missing
    smallest, largest = (float(np.min(np.diff(along))), float(np.max(np.diff(along)))) if len(along) > 1 else (1.0, 1.0)
    span = f"slices lie {smallest * spacing_mm:.2f} to {largest * spacing_mm:.2f} mm apart"
    if missing > _MAX_FILLED_FRACTION * len(exact) or len(along) > len(exact) or smallest < 1 - _MAX_JITTER:
        return (), f"{span}: too uneven for a regular grid"
    flags = []
    if missing:
        message = f"{missing} of {len(exact)} slices are missing and were interpolated from their neighbours."
        flags.append(Flag("MISSING_SLICES", message))
    if uneven:
        message = f"{span}; {uneven} of {len(exact)} slices were interpolated onto even spacing."
        flags.append(Flag("UNEVEN_SPACING", message))
    return tuple(flags), ""


def plane_of(grid: Grid, slice_axis: int) -> Plane:
    """Return the anatomical plane of a stack whose slices follow each other along a voxel axis of `grid`."""
    order, _ = nearest_axes(grid.affine)
    return (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)[order.index(slice_axis)]
