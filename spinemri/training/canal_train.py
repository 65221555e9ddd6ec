"""Training of the networks of single visits; resumable and seeded like that of the first (see `train`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from spinemri.training.canal_network import CanalUNet
from spinemri.training.canal_samples import Sample, collate, draw_canal_sample
from spinemri.training.canal_studies import CanalStudy
from spinemri.training.train import Batches, Plan, fit

__all__ = ["train_canal"]


def train_canal(
    studies: Sequence[CanalStudy], weights: Sequence[float], plan: Plan, folder: Path, *, start: Path | None = None
) -> Path:
    """Train, or go on from the checkpoint in a folder.

    Parameters
    ----------
    studies : sequence of CanalStudy
    weights : sequence of float
        How often each study is drawn, relative to the others.
    plan : Plan
    folder : Path
        Receives ``checkpoint.pt`` and ``log.csv``.
    start : Path, optional
        Checkpoint whose averaged weights to begin with, where the folder has none: one of outlined studies begins as
        the second network.

    Returns
    -------
    Path
        The last checkpoint.
    """

    def draw(chosen: Sequence[int], rng: np.random.Generator) -> Sample:
        """Draw a sample of each chosen study."""
        return collate([draw_canal_sample(studies[index], rng) for index in chosen])

    torch.manual_seed(plan.seed)
    network = CanalUNet()
    if start is not None:
        network.load_state_dict(torch.load(start, map_location="cpu", weights_only=True)["average"])
    return fit(network, Batches(draw, weights, plan), _loss, plan, folder)


def _loss(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the coverage by mass, pixels weighted."""
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
    return (each * weight).sum() / weight.sum()
