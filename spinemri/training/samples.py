"""Samples for the network: a patch of a slice with its neighbours, deformed and recoloured at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from spinemri.anatomy.preparation import CONTEXT_MM, IN_PLANE_MM
from spinemri.nomenclature import Tissue
from spinemri.training.stacks import TrainingStack, membership

__all__ = ["GROUP_ROWS", "PATCH", "Sample", "collate", "draw_sample"]

PATCH = (112, 224)
"""Antero-posterior and cranio-caudal size of a patch in pixels of `IN_PLANE_MM`."""

GROUP_ROWS = 10


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
    slabs, target = _slabs(stack, index, rng)
    grid = _patch_grid(stack, index, rng)
    together = torch.from_numpy(np.concatenate([slabs, target]))[None]
    cut = torch.nn.functional.grid_sample(together, grid, mode="bilinear", align_corners=False)[0]
    image, patch = cut[:3], cut[3:]
    patch[0] += 1 - patch.sum(0)
    image, condition = _recolour(image, stack.condition, rng)
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
    mass_rows = [
        row for row, group in enumerate(stack.groups) if set(group) <= {Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE}
    ]
    choice = rng.random()
    if choice < 0.35 and mass_rows:
        amount = stack.target[mass_rows].astype(np.float32).sum((0, 2, 3))
        if amount.sum() > 0:
            return int(rng.choice(len(amount), p=amount / amount.sum()))
    if choice < 0.85 and with_canal.size:
        return int(rng.choice(with_canal))
    return int(rng.integers(stack.image.shape[0]))


def _slabs(
    stack: TrainingStack, index: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Average thin slices to a random thickness; take neighbours at a distance that inference uses."""
    pitch = stack.spacing[0]
    width = int(rng.integers(1, max(2, round(4.0 / pitch) + 1)))
    nearest = max(1, int(np.ceil(CONTEXT_MM[0] / pitch)))
    offset = int(rng.integers(nearest, max(nearest, int(CONTEXT_MM[1] / pitch)) + 1))
    sides = (-offset, 0, offset) if rng.random() < 0.5 else (offset, 0, -offset)
    slabs = np.stack([_mean_slab(stack.image, index + side, width) for side in sides])
    return slabs, _mean_slab(np.moveaxis(stack.target, 0, 1), index, width) / np.float32(255)


def _mean_slab(array: NDArray[np.generic], centre: int, width: int) -> NDArray[np.float32]:
    """Mean of `width` slices about `centre`; slices beyond the edge repeat the outermost one."""
    rows = np.clip(np.arange(width) - width // 2 + centre, 0, array.shape[0] - 1)
    mean: NDArray[np.float32] = array[rows].astype(np.float32).mean(0)
    return mean


def _patch_grid(stack: TrainingStack, index: int, rng: np.random.Generator) -> torch.Tensor:
    """Make the sampling grid of a rotated, scaled and shifted patch, near the canal in most cases."""
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
    mm_j = scale * stretch * (np.cos(angle) * across - np.sin(angle) * along)
    mm_k = scale / stretch * (np.sin(angle) * across + np.cos(angle) * along)
    j, k = centre_j + mm_j / step_j, centre_k + mm_k / step_k
    unit = np.stack([(2 * k + 1) / size_k - 1, (2 * j + 1) / size_j - 1], axis=-1)
    return torch.from_numpy(unit.astype(np.float32))[None]


def _recolour(
    image: torch.Tensor, condition: NDArray[np.float32], rng: np.random.Generator
) -> tuple[torch.Tensor, NDArray[np.float32]]:
    """Vary scale, contrast, shading, sharpness and noise; sometimes turn into a contrast of no known weighting."""
    choice = rng.random()
    if choice < 0.12:
        image, condition = _random_curve(image, rng), np.zeros_like(condition)
    elif choice < 0.24:
        condition = np.zeros_like(condition)
    top = 2.0
    image = torch.clamp(image, min=0)
    image = top * (image / top) ** float(np.exp(rng.normal(0, 0.16)))
    image = image * float(np.exp(rng.normal(0, 0.15))) * _shading(rng)
    if rng.random() < 0.3:
        image = _soften(image, rng)
    noise = torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32))
    image = image + noise * float(max(0.0, rng.normal(0.0, 0.09)))
    return image, condition


def _random_curve(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Map intensities through a random smooth curve, rising or not."""
    knots = torch.from_numpy(rng.uniform(0.05, 1.9, 7).astype(np.float32))
    knots[0] = float(rng.uniform(0, 0.3))
    place = torch.clamp(image / 3.0, 0, 0.999) * (len(knots) - 1)
    low = place.long()
    return knots[low] + (place - low) * (knots[low + 1] - knots[low])


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
