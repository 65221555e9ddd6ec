"""Shapes of known volume on oblique, anisotropic grids."""

import numpy as np


def oblique_affine(spacing: tuple[float, float, float], degrees: float) -> np.ndarray:
    """Affine of a sagittal stack turned about the long axis, LPS mm."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing)
    affine[:3, 3] = (-20, 12, -40)
    return affine


def ellipsoid(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    centre: tuple[float, float, float],
    radii_mm: tuple[float, float, float],
) -> np.ndarray:
    """Coverage of each voxel by an ellipsoid about a voxel index, by 4-fold supersampling along every axis."""
    fine = [(np.arange(n * 4) + 0.5) / 4 - 0.5 for n in shape]
    axes = np.meshgrid(*fine, indexing="ij", sparse=True)
    inside = sum(((a - c) * s / r) ** 2 for a, c, s, r in zip(axes, centre, spacing, radii_mm, strict=True)) <= 1
    blocks = inside.reshape(shape[0], 4, shape[1], 4, shape[2], 4)
    return blocks.mean((1, 3, 5)).astype(np.float32)
