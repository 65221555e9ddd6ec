"""Masses for testing that training never saw: grown as a union of balls, of a wanted volume, pushing what is there.

Nothing is shared with `spinemri.training.implant`. There a mass is a dome over one side of the sac, measured along a
line, and the sac is squeezed like an accordion. Here it is a level set of several soft balls along a path that may
turn around the sac, at any angle; contents are pushed away from the nearest point of the mass, what touches it most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["POSITIONS", "Canal", "Grown", "grow", "painted"]

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

POSITIONS = {"posterior": 90.0, "anterior": -90.0, "left": 0.0, "right": 180.0, "posterolateral": 40.0}
"""Direction from the sac's centre in degrees: 0 to the high-index side of the slices' axis, 90 to the back."""

_SUB = 3
_EPIDURAL_MM = 5.0
_VOIDS_PER_ML = 0.4


@dataclass(frozen=True, eq=False)
class Canal:
    """What a mass grows in.

    Attributes
    ----------
    sac, blocked : (ni, nj, nk) ndarray of bool
        Dural sac with the cord; bone and disc.
    spacing : tuple of float
        mm along i (across), j (front to back), k (upwards).
    """

    sac: Mask
    blocked: Mask
    spacing: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Grown:
    """A mass.

    Attributes
    ----------
    coverage : (ni, nj, nk) ndarray of float32
    source : (3, ni, nj, nk) ndarray of float32
        Index in the scan as it was of what now lies in each voxel.
    volume_ml : float
        Sum of the coverage.
    """

    coverage: Floats
    source: Floats
    volume_ml: float


def grow(canal: Canal, position: str, volumes_ml: Sequence[float], rng: np.random.Generator) -> list[Grown] | None:
    """Let a mass grow in a canal, to one wanted volume or to several: one mass at several times.

    Parameters
    ----------
    canal : Canal
    position : str
        One of `POSITIONS`, or ``"circumferential"``.
    volumes_ml : sequence of float
    rng : numpy.random.Generator

    Returns
    -------
    list of Grown or None
        None where the canal has no room for one of the volumes.
    """
    height = _length_mm(max(volumes_ml), rng)
    centres, radii = _balls(canal, position, height, rng)
    box = _box(canal, centres, radii)
    inside = tuple(part.start for part in box)
    room = _depth(canal.sac[box], canal.spacing) + _EPIDURAL_MM
    room = np.where(canal.blocked[box] & ~canal.sac[box], -1.0, room)
    field = _field(centres - np.array(inside) * canal.spacing, radii, room.shape, canal.spacing)
    fine_room = _finer(room)
    grown = []
    for volume_ml in volumes_ml:
        cut = _level(np.where(fine_room > 0, field, 0.0), volume_ml, canal.spacing)
        if cut is None:
            return None
        coverage = np.zeros(canal.sac.shape, dtype=np.float32)
        coverage[box] = _coarser((field >= cut) & (fine_room > 0))
        held_ml = float(coverage.sum()) * float(np.prod(canal.spacing)) / 1000
        grown.append(Grown(coverage, _pushed(canal, coverage), held_ml))
    return grown


def painted(image: Floats, mass: Grown, signal: float, spacing: tuple[float, float, float], seed: int) -> Floats:
    """Show a mass in a scan: contents displaced, then the mass with grain, darker vessels and partial volume.

    Parameters
    ----------
    image : (ni, nj, nk) ndarray of float32
    mass : Grown
    signal : float
        Mean, in units of the image.
    spacing : tuple of float
    seed : int
        The same for every contrast of one patient.
    """
    rng = np.random.default_rng(seed)
    grain = ndimage.gaussian_filter(rng.standard_normal(image.shape), [2.5 / step for step in spacing])
    texture = 1 + rng.uniform(0.04, 0.12) * grain / grain.std()
    seeds = np.argwhere(mass.coverage > 0.99)
    voids = np.zeros(image.shape)
    if len(seeds):
        chosen = rng.choice(seeds, int(rng.poisson(_VOIDS_PER_ML * mass.volume_ml)))
        voids[tuple(chosen.T)] = 1.0
        voids = np.minimum(1.0, ndimage.gaussian_filter(voids, [0.8 / step for step in spacing]) * 12)
    moved = ndimage.map_coordinates(image, mass.source, order=1, mode="nearest")
    tissue = np.clip(signal * texture * (1 - 0.5 * voids), 0, None)
    return np.asarray(moved * (1 - mass.coverage) + tissue * mass.coverage, dtype=np.float32)


def _length_mm(volume_ml: float, rng: np.random.Generator) -> float:
    """Cranio-caudal length: larger masses are longer, and no two of one volume alike."""
    return float(16.0 * volume_ml**0.55 * np.exp(rng.normal(0, 0.25)) + 8.0)


def _balls(
    canal: Canal, position: str, length_mm: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres and radii of balls along a path on the sac's surface, (n, 3) each, in mm from the first voxel."""
    rows = np.flatnonzero(canal.sac.any((0, 1)))
    low, high = rows[0] * canal.spacing[2], rows[-1] * canal.spacing[2]
    half = min(length_mm / 2, (high - low) / 2 - 4)
    middle = rng.uniform(low + half + 2, max(high - half - 2, low + half + 3))
    count = max(2, round(length_mm / 7))
    heights = middle + np.linspace(-half * 0.8, half * 0.8, count) + rng.normal(0, 1.5, count)
    around = rng.uniform(0, 360) if position == "circumferential" else POSITIONS[position]
    turn = rng.uniform(120, 200) if position == "circumferential" else rng.normal(0, 15)
    angles = np.deg2rad(around + np.linspace(-0.5, 0.5, count) * turn + rng.normal(0, 12, count))
    if position == "circumferential":
        heights, angles = np.tile(heights, 2), np.concatenate([angles, angles + np.pi])
    centres = np.array([_on_surface(canal, z, angle) for z, angle in zip(heights, angles, strict=True)])
    radii = rng.uniform(3.5, 7.0, (len(centres), 1)) * np.array([1.0, 1.0, 1.6]) * np.exp(rng.normal(0, 0.15))
    return centres, radii


