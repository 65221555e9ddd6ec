"""Partly labelled stacks: groups, weights, and a round trip through a file."""

from pathlib import Path

import numpy as np
import pytest

from spinemri.nomenclature import Tissue
from spinemri.training.prepare import stack_weights
from spinemri.training.stacks import (
    FULL_GROUPS,
    SPIDER_GROUPS,
    TrainingStack,
    canal_centres,
    describe_stack,
    load_stack,
    membership,
    save_stack,
)


def test_every_tissue_is_known_in_generated_anatomy() -> None:
    assert np.array_equal(membership(FULL_GROUPS, 10), np.eye(len(Tissue)))


def test_cord_and_sac_are_one_group_in_spider() -> None:
    matrix = membership(SPIDER_GROUPS, 12)
    row = SPIDER_GROUPS.index((Tissue.CORD, Tissue.DURAL_SAC))
    assert np.flatnonzero(matrix[row]).tolist() == [Tissue.CORD, Tissue.DURAL_SAC]
    assert matrix[len(SPIDER_GROUPS) :].sum() == 0


def test_canal_centre_per_slice() -> None:
    target = np.zeros((len(FULL_GROUPS), 3, 50, 60), dtype=np.uint8)
    target[Tissue.DURAL_SAC, 1, 20:25] = 255
    assert canal_centres(target, FULL_GROUPS).tolist() == [-1, 22, -1]


def test_round_trip(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    stack = TrainingStack(
        rng.random((3, 8, 9)).astype(np.float16),
        rng.integers(0, 255, (len(SPIDER_GROUPS), 3, 8, 9), dtype=np.uint8),
        SPIDER_GROUPS,
        (3.3, 0.7, 0.6),
        np.array([0, 1, 0, 0], dtype=np.float32),
        np.array([4, -1, 3], dtype=np.int16),
        np.array([0.25, 0.75, 0], dtype=np.float32),
    )
    save_stack(stack, tmp_path / "stack.npz")
    again = load_stack(tmp_path / "stack.npz")
    assert again.groups == stack.groups
    assert again.spacing == stack.spacing
    assert np.array_equal(again.image, stack.image)
    assert np.array_equal(again.target, stack.target)
    assert np.array_equal(again.mass_share, stack.mass_share)


def test_the_mass_is_shared_out_over_its_slices() -> None:
    target = np.zeros((len(FULL_GROUPS), 4, 10, 12), dtype=np.uint8)
    target[Tissue.MASS_CANAL, 1, :3] = 255
    target[Tissue.MASS_OUTSIDE, 2, :1] = 255
    described = describe_stack(np.zeros((4, 10, 12)), target, FULL_GROUPS, (3.3, 0.7, 0.6), np.zeros(4))
    assert described.mass_share.tolist() == [0, 0.75, 0.25, 0]


def test_each_family_keeps_its_share_whatever_its_number_of_files() -> None:
    names = ["real-none-022-0", "real-mass-022-1", "real-mass-022-2", "phantom-00001", "phantom-00002"]
    weights = stack_weights(names)
    assert weights[1] == weights[2]
    assert sum(weights[1:3]) / weights[0] == pytest.approx(0.18 / 0.14)
