"""Training of the second network; resumable and seeded like that of the first (`spinemri.training.train`)."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from spinemri.training.canal_network import CanalUNet
from spinemri.training.canal_samples import Sample, collate, draw_canal_sample
from spinemri.training.canal_studies import CanalStudy
from spinemri.training.train import Plan

__all__ = ["train_canal"]


class _Batches(torch.utils.data.Dataset[Sample]):
    """The batch of every step, each from its own seed."""

    def __init__(self, studies: Sequence[CanalStudy], weights: Sequence[float], plan: Plan) -> None:
        self._studies = studies
        self._share = np.asarray(weights, dtype=float) / float(np.sum(weights))
        self._plan = plan

    def __getitem__(self, step: int) -> Sample:
        rng = np.random.default_rng((self._plan.seed, step))
        chosen = rng.choice(len(self._studies), size=self._plan.batch, p=self._share)
        return collate([draw_canal_sample(self._studies[index], rng) for index in chosen])


def train_canal(studies: Sequence[CanalStudy], weights: Sequence[float], plan: Plan, folder: Path) -> Path:
    """Train, or go on from the checkpoint in a folder.

    Parameters
    ----------
    studies : sequence of CanalStudy
    weights : sequence of float
        How often each study is drawn, relative to the others.
    plan : Plan
    folder : Path
        Receives ``checkpoint.pt`` and ``log.csv``.

    Returns
    -------
    Path
        The last checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    torch.manual_seed(plan.seed)
    model = CanalUNet().to(memory_format=torch.channels_last)
    average = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-4)
    step = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step = int(state["step"])
    loader = torch.utils.data.DataLoader(
        _Batches(studies, weights, plan),
        batch_size=None,
        sampler=range(step, plan.steps),
        num_workers=plan.workers,
        multiprocessing_context="fork" if plan.workers else None,
    )
    began, losses = time.monotonic(), []
    for shown, target, weight in loader:
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(step)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(shown.contiguous(memory_format=torch.channels_last))
        each = torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
        loss = (each * weight).sum() / weight.sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        decay = min(plan.smoothing, (step + 1) / (step + 10))
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)
        step += 1
        if step % plan.checkpoint_every == 0 or step == plan.steps:
            partial = checkpoint.with_suffix(".part")
            torch.save(
                {
                    "model": model.state_dict(),
                    "average": average.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "step": step,
                },
                partial,
            )
            partial.replace(checkpoint)
            with (folder / "log.csv").open("a", encoding="utf-8") as log:
                log.write(f"{step},{np.mean(losses):.5f},{time.monotonic() - began:.0f}\n")
            losses.clear()
    return checkpoint
