"""What tells one level from another: how deep each disc is, how it is tilted, how far it is to the next."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.instances import Chain, DiscInstance

__all__ = ["Traits", "chain_traits"]

_MIDPLANE_MM = 8.0
_MIN_VOXELS = 20
_CUT_SHARE = 0.01
_DEPTH_PERCENTILES = (2.0, 98.0)


@dataclass(frozen=True, eq=False)
class Traits:
    """Sizes and tilts along a chain of levels; nan where they cannot be measured.

    Attributes
    ----------
    pitch_mm : (n - 1,) ndarray
        Distance from each disc to the next one below.
    depth_mm : (n,) ndarray
        Antero-posterior depth of each disc near the midplane.
    tilt_deg : (n,) ndarray
        By how much the way down through the disc points to the back: 0 for a disc that lies level, positive where its
        front is lower.
    """

    pitch_mm: NDArray[np.float64]
    depth_mm: NDArray[np.float64]
    tilt_deg: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.depth_mm)


def chain_traits(chain: Chain) -> Traits:
    """Measure the discs of a chain.

    Parameters
    ----------
    chain : Chain

    Returns
    -------
    Traits
        A disc that only its neighbours' spacing betrays, and one that the field of view cuts, is not measured.
    """
    pitch = [
        np.nan if upper.inferred or lower.inferred else lower.position_mm - upper.position_mm
        for upper, lower in pairwise(chain.discs)
    ]
    seen = [_depth_mm(chain, number) for number in range(len(chain.discs))]
    tilt = [
        np.nan if np.isnan(depth) else _tilt_deg(chain, disc) for depth, disc in zip(seen, chain.discs, strict=True)
    ]
    return Traits(np.array(pitch, dtype=float), np.array(seen, dtype=float), np.array(tilt, dtype=float))


def _depth_mm(chain: Chain, number: int) -> float:
    index = np.argwhere(chain.disc_map.array == number + 1)
    if chain.discs[number].inferred or len(index) < _MIN_VOXELS:
        return float("nan")
    last = np.array(chain.disc_map.shape) - 1
    if ((index == 0) | (index == last))[:, 1:].any(1).mean() >= _CUT_SHARE:
        return float("nan")
    _, back, left = chain.column.axis.coordinates(chain.disc_map.grid.to_lps(index.astype(float))).T
    middle = back[np.abs(left) < _MIDPLANE_MM]
    if len(middle) < _MIN_VOXELS:
        return float("nan")
    front, rear = np.percentile(middle, _DEPTH_PERCENTILES)
    return float(rear - front)


def _tilt_deg(chain: Chain, disc: DiscInstance) -> float:
    axis = chain.column.axis
    near = min(max(round(disc.position_mm), 0), len(axis) - 1)
    down = axis.tangent[near] - disc.slope[0] * axis.posterior[near] - disc.slope[1] * axis.left[near]
    return float(np.degrees(np.arctan2(down[1], -down[2])))
