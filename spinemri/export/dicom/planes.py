"""Masks of the canonical grid, written on the image planes that the scanner made.

The canonical grid is the source's own grid with axes permuted and flipped, so a voxel of the mask is a pixel of an
image: nothing is resampled. Where the intake laid a regular grid through uneven slices, an image gets the mask of the
slice nearest to it; a slice of the grid without an image of its own (a missing one) has nowhere to go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from spinemri.intake.model import SourceInstance
from spinemri.volume import Volume

__all__ = ["ImagePlane", "Nearest", "image_planes", "nearest_plane", "on_planes"]


@dataclass(frozen=True, eq=False)
class ImagePlane:
    """One image of the source.

    Attributes
    ----------
    header : Dataset
        Of the file it lies in.
    frame : int
        Number within a multi-frame file from 1; 0 in a file of a single frame.
    used : bool
        It belongs to the stack; other frames of a multi-frame file do not.
    shape : tuple of int
        Rows, columns.
    affine : (4, 4) ndarray
        (column, row, mm along the normal) to LPS mm (DICOM PS3.3 C.7.6.2.1.1).
    """

    header: Dataset
    frame: int
    used: bool
    shape: tuple[int, int]
    affine: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Nearest:
    """The image of a stack that lies nearest to a point, and how far away it is in steps from slice to slice."""

    plane: ImagePlane
    slices_away: float


def image_planes(instances: Sequence[SourceInstance]) -> tuple[ImagePlane, ...]:
    """List the images of a stack, for a multi-frame file all its frames in order.

    Parameters
    ----------
    instances : sequence of SourceInstance

    Returns
    -------
    tuple of ImagePlane
    """
    planes: list[ImagePlane] = []
    for instance in instances:
        if not instance.frames:
            planes.append(_plane(instance.header, 0, instance.header, used=True))
            continue
        for number in range(1, int(instance.header.NumberOfFrames) + 1):
            place = _frame_geometry(instance.header, number)
            planes.append(_plane(instance.header, number, place, used=number in instance.frames))
    return tuple(planes)


def _frame_geometry(header: Dataset, number: int) -> Dataset:
    """Gather position, orientation and spacing of one frame: its own groups come before the shared ones."""
    place = Dataset()
    own = header.PerFrameFunctionalGroupsSequence[number - 1]
    for group in (*header.get("SharedFunctionalGroupsSequence", ()), own):
        for keyword in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence"):
            if group.get(keyword):
                place.update(group[keyword][0])
    return place


def _plane(header: Dataset, frame: int, place: Dataset, *, used: bool) -> ImagePlane:
    along_row, down_column = np.array(place.ImageOrientationPatient, dtype=float).reshape(2, 3)
    between_rows, between_columns = (float(mm) for mm in place.PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0] = along_row * between_columns
    affine[:3, 1] = down_column * between_rows
    affine[:3, 2] = np.cross(along_row, down_column)
    affine[:3, 3] = np.array(place.ImagePositionPatient, dtype=float)
    return ImagePlane(header, frame, used, (int(header.Rows), int(header.Columns)), affine)


def on_planes(mask: Volume, planes: Sequence[ImagePlane]) -> NDArray[Any]:
    """Write a mask of the canonical grid on the images that the grid was made of.

    Parameters
    ----------
    mask : Volume
        Canonical, on the grid of the stack.
    planes : sequence of ImagePlane
        Of the same stack.

    Returns
    -------
    (n, rows, columns) ndarray
        One image for each plane, zero on those that are not part of the stack.

    Raises
    ------
    ValueError
        If an image has another size than the grid.
    """
    out = np.zeros((len(planes), *planes[0].shape), dtype=mask.array.dtype)
    for number, plane in enumerate(planes):
        if plane.used:
            out[number] = _image(mask, plane)
    return out


def _image(mask: Volume, plane: ImagePlane) -> NDArray[Any]:
    """Cut the slice of the mask that belongs to an image, with rows and columns as the image has them."""
    steps = np.linalg.inv(mask.affine[:3, :3]) @ plane.affine[:3, :3]
    column_axis, row_axis = (int(np.abs(steps[:, axis]).argmax()) for axis in (0, 1))
    slice_axis = 3 - column_axis - row_axis
    place = float(mask.grid.to_index(plane.affine[:3, 3])[slice_axis])
    index = int(np.clip(np.rint(place), 0, mask.shape[slice_axis] - 1))
    if abs(place - index) > 1:
        raise ValueError(f"the image lies {abs(place - index):.1f} slices outside the grid of the mask")
    image: NDArray[Any] = np.take(mask.array, index, axis=slice_axis)
    # `take` leaves the two axes in ascending order; an image wants rows first.
    if row_axis > column_axis:
        image = image.T
    if image.shape != plane.shape:
        raise ValueError(f"the image has {plane.shape} rows and columns, the grid {image.shape}")
    if steps[row_axis, 1] < 0:
        image = image[::-1]
    return image[:, ::-1] if steps[column_axis, 0] < 0 else image


def nearest_plane(planes: Sequence[ImagePlane], image: Volume, point_lps_mm: Sequence[float]) -> Nearest:
    """Return the image of a stack that lies nearest to a point.

    Parameters
    ----------
    planes : sequence of ImagePlane
    image : Volume
        What the stack was read as; it may have been shifted since, where the patient moved between series.
    point_lps_mm : sequence of float

    Returns
    -------
    Nearest
    """
    used = [plane for plane in planes if plane.used]
    places = np.array([image.grid.to_index(plane.affine[:3, 3]) for plane in used])
    axis = int(np.ptp(places, axis=0).argmax()) if len(used) > 1 else 0
    # The grid starts at its outermost slice, wherever it has been shifted to.
    along = places[:, axis] - places[:, axis].min()
    wanted = float(image.grid.to_index(np.array(point_lps_mm, dtype=float))[axis])
    away = np.abs(along - wanted)
    nearest = int(away.argmin())
    return Nearest(used[nearest], float(away[nearest]))
