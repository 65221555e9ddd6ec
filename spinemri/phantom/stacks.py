"""Grids of a recipe's stacks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinemri.phantom.geometry import Geometry
from spinemri.phantom.recipe import SeriesRecipe
from spinemri.volume import Grid

__all__ = ["stack_grid"]

Array = NDArray[np.float64]


def _turn(axis: int, degrees: float) -> Array:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    i, j = [k for k in range(3) if k != axis]
    out = np.eye(3)
    out[i, i], out[i, j], out[j, i], out[j, j] = c, -s, s, c
    return out


def stack_grid(geometry: Geometry, series: SeriesRecipe) -> Grid:
    """Lay a series' grid over a patient.

    Sagittal stacks stand upright in the scanner, turned by `oblique_degrees` about the long axis. Axial stacks
    are perpendicular to the canal at their centre, tilted by `oblique_degrees` about the left-right axis.

    Returns
    -------
    Grid
        Canonical.
    """
    h, pitch = series.voxel_mm, series.slice_pitch_mm
    a, b = (max(8, round(mm / h)) for mm in series.field_of_view_mm)
    visit = geometry.visit
    centre = geometry.canal_lps(series.centre) + np.array(series.shift_mm) + np.array(visit.planning_shift_mm)
    oblique = series.oblique_degrees + visit.planning_degrees
    if series.plane == "sagittal":
        shape, spacing = (series.slices, a, b), (pitch, h, h)
        axes = _turn(2, oblique)
    else:
        shape, spacing = (a, b, series.slices), (h, h, pitch)
        axes = _axes_at(geometry, series.centre) @ _turn(0, oblique)
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2.0)
    return Grid(shape, affine)


def _axes_at(geometry: Geometry, level: str) -> Array:
    """Left, posterior and cranial unit vectors of the canal at a level, as columns, without scoliotic tilt."""
    s = geometry.column.position_mm(level)
    steps = geometry.to_lps(np.array([s - 8.0, s + 8.0]), np.zeros(2), np.zeros(2))
    up = steps[0] - steps[1]
    up[0] = 0.0
    up /= np.linalg.norm(up)
    left = np.array([1.0, 0.0, 0.0])
    return np.stack([left, np.cross(up, left), up], axis=1)
