"""Training cases: an image with what is known of its tissues.

Label sets differ in what they separate. Each set therefore has *groups*: a group is a set of tissues that the
labels do not tell apart, and every voxel belongs to one group, in part (partial volume) or wholly. The loss asks
only for the sum of probabilities over the group, so an unlabelled structure is never called background.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemri.nomenclature import Tissue

__all__ = ["FULL_GROUPS", "SPIDER_GROUPS", "TrainingStack", "load_stack", "membership", "save_stack"]

T = Tissue
FULL_GROUPS: tuple[tuple[Tissue, ...], ...] = tuple((tissue,) for tissue in Tissue)
"""Generated anatomy: every tissue is known."""

SPIDER_GROUPS: tuple[tuple[Tissue, ...], ...] = (
    (T.BACKGROUND, T.EPIDURAL),
    (T.BACKGROUND, T.EPIDURAL, T.POSTERIOR_ELEMENTS, T.SACRUM),
    (T.CORD, T.DURAL_SAC),
    (T.BODY,),
    (T.POSTERIOR_ELEMENTS,),
    (T.BODY, T.POSTERIOR_ELEMENTS),
    (T.DISC,),
    (T.SACRUM,),
    (T.MASS_CANAL,),
    (T.EPIDURAL,),
)
"""SPIDER: cord and sac are one label, sacrum and epidural space are known only where we drew or implanted them."""


@dataclass(frozen=True, eq=False)
class TrainingStack:
    """One canonical sagittal stack, ready to be cut into samples.

    Attributes
    ----------
    image : (ni, nj, nk) ndarray of float16
        After `spinemri.anatomy.preparation.flatten_illumination`.
    target : (groups, ni, nj, nk) ndarray of uint8
        Coverage by group in units of 1/255.
    groups : tuple of tuple of Tissue
    spacing : tuple of float
        mm along i, j, k.
    condition : (4,) ndarray of float32
        From `spinemri.anatomy.preparation.condition_planes`.
    canal_centre : (ni,) ndarray of int
        Antero-posterior index of the canal per slice; -1 where the slice misses it.
    """

    image: NDArray[np.float16]
    target: NDArray[np.uint8]
    groups: tuple[tuple[Tissue, ...], ...]
    spacing: tuple[float, float, float]
    condition: NDArray[np.float32]
    canal_centre: NDArray[np.int16]


def membership(groups: tuple[tuple[Tissue, ...], ...], rows: int) -> NDArray[np.float32]:
    """Return a (rows, tissues) matrix of which tissues belong to which group, zero rows at the end."""
    matrix = np.zeros((rows, len(Tissue)), dtype=np.float32)
    for row, group in enumerate(groups):
        matrix[row, [int(tissue) for tissue in group]] = 1.0
    return matrix


def canal_centres(target: NDArray[np.uint8], groups: tuple[tuple[Tissue, ...], ...]) -> NDArray[np.int16]:
    """Return the mean antero-posterior index of sac and mass per slice, -1 where there is none."""
    inside = {T.CORD, T.DURAL_SAC, T.MASS_CANAL}
    rows = [row for row, group in enumerate(groups) if set(group) <= inside]
    weight = target[rows].astype(np.float32).sum((0, 3))
    total = weight.sum(1)
    mean = (weight * np.arange(weight.shape[1])).sum(1) / np.maximum(total, 1.0)
    return np.where(total > 255.0 * 30, np.rint(mean), -1).astype(np.int16)


def save_stack(stack: TrainingStack, path: Path) -> None:
    """Write a stack to an ``.npz`` file."""
    groups = membership(stack.groups, len(stack.groups)).astype(np.uint8)
    np.savez_compressed(
        path,
        image=stack.image,
        target=stack.target,
        groups=groups,
        spacing=np.array(stack.spacing),
        condition=stack.condition,
        canal_centre=stack.canal_centre,
    )


def load_stack(path: Path) -> TrainingStack:
    """Read a stack written by `save_stack`."""
    with np.load(path) as data:
        groups = tuple(tuple(Tissue(int(t)) for t in np.flatnonzero(row)) for row in data["groups"])
        di, dj, dk = (float(step) for step in data["spacing"])
        return TrainingStack(
            data["image"], data["target"], groups, (di, dj, dk), data["condition"], data["canal_centre"]
        )
