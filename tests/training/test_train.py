"""The loss on partly labelled pixels, and a training that learns and resumes."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from spinemri.nomenclature import Tissue  # noqa: E402
from spinemri.training.samples import PATCH, draw_sample  # noqa: E402
from spinemri.training.stacks import (  # noqa: E402
    FULL_GROUPS,
    SPIDER_GROUPS,
    TrainingStack,
    describe_stack,
    membership,
)
from spinemri.training.train import Plan, partial_label_loss, train  # noqa: E402


def _stack() -> TrainingStack:
    target = np.zeros((len(FULL_GROUPS), 8, 90, 120), dtype=np.uint8)
    target[Tissue.DURAL_SAC, 2:6, 50:65] = 255
    target[Tissue.BACKGROUND] = 255 - target[1:].max(0)
    image = np.where(target[Tissue.DURAL_SAC] > 0, 3.0, 0.7).astype(np.float16)
    condition = np.array([0, 1, 0, 0], dtype=np.float32)
    return describe_stack(image, target, FULL_GROUPS, (3.3, 0.8, 0.8), condition)


def test_loss_asks_only_for_the_sum_over_a_group() -> None:
    row = SPIDER_GROUPS.index((Tissue.CORD, Tissue.DURAL_SAC))
    target = torch.zeros(1, len(SPIDER_GROUPS), 4, 4)
    target[:, row] = 1
    members = torch.from_numpy(membership(SPIDER_GROUPS, len(SPIDER_GROUPS)))[None]
    logits = torch.full((1, len(Tissue), 4, 4), -20.0)
    losses = []
    for cord, sac in ((10.0, -20.0), (-20.0, 10.0), (5.0, 5.0)):
        logits[:, Tissue.CORD], logits[:, Tissue.DURAL_SAC] = cord, sac
        losses.append(float(partial_label_loss(logits, target, members)))
    assert max(losses) == pytest.approx(0.0, abs=1e-4)
    logits[:, Tissue.DISC] = 20.0
    assert float(partial_label_loss(logits, target, members)) > 5


def test_samples_are_full_and_reproducible() -> None:
    first, again = (draw_sample(_stack(), np.random.default_rng(5)) for _ in range(2))
    assert first.image.shape == (7, *PATCH)
    assert torch.equal(first.image, again.image)
    assert torch.allclose(first.target.sum(0), torch.ones(PATCH), atol=1e-4)


def test_training_learns_and_resumes(tmp_path: Path) -> None:
    plan = Plan(steps=6, batch=2, checkpoint_every=3)
    train([_stack()], [1.0], Plan(steps=3, batch=2, checkpoint_every=3), tmp_path)
    train([_stack()], [1.0], plan, tmp_path)
    steps, losses = np.loadtxt(tmp_path / "log.csv", delimiter=",", usecols=(0, 1), unpack=True)
    assert steps.tolist() == [3, 6]
    assert losses[1] < losses[0]


def test_workers_change_nothing(tmp_path: Path) -> None:
    found = []
    for workers in (0, 2):
        plan = Plan(steps=3, batch=2, checkpoint_every=3, workers=workers)
        checkpoint = train([_stack(), _stack()], [1.0, 2.0], plan, tmp_path / str(workers))
        found.append(torch.load(checkpoint, weights_only=True)["model"])
    assert all(torch.equal(tensor, found[1][name]) for name, tensor in found[0].items())
