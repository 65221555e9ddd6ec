"""Training of the third network; resumable and seeded like that of the others (`spinemri.training.train`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from spinemri.training.pair_network import PairUNet
from spinemri.training.pair_samples import PairSample, collate_pairs, draw_pair_sample
from spinemri.training.pair_studies import PairStudy
from spinemri.training.train import Batches, Plan, fit

__all__ = ["pair_loss", "train_pair"]

_CHANGE_WEIGHT = 0.5
_SMALL_PIXELS = 150.0
"""Size of mass in a patch below which errors of the change count less and less."""


def train_pair(
    studies: Sequence[PairStudy], weights: Sequence[float], plan: Plan, folder: Path, *, start: Path | None = None
) -> Path:
    """Train, or go on from the checkpoint in a folder.

    Parameters
    ----------
    studies : sequence of PairStudy
    weights : sequence of float
        How often each pair is drawn, relative to the others.
    plan : Plan
    folder : Path
        Receives ``checkpoint.pt`` and ``log.csv``.
    start : Path, optional
        Checkpoint to begin with: of a network of single visits (`spinemri.training.canal_train`), or of an earlier
        training on pairs.

    Returns
    -------
    Path
        The last checkpoint.
    """

    def draw(chosen: Sequence[int], rng: np.random.Generator) -> PairSample:
        """Draw a sample of each chosen pair."""
        return collate_pairs([draw_pair_sample(studies[index], rng) for index in chosen])

    torch.manual_seed(plan.seed)
    model = PairUNet()
    if start is not None:
        model.start_from(torch.load(start, map_location="cpu", weights_only=True)["average"])
    return fit(model, Batches(draw, weights, plan), pair_loss, plan, folder)


def pair_loss(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the coverage by mass, pixels weighted, and the error of the change between the visits.

    Errors that both visits share leave the change as it is, so of two outlines that are wrong those that are wrong
    alike cost less.

    Parameters
    ----------
    logits, target, weight : (2 n, 1, h, w) tensor
        The two visits of a pair one after the other.
    """
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
    outlines = (each * weight).sum() / weight.sum()
    counted = weight > 0.5
    error = ((torch.sigmoid(logits.float()) - target) * counted).sum((1, 2, 3)).view(-1, 2)
    size = target.sum((1, 2, 3)).view(-1, 2).mean(1)
    change = (error[:, 0] - error[:, 1]).abs() / (size + _SMALL_PIXELS)
    return outlines + _CHANGE_WEIGHT * change.mean()
