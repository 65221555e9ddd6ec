"""One tissue map from all sagittal stacks of a study, on the primary stack's grid."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.alignment import SAGITTAL_SERIES
from spinemri.anatomy.model import TissueMap
from spinemri.anatomy.network import segment
from spinemri.intake.model import Role, Stack
from spinemri.nomenclature import Tissue
from spinemri.volume import Grid, Volume, resample

__all__ = ["fuse", "segment_study"]


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
    main = images[primary][0]
    maps = [(_segment(*images[primary]), weights.get(primary, 1.0) or 1.0)]
    for role in SAGITTAL_SERIES:
        if role is primary or role not in images or weights.get(role, 0.0) <= 0.0:
            continue
        volume, stack = images[role]
        if volume.frame_of_reference_uid and volume.frame_of_reference_uid == main.frame_of_reference_uid:
            maps.append((_segment(volume, stack), weights[role]))
    return fuse(maps)


def _segment(volume: Volume, stack: Stack) -> TissueMap:
    return segment(
        volume,
        stack.weighting.value,
        fat_suppressed=stack.fat_suppressed,
        contrast_enhanced=stack.contrast_enhanced,
    )


def fuse(maps: list[tuple[TissueMap, float]]) -> TissueMap:
    """Average tissue maps on the grid of the first one.

    Where a map has no data it has no say; the weights of the others count there alone.

    Parameters
    ----------
    maps : list of (TissueMap, float)
        In one frame of reference, each with its weight; the first defines the grid.

    Returns
    -------
    TissueMap
    """
    first, weight = maps[0]
    if len(maps) == 1:
        return first
    total = first.coverage * np.float32(weight)
    weights = np.full(first.grid.shape, weight, dtype=np.float32)
    for other, share in maps[1:]:
        moved = _resample_coverage(other, first.grid)
        # What the other map does not cover sums to less than one; that deficit is the missing weight.
        known = moved.sum(0)
        total += np.float32(share) * moved
        weights += np.float32(share) * known
    return TissueMap(total / weights, first.affine, first.frame_of_reference_uid)


def _resample_coverage(tissues: TissueMap, grid: Grid) -> NDArray[np.float32]:
    if tissues.grid.same_as(grid):
        return tissues.coverage
    return np.stack([resample(tissues.fraction(tissue), grid).array for tissue in Tissue])
