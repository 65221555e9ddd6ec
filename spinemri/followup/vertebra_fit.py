"""How every vertebra moved between two visits, from the images around the canal.

Least squares between the images of both visits (Lucas and Kanade 1981), symmetric, over all sequences that both have,
on bone, discs and fat outside the canal: what lies in the canal may change, the column does not. A robust weight
(Huber 1964) spares what did change, such as marrow after radiotherapy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.model import TissueMap
from spinemri.followup.midpoint import Bend, Midpoint, grid_points, level_positions
from spinemri.nomenclature import Tissue
from spinemri.volume import Grid, Volume, sample_at

__all__ = ["BendFit", "fit_bend"]

Array = NDArray[np.float64]
Field = NDArray[np.float32]

_BLURS_MM = (2.0, 1.0)
_ROUNDS = 4
_DONE_MM = 0.02
_REACH_MM = 35.0
_CANAL = 0.15
_SLOW_MM = 10.0
_HUBER = 1.5
# Neighbouring samples of a blurred and interpolated image say much the same.
_SAMPLES_PER_INDEPENDENT = 30.0
_SHIFT_SD_MM, _TURN_SD = 4.0, 0.1
_NEIGHBOUR_SHIFT_SD_MM, _NEIGHBOUR_TURN_SD = 1.0, 0.03


@dataclass(frozen=True, eq=False)
class BendFit:
    """A fitted bend and what it rests on.

    Attributes
    ----------
    midpoint : Midpoint
    similarity : float
        Correlation of the two visits' images outside the canal after the fit, mean over sequences.
    moved_mm : float
        Largest shift of a vertebra against the rigid motion.
    """

    midpoint: Midpoint
    similarity: float
    moved_mm: float


@dataclass(frozen=True, eq=False)
class _Lattice:
    grid: Grid
    points: Array
    levels: Array
    weight: Field


@dataclass(frozen=True, eq=False)
class _Difference:
    """Of two sampled images: without its slow part, the gradient of their mean, weights, and their correlation."""

    values: Field
    gradient: Array
    weight: Field
    similarity: float


def fit_bend(
    midpoint: Midpoint, grid: Grid, tissues: tuple[TissueMap, TissueMap], images: Sequence[tuple[Volume, Volume]]
) -> BendFit:
    """Refine the motion of every vertebra.

    Parameters
    ----------
    midpoint : Midpoint
        With a rigid motion that is right within a few mm; its bend is where the search starts.
    grid : Grid
        Where to compare, in midpoint mm, about 2 mm apart.
    tissues : TissueMap, TissueMap
        Of the earlier and the later visit.
    images : sequence of (Volume, Volume)
        The same sequence at both visits, illumination flattened.

    Returns
    -------
    BendFit
    """
    points = grid_points(grid)
    levels = level_positions(points, midpoint.bend.nodes)
    weight = _outside_canal(midpoint, grid, points, levels, tissues)
    lattice = _Lattice(grid, points, levels, weight)
    similarity = 0.0
    for blur in _BLURS_MM:
        smooth = [(_blurred(first, blur), _blurred(second, blur)) for first, second in images]
        for _ in range(_ROUNDS):
            step, similarity = _step(midpoint, lattice, smooth)
            midpoint = _moved(midpoint, step)
            if np.abs(step[:, :3]).max() < _DONE_MM:
                break
    moved = float(np.linalg.norm(midpoint.bend.shifts, axis=1).max())
    return BendFit(midpoint, similarity, moved)


def _outside_canal(
    midpoint: Midpoint, grid: Grid, points: Array, levels: Array, tissues: tuple[TissueMap, TissueMap]
) -> Field:
    """1 near the canal but outside it at both visits, else 0."""
    changing = np.zeros(grid.shape, np.float32)
    for visit, tissue in enumerate(tissues):
        content = _content(tissue)
        at = midpoint.points(visit, points, levels)
        np.maximum(changing, sample_at(content, at).reshape(grid.shape), out=changing)
    distance = ndimage.distance_transform_edt(changing < 0.5, sampling=grid.spacing)
    weight: Field = ((changing < _CANAL) & (distance < _REACH_MM)).astype(np.float32)
    return weight


def _content(tissues: TissueMap) -> Volume:
    return tissues.fraction(Tissue.CORD, Tissue.DURAL_SAC, Tissue.EPIDURAL, Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)


def _blurred(image: Volume, blur_mm: float) -> Volume:
    """Smooth within slices; across thick slices the acquisition has done so already."""
    sigma = [blur_mm / mm if mm < 2 * blur_mm else 0.0 for mm in image.spacing]
    return image.with_array(ndimage.gaussian_filter(image.array, sigma, mode="nearest"))


def _moved(midpoint: Midpoint, step: Array) -> Midpoint:
    bend = midpoint.bend
    return replace(midpoint, bend=Bend(bend.nodes, bend.shifts + step[:, :3], bend.turns + step[:, 3:]))


def _step(midpoint: Midpoint, lattice: _Lattice, images: Sequence[tuple[Volume, Volume]]) -> tuple[Array, float]:
    """One Gauss-Newton step of shift and turn per vertebra, (n, 6), and the similarity before it."""
    nodes, weight = midpoint.bend.nodes, lattice.weight
    at = [midpoint.points(visit, lattice.points, lattice.levels) for visit in (0, 1)]
    normal, right = _smoothness(len(nodes)), np.zeros(6 * len(nodes))
    right -= normal @ np.hstack([midpoint.bend.shifts, midpoint.bend.turns]).ravel()
    similarities = []
    for pair in images:
        first, second = (sample_at(v, p, outside=np.nan).reshape(weight.shape) for v, p in zip(pair, at, strict=True))
        found = _compare(first, second, lattice)
        similarities.append(found.similarity)
        for part, added_normal, added_right in _stretches(found, lattice, nodes):
            normal[part, part] += added_normal
            right[part] += added_right
    step: Array = np.asarray(np.linalg.solve(normal, right), np.float64).reshape(-1, 6)
    return step, float(np.mean(similarities))


def _compare(first: Field, second: Field, lattice: _Lattice) -> _Difference:
    seen = np.isfinite(first) & np.isfinite(second)
    weight = lattice.weight * ndimage.binary_erosion(seen)
    first, second = np.where(seen, first, 0), np.where(seen, second, 0)
    spacing = lattice.grid.spacing
    sigma = [_SLOW_MM / mm for mm in spacing]
    share = ndimage.gaussian_filter(weight, sigma, truncate=2.5) + 1e-3
    quick = [image - ndimage.gaussian_filter(weight * image, sigma, truncate=2.5) / share for image in (first, second)]
    difference = quick[0] - quick[1]
    used = weight > 0
    if not used.any():
        return _Difference(difference, np.zeros((difference.size, 3)), weight, 0.0)
    scale = 1.48 * float(np.median(np.abs(difference[used]))) + 1e-6
    robust = np.minimum(1.0, _HUBER * scale / np.maximum(np.abs(difference), 1e-9)) / scale**2
    similar = float(np.corrcoef(quick[0][used], quick[1][used])[0, 1])
    mean = 0.5 * (first + second)
    gradient = np.stack(np.gradient(mean, *spacing), axis=-1).reshape(-1, 3)
    axes = lattice.grid.affine[:3, :3] / np.array(spacing)
    return _Difference(difference, gradient @ axes.T, (weight * robust).astype(np.float32), similar)


def _stretches(found: _Difference, lattice: _Lattice, nodes: Array) -> Iterator[tuple[slice, Array, Array]]:
    """Parts of the normal equations, one for each stretch between neighbouring vertebrae."""
    flat = found.weight.ravel() / _SAMPLES_PER_INDEPENDENT
    below = np.clip(lattice.levels.astype(np.intp), 0, len(nodes) - 2)
    for index in range(len(nodes) - 1):
        here = np.flatnonzero((below == index) & (flat > 0))
        share = (lattice.levels[here] - index)[:, None]
        slope, points = found.gradient[here], lattice.points[here]
        columns = [
            part * moment
            for part, node in ((1 - share, nodes[index]), (share, nodes[index + 1]))
            for moment in (slope, np.cross(points - node, slope))
        ]
        jacobian = np.hstack(columns)
        weighted = jacobian * flat[here, None]
        yield slice(6 * index, 6 * index + 12), weighted.T @ jacobian, weighted.T @ found.values.ravel()[here]


def _smoothness(count: int) -> Array:
    """Inverse covariance of shifts and turns before looking: small, and alike at neighbours, (6 count, 6 count)."""
    own = np.diag([_SHIFT_SD_MM**-2] * 3 + [_TURN_SD**-2] * 3)
    alike = np.diag([_NEIGHBOUR_SHIFT_SD_MM**-2] * 3 + [_NEIGHBOUR_TURN_SD**-2] * 3)
    chain = np.zeros((count, count))
    for index in range(count - 1):
        chain[index : index + 2, index : index + 2] += np.array([[1.0, -1.0], [-1.0, 1.0]])
    return np.kron(np.eye(count), own) + np.kron(chain, alike)
