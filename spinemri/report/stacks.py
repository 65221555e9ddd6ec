"""The images of the interactive viewer: cut to the spine, coarsened to a budget, eight bits, with their masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.model import Centreline
from spinemri.intake.model import AXIAL_ROLES, Role
from spinemri.nomenclature import Tissue
from spinemri.report.visit import Visit
from spinemri.report.windows import spine_window
from spinemri.volume import Grid, Volume, crop, resample

__all__ = ["WHITE", "ShownStack", "shown_stacks"]

WHITE = 200
"""Eight-bit value of the upper end of the usual window; brighter tissue keeps the rest for whoever widens it."""

_BUDGET_VOXELS = 11_000_000
"""Of all stacks of a page together: about 11 MB of text."""

_PIXELS_MM = (0.0, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0)
"""Pixel sizes to choose from: the finest that meets the budget; images that are coarser keep their own."""

_LEFT_MM, _FRONT_MM, _BACK_MM, _END_MM = 48.0, 66.0, 50.0, 12.0
"""How far around the centre of the canal images are kept."""

_LABELS_MM = 1.2
"""Pixels of the tissue labels on axial images, where each tissue is interpolated from the sagittal masks."""


@dataclass(frozen=True, eq=False)
class ShownStack:
    """One image of the viewer.

    Attributes
    ----------
    role : Role
    image : Volume
        uint8, see `WHITE`.
    mass : Volume or None
        Fraction of the voxel in 255ths, on the image's grid; None where the masks have other coordinates.
    tissues : Volume or None
        Ids of `Tissue` but the mass, uint8, on a grid of its own.
    """

    role: Role
    image: Volume
    mass: Volume | None
    tissues: Volume | None


def shown_stacks(visits: Sequence[Visit], *, budget: int = _BUDGET_VOXELS) -> list[list[ShownStack]]:
    """Return the images of every visit that fit into a page.

    Parameters
    ----------
    visits : sequence of Visit
    budget : int
        Voxels of all images together. Where the coarsest pixels exceed it, visits between the first and the last have
        no images.

    Returns
    -------
    list of list of ShownStack
        One list for each visit.
    """
    cut = [{role: _cut(visit, role) for role in _roles(visit)} for visit in visits]
    pixel_mm = _pixel_mm([volume for images in cut for volume in images.values()], budget)
    if pixel_mm is None:
        cut = [images if index in {0, len(cut) - 1} else {} for index, images in enumerate(cut)]
        pixel_mm = _pixel_mm([volume for images in cut for volume in images.values()], budget) or _PIXELS_MM[-1]
    return [
        [_shown(visit, role, volume, pixel_mm) for role, volume in images.items()]
        for visit, images in zip(visits, cut, strict=True)
    ]


def _roles(visit: Visit) -> list[Role]:
    return [role for role in Role if role in visit.result.images]


def _cut(visit: Visit, role: Role) -> Volume:
    """Cut an image to the surroundings of the canal; the localizer, which shows more of it, stays whole."""
    volume, line = visit.result.images[role], visit.result.anatomy.centreline
    if line is None or role is Role.LOCALIZER or not visit.can_outline(role):
        return volume
    index = volume.grid.to_index(_around(line))
    inside = index[_near(index, volume.shape)]
    if not len(inside):
        return volume
    return crop(volume, np.floor(inside.min(0)).astype(int).tolist(), (np.ceil(inside.max(0)) + 1).astype(int).tolist())


def _around(line: Centreline) -> NDArray[np.float64]:
    """Return the corners of a box around every point of the canal, (n, 3) LPS mm."""
    corners = [
        line.points_lps + left * line.left + back * line.posterior
        for left in (-_LEFT_MM, _LEFT_MM)
        for back in (-_FRONT_MM, _BACK_MM)
    ]
    ends = [corner[[0]] - _END_MM * line.tangent[[0]] for corner in corners]
    ends += [corner[[-1]] + _END_MM * line.tangent[[-1]] for corner in corners]
    points: NDArray[np.float64] = np.concatenate([*corners, *ends])
    return points


def _near(index: NDArray[np.float64], shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Keep corners at slices that exist: a short axial stack is not widened by canal far above it."""
    near: NDArray[np.bool_] = (index[:, 2] >= -1) & (index[:, 2] <= shape[2])
    return near


