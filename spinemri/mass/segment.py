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

_MASS = [int(Tissue.MASS_CANAL), int(Tissue.MASS_OUTSIDE)]
_FLOOR = 0.02
_CORRELATION = 0.25
_LEAST = 1e-6


def segment_study(
    images: Mapping[Role, tuple[Volume, Stack]], primary: Role, weights: Mapping[Role, float]
) -> TissueMap:
    """Segment every sagittal stack that shares the primary's frame of reference, and fuse.

    Each stack is segmented in its own native space, then its coverages are resampled to the primary grid and
    pooled. Patients may move between series: no correction is made here.

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
    """Combine tissue maps on the grid of the first one: mass by a logarithmic opinion pool, the rest by means.

    For the mass, the coverages' weighted geometric mean is raised to the number of independent readings that the maps
    amount to, and normalised over all tissues (Genest and Zidek 1986). An arithmetic mean of readings that err
    independently hesitates more than it should (Ranjan and Gneiting 2010): faint mass remained in healthy canals, and
    masses came out too small, because what is faint does not count. Of n maps whose errors correlate with r,
    n / (1 + (n - 1) r) are independent; unequal weights count as fewer maps (Kish 1965). A small amount is added to
    every coverage first, so that no sequence alone can exclude a tissue, and what that alone amounts to is taken off
    again. The other tissues share what is left as in the weighted mean of the maps: their borders were never in doubt,
    and a pool would widen what is as thin as a cord that is pressed flat. One map stays as it is.

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
    affine, frame = first.affine, first.frame_of_reference_uid
    second = next(others, None)
    if second is None:
        return first
    pool = _Pool(first.grid)
    pool.add(first, weight)
    pool.add(*second)
    del first, second  # A map is large: none may wait while the next is made.
    for other, share in others:
        pool.add(other, share)
        del other
    return TissueMap(pool.coverage(), affine, frame)


class _Pool:
    """Weighted sums over maps, voxel by voxel; tissue by tissue, because all of them at once are large."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._sums, self._logs = (np.zeros((len(Tissue), *grid.shape), dtype=np.float32) for _ in range(2))
        self._weights, self._squares = (np.zeros(grid.shape, dtype=np.float32) for _ in range(2))

    def add(self, tissues: TissueMap, weight: float) -> None:
        """Add a map; what lies outside it sums to less than one, and that deficit is missing weight."""
        moved = [_on_grid(tissues, tissue, self._grid) for tissue in Tissue]
        present = np.add.reduce(moved) * np.float32(weight)
        for tissue, share in zip(Tissue, moved, strict=True):
            self._sums[tissue] += share * np.float32(weight)
            log = share + np.float32(_FLOOR)
            np.log(log, out=log)
            log *= present
            self._logs[tissue] += log
        self._weights += present
        self._squares += present**2

    def coverage(self) -> NDArray[np.float32]:
        """Coverage by tissue; the sums are used up."""
        weights = np.maximum(self._weights, _LEAST)
        mass, out = self._mass(weights), self._sums
        out /= weights
        out *= (1 - mass.sum(0)) / np.maximum(1 - out[_MASS].sum(0), _LEAST)
        out[_MASS] = mass
        return out

    def _mass(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Coverage by mass in the canal and outside it, from the logarithms, which are used up."""
        maps = weights**2 / np.maximum(self._squares, _LEAST)
        independent = maps / (1 + (maps - 1) * np.float32(_CORRELATION))
        power, added = independent / weights, np.float32(_FLOOR) ** independent
        for tissue in Tissue:
            self._logs[tissue] = np.maximum(np.exp(self._logs[tissue] * power) - added, 0.0)
        return np.asarray(self._logs[_MASS] / np.maximum(self._logs.sum(0), _LEAST))


def _on_grid(tissues: TissueMap, tissue: Tissue, grid: Grid) -> NDArray[np.float32]:
    if tissues.grid.same_as(grid):
        return np.asarray(tissues.coverage[tissue])
    return resample(tissues.fraction(tissue), grid).array
