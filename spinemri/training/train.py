"""The training loop: resumable, seeded, the same on a CPU and on a GPU."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from spinemri.nomenclature import Tissue
from spinemri.training.export import exported_weights
from spinemri.training.network import CHANNELS_IN, SliceUNet, UNet
from spinemri.training.samples import collate, draw_sample
from spinemri.training.stacks import TrainingStack

__all__ = ["Batches", "Plan", "fit", "partial_label_loss", "train"]

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Images, targets, and what the loss needs beside them, as `collate` gives them."""

_CANAL = frozenset({Tissue.CORD, Tissue.DURAL_SAC, Tissue.EPIDURAL, Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE})
"""What an error costs most: the contents of the canal, and what grows out of it."""


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes
    ----------
    steps : int
        Total number of steps, those before a resume included.
    batch : int
        Slices per step.
    learning_rate : float
        Of the plateau; it rises over the first 100 steps and falls to zero over the last `decay` share.
    decay : float
        Share of all steps over which the learning rate falls.
    smoothing : float
        Decay of the moving average of weights that is exported.
    seed : int
    checkpoint_every : int
        Steps between checkpoints.
    workers : int
        Processes that prepare batches; the result does not depend on it. A GPU needs many.
    """

    steps: int = 6000
    batch: int = 6
    learning_rate: float = 2e-3
    decay: float = 0.4
    smoothing: float = 0.998
    seed: int = 0
    checkpoint_every: int = 200
    workers: int = 1

    def rate(self, step: int) -> float:
        """Learning rate at a step: warm-up, plateau, cosine-free linear fall."""
        start = self.steps * (1 - self.decay)
        fall = min(1.0, max(0.0, (self.steps - step) / max(self.steps - start, 1.0)))
        return self.learning_rate * min(1.0, (step + 1) / 100) * fall


def partial_label_loss(logits: torch.Tensor, target: torch.Tensor, members: torch.Tensor) -> torch.Tensor:
    """Cross-entropy between group coverages and the summed probabilities of each group's tissues.

    Parameters
    ----------
    logits : (n, tissues, h, w) tensor
    target : (n, groups, h, w) tensor
        Fractional coverage; sums to one over groups.
    members : (n, groups, tissues) tensor

    Returns
    -------
    () tensor
        Mean over pixels, those near the spine weighted four times and those near the canal twelve times.
    """
    probability = torch.softmax(logits.float(), dim=1)
    grouped = torch.einsum("ngc,nchw->nghw", members, probability)
    loss = -(target * torch.log(grouped.clamp_min(1e-6))).sum(1)
    elsewhere = [tissue for tissue in Tissue if tissue not in _CANAL]
    weight = 1 + 3 * _near(target, members, [Tissue.BACKGROUND]) + 8 * _near(target, members, elsewhere)
    return (loss * weight).sum() / weight.sum()


def _near(target: torch.Tensor, members: torch.Tensor, outside: Sequence[Tissue]) -> torch.Tensor:
    """Pixels within 6 of a group without any of the tissues; a function of place, so probabilities stay calibrated."""
    wanted = 1 - members[:, :, [int(tissue) for tissue in outside]].amax(2)
    wanted = wanted * (members.sum(2) > 0)
    inside = torch.einsum("ng,nghw->nhw", wanted, target)
    grown = torch.nn.functional.max_pool2d(inside[:, None], 13, stride=1, padding=6)
    return grown[:, 0].clamp(0, 1)


class Batches(torch.utils.data.Dataset[Batch]):
    """The batch of every step, each from its own seed: a run that is resumed goes on as it would have.

    Parameters
    ----------
    draw : callable
        Makes a batch of the cases of the given numbers.
    weights : sequence of float
        How often each case is drawn, relative to the others.
    plan : Plan
    """

    def __init__(
        self, draw: Callable[[Sequence[int], np.random.Generator], Batch], weights: Sequence[float], plan: Plan
    ) -> None:
        self._draw = draw
        self._share = np.asarray(weights, dtype=float) / float(np.sum(weights))
        self._plan = plan

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self._plan.seed, step))
        return self._draw(rng.choice(len(self._share), size=self._plan.batch, p=self._share).tolist(), rng)


def _loader(batches: Batches, steps: range, workers: int, device: str) -> torch.utils.data.DataLoader[Batch]:
    """Prepare batches beside the training, in the order of the steps."""
    return torch.utils.data.DataLoader(
        batches,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        # Forked workers share the mapped stacks; others would be sent a copy of all of them.
        multiprocessing_context="fork" if workers else None,
        pin_memory=device == "cuda",
    )


def train(
    stacks: Sequence[TrainingStack],
    weights: Sequence[float],
    plan: Plan,
    folder: Path,
    *,
    device: str = "cpu",
    start: Path | None = None,
) -> Path:
    """Train the network of the tissues, or go on from the checkpoint in a folder.

    Parameters
    ----------
    stacks : sequence of TrainingStack
    weights : sequence of float
        How often each stack is drawn, relative to the others.
    plan : Plan
    folder : Path
        Receives ``checkpoint.pt`` and ``log.csv``.
    device : {"cpu", "cuda"}
    start : Path, optional
        Exported network to begin with in place of random weights, if there is no checkpoint yet.

    Returns
    -------
    Path
        The last checkpoint.
    """

    def draw(chosen: Sequence[int], rng: np.random.Generator) -> Batch:
        """Draw a sample of each chosen stack."""
        return collate([draw_sample(stacks[index], rng) for index in chosen])

    torch.manual_seed(plan.seed)
    model = SliceUNet(CHANNELS_IN, len(Tissue))
    if start is not None:
        model.load_state_dict(exported_weights(start))
    return fit(model, Batches(draw, weights, plan), partial_label_loss, plan, folder, device=device)


def fit(
    model: UNet,
    batches: Batches,
    loss: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    plan: Plan,
    folder: Path,
    *,
    device: str = "cpu",
) -> Path:
    """Train a network, or go on from the checkpoint in a folder.

    Parameters
    ----------
    model : UNet
        With the weights to begin with.
    batches : Batches
    loss : callable
        Of the network's output and the two other tensors of a batch.
    plan : Plan
    folder : Path
        Receives ``checkpoint.pt`` and ``log.csv``.
    device : {"cpu", "cuda"}

    Returns
    -------
    Path
        The last checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    # Every patch has one size: it pays to let the GPU try its algorithms once.
    torch.backends.cudnn.benchmark = device == "cuda"
    model = model.to(device, memory_format=_layout(device))
    average = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-4)
    step = _resume(checkpoint, model, average, optimizer)
    began, losses = time.monotonic(), []
    for batch in _loader(batches, range(step, plan.steps), plan.workers, device):
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(step)
        losses.append(_step(model, optimizer, batch, loss, device))
        _follow(average, model, min(plan.smoothing, (step + 1) / (step + 10)))
        step += 1
        if step % plan.checkpoint_every == 0 or step == plan.steps:
            _save(checkpoint, model, average, optimizer, step)
            with (folder / "log.csv").open("a", encoding="utf-8") as log:
                log.write(f"{step},{np.mean(losses):.5f},{time.monotonic() - began:.0f}\n")
            losses.clear()
    return checkpoint


def _step(
    model: UNet,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    loss: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    device: str,
) -> float:
    image, *others = (tensor.to(device, non_blocking=True) for tensor in batch)
    with torch.autocast(device, torch.bfloat16):
        logits = model(image.contiguous(memory_format=_layout(device)))
    value = loss(logits, *others)
    optimizer.zero_grad()
    value.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(value.detach())


def _layout(device: str) -> torch.memory_format:
    """Order of channels in memory: with channels last a step of 32 patches took 41 ms on an H200, in place of 23."""
    return torch.channels_last if device == "cpu" else torch.contiguous_format


def _follow(average: UNet, model: UNet, decay: float) -> None:
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)


def _save(path: Path, model: UNet, average: UNet, optimizer: torch.optim.Optimizer, step: int) -> None:
    state = {
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
    }
    partial = path.with_suffix(".part")
    torch.save(state, partial)
    partial.replace(path)


def _resume(path: Path, model: UNet, average: UNet, optimizer: torch.optim.Optimizer) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
