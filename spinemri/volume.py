"""Arrays that never travel without their geometry.

Words used here
---------------
LPS
    Patient coordinates in mm: +x to the patient's left, +y posterior, +z superior (DICOM PS3.3 C.7.6.2).
    RAS exists only in NIfTI readers and writers.
affine
    4 x 4 matrix from voxel indices (i, j, k) of the array to LPS mm of the voxel's centre.
canonical
    Axes permuted and flipped so that i, j, k run closest to left, posterior, superior. A canonical sagittal
    stack is ``array[slice, antero-posterior, cranio-caudal]``.
grid
    A shape with an affine: where samples lie, without their values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = [
    "Grid",
    "Volume",
    "apply_affine",
    "box_around",
    "canonical",
    "canonical_grid",
    "crop",
    "nearest_axes",
    "resample",
    "sample_at",
]

FloatArray = NDArray[np.floating[Any]]


_ROUNDING = 1e-9
_OVERSHOOT = 1e-3


@dataclass(frozen=True, eq=False)
class Grid:
    """Where samples lie in the patient.

    Attributes
    ----------
    shape : tuple of int
        Number of voxels along i, j, k.
    affine : (4, 4) ndarray of float64
        Voxel index to LPS mm.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        affine: NDArray[np.float64] = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4):
            raise ValueError(f"affine must be 4 x 4, got shape {affine.shape}")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise ValueError("affine is singular: the voxel axes do not span space")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along i, j, k in mm."""
        di, dj, dk = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(di), float(dj), float(dk)

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in mm3, right for sheared grids too."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def to_lps(self, index: FloatArray) -> NDArray[np.float64]:
        """Map voxel indices (..., 3) to LPS mm (..., 3)."""
        return apply_affine(self.affine, index)

    def to_index(self, lps: FloatArray) -> NDArray[np.float64]:
        """Map LPS mm (..., 3) to continuous voxel indices (..., 3)."""
        return apply_affine(np.linalg.inv(self.affine), lps)

    def part(self, box: Sequence[slice]) -> Grid:
        """Return the grid of a box of voxels, ``start <= index < stop`` along each axis."""
        affine = self.affine.copy()
        affine[:3, 3] = self.to_lps(np.array([along.start for along in box], dtype=float))
        i, j, k = (along.stop - along.start for along in box)
        return Grid((i, j, k), affine)

    def same_as(self, other: Grid, *, tolerance_mm: float = 1e-3) -> bool:
        """Tell whether two grids have the same shape and voxel centres within a tolerance in mm."""
        if self.shape != other.shape:
            return False
        corners = np.array([[0, 0, 0], np.array(self.shape) - 1], dtype=float)
        axes = float(np.abs(self.affine[:3, :3] - other.affine[:3, :3]).max()) * max(self.shape)
        ends = float(np.abs(self.to_lps(corners) - other.to_lps(corners)).max())
        return max(axes, ends) <= tolerance_mm


@dataclass(frozen=True, eq=False)
class Volume:
    """A three-dimensional array in patient space.

    Attributes
    ----------
    array : (ni, nj, nk) ndarray
        Voxel values; made read-only.
    affine : (4, 4) ndarray of float64
        Voxel index to LPS mm.
    frame_of_reference_uid : str
        Two volumes share patient coordinates only if this is equal and not empty.
    """

    array: NDArray[Any]
    affine: NDArray[np.float64]
    frame_of_reference_uid: str = ""

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise ValueError(f"array must have 3 dimensions, got shape {self.array.shape}")
        view = self.array.view()
        view.setflags(write=False)
        object.__setattr__(self, "array", view)
        object.__setattr__(self, "affine", self.grid_of(view, self.affine).affine)

    @staticmethod
    def grid_of(array: NDArray[Any], affine: NDArray[np.float64]) -> Grid:
        """Return the grid of an array with its affine."""
        ni, nj, nk = array.shape
        return Grid((ni, nj, nk), affine)

    @property
    def grid(self) -> Grid:
        """The volume's geometry."""
        return self.grid_of(self.array, self.affine)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along i, j, k."""
        return self.grid.shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along i, j, k in mm."""
        return self.grid.spacing

    def with_array(self, array: NDArray[Any]) -> Volume:
        """Return another array on the same grid.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        if array.shape != self.array.shape:
            raise ValueError(f"array has shape {array.shape}, the grid {self.array.shape}")
        return Volume(array, self.affine, self.frame_of_reference_uid)


def apply_affine(affine: FloatArray, points: FloatArray) -> NDArray[np.float64]:
    """Apply a 4 x 4 affine to points of shape (..., 3)."""
    out: NDArray[np.float64] = np.asarray(points, dtype=np.float64) @ affine[:3, :3].T + affine[:3, 3]
    return out


def nearest_axes(affine: NDArray[np.float64]) -> tuple[list[int], list[bool]]:
    """Find the voxel axis that runs closest to each of L, P, S.

    Parameters
    ----------
    affine : (4, 4) ndarray
        Voxel index to LPS mm.

    Returns
    -------
    order : list of int
        Voxel axis for L, for P, for S; each axis once.
    flips : list of bool
        Whether that voxel axis runs the other way.
    """
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    order: list[int] = [0, 0, 0]
    free_rows, free_columns = {0, 1, 2}, {0, 1, 2}
    # The largest cosine of all is settled first, so that an oblique stack never gets one axis twice.
    for flat in np.argsort(-np.abs(cosines), axis=None, kind="stable"):
        row, column = divmod(int(flat), 3)
        if row in free_rows and column in free_columns:
            order[row] = column
            free_rows.remove(row)
            free_columns.remove(column)
    flips = [bool(cosines[row, column] < 0) for row, column in enumerate(order)]
    return order, flips


def canonical_grid(grid: Grid) -> Grid:
    """Permute and flip the axes of a grid so that they run closest to left, posterior and superior.

    The affine is rounded to single precision, the most a NIfTI header can hold: a scan has the same geometry whether
    it comes as DICOM or as NIfTI. At half a metre from the origin that is 0.00003 mm.

    Parameters
    ----------
    grid : Grid
        In any axis order.

    Returns
    -------
    Grid
    """
    order, flips = nearest_axes(grid.affine)
    affine = grid.affine.copy()
    affine[:, :3] = grid.affine[:, order]
    shape = tuple(grid.shape[axis] for axis in order)
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (shape[axis] - 1)
            affine[:3, axis] *= -1
    return Grid((shape[0], shape[1], shape[2]), affine.astype(np.float32).astype(np.float64))


def canonical(volume: Volume) -> Volume:
    """Permute and flip axes so that they run closest to left, posterior and superior; no resampling.

    Parameters
    ----------
    volume : Volume
        In any axis order.

    Returns
    -------
    Volume
        Same voxels at the same places in the patient, on the `canonical_grid`.
    """
    order, flips = nearest_axes(volume.affine)
    axes = tuple(axis for axis, flip in enumerate(flips) if flip)
    array = np.ascontiguousarray(np.flip(np.transpose(volume.array, order), axes))
    return Volume(array, canonical_grid(volume.grid).affine, volume.frame_of_reference_uid)


def box_around(mask: NDArray[np.bool_], spacing: Sequence[float], margin_mm: float) -> tuple[slice, slice, slice]:
    """Return the smallest box that holds everything within a distance of what is set, clipped to the array.

    Parameters
    ----------
    mask : (ni, nj, nk) ndarray of bool
        Something must be set.
    spacing : sequence of float
        mm along i, j, k.
    margin_mm : float
    """
    found = ndimage.find_objects(mask.astype(np.uint8))[0]
    margins = [int(np.ceil(margin_mm / step)) for step in spacing]
    i, j, k = (
        slice(max(0, part.start - m), min(n, part.stop + m))
        for part, m, n in zip(found, margins, mask.shape, strict=True)
    )
    return i, j, k


def crop(volume: Volume, start: Sequence[int], stop: Sequence[int]) -> Volume:
    """Cut a box of voxels ``start <= index < stop``, clipped to the volume.

    Raises
    ------
    ValueError
        If nothing remains.
    """
    lo = [max(0, int(s)) for s in start]
    hi = [min(n, int(s)) for s, n in zip(stop, volume.shape, strict=True)]
    if any(b <= a for a, b in zip(lo, hi, strict=True)):
        raise ValueError(f"crop {list(start)}..{list(stop)} leaves nothing of shape {volume.shape}")
    box = tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))
    return Volume(volume.array[box], volume.grid.part(box).affine, volume.frame_of_reference_uid)


def sample_at(volume: Volume, lps: FloatArray, *, order: int = 1, outside: float = 0.0) -> NDArray[np.float32]:
    """Interpolate a volume at points of the patient.

    Parameters
    ----------
    volume : Volume
    lps : (..., 3) ndarray
        Points in LPS mm.
    order : int
        Spline order: 0 nearest, 1 linear, 3 cubic.
    outside : float
        Value of points beyond the outermost voxel centres.

    Returns
    -------
    (...) ndarray of float32
    """
    index = np.moveaxis(volume.grid.to_index(lps), -1, 0)
    source = volume.array if volume.array.dtype == np.float32 else volume.array.astype(np.float32)
    out: NDArray[np.float32] = ndimage.map_coordinates(
        source, index, order=order, mode="constant", cval=outside, output=np.float32
    )
    return out


def _without_rounding(
    matrix: NDArray[np.float64], shape: tuple[int, ...], source: tuple[int, ...]
) -> NDArray[np.float64]:
    """Keep what lies on the edge of the source inside it.

    Affines are stored as float32: a grid with the same outermost slices may miss them by a thousandth of a slice, and
    what lies beyond by any amount has no data. Numbers that are whole but for rounding become whole; along an axis on
    which the grid overshoots by up to that much, it is narrowed by as much.
    """
    whole = np.round(matrix)
    out = np.where(np.abs(matrix - whole) < _ROUNDING, whole, matrix)
    ends = np.array(np.meshgrid(*((0, n - 1) for n in shape), indexing="ij")).reshape(3, -1)
    index = out[:3, :3] @ ends + out[:3, 3:]
    for axis, last in enumerate(n - 1 for n in source):
        low, high = index[axis].min(), index[axis].max()
        if -_OVERSHOOT < low < 0 or last < high < last + _OVERSHOOT:
            factor = last / (last + 2 * _OVERSHOOT)
            out[axis] *= factor
            out[axis, 3] += factor * _OVERSHOOT
    return out


def resample(volume: Volume, grid: Grid, *, order: int = 1, outside: float = 0.0) -> Volume:
    """Sample a volume on another grid of the same patient space.

    No smoothing is applied: use it to go finer or to change axes, not to go much coarser.

    Parameters
    ----------
    volume : Volume
    grid : Grid
        Where the result's voxels lie.
    order : int
        Spline order: 0 nearest (labels), 1 linear, 3 cubic.
    outside : float
        Value where the source has no data.

    Returns
    -------
    Volume
        float32 on `grid`.
    """
    matrix = _without_rounding(np.linalg.inv(volume.affine) @ grid.affine, grid.shape, volume.shape)
    source = volume.array if volume.array.dtype == np.float32 else volume.array.astype(np.float32)
    array = ndimage.affine_transform(
        source,
        matrix[:3, :3],
        offset=matrix[:3, 3],
        output_shape=grid.shape,
        order=order,
        mode="constant",
        cval=outside,
        output=np.float32,
    )
    return Volume(array, grid.affine, volume.frame_of_reference_uid)
