"""Samples for the second network: a patch around the canal from some of a study's sequences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.preparation import context_offset
from spinemri.mass.canal_input import SLOTS, WORKING_MM, CanalView, network_input
from spinemri.mass.segment import mean_of_readings
from spinemri.nomenclature import Tissue
from spinemri.training.canal_studies import CanalStudy

__all__ = ["PATCH", "Sample", "collate", "draw_canal_sample"]

FloatArray = NDArray[np.float32]
Sample = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Input, true coverage by mass, and how much each pixel counts."""

PATCH = (56, 112)
"""Antero-posterior and cranio-caudal size in pixels of `WORKING_MM`."""

_ROOM = 8
_CANAL = [int(t) for t in (Tissue.CORD, Tissue.DURAL_SAC, Tissue.EPIDURAL, Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)]
_CONTENTS = _CANAL[:3]
_MASS = [int(Tissue.MASS_CANAL), int(Tissue.MASS_OUTSIDE)]
_WEIGHT = (1.0, 1.0, 0.7, 1.0)
_SUBSETS = ((0, 2, 3), (0, 1, 2, 3), (0, 3), (0, 2), (2, 3), (1, 2, 3), (0, 1))
_SUBSET_SHARE = np.array([0.43, 0.14, 0.15, 0.13, 0.08, 0.05, 0.02])
_MISTAKES = {True: (0.3, 0.4, 0.3), False: (0.75, 0.15, 0.1)}
"""How often the first network is made wrong never, once and twice, where it was trained on the scan and elsewhere."""

_CLICKED = 0.25
_SHIFTED = 0.25


def draw_canal_sample(study: CanalStudy, rng: np.random.Generator) -> Sample:
    """Cut one random sample from a study.

    Parameters
    ----------
    study : CanalStudy
    rng : numpy.random.Generator

    Returns
    -------
    shown : (CHANNELS_IN, h, w) tensor
        Some of the sequences, disturbed, with what the first network said of them, often made wrong.
    target : (1, h, w) tensor
        True coverage by mass.
    weight : (1, h, w) tensor
        How much each pixel counts: little away from the canal.
    """
    index = _draw_slice(study, rng)
    offset = int(np.ceil(context_offset(study.pitch_mm)))
    chosen = _draw_sequences(study, rng)
    top, left = _draw_corner(study, index, rng)
    height, width = (n + 2 * _ROOM for n in PATCH)
    last = study.mass.shape[0] - 1
    rows = [max(index - offset, 0), index, min(index + offset, last)]
    readings = _window(study.readings[chosen][:, :, rows], top, left, height, width).astype(np.float32) / 255
    weights = [float(_WEIGHT[study.slots[s]] * np.exp(rng.normal(0, 0.2))) for s in chosen]
    coverage = mean_of_readings(list(readings), weights)
    coverage = _misjudged(coverage, _MISTAKES[study.first_trained_on], rng)
    images = np.zeros((len(SLOTS), 3, height, width), dtype=np.float32)
    present = np.zeros(len(SLOTS), dtype=np.float32)
    post_fs = False
    for s in chosen:
        slot = int(study.slots[s])
        picture = _window(study.images[s][rows], top, left, height, width).astype(np.float32)
        if rng.random() < _SHIFTED:
            picture = np.roll(picture, tuple(rng.integers(-1, 2, 2)), (1, 2))
        images[slot], present[slot] = _disturbed(picture, rng), 1.0
        post_fs = bool(study.fat_suppressed[s]) if slot == len(SLOTS) - 1 else post_fs
    truth = _window(study.mass[index][None], top, left, height, width).astype(np.float32) / 255
    click = _click(study, index, (top, left), (height, width), rng)
    together = np.concatenate(
        [images.reshape(-1, height, width), coverage.reshape(-1, height, width), truth, click[None]]
    )
    cut = _placed(together, rng)
    count = len(SLOTS) * 3
    view = CanalView(
        cut[:count].reshape(len(SLOTS), 3, *PATCH),
        present,
        post_fs,
        cut[count:-2].reshape(len(Tissue), 3, *PATCH),
        np.repeat(cut[-1:], 3, 0),
    )
    shown = torch.from_numpy(network_input(view, 1, 1))
    target = torch.from_numpy(cut[-2:-1])
    canal = torch.from_numpy(view.coverage[_CANAL, 1].sum(0, keepdims=True)).maximum(target)
    near = torch.nn.functional.max_pool2d(canal[None], 9, stride=1, padding=4)[0].clamp(0, 1)
    return shown, target, 0.05 + near


def collate(samples: Sequence[Sample]) -> Sample:
    """Stack samples into a batch."""
    inputs, targets, weights = zip(*samples, strict=True)
    return torch.stack(inputs), torch.stack(targets), torch.stack(weights)


def _draw_slice(study: CanalStudy, rng: np.random.Generator) -> int:
    """Draw a slice by how much of the canal it shows.

    Never by how much of the mass: what may be mass or not would be mass more often than it is, and volumes came out 4 %
    too large.
    """
    return int(rng.choice(len(study.canal), p=(study.canal + 1) / (study.canal + 1).sum()))


