"""Patches for the networks that look at the canal: cut, turned, and made to look as on another day."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = [
    "PATCH",
    "ROOM",
    "blob",
    "canal_weight",
    "disturbed",
    "draw_corner",
    "draw_slice",
    "move",
    "placed",
    "window",
]

FloatArray = NDArray[np.float32]

PATCH = (56, 112)
"""Antero-posterior and cranio-caudal size in pixels of `spinemri.mass.canal_input.WORKING_MM`."""

ROOM = 8
"""Pixels on every side that a patch is cut larger than it will be, so that it can be turned."""


def draw_slice(sizes: NDArray[np.float64], rng: np.random.Generator) -> int:
    """Draw a slice by how much of the canal it shows.

    Never by how much of the mass: what may be mass or not would be mass more often than it is, and volumes came out 4 %
    too large.

    Parameters
    ----------
    sizes : (ni,) ndarray
        How much of each slice the canal and what lies in it take.
    rng : numpy.random.Generator
    """
    return int(rng.choice(len(sizes), p=(sizes + 1) / (sizes + 1).sum()))


def draw_corner(canal: NDArray[np.floating], rng: np.random.Generator) -> tuple[int, int]:
    """Draw where a patch begins: near the canal antero-posteriorly, anywhere along it, wherever the mass is.

    Parameters
    ----------
    canal : (h, w) ndarray
        Coverage by the canal and what lies in it in one slice.
    rng : numpy.random.Generator
    """
    height, width = canal.shape
    left = int(rng.integers(-PATCH[1] // 4, max(width - 3 * PATCH[1] // 4, 1 - PATCH[1] // 4))) - ROOM
    across = canal[:, max(left, 0) : max(left, 0) + PATCH[1]].sum(1, dtype=np.float64)
    centre = float((across * np.arange(height)).sum() / across.sum()) if across.sum() > 0 else height / 2
    return round(centre + rng.normal(0, 6) - PATCH[0] / 2) - ROOM, left


def canal_weight(canal: torch.Tensor) -> torch.Tensor:
    """Weigh the canal, (n, 1, h, w), and what lies within four pixels of it; little what lies elsewhere."""
    return 0.05 + torch.nn.functional.max_pool2d(canal, 9, stride=1, padding=4).clamp(0, 1)


def window(array: NDArray[np.generic], top: int, left: int, height: int, width: int) -> NDArray[np.generic]:
    """Cut the last two axes, repeating the edge beyond them."""
    rows = np.clip(np.arange(top, top + height), 0, array.shape[-2] - 1)
    columns = np.clip(np.arange(left, left + width), 0, array.shape[-1] - 1)
    part = array[..., rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.ascontiguousarray(part[..., rows - rows[0], :][..., columns - columns[0]])


def move(coverage: FloatArray, giving: list[int], taking: list[int], share: FloatArray) -> None:
    """Let some tissues give a share of what they cover to another."""
    taken = coverage[giving] * share
    coverage[giving] -= taken
    coverage[taking] += taken.sum(0)


def blob(shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Smooth ellipse somewhere in the patch, of differing strength from slice to slice."""
    _, height, width = shape
    row, column = rng.uniform(0.25, 0.75) * height, rng.uniform(0.1, 0.9) * width
    semi = rng.uniform(3, 14), rng.uniform(4, 35)
    rows, columns = np.ogrid[:height, :width]
    away = np.sqrt(((rows - row) / semi[0]) ** 2 + ((columns - column) / semi[1]) ** 2)
    strength = rng.uniform(0.3, 1.0, (shape[0], 1, 1)).astype(np.float32)
    return (strength / (1 + np.exp((away - 1) * 6))).astype(np.float32)


def placed(channels: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Turn and scale a patch a little, and cut it to size."""
    height, width = channels.shape[1:]
    angle, scale = np.deg2rad(rng.normal(0, 6)), np.exp(rng.normal(0, 0.08))
    across, along = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in PATCH), indexing="ij")
    j = (np.cos(angle) * across - np.sin(angle) * along) * scale + (height - 1) / 2
    k = (np.sin(angle) * across + np.cos(angle) * along) * scale + (width - 1) / 2
    unit = np.stack([(2 * k + 1) / width - 1, (2 * j + 1) / height - 1], axis=-1).astype(np.float32)
    cut = torch.nn.functional.grid_sample(
        torch.from_numpy(channels)[None], torch.from_numpy(unit)[None], padding_mode="border", align_corners=False
    )
    out: FloatArray = cut[0].numpy()
    return out


def disturbed(picture: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Vary scale, gamma, shading, sharpness and noise of one sequence."""
    top = 2.0
    image = torch.from_numpy(np.maximum(picture, 0)) / top
    image = top * image ** float(np.exp(rng.normal(0, 0.16))) * float(np.exp(rng.normal(0, 0.15)))
    coarse = torch.from_numpy(rng.normal(0, 0.12, (1, 1, 3, 4)).astype(np.float32))
    size = image.shape[1:]
    image = image * torch.exp(
        torch.nn.functional.interpolate(coarse, size=size, mode="bilinear", align_corners=True)[0]
    )
    if rng.random() < 0.2:
        small = [max(8, int(n * rng.uniform(0.5, 1.0))) for n in size]
        image = torch.nn.functional.interpolate(image[None], size=small, mode="bilinear", antialias=True)
        image = torch.nn.functional.interpolate(image, size=size, mode="bilinear")[0]
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(max(0.0, rng.normal(0.0, 0.08)))
    return image.numpy() + noise
