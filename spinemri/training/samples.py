"""Samples for the network: a patch of a slice with its neighbours, deformed and recoloured at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from spinemri.anatomy.preparation import CONTEXT_MM, IN_PLANE_MM
from spinemri.training.artefacts import disturb_rarely
from spinemri.training.contrast import random_curve, random_signals
from spinemri.training.stacks import TrainingStack, membership

__all__ = ["GROUP_ROWS", "PATCH", "Sample", "collate", "draw_sample"]

PATCH = (112, 224)
"""Antero-posterior and cranio-caudal size of a patch in pixels of `IN_PLANE_MM`."""

GROUP_ROWS = 12

_BENDING_PIXELS = 3.0
"""Largest standard deviation of the random displacement of points about 28 pixels apart."""

_PAINTED = 0.2
"""Share of samples in which every tissue gets a random signal."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One network input with its target.

    Attributes
    ----------
    image : (7, h, w) tensor
        Previous, own and next slice, then four constant planes that tell the weighting.
    target : (GROUP_ROWS, h, w) tensor
        Coverage by group, sums to one.
    members : (GROUP_ROWS, tissues) tensor
        Which tissues each group holds.
    """

    image: torch.Tensor
    target: torch.Tensor
    members: torch.Tensor


def draw_sample(stack: TrainingStack, rng: np.random.Generator) -> Sample:
    """Cut one random sample from a stack.

    Parameters
    ----------
    stack : TrainingStack
    rng : numpy.random.Generator

    Returns
    -------
    Sample
    """
    index = _draw_slice(stack, rng)
    painted = rng.random() < _PAINTED
    j, k = _patch_pixels(stack, index, rng)
    box = (_span(j, stack.image.shape[1]), _span(k, stack.image.shape[2]))
    slabs, targets = _slabs(stack, index, box, rng, every_target=painted)
    grid = _sampling_grid(j - box[0].start, k - box[1].start, slabs.shape[1:])
    together = torch.from_numpy(np.concatenate([slabs, targets.reshape(-1, *slabs.shape[1:])]))[None]
    cut = torch.nn.functional.grid_sample(together, grid, mode="bilinear", align_corners=False)[0]
    image, coverage = cut[:3], cut[3:].reshape(-1, targets.shape[1], *PATCH)
    patch = coverage[:, targets.shape[1] // 2].clone()
    patch[0] += 1 - patch.sum(0)
    if painted:
        image, condition = random_signals(image, coverage, stack.groups, rng), np.zeros_like(stack.condition)
    else:
        image, condition = _recolour(image, stack.condition, rng)
    image = _disturb(image, rng)
    planes = torch.from_numpy(condition)[:, None, None].expand(-1, *PATCH)
    rows = torch.zeros(GROUP_ROWS, *PATCH)
    rows[: patch.shape[0]] = patch
    return Sample(torch.cat([image, planes]), rows, torch.from_numpy(membership(stack.groups, GROUP_ROWS)))


def collate(samples: list[Sample]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Stack samples into a batch."""
    return (
        torch.stack([sample.image for sample in samples]),
        torch.stack([sample.target for sample in samples]),
        torch.stack([sample.members for sample in samples]),
    )


def _draw_slice(stack: TrainingStack, rng: np.random.Generator) -> int:
    """Prefer slices that show the canal or a mass, without forgetting the others."""
    with_canal = np.flatnonzero(stack.canal_centre >= 0)
    share = stack.mass_share.astype(float)
    choice = rng.random()
    if choice < 0.35 and share.sum() > 0:
        return int(rng.choice(len(share), p=share / share.sum()))
    if choice < 0.85 and with_canal.size:
        return int(rng.choice(with_canal))
    return int(rng.integers(stack.image.shape[0]))


