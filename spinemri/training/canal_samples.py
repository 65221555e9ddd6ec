"""Samples of single visits: a patch around the canal from some of a study's sequences, or all of an outlined one."""

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
from spinemri.training.patches import (
    PATCH,
    ROOM,
    blob,
    canal_weight,
    disturbed,
    draw_corner,
    draw_slice,
    move,
    placed,
    window,
)

__all__ = ["Sample", "collate", "draw_canal_sample", "said_together"]

FloatArray = NDArray[np.float32]
Sample = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Input, true coverage by mass, and how much each pixel counts."""

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
        Some of the sequences, disturbed, with what the first network said of them, often made wrong; of an outlined
        study all of them, with its outlines.
    target : (1, h, w) tensor
        True coverage by mass.
    weight : (1, h, w) tensor
        How much each pixel counts: little away from the canal.
    """
    index = draw_slice(study.canal, rng)
    offset = int(np.ceil(context_offset(study.pitch_mm)))
    chosen = _draw_sequences(study, rng)
    top, left = draw_corner(study.readings[0][_CANAL, index].sum(0, dtype=np.float64), rng)
    height, width = (n + 2 * ROOM for n in PATCH)
    last = study.mass.shape[0] - 1
    rows = [max(index - offset, 0), index, min(index + offset, last)]
    read = study.readings if study.outlined else study.readings[chosen]
    readings = np.asarray(window(read[:, :, rows], top, left, height, width), dtype=np.float32) / np.float32(255)
    coverage = readings[0] if study.outlined else said_together(study, chosen, readings, rng)
    images = np.zeros((len(SLOTS), 3, height, width), dtype=np.float32)
    present = np.zeros(len(SLOTS), dtype=np.float32)
    post_fs = False
    for s in chosen:
        slot = int(study.slots[s])
        picture = window(study.images[s][rows], top, left, height, width).astype(np.float32)
        if rng.random() < _SHIFTED:
            picture = np.roll(picture, tuple(rng.integers(-1, 2, 2)), (1, 2))
        images[slot], present[slot] = disturbed(picture, rng), 1.0
        post_fs = bool(study.fat_suppressed[s]) if slot == len(SLOTS) - 1 else post_fs
    truth = window(study.mass[index][None], top, left, height, width).astype(np.float32) / 255
    click = _click(study, index, (top, left), (height, width), rng)
    together = np.concatenate(
        [images.reshape(-1, height, width), coverage.reshape(-1, height, width), truth, click[None]]
    )
    cut = placed(together, rng)
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
    return shown, target, canal_weight(canal[None])[0]


def collate(samples: Sequence[Sample]) -> Sample:
    """Stack samples into a batch."""
    inputs, targets, weights = zip(*samples, strict=True)
    return torch.stack(inputs), torch.stack(targets), torch.stack(weights)


def _draw_sequences(study: CanalStudy, rng: np.random.Generator) -> list[int]:
    """Choose two or more of the sequences, in the order of the study: one alone the second network does not see."""
    if study.outlined:
        return list(range(len(study.slots)))
    while True:
        subset = _SUBSETS[int(rng.choice(len(_SUBSETS), p=_SUBSET_SHARE))]
        chosen = [n for n, slot in enumerate(study.slots) if slot in subset]
        if len(chosen) > 1:
            return chosen


def said_together(
    study: CanalStudy, chosen: Sequence[int], readings: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Fuse what the first network said of some sequences, with varying weights, and make it wrong as often as is due.

    Parameters
    ----------
    study : CanalStudy
    chosen : sequence of int
        Sequences.
    readings : (sequences, tissues, ...) ndarray of float32
        Of the chosen ones, 0..1, the whole or a part.
    rng : numpy.random.Generator

    Returns
    -------
    (tissues, ...) ndarray of float32
    """
    weights = [float(_WEIGHT[study.slots[s]] * np.exp(rng.normal(0, 0.2))) for s in chosen]
    return _misjudged(mean_of_readings(list(readings), weights), _MISTAKES[study.first_trained_on], rng)


def _misjudged(coverage: FloatArray, shares: tuple[float, float, float], rng: np.random.Generator) -> FloatArray:
    """Make the first network wrong, so that the second believes the images where they tell.

    What the first says of the scans that it was trained on is better than what it will say of others: of these it is
    made wrong in most samples. Of generated patients that it has not seen, its own mistakes are what is to be learned.
    """
    for _ in range(int(rng.choice(3, p=shares))):
        change = rng.random()
        mass = coverage[_MASS].sum(0)
        if change < 0.3:
            move(coverage, _MASS, [int(rng.choice(_CONTENTS))], np.full_like(mass, rng.uniform(0.0, 1.0)))
        elif change < 0.6:
            sigma = (0.0, *rng.uniform(1.5, 7.0, 2))
            spilled = ndimage.gaussian_filter(mass, sigma) * np.float32(rng.uniform(0.4, 1.3))
            move(coverage, _CONTENTS, _MASS[:1], np.clip(spilled, 0.0, 1.0))
        else:
            share = blob(mass.shape, rng) * np.float32(rng.uniform(0.3, 1.0))
            if change < 0.8:
                move(coverage, _CONTENTS, _MASS[:1], share)
            else:
                move(coverage, _MASS, [int(rng.choice(_CONTENTS))], share)
    return coverage


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