def _pixel_mm(volumes: Sequence[Volume], budget: int) -> float | None:
    """Return the finest pixel size at which all volumes meet the budget; None if there is none."""
    fitting = (size for size in _PIXELS_MM if sum(math.prod(_coarse(v, size).shape) for v in volumes) <= budget)
    return next(fitting, None)


def _coarse(volume: Volume, pixel_mm: float) -> Grid:
    """Return a grid of the same extent whose voxels are at least `pixel_mm` wide within the slices."""
    spacing = np.array(volume.spacing)
    across = int(spacing.argmax())
    factor = np.maximum(1.0, pixel_mm / spacing)
    factor[across] = 1.0
    shape = np.maximum(1, np.rint(np.array(volume.shape) / factor)).astype(int)
    # What the rounding leaves: the outer borders stay where they were.
    factor = np.array(volume.shape) / shape
    affine = volume.affine.copy()
    affine[:3, :3] = volume.affine[:3, :3] * factor
    affine[:3, 3] = volume.grid.to_lps((factor - 1) / 2)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _shown(visit: Visit, role: Role, volume: Volume, pixel_mm: float) -> ShownStack:
    grid = _coarse(volume, pixel_mm)
    image = _eight_bits(
        _resized(volume, grid), spine_window(visit.result.images[role], visit.result.anatomy.centreline)
    )
    if not visit.can_outline(role):
        return ShownStack(role, image, None, None)
    return ShownStack(role, image, _mass(visit.mass, grid), _tissues(visit, role, image))


def _resized(volume: Volume, grid: Grid) -> Volume:
    """Bring a volume onto a grid as fine or coarser; what a coarser pixel covers is averaged first."""
    if grid.same_as(volume.grid):
        return volume
    factor = np.array(grid.spacing) / np.array(volume.spacing)
    # A Gaussian as wide as the pixel's box: its variance is that of the wider box less that of the narrower.
    sigma = np.sqrt(np.maximum(0.0, factor**2 - 1) / 12)
    smooth = ndimage.gaussian_filter(volume.array.astype(np.float32), sigma)
    return resample(volume.with_array(smooth), grid)


def _eight_bits(volume: Volume, window: tuple[float, float]) -> Volume:
    low, high = window
    scaled = np.rint((volume.array - low) * (WHITE / (high - low)))
    return volume.with_array(np.clip(scaled, 0, 255).astype(np.uint8))


def _mass(fraction: Volume, grid: Grid) -> Volume:
    """Sample the mass on an image's grid, in the box that holds it."""
    out = np.zeros(grid.shape, np.uint8)
    inside = np.argwhere(fraction.array > 0)
    if len(inside):
        low, high = inside.min(0) - 1, inside.max(0) + 1
        corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T.astype(float)
        index = grid.to_index(fraction.grid.to_lps(corners))
        start = np.clip(np.floor(index.min(0)).astype(int), 0, grid.shape)
        stop = np.clip(np.ceil(index.max(0)).astype(int) + 1, 0, grid.shape)
        if (stop > start).all():
            box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
            affine = grid.affine.copy()
            affine[:3, 3] = grid.to_lps(start.astype(float))
            part = resample(fraction, Volume.grid_of(out[box], affine))
            out[box] = np.rint(255 * part.array)
    return Volume(out, grid.affine, fraction.frame_of_reference_uid)


def _tissues(visit: Visit, role: Role, image: Volume) -> Volume:
    """Return the tissue of every voxel but the mass, which is shown on its own."""
    tissues = visit.result.anatomy.tissues
    if role not in AXIAL_ROLES:
        return _without_mass(resample(tissues.labels, image.grid, order=0))
    grid = _coarse(image, _LABELS_MM)
    best = resample(tissues.fraction(Tissue.BACKGROUND), grid, outside=1.0).array
    labels = np.zeros(grid.shape, np.uint8)
    for tissue in (tissue for tissue in Tissue if tissue is not Tissue.BACKGROUND):
        fraction = resample(tissues.fraction(tissue), grid).array
        labels[fraction > best] = tissue
        best = np.maximum(best, fraction)
    return _without_mass(Volume(labels, grid.affine, image.frame_of_reference_uid))


def _without_mass(labels: Volume) -> Volume:
    mass = np.isin(labels.array, (Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE))
    return labels.with_array(np.where(mass, 0, labels.array).astype(np.uint8))