def _draw_sequences(study: CanalStudy, rng: np.random.Generator) -> list[int]:
    """Choose two or more of the sequences, in the order of the study: one alone is not looked at again."""
    while True:
        subset = _SUBSETS[int(rng.choice(len(_SUBSETS), p=_SUBSET_SHARE))]
        chosen = [n for n, slot in enumerate(study.slots) if slot in subset]
        if len(chosen) > 1:
            return chosen


def _draw_corner(study: CanalStudy, index: int, rng: np.random.Generator) -> tuple[int, int]:
    """Near the canal antero-posteriorly, anywhere along it, wherever the mass is (see `_draw_slice`)."""
    height, width = study.mass.shape[1:]
    left = int(rng.integers(-PATCH[1] // 4, max(width - 3 * PATCH[1] // 4, 1 - PATCH[1] // 4))) - _ROOM
    near = slice(max(left, 0), max(left, 0) + PATCH[1])
    canal = study.readings[0][_CANAL, index, :, near].sum((0, 2), dtype=np.float64)
    centre = float((canal * np.arange(height)).sum() / canal.sum()) if canal.sum() > 0 else height / 2
    top = round(centre + rng.normal(0, 6) - PATCH[0] / 2) - _ROOM
    return top, left


def _window(array: NDArray[np.generic], top: int, left: int, height: int, width: int) -> NDArray[np.generic]:
    """Cut the last two axes, repeating the edge beyond them."""
    rows = np.clip(np.arange(top, top + height), 0, array.shape[-2] - 1)
    columns = np.clip(np.arange(left, left + width), 0, array.shape[-1] - 1)
    part = array[..., rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.ascontiguousarray(part[..., rows - rows[0], :][..., columns - columns[0]])


def _misjudged(coverage: FloatArray, shares: tuple[float, float, float], rng: np.random.Generator) -> FloatArray:
    """Make the first network wrong, so that the second believes the images where they tell.

    What the first says of the scans that it was trained on is better than what it will say of others: of these it is
    made wrong in most samples. Of generated patients that it has not seen, its own mistakes are what is to be learned.
    """
    for _ in range(int(rng.choice(3, p=shares))):
        change = rng.random()
        mass = coverage[_MASS].sum(0)
        if change < 0.3:
            _move(coverage, _MASS, [int(rng.choice(_CONTENTS))], np.full_like(mass, rng.uniform(0.0, 1.0)))
        elif change < 0.6:
            sigma = (0.0, *rng.uniform(1.5, 7.0, 2))
            spilled = ndimage.gaussian_filter(mass, sigma) * np.float32(rng.uniform(0.4, 1.3))
            _move(coverage, _CONTENTS, _MASS[:1], np.clip(spilled, 0.0, 1.0))
        else:
            blob = _blob(mass.shape, rng) * np.float32(rng.uniform(0.3, 1.0))
            if change < 0.8:
                _move(coverage, _CONTENTS, _MASS[:1], blob)
            else:
                _move(coverage, _MASS, [int(rng.choice(_CONTENTS))], blob)
    return coverage


def _move(coverage: FloatArray, giving: list[int], taking: list[int], share: FloatArray) -> None:
    """Let some tissues give a share of what they cover to another."""
    taken = coverage[giving] * share
    coverage[giving] -= taken
    coverage[taking] += taken.sum(0)


def _blob(shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Smooth ellipse somewhere in the patch, of differing strength from slice to slice."""
    _, height, width = shape
    row, column = rng.uniform(0.25, 0.75) * height, rng.uniform(0.1, 0.9) * width
    semi = rng.uniform(3, 14), rng.uniform(4, 35)
    rows, columns = np.ogrid[:height, :width]
    away = np.sqrt(((rows - row) / semi[0]) ** 2 + ((columns - column) / semi[1]) ** 2)
    strength = rng.uniform(0.3, 1.0, (shape[0], 1, 1)).astype(np.float32)
    return (strength / (1 + np.exp((away - 1) * 6))).astype(np.float32)


def _click(
    study: CanalStudy, index: int, corner: tuple[int, int], size: tuple[int, int], rng: np.random.Generator
) -> FloatArray:
    """Distance of every pixel from a point in the mass; far from everything where nobody pointed."""
    far = np.full(size, 1000.0, dtype=np.float32)
    if rng.random() >= _CLICKED:
        return far
    inside = np.argwhere(study.mass[index] >= 230)
    if not len(inside):
        return far
    row, column = inside[int(rng.integers(len(inside)))]
    away = int(rng.choice([0, 0, 1, 2])) * study.pitch_mm
    rows = (np.arange(size[0]) + corner[0] - row) * WORKING_MM
    columns = (np.arange(size[1]) + corner[1] - column) * WORKING_MM
    return np.sqrt(rows[:, None] ** 2 + columns[None] ** 2 + away**2).astype(np.float32)


def _placed(channels: FloatArray, rng: np.random.Generator) -> FloatArray:
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


def _disturbed(picture: FloatArray, rng: np.random.Generator) -> FloatArray:
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
