"""Samples for the third network: one patch of both visits, each to be outlined with the other in view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from spinemri.followup.joint_look import NEIGHBOUR, pair_input
from spinemri.followup.sampled_pair import CLASSES
from spinemri.mass.canal_input import SLOTS, CanalView
from spinemri.nomenclature import Tissue
from spinemri.training.pair_studies import CANAL, PairStudy
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

__all__ = ["PairSample", "collate_pairs", "draw_pair_sample"]

FloatArray = NDArray[np.float32]
PairSample = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Input, true coverage by mass, and how much each pixel counts; two rows, one per visit."""

_CONTENTS = [int(t) for t in CLASSES[:-1]]
_MASS = [int(Tissue.MASS_CANAL), int(Tissue.MASS_OUTSIDE)]
_SUBSETS = ((0, 1, 2, 3), (0, 1, 3), (0, 1, 2), (2, 3))
_SUBSET_SHARE = np.array([0.6, 0.15, 0.15, 0.1])
_MISTAKES = (0.75, 0.2, 0.05)
_RECOLOURED = 0.15
_IMAGES = 3 * len(SLOTS)
_COVERAGES = 3 * len(Tissue)


def draw_pair_sample(study: PairStudy, rng: np.random.Generator) -> PairSample:
    """Cut one random sample from a pair.

    Parameters
    ----------
    study : PairStudy
    rng : numpy.random.Generator

    Returns
    -------
    shown : (2, PAIR_CHANNELS, h, w) tensor
        Some of the sequences, disturbed at either visit on its own, with the outlines, now and then made wrong.
    target, weight : (2, 1, h, w) tensor
        True coverage by mass, and how much each pixel counts: little away from the canal, nothing where one visit has
        no data.
    """
    index = draw_slice(study.sizes, rng)
    corner = draw_corner(study.canal[index], rng)
    chosen = _draw_sequences(study, rng)
    visits = _cut_both(study, index, corner, chosen, rng)
    together = np.concatenate([*visits, _window(study.seen[[index]], corner)])
    cut = placed(together.astype(np.float32), rng)
    present = np.zeros(len(SLOTS), dtype=np.float32)
    present[study.slots[chosen]] = 1.0
    post_fs = any(study.fat_suppressed[s] for s in chosen if study.slots[s] == len(SLOTS) - 1)
    views, targets = [], []
    for part in (cut[: len(cut) // 2], cut[len(cut) // 2 : -1]):
        images, coverage = part[:_IMAGES], part[_IMAGES : _IMAGES + _COVERAGES]
        views.append(
            CanalView(images.reshape(len(SLOTS), 3, *PATCH), present, post_fs, coverage.reshape(len(Tissue), 3, *PATCH))
        )
        targets.append(part[-1:].clip(0, 1))
    order = (0, 1) if rng.random() < 0.5 else (1, 0)
    shown = torch.from_numpy(np.stack([pair_input(views[i], views[1 - i], 1, 1) for i in order]))
    target = torch.from_numpy(np.stack([targets[i] for i in order]))
    filled = np.maximum(*(view.coverage[CANAL, 1].sum(0) for view in views))
    canal = torch.from_numpy(filled)[None, None].maximum(target.amax(0, keepdim=True))
    weight = canal_weight(canal) * torch.from_numpy(cut[-1:])
    return shown, target, weight.repeat(2, 1, 1, 1)


def collate_pairs(samples: Sequence[PairSample]) -> PairSample:
    """Put samples into a batch, the two visits of a pair one after the other."""
    shown, target, weight = (torch.cat(part) for part in zip(*samples, strict=True))
    return shown, target, weight


def _draw_sequences(study: PairStudy, rng: np.random.Generator) -> list[int]:
    """Choose two or more of the sequences; all of them where the choice leaves one."""
    subset = _SUBSETS[int(rng.choice(len(_SUBSETS), p=_SUBSET_SHARE))]
    chosen = [n for n, slot in enumerate(study.slots) if slot in subset]
    return chosen if len(chosen) > 1 else list(range(len(study.slots)))


def _cut_both(
    study: PairStudy, index: int, corner: tuple[int, int], chosen: Sequence[int], rng: np.random.Generator
) -> list[FloatArray]:
    """Cut images, outlines and truth of both visits around a slice, (channels, h, w) each."""
    last = len(study.canal) - 1
    rows = [max(index - NEIGHBOUR, 0), index, min(index + NEIGHBOUR, last)]
    coverage = [_share(part[:, rows], corner) for part in study.coverage]
    truth = [_share(part[rows], corner) for part in study.mass]
    _misjudge(coverage, rng)
    recoloured = int(rng.integers(2)) if rng.random() < _RECOLOURED else None
    out = []
    for visit in (0, 1):
        images = np.zeros((len(SLOTS), 3, *coverage[visit].shape[2:]), dtype=np.float32)
        for s in chosen:
            picture = _window(study.signal[visit, s][rows], corner).astype(np.float32)
            if visit == recoloured:
                picture = picture * (1 + truth[visit] * np.float32(np.exp(rng.normal(0, 0.25)) - 1))
            images[study.slots[s]] = disturbed(picture, rng)
        parts = images, coverage[visit], truth[visit][1]
        out.append(np.concatenate([part.reshape(-1, *images.shape[2:]) for part in parts]))
    return out


def _misjudge(coverage: Sequence[FloatArray], rng: np.random.Generator) -> None:
    """Make the outlines of one visit or both wrong here and there, so that the images are believed where they tell."""
    for _ in range(int(rng.choice(len(_MISTAKES), p=_MISTAKES))):
        share = blob(coverage[0].shape[1:], rng) * np.float32(rng.uniform(0.3, 1.0))
        grows, other = rng.random() < 0.5, [int(rng.choice(_CONTENTS))]
        for visit in ((0,), (1,), (0, 1))[int(rng.integers(3))]:
            if grows:
                move(coverage[visit], _CONTENTS, _MASS[:1], share)
            else:
                move(coverage[visit], _MASS, other, share)


def _share(stored: NDArray[np.uint8], corner: tuple[int, int]) -> FloatArray:
    return np.asarray(_window(stored, corner).astype(np.float32) / 255, dtype=np.float32)


def _window(array: NDArray[np.generic], corner: tuple[int, int]) -> NDArray[np.generic]:
    return window(array, *corner, *(n + 2 * ROOM for n in PATCH))