def _on_surface(canal: Canal, height_mm: float, angle: float) -> NDArray[np.float64]:
    """Point on the sac's edge at a height, in a direction from its centre."""
    k = int(np.clip(round(height_mm / canal.spacing[2]), 0, canal.sac.shape[2] - 1))
    rows = np.flatnonzero(canal.sac.any((0, 1)))
    k = int(rows[np.abs(rows - k).argmin()])
    index = np.argwhere(canal.sac[:, :, k]) * np.array(canal.spacing[:2])
    centre = index.mean(0)
    way = np.array([np.cos(angle), np.sin(angle)])
    along, aside = (index - centre) @ way, (index - centre) @ np.array([-way[1], way[0]])
    edge = along[np.abs(aside) <= max(canal.spacing[:2])].max(initial=0.0)
    return np.array([*(centre + edge * way), height_mm])


def _box(canal: Canal, centres: NDArray[np.float64], radii: NDArray[np.float64]) -> tuple[slice, slice, slice]:
    low, high = (centres - 3.2 * radii).min(0), (centres + 3.2 * radii).max(0)
    parts = [
        slice(max(0, int(a / step)), min(n, int(b / step) + 2))
        for a, b, step, n in zip(low, high, canal.spacing, canal.sac.shape, strict=True)
    ]
    return parts[0], parts[1], parts[2]


def _depth(sac: Mask, spacing: tuple[float, float, float]) -> Floats:
    """Distance in mm from the sac's surface, positive inside."""
    within = ndimage.distance_transform_edt(sac, sampling=spacing)
    beyond = ndimage.distance_transform_edt(~sac, sampling=spacing)
    return np.asarray(within - beyond, dtype=np.float32)


def _field(
    centres: NDArray[np.float64],
    radii: NDArray[np.float64],
    shape: tuple[int, ...],
    spacing: tuple[float, float, float],
) -> Floats:
    """Sum of soft balls at the sub-voxels of a box, `_SUB` per voxel and axis."""
    total = np.zeros([n * _SUB for n in shape], dtype=np.float32)
    axes = [((np.arange(n * _SUB) + 0.5) / _SUB - 0.5) * step for n, step in zip(shape, spacing, strict=True)]
    for centre, radius in zip(centres, radii, strict=True):
        bumps = [np.exp(-(((axis - c) / r) ** 2)) for axis, c, r in zip(axes, centre, radius, strict=True)]
        total += np.einsum("i,j,k->ijk", *(bump.astype(np.float32) for bump in bumps))
    return total


def _finer(room: Floats) -> Floats:
    places = [(np.arange(n * _SUB) + 0.5) / _SUB - 0.5 for n in room.shape]
    return np.asarray(ndimage.map_coordinates(room, np.meshgrid(*places, indexing="ij"), order=1, mode="nearest"))


def _coarser(filled: Mask) -> Floats:
    ni, nj, nk = (n // _SUB for n in filled.shape)
    return np.asarray(filled.reshape(ni, _SUB, nj, _SUB, nk, _SUB).mean((1, 3, 5)), dtype=np.float32)


def _level(field: Floats, volume_ml: float, spacing: tuple[float, float, float]) -> float | None:
    """Value of the field above which the wanted volume lies; None if that would be hardly a mass any more."""
    wanted = round(volume_ml * 1000 / float(np.prod(spacing)) * _SUB**3)
    values = np.sort(field[field > 0.02])
    return float(values[-wanted]) if 0 < wanted <= len(values) else None


def _pushed(canal: Canal, coverage: Floats) -> Floats:
    """Where the contents of the sac come from: pushed off the mass, most where they touch it."""
    index = np.indices(coverage.shape).astype(np.float32)
    mass = coverage >= 0.5
    if not mass.any():
        return index
    steps = np.array(canal.spacing, dtype=np.float32).reshape(3, 1, 1, 1)
    distance, nearest = ndimage.distance_transform_edt(~mass, sampling=canal.spacing, return_indices=True)
    depth = ndimage.distance_transform_edt(canal.sac, sampling=canal.spacing)
    deepest = ndimage.gaussian_filter(depth * mass, [1.5 / step for step in canal.spacing])
    share = ndimage.gaussian_filter(mass.astype(np.float32), [1.5 / step for step in canal.spacing])
    reach = (deepest / np.maximum(share, 1e-3))[tuple(nearest)]
    way = (nearest - index) * steps / np.maximum(distance, 1e-3)
    way[2] = 0.0
    amount = reach * np.exp(-distance / np.maximum(1.5 * reach, 2.0))
    moved = canal.sac & ~mass & (depth > 0)
    return np.where(moved, index + way * amount / steps, index).astype(np.float32)
