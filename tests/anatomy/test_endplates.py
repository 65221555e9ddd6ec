"""Endplates: position and tilt of known faces, on oblique and anisotropic grids."""

import numpy as np
import pytest

from spinemri.anatomy.endplates import endplates
from spinemri.volume import Grid

SPACING = np.array([3.3, 0.7, 0.6])
SHAPE = (18, 90, 90)


def _turned(degrees: float) -> np.ndarray:
    """Rotation about an axis that is none of the grid's."""
    axis = np.array([0.3, 0.9, -0.2]) / np.linalg.norm([0.3, 0.9, -0.2])
    cross = np.cross(np.eye(3), axis)
    angle = np.deg2rad(degrees)
    return np.eye(3) * np.cos(angle) + (1 - np.cos(angle)) * np.outer(axis, axis) - np.sin(angle) * cross


def _grid(degrees: float) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = _turned(degrees) @ np.diag(SPACING)
    affine[:3, 3] = (-40.0, 25.0, 300.0)
    return Grid(SHAPE, affine)


def _body(grid: Grid, wedge: float, rim_mm: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Voxels of a body 40 x 32 x 26 mm whose upper face falls by `wedge` mm per mm to the back, and its centre."""
    centre = grid.to_lps(np.array([[8.5, 45.0, 45.0]]))[0]
    x, y, z = np.moveaxis(grid.to_lps(np.indices(SHAPE).reshape(3, -1).T.astype(float)) - centre, 1, 0)
    rim = rim_mm * (y < -13.0)
    inside = (np.abs(x) < 20) & (np.abs(y) < 16) & (z < 13 - wedge * y + rim) & (z > -13)
    return np.argwhere(inside.reshape(SHAPE)), centre


@pytest.mark.parametrize("degrees", [0.0, 12.0])
@pytest.mark.parametrize("wedge", [0.0, 0.2])
def test_faces_lie_where_they_are_and_point_outwards(degrees: float, wedge: float) -> None:
    grid = _grid(degrees)
    voxels, centre = _body(grid, wedge)
    superior, inferior = endplates(voxels, grid, np.array([0.0, 0.0, 5.0]))
    assert superior is not None
    assert inferior is not None
    normal = np.array([0.0, wedge, 1.0]) / np.hypot(wedge, 1.0)
    assert np.degrees(np.arccos(np.dot(superior.normal_lps, normal))) < 2.0
    assert np.degrees(np.arccos(np.dot(inferior.normal_lps, [0, 0, -1]))) < 2.0
    # Distance of the true plane from the fitted point: half a voxel at most.
    assert np.dot(np.subtract(superior.point_lps_mm, centre) - [0, 0, 13], normal) == pytest.approx(0, abs=0.4)
    assert np.subtract(inferior.point_lps_mm, centre)[2] == pytest.approx(-13, abs=0.4)


def test_a_rim_does_not_tilt_the_plane() -> None:
    grid = _grid(0.0)
    voxels, _ = _body(grid, 0.0, rim_mm=6.0)
    superior, _ = endplates(voxels, grid, np.array([0.0, 0.0, 1.0]))
    assert superior is not None
    assert np.degrees(np.arccos(superior.normal_lps[2])) < 2.0


def test_a_face_of_a_few_voxels_has_no_plane() -> None:
    grid = _grid(0.0)
    sliver = np.argwhere(np.ones((2, 4, 40), dtype=bool))
    assert endplates(sliver, grid, np.array([0.0, 0.0, 1.0])) == (None, None)
