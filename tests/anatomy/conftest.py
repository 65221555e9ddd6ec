"""Parametric columns with known centreline and level centres, on oblique anisotropic grids."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from spinemri.anatomy.model import TissueMap
from spinemri.nomenclature import REGULAR_COLUMN, Tissue
from spinemri.volume import Grid

PITCH_MM = dict(
    zip(
        REGULAR_COLUMN,
        [18, 22, 17, 17, 17, 17, 18, 19, 20, 20, 20.5, 21, 22, 23, 24, 25, 26, 28, 30, 32.5, 34, 35, 35, 34, 34],
        strict=True,
    )
)
DEPTH_MM = dict(
    zip(
        REGULAR_COLUMN,
        [15, 15, 15, 15, 16, 17, 18, 19, 20, 22, 23, 25, 26, 27, 28, 28, 29, 30, 31, 33, 34, 35, 35, 35, 28],
        strict=True,
    )
)
AXIS_TO_CANAL_MM = 24.0


@dataclass(frozen=True, eq=False)
class SyntheticColumn:
    """Tissues with their truth."""

    tissues: TissueMap
    canal_lps: np.ndarray
    body_centres: dict[str, np.ndarray]
    disc_centres: dict[str, np.ndarray]


def course(
    length_mm: float, kyphosis_deg: float, scoliosis_mm: float, sacral_deg: float, sacral_mm: float
) -> np.ndarray:
    """Centre of the canal: an arc of the given total angle, bowed to the left, bent backwards over the sacrum."""
    arc = np.arange(0.0, length_mm)
    angle = np.radians(kyphosis_deg) * (0.5 - arc / length_mm)
    angle += np.radians(sacral_deg) * np.clip((arc - (length_mm - sacral_mm)) / 50.0, 0, 1) if sacral_mm else 0.0
    # Positive angle: the canal runs caudally and to the back.
    y, z = np.cumsum(np.sin(angle)), -np.cumsum(np.cos(angle))
    x = scoliosis_mm * np.sin(np.pi * arc / length_mm)
    points = np.stack([x, y, z], axis=1)
    return points - points.mean(0)


def oblique(spacing: tuple[float, float, float], degrees: float) -> np.ndarray:
    """Axes of a sagittal stack turned about the vertical and tilted by half as much."""
    a, b = np.radians(degrees), np.radians(degrees / 2)
    yaw = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    pitch = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return yaw @ pitch @ np.diag(spacing)


def frames(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tangent = np.gradient(points, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    back = np.cross([1.0, 0, 0], tangent)
    return tangent, back / np.linalg.norm(back, axis=1, keepdims=True)


@cache
def make_column(
    first: str = "T11",
    last: str = "S1",
    *,
    spacing: tuple[float, float, float] = (3.6, 1.1, 1.0),
    slices: int = 13,
    oblique_deg: float = 8.0,
    kyphosis_deg: float = -20.0,
    scoliosis_mm: float = 0.0,
    margin_mm: float = 12.0,
    scale: float = 1.0,
    mass_mm: tuple[float, float] | None = None,
    blur_voxels: float = 0.0,
) -> SyntheticColumn:
    """Build the vertebrae `first` to `last` (with S1 the whole sacrum) and their canal.

    Top and bottom of the field of view lie `margin_mm` beyond the column (negative: they cut it).
    """
    names = list(REGULAR_COLUMN[REGULAR_COLUMN.index(first) : REGULAR_COLUMN.index(last) + 1])
    sacral_mm = 90.0 if last == "S1" else 0.0
    pitches = [scale * PITCH_MM[name] for name in names if name != "S1"]
    length = sum(pitches) + sacral_mm + 40.0
    canal = course(length, kyphosis_deg, scoliosis_mm, 45.0, sacral_mm)
    _, back = frames(canal)
    edges = 20.0 + np.concatenate([[0.0], np.cumsum(pitches)])
    grid = _grid(canal, edges, oblique(spacing, oblique_deg), slices, margin_mm, sacral_mm)
    depth_mm = scale * np.array([DEPTH_MM[name] for name in names])
    coverage = _paint(grid, canal, depth_mm, edges, sacral_mm, mass_mm)
    if blur_voxels:
        coverage = np.stack([gaussian_filter(c, (0, blur_voxels, blur_voxels)) for c in coverage])
        coverage /= coverage.sum(0)
    at = {n: 0.5 * (edges[i] + edges[i + 1] - 5.0) for i, n in enumerate(names) if n != "S1"}
    bodies = {n: canal[round(s)] - AXIS_TO_CANAL_MM * back[round(s)] for n, s in at.items()}
    discs = {
        n: canal[round(edges[i + 1] - 2.5)] - AXIS_TO_CANAL_MM * back[round(edges[i + 1] - 2.5)]
        for i, n in enumerate(names[:-1])
    }
    return SyntheticColumn(TissueMap(coverage.astype(np.float32), grid.affine, "1.2.3"), canal, bodies, discs)


def _grid(canal, edges, axes, slices, margin_mm, sacral_mm) -> Grid:
    spacing = np.linalg.norm(axes, axis=0)
    local = (canal - canal.mean(0)) @ (axes / np.linalg.norm(axes, axis=0))
    end = len(canal) - 21 if sacral_mm else int(edges[-1])
    top = local[20, 2] + margin_mm
    bottom = local[end, 2] - margin_mm
    lo = np.array([-(slices - 1) / 2 * spacing[0], local[:, 1].min() - 60.0, bottom])
    hi = np.array([0.0, local[:, 1].max() + 50.0, top])
    shape = (slices, *(int((hi[a] - lo[a]) / spacing[a]) for a in (1, 2)))
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = canal.mean(0) + (axes / np.linalg.norm(axes, axis=0)) @ lo
    return Grid(shape, affine)


def _paint(grid, canal, depth_mm, edges, sacral_mm, mass_mm) -> np.ndarray:
    voxels = grid.to_lps(np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3).astype(float))
    tangent, back = frames(canal)
    # Voxels beyond 90 mm belong to nothing; they get some frame that puts them outside everything.
    _, near = cKDTree(canal).query(voxels, distance_upper_bound=90.0)
    near = np.minimum(near, len(canal) - 1)
    offset = voxels - canal[near]
    arc = near + np.einsum("ij,ij->i", offset, tangent[near])
    ap = np.einsum("ij,ij->i", offset, back[near])
    lateral = np.einsum("ij,ij->i", offset, np.cross(tangent, back)[near])
    label = np.zeros(len(voxels), np.uint8)
    canal_end = len(canal) - 20 if sacral_mm else len(canal)
    in_canal = (ap / 8.0) ** 2 + (lateral / 10.0) ** 2 < 1
    level = np.searchsorted(edges, arc) - 1
    half_depth = 0.5 * depth_mm[np.clip(level, 0, len(depth_mm) - 1)]
    column = (np.abs(ap + AXIS_TO_CANAL_MM) < half_depth) & (np.abs(lateral) < 18)
    in_column = column & (level >= 0) & (arc < edges[-1])
    is_disc = in_column & (edges[np.clip(level + 1, 0, len(edges) - 1)] - arc < 5.0)
    label[in_column] = Tissue.BODY
    label[is_disc] = Tissue.DISC
    if sacral_mm:
        label[column & (arc >= edges[-1]) & (arc < edges[-1] + sacral_mm)] = Tissue.SACRUM
    spinous = (np.abs(lateral) < 4) & (ap > 11) & (ap < 34) & (arc > edges[0]) & (arc < edges[-1])
    label[spinous & ((arc - 20) % 30 < 14)] = Tissue.POSTERIOR_ELEMENTS
    label[in_canal & (arc < canal_end)] = Tissue.EPIDURAL
    label[in_canal & ((ap / 6.5) ** 2 + (lateral / 8.0) ** 2 < 1) & (arc < canal_end)] = Tissue.DURAL_SAC
    if mass_mm is not None:
        label[in_canal & (ap > -1) & (arc > mass_mm[0]) & (arc < mass_mm[1])] = Tissue.MASS_CANAL
    coverage = (label[None] == np.arange(len(Tissue))[:, None]).astype(np.float32)
    return coverage.reshape(len(Tissue), *grid.shape)


@pytest.fixture(name="make_column", scope="session")
def _make_column():
    return make_column
