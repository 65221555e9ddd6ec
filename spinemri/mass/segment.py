"""One tissue map from all sagittal stacks of a study, on the primary stack's grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.model import TissueMap
from spinemri.anatomy.network import segment
from spinemri.intake.model import SAGITTAL_ROLES, Role, Stack
from spinemri.nomenclature import Tissue
from spinemri.volume import Grid, Volume, resample

__all__ = ["fuse", "fused_roles", "segment_study"]


def segment_study(
    images: Mapping[Role, tuple[Volume, Stack]], primary: Role, weights: Mapping[Role, float]
) -> TissueMap:
    """Segment every sagittal stack that shares the primary's frame of reference, and fuse.

    Each stack is segmented in its own native space, then its coverages are resampled to the primary grid and
    averaged. Patients may move between series: no correction is made here.

    Parameters
    ----------
    images : mapping of Role to (Volume, Stack)
        Canonical images with what is known of their contrast.
    primary : Role
        The stack whose grid the result lies on.
    weights : mapping of Role to float
        Relative weight of each role; 0 leaves it out. The primary counts as 1 if it has no weight.

    Returns
    -------
    TissueMap
    """
    volumes = {role: volume for role, (volume, _) in images.items()}
    roles = fused_roles(volumes, primary, weights)
    return fuse((_segment(*images[role]), weights.get(role, 1.0) or 1.0) for role in roles)


def fused_roles(images: Mapping[Role, Volume], primary: Role, weights: Mapping[Role, float]) -> tuple[Role, ...]:
    """Return the sagittal series that are measured together, the primary first.

    Parameters
    ----------
    images : mapping of Role to Volume
    primary : Role
    weights : mapping of Role to float
        A series other than the primary takes part if its weight is above 0 and it shares the frame of reference.

    Returns
    -------
    tuple of Role
    """
    frame = images[primary].frame_of_reference_uid
    others = [
        role
        for role in SAGITTAL_ROLES
        if role is not primary
        and role in images
        and weights.get(role, 0.0) > 0.0
        and frame
        and images[role].frame_of_reference_uid == frame
    ]
    return (primary, *others)


def _segment(volume: Volume, stack: Stack) -> TissueMap:
    return segment(
        volume,
        stack.weighting.value,
        fat_suppressed=stack.fat_suppressed,
        contrast_enhanced=stack.contrast_enhanced,
    )


def fuse(maps: Iterable[tuple[TissueMap, float]]) -> TissueMap:
    """Average tissue maps on the grid of the first one.

    Where a map has no data it has no say; the weights of the others count there alone.

    Parameters
    ----------
    maps : iterable of (TissueMap, float)
        In one frame of reference, each with its weight; the first defines the grid. They are taken one by one, so that
        a generator keeps no more than one of them in memory.

    Returns
    -------
    TissueMap
    """
    others = iter(maps)
    first, weight = next(others)
    total = first.coverage * np.float32(weight)
    weights = np.full(first.grid.shape, weight, dtype=np.float32)
    for other, share in others:
        for tissue in Tissue:
            moved = _on_grid(other, tissue, first.grid) * np.float32(share)
            total[tissue] += moved
            # What the other map does not cover sums to less than one; that deficit is the missing weight.
            weights += moved
    total /= weights
    return TissueMap(total, first.affine, first.frame_of_reference_uid)


def _on_grid(tissues: TissueMap, tissue: Tissue, grid: Grid) -> NDArray[np.float32]:
    if tissues.grid.same_as(grid):
        return np.asarray(tissues.coverage[tissue])
    return resample(tissues.fraction(tissue), grid).array
