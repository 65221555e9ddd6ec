"""Training cases: an image with what is known of its tissues.

Label sets differ in what they separate. Each set therefore has *groups*: a group is a set of tissues that the
labels do not tell apart, and every voxel belongs to one group, in part (partial volume) or wholly. The loss asks
only for the sum of probabilities over the group, so an unlabelled structure is never called background.

On disk a stack is three files: what describes it (``.npz``), its image and its target (``.npy``). The two large ones
are mapped, not read, so that a training set may be larger than memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemri.nomenclature import Tissue

__all__ = [
    "FULL_GROUPS",
    "SPIDER_GROUPS",
    "SUBREGION_GROUPS",
    "Groups",
    "TrainingStack",
    "canal_centres",
    "describe_stack",
    "load_stack",
    "membership",
    "save_stack",
]

T = Tissue
Groups = tuple[tuple[Tissue, ...], ...]

FULL_GROUPS: Groups = tuple((tissue,) for tissue in Tissue)
"""Generated anatomy: every tissue is known."""

SPIDER_GROUPS: Groups = (
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
    (T.MASS_CANAL, T.MASS_OUTSIDE),
    (T.BACKGROUND,),
)
"""SPIDER: cord and sac are one label; the sacrum is known where we drew it, epidural fat and its absence where the
network is sure of it on T2, a mass where we implanted it, beside the sac or farther away."""

SUBREGION_GROUPS: Groups = (
    (T.BACKGROUND, T.EPIDURAL),
    (T.CORD, T.DURAL_SAC, T.EPIDURAL),
    (T.BODY,),
    (T.POSTERIOR_ELEMENTS,),
    (T.DISC,),
    (T.BODY, T.DISC),
)
"""Parts of vertebrae: canal and cord are one, and the endplate belongs to body or disc."""


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
    mass_share : (ni,) ndarray of float32
        How the mass is spread over the slices; sums to one, or to zero where no mass is known.
    """

    image: NDArray[np.float16]
    target: NDArray[np.uint8]
    groups: Groups
    spacing: tuple[float, float, float]
    condition: NDArray[np.float32]
    canal_centre: NDArray[np.int16]
    mass_share: NDArray[np.float32]


def describe_stack(
    image: NDArray[np.float32],
    target: NDArray[np.uint8],
    groups: Groups,
    spacing: tuple[float, float, float],
    condition: NDArray[np.float32],
) -> TrainingStack:
    """Make a training stack, with where its canal and its mass lie.

    Parameters
    ----------
    image : (ni, nj, nk) ndarray
    target : (groups, ni, nj, nk) ndarray of uint8
    groups : tuple of tuple of Tissue
    spacing : tuple of float
        mm along i, j, k.
    condition : (4,) ndarray of float32
    """
    centres, share = canal_centres(target, groups), _mass_share(target, groups)
    return TrainingStack(image.astype(np.float16), target, groups, spacing, condition, centres, share)


def _mass_share(target: NDArray[np.uint8], groups: Groups) -> NDArray[np.float32]:
    rows = [row for row, group in enumerate(groups) if set(group) <= {T.MASS_CANAL, T.MASS_OUTSIDE}]
    amount = target[rows].sum((0, 2, 3), dtype=np.float64)
    return (amount / max(float(amount.sum()), 1.0)).astype(np.float32)


def membership(groups: Groups, rows: int) -> NDArray[np.float32]:
    """Return a (rows, tissues) matrix of which tissues belong to which group, zero rows at the end."""
    matrix = np.zeros((rows, len(Tissue)), dtype=np.float32)
    for row, group in enumerate(groups):
        matrix[row, [int(tissue) for tissue in group]] = 1.0
    return matrix


def canal_centres(target: NDArray[np.uint8], groups: Groups) -> NDArray[np.int16]:
    """Return the mean antero-posterior index of the canal's contents per slice, -1 where there are none."""
    inside = {T.CORD, T.DURAL_SAC, T.EPIDURAL, T.MASS_CANAL}
    rows = [row for row, group in enumerate(groups) if set(group) <= inside]
    weight = target[rows].astype(np.float32).sum((0, 3))
    total = weight.sum(1)
    mean = (weight * np.arange(weight.shape[1])).sum(1) / np.maximum(total, 1.0)
    return np.where(total > 255.0 * 30, np.rint(mean), -1).astype(np.int16)


def save_stack(stack: TrainingStack, path: Path) -> None:
    """Write a stack: what describes it to an ``.npz`` file, its arrays beside it; the description comes last."""
    for name in ("image", "target"):
        np.save(_array_path(path, name), getattr(stack, name))
    partial = path.with_suffix(".part.npz")
    np.savez(
        partial,
        groups=membership(stack.groups, len(stack.groups)).astype(np.uint8),
        spacing=np.array(stack.spacing),
        condition=stack.condition,
        canal_centre=stack.canal_centre,
        mass_share=stack.mass_share,
    )
    partial.replace(path)


def load_stack(path: Path) -> TrainingStack:
    """Map a stack written by `save_stack`."""
    image, target = (np.load(_array_path(path, name), mmap_mode="r") for name in ("image", "target"))
    with np.load(path) as data:
        groups = tuple(tuple(Tissue(int(t)) for t in np.flatnonzero(row)) for row in data["groups"])
        di, dj, dk = (float(step) for step in data["spacing"])
        return TrainingStack(
            image, target, groups, (di, dj, dk), data["condition"], data["canal_centre"], data["mass_share"]
        )


def _array_path(path: Path, name: str) -> Path:
    return path.with_name(f"{path.stem}.{name}.npy")
