"""From geometry to an image and the exact coverage of every voxel by every tissue."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from spinemri.anatomy.model import TissueMap
from spinemri.nomenclature import Tissue
from spinemri.phantom.bones import bone_layers
from spinemri.phantom.geometry import Geometry, patient_rng
from spinemri.phantom.layers import Layer, canal_layers
from spinemri.phantom.recipe import SequenceParameters
from spinemri.phantom.shapes import Section
from spinemri.phantom.signal import MATERIALS, material_signals
from spinemri.phantom.surroundings import TRAITS, surroundings
from spinemri.phantom.texture import build_texture
from spinemri.volume import Grid, Volume, apply_affine

__all__ = ["render"]

Array = NDArray[Any]
SCALE = 1000.0
COARSE_MM = 3.0
FINEST_SECTION_MM = 1.0
MOST_SECTIONS = 4


@dataclass(frozen=True, eq=False)
class _Plane:
    """One slice of the grid: its in-plane axes, its place, and the offsets of its thin sections in voxels."""

    axis: int
    number: int
    offsets: Array
    shape: tuple[int, int]
    pitch: float


def render(
    geometry: Geometry, grid: Grid, sequence: SequenceParameters, rng: np.random.Generator
) -> tuple[Volume, TissueMap]:
    """Acquire one stack.

    Parameters
    ----------
    geometry : Geometry
    grid : Grid
        Canonical; slices are cut across its coarsest axis.
    sequence : SequenceParameters
    rng : numpy Generator
        Noise and bias only: anatomy and texture come from the geometry.

    Returns
    -------
    image : Volume
        float32, 0 to a few thousand.
    coverage : TissueMap
        Fraction of every voxel (over the slice thickness) by tissue; sums to one.
    """
    signals = material_signals(geometry.recipe, sequence)
    axis = int(np.argmax(np.round(grid.spacing, 3)))
    image = np.zeros(grid.shape, np.float32)
    coverage = np.zeros((len(Tissue), *grid.shape), np.float32)
    painter = _Painter(geometry, grid, signals)
    for number in range(grid.shape[axis]):
        plane = _plane(grid, axis, number, sequence)
        where = tuple(number if k == axis else slice(None) for k in range(3))
        image[where], coverage[(slice(None), *where)] = painter.paint(plane)
    if sequence.blur_voxels > 0.0:
        image = gaussian_filter(image, [0.0 if k == axis else sequence.blur_voxels for k in range(3)])
    image = _acquire(image * painter.coil(sequence), sequence, axis, rng)
    return Volume(image, grid.affine), TissueMap(coverage, grid.affine)


def _plane(grid: Grid, axis: int, number: int, sequence: SequenceParameters) -> _Plane:
    thickness = sequence.slice_thickness_mm or grid.spacing[axis]
    sections = int(np.clip(np.ceil(thickness / FINEST_SECTION_MM), 1, MOST_SECTIONS))
    offsets = ((np.arange(sections) + 0.5) / sections - 0.5) * thickness / grid.spacing[axis]
    inner = [k for k in range(3) if k != axis]
    shape = (grid.shape[inner[0]], grid.shape[inner[1]])
    return _Plane(axis, number, offsets, shape, float(np.mean([grid.spacing[k] for k in inner])))


class _Painter:
    """Paints slices; keeps what all slices of a stack share."""

    def __init__(self, geometry: Geometry, grid: Grid, signals: dict[str, float]) -> None:
        self._geometry = geometry
        self._grid = grid
        self._signals = signals
        self._texture = build_texture(patient_rng(geometry.recipe, 4))
        self._traits = patient_rng(geometry.recipe, 5).standard_normal(TRAITS)
        self._to_rest = np.linalg.inv(geometry.pose) @ grid.affine
        self._posterior = np.zeros(grid.shape, np.float32)
        mass = geometry.recipe.mass
        self._amplitudes = {name: m.texture for name, m in MATERIALS.items()}
        self._amplitudes["mass"] = 0.0 if mass is None else mass.texture

    def paint(self, plane: _Plane) -> tuple[Array, Array]:
        """Return signal and coverage of one slice."""
        fine, coarse = self._slice_texture(plane)
        cover = np.zeros((len(Tissue), fine.size), np.float32)
        image: Array = np.zeros(fine.size, np.float32)
        rest: Array = np.zeros(fine.size, np.float32)
        for offset in plane.offsets:
            points = self._section(plane, plane.number + float(offset))
            layers = chain(
                canal_layers(self._geometry, points, plane.pitch), bone_layers(self._geometry, points, plane.pitch)
            )
            rest += self._compose(layers, (fine, coarse), image, cover)
        count = len(plane.offsets)
        middle = self._section(plane, float(plane.number))
        fields = (coarse, self._texture.streaks(middle.s, middle.p, middle.l))
        around = surroundings(self._geometry, middle, fields, self._signals, self._traits) * (1.0 + 0.05 * fine)
        image = (image + rest * around) / count
        cover[Tissue.BACKGROUND] += rest
        index = tuple(plane.number if k == plane.axis else slice(None) for k in range(3))
        self._posterior[index] = middle.p.reshape(plane.shape)
        return image.reshape(plane.shape), (cover / count).reshape(-1, *plane.shape)

    def coil(self, sequence: SequenceParameters) -> Array:
        """Sensitivity of a surface coil behind the patient, 1 at the canal."""
        return np.asarray(np.exp(np.clip(self._posterior, -170.0, 80.0) / sequence.coil_decay_mm), np.float32)

    def _compose(self, layers: Any, textures: tuple[Array, Array], image: Array, cover: Array) -> Array:  # noqa: ANN401
        left = np.ones(image.size, np.float32)
        fine, coarse = textures
        layer: Layer
        for layer in layers:
            part = np.flatnonzero(layer.coverage > 0.0)
            if part.size == 0:
                continue
            where = layer.where[part]
            weight = (layer.coverage[part] * left[where]).astype(np.float32)
            left[where] -= weight
            tissue = layer.tissue if isinstance(layer.tissue, Tissue) else layer.tissue[part]
            cover[tissue, where] += weight
            shade = layer.shade[part] if isinstance(layer.shade, np.ndarray) else layer.shade
            amplitude = self._amplitudes[layer.material]
            value = 1.0 + amplitude * (0.7 * fine[where] + 0.7 * coarse[where])
            image[where] += weight * value * shade * self._signals[layer.material]
        return left

    def _slice_texture(self, plane: _Plane) -> tuple[Array, Array]:
        affine = self._to_rest.copy()
        affine[:3, 3] += affine[:3, plane.axis] * plane.number
        shape = [*plane.shape]
        shape.insert(plane.axis, 1)
        fine, coarse = self._texture.sample(affine, (shape[0], shape[1], shape[2]))
        return fine.ravel(), coarse.ravel()

    def _section(self, plane: _Plane, position: float) -> Section:
        """Canal coordinates of a section, exact on a coarse lattice and linear between its nodes."""
        skip = max(1, round(COARSE_MM / plane.pitch))
        nodes = [np.arange(0, n + skip, skip, dtype=float) for n in plane.shape]
        index = np.empty((len(nodes[0]), len(nodes[1]), 3))
        inner = [k for k in range(3) if k != plane.axis]
        index[..., plane.axis] = position
        index[..., inner[0]], index[..., inner[1]] = nodes[0][:, None], nodes[1][None]
        coarse = self._geometry.curve.to_canal(apply_affine(self._to_rest, index))
        rows, columns = (_linear(n, len(at), skip) for n, at in zip(plane.shape, nodes, strict=True))
        s, p, l = (  # noqa: E741
            (rows @ c.astype(np.float32) @ columns.T).ravel() for c in coarse
        )
        return self._geometry.section(s, p, l)


def _linear(count: int, nodes: int, skip: int) -> Array:
    """Weights (count, nodes) of linear interpolation between every `skip`-th sample."""
    at = np.arange(count) / skip
    low = np.minimum(at.astype(int), nodes - 2)
    out = np.zeros((count, nodes), np.float32)
    out[np.arange(count), low] = 1.0 - (at - low)
    out[np.arange(count), low + 1] = at - low
    return out


def _acquire(image: Array, sequence: SequenceParameters, axis: int, rng: np.random.Generator) -> Array:
    """Add receive bias, ghosts and Rician noise."""
    slopes = rng.normal(0.0, 0.5 * sequence.bias, 3)
    curves = rng.normal(0.0, 0.5 * sequence.bias, 3)
    axes = np.ix_(*[np.linspace(-0.5, 0.5, n, dtype=np.float32) for n in image.shape])
    field = sum(a * x + b * x * x for a, b, x in zip(slopes, curves, axes, strict=True))
    image = image * np.exp(field).astype(np.float32) * np.float32(SCALE)
    if sequence.ghosting > 0.0:
        phase = 1 if axis != 1 else 0
        image = image + sequence.ghosting * np.roll(image, image.shape[phase] // 3, axis=phase)
    sigma = np.float32(sequence.noise * SCALE)
    real = image + sigma * rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(np.hypot(real, sigma * rng.standard_normal(image.shape, dtype=np.float32)), np.float32)