def _slabs(
    stack: TrainingStack, index: int, box: tuple[slice, slice], rng: np.random.Generator, *, every_target: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Average thin slices to a random thickness; take neighbours at a distance that inference uses.

    Returns the three slabs within a box, (3, h, w), and the coverage of each or of the middle one, (groups, n, h, w).
    """
    pitch = stack.spacing[0]
    width = int(rng.integers(1, max(2, round(4.0 / pitch) + 1)))
    nearest = max(1, int(np.ceil(CONTEXT_MM[0] / pitch)))
    offset = int(rng.integers(nearest, max(nearest, int(CONTEXT_MM[1] / pitch)) + 1))
    sides = (-offset, 0, offset) if rng.random() < 0.5 else (offset, 0, -offset)
    slabs = np.stack([_mean_slab(stack.image[:, *box], index + side, width) for side in sides])
    target = np.moveaxis(stack.target[:, :, *box], 0, 1)
    covers = np.stack([_mean_slab(target, index + side, width) for side in (sides if every_target else (0,))], axis=1)
    return slabs, covers / np.float32(255)


def _mean_slab(array: NDArray[np.generic], centre: int, width: int) -> NDArray[np.float32]:
    """Mean of `width` slices about `centre`; slices beyond the edge repeat the outermost one."""
    rows = np.clip(np.arange(width) - width // 2 + centre, 0, array.shape[0] - 1)
    total = array[rows[0]].astype(np.float32)
    for row in rows[1:]:
        total += array[row]
    return total / np.float32(width)


def _patch_pixels(
    stack: TrainingStack, index: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Place a rotated, scaled and shifted patch, near the canal in most cases: indices j and k of its pixels."""
    _, size_j, size_k = stack.image.shape
    step_j, step_k = stack.spacing[1:]
    canal = stack.canal_centre[index]
    centred = canal >= 0 and rng.random() < 0.8
    centre_j = (canal + rng.normal(0, 22) / step_j) if centred else rng.uniform(0.2, 0.9) * size_j
    half = PATCH[1] / 2 * IN_PLANE_MM / step_k
    centre_k = rng.uniform(min(half * 0.6, size_k / 2), max(size_k - half * 0.6, size_k / 2))
    angle = np.deg2rad(np.clip(rng.normal(0, 9), -30, 30))
    scale = np.exp(rng.normal(0, 0.14)) * IN_PLANE_MM
    stretch = np.exp(rng.normal(0, 0.04))
    across, along = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in PATCH), indexing="ij")
    bent_across, bent_along = _bending(rng)
    across, along = across + bent_across, along + bent_along
    mm_j = scale * stretch * (np.cos(angle) * across - np.sin(angle) * along)
    mm_k = scale / stretch * (np.sin(angle) * across + np.cos(angle) * along)
    return centre_j + mm_j / step_j, centre_k + mm_k / step_k


def _bending(rng: np.random.Generator) -> NDArray[np.float64]:
    """Smooth random displacement of a patch's pixels in both directions, (2, h, w): no two spines have one shape."""
    coarse = torch.from_numpy(rng.normal(0, rng.uniform(0, _BENDING_PIXELS), (1, 2, 5, 8)))
    fine = torch.nn.functional.interpolate(coarse, size=PATCH, mode="bicubic", align_corners=True)
    bent: NDArray[np.float64] = fine[0].numpy()
    return bent


def _span(index: NDArray[np.float64], size: int) -> slice:
    """Range of pixels that bilinear sampling reaches, at least one of those that exist."""
    first = min(max(int(np.floor(index.min())), 0), size - 1)
    return slice(first, max(min(int(np.ceil(index.max())) + 1, size), first + 1))


def _sampling_grid(j: NDArray[np.float64], k: NDArray[np.float64], size: tuple[int, ...]) -> torch.Tensor:
    """Pixel indices in the form that `grid_sample` takes: -1..1 from edge to edge."""
    size_j, size_k = size
    unit = np.stack([(2 * k + 1) / size_k - 1, (2 * j + 1) / size_j - 1], axis=-1)
    return torch.from_numpy(unit.astype(np.float32))[None]


def _recolour(
    image: torch.Tensor, condition: NDArray[np.float32], rng: np.random.Generator
) -> tuple[torch.Tensor, NDArray[np.float32]]:
    """Sometimes turn into a contrast of no known weighting, or do not tell the weighting."""
    choice = rng.random()
    if choice < 0.08:
        return random_curve(image, rng), np.zeros_like(condition)
    return image, np.zeros_like(condition) if choice < 0.18 else condition


def _disturb(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Vary scale, gamma, shading, sharpness and noise, and rarely add what goes wrong in an examination."""
    top = 2.0
    image = torch.clamp(image, min=0)
    image = top * (image / top) ** float(np.exp(rng.normal(0, 0.16)))
    image = image * float(np.exp(rng.normal(0, 0.15))) * _shading(rng)
    if rng.random() < 0.3:
        image = _soften(image, rng)
    image = disturb_rarely(image, rng)
    noise = torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32))
    return image + noise * float(max(0.0, rng.normal(0.0, 0.09)))


def _shading(rng: np.random.Generator) -> torch.Tensor:
    """Smooth multiplicative field that a coil may leave."""
    coarse = torch.from_numpy(rng.normal(0, 0.16, (1, 1, 4, 5)).astype(np.float32))
    field = torch.nn.functional.interpolate(coarse, size=PATCH, mode="bicubic", align_corners=True)
    return torch.exp(field[0])


def _soften(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Lose resolution in one or both directions and come back."""
    size = [max(8, int(n * rng.uniform(0.45, 1.0))) for n in PATCH]
    small = torch.nn.functional.interpolate(image[None], size=size, mode="bilinear", antialias=True)
    return torch.nn.functional.interpolate(small, size=PATCH, mode="bilinear")[0]
