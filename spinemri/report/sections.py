"""Plane images as a radiologist looks at them, each with its place in the patient.

Convention: axial images are seen from the feet (the patient's left is on the image's right, anterior on top);
sagittal images have anterior on the left and superior on top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemri.volume import Volume, sample_at

__all__ = ["Section", "framed", "native_axial", "native_sagittal", "perpendicular"]

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Section:
    """A plane image.

    Attributes
    ----------
    image : (rows, columns) ndarray
        First row on top, first column on the left.
    origin_lps : (3,) ndarray
        Centre of the top left pixel, LPS mm.
    right, down : (3,) ndarray
        From a pixel to its neighbour on the right and below, LPS mm.
    number, count : int
        Slice number from 1 and number of slices; 0 for a reformatted section.
    """

    image: NDArray[Any]
    origin_lps: Vector
    right: Vector
    down: Vector
    number: int = 0
    count: int = 0

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Width and height of a pixel in mm."""
        return float(np.linalg.norm(self.right)), float(np.linalg.norm(self.down))

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height of the image in mm."""
        width, height = self.pixel_mm
        return self.image.shape[1] * width, self.image.shape[0] * height

    @property
    def normal(self) -> Vector:
        """Unit vector across the plane."""
        across = np.cross(self.right, self.down)
        unit: Vector = across / np.linalg.norm(across)
        return unit

    def to_pixel(self, lps: Vector) -> Vector:
        """Project points (..., 3) onto the plane; return (..., 2) column and row."""
        basis = np.stack([self.right, self.down, self.normal], axis=1)
        offset = np.asarray(lps, dtype=np.float64) - self.origin_lps
        solved: Vector = offset @ np.linalg.inv(basis).T
        return solved[..., :2]

    def to_mm(self, lps: Vector) -> Vector:
        """Project points (..., 3) onto the plane; return (..., 2) mm from the image's left and top edge."""
        pixel: Vector = (self.to_pixel(lps) + 0.5) * np.array(self.pixel_mm)
        return pixel

    def distance_mm(self, lps: Vector) -> float:
        """Distance of a point from the plane in mm."""
        return abs(float((np.asarray(lps) - self.origin_lps) @ self.normal))

    def contains(self, lps: Vector) -> bool:
        """Tell whether a point's projection falls inside the image."""
        column, row = self.to_pixel(lps)
        rows, columns = self.image.shape
        return bool(-0.5 <= column <= columns - 0.5 and -0.5 <= row <= rows - 0.5)

    def points_lps(self) -> Vector:
        """Return the pixel centres, (rows, columns, 3) LPS mm."""
        rows, columns = self.image.shape
        across = np.arange(columns)[None, :, None] * self.right
        points: Vector = self.origin_lps + across + np.arange(rows)[:, None, None] * self.down
        return points

    def sample(self, volume: Volume) -> NDArray[np.float32]:
        """Interpolate another volume of the same patient space at the pixel centres."""
        return sample_at(volume, self.points_lps(), order=1)


def _nearest_slice(volume: Volume, axis: int, lps: Vector) -> int:
    index = float(volume.grid.to_index(np.asarray(lps, dtype=np.float64))[axis])
    return int(np.clip(math.floor(index + 0.5), 0, volume.shape[axis] - 1))


def native_sagittal(volume: Volume, through_lps: Vector) -> Section:
    """Return the sagittal slice nearest to a point, as acquired.

    Parameters
    ----------
    volume : Volume
        Canonical sagittal stack.
    through_lps : (3,) ndarray
        LPS mm.

    Returns
    -------
    Section
    """
    index = _nearest_slice(volume, 0, through_lps)
    affine = volume.affine
    top = volume.grid.to_lps(np.array([index, 0, volume.shape[2] - 1], dtype=float))
    image = volume.array[index].T[::-1]
    return Section(image, top, affine[:3, 1].copy(), -affine[:3, 2], index + 1, volume.shape[0])


def native_axial(volume: Volume, through_lps: Vector) -> Section | None:
    """Return the axial slice nearest to a point, as acquired.

    Parameters
    ----------
    volume : Volume
        Canonical axial stack.
    through_lps : (3,) ndarray
        LPS mm.

    Returns
    -------
    Section or None
        None where the point lies outside the stack by more than one slice or outside the image.
    """
    depth = float(volume.grid.to_index(np.asarray(through_lps, dtype=np.float64))[2])
    if not -1.0 <= depth <= volume.shape[2]:
        return None
    index = _nearest_slice(volume, 2, through_lps)
    corner = volume.grid.to_lps(np.array([0, 0, index], dtype=float))
    # Slices are numbered from the top, as they are read.
    number = volume.shape[2] - index
    image = volume.array[:, :, index].T
    section = Section(image, corner, volume.affine[:3, 0].copy(), volume.affine[:3, 1].copy(), number, volume.shape[2])
    return section if section.contains(through_lps) else None


def perpendicular(
    volume: Volume, centre_lps: Vector, *, left: Vector, posterior: Vector, size_mm: float, pixel_mm: float = 0.5
) -> Section:
    """Reformat a section perpendicular to the canal.

    Parameters
    ----------
    volume : Volume
    centre_lps : (3,) ndarray
        LPS mm.
    left, posterior : (3,) ndarray
        Unit vectors of the section: the patient's left goes to the image's right, posterior down.
    size_mm, pixel_mm : float
        Side of the square section and of its pixels.

    Returns
    -------
    Section
    """
    count = round(size_mm / pixel_mm)
    right, down = left * pixel_mm, posterior * pixel_mm
    origin = centre_lps - (right + down) * (count - 1) / 2
    frame = Section(np.zeros((count, count), np.float32), origin, right, down)
    return Section(frame.sample(volume), origin, right, down)


def framed(section: Section, low_mm: Vector, size_mm: Vector) -> Section:
    """Cut a rectangle of a given size, black where it reaches beyond the image, so that pictures compare in size.

    Parameters
    ----------
    section : Section
    low_mm : (2,) ndarray
        Left top corner, mm from the image's left and top edge; may be negative.
    size_mm : (2,) ndarray
        Width and height.

    Returns
    -------
    Section
    """
    pixel = np.array(section.pixel_mm)
    c0, r0 = (int(v) for v in np.rint(low_mm / pixel))
    columns, rows = (max(1, int(v)) for v in np.rint(size_mm / pixel))
    image = np.zeros((rows, columns), section.image.dtype)
    height, width = section.image.shape
    top, left = max(0, -r0), max(0, -c0)
    part = section.image[max(0, r0) : min(height, r0 + rows), max(0, c0) : min(width, c0 + columns)]
    if part.size:
        image[top : top + part.shape[0], left : left + part.shape[1]] = part
    origin = section.origin_lps + c0 * section.right + r0 * section.down
    return Section(image, origin, section.right, section.down, section.number, section.count)
