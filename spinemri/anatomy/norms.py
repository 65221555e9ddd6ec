"""How the levels of an average adult differ in size, and which numbering that makes likely.

Distances from disc to disc are body heights of Panjabi et al. (Spine 1991;16:861-869 and 888-901, Spine
1992;17:299-306) plus usual disc heights, rounded; lumbar ones agree within 1 mm with 27 lumbar MR scans after scaling.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinemri.nomenclature import REGULAR_COLUMN

__all__ = ["PITCH_MM", "offset_probabilities"]

PITCH_MM: dict[str, float] = {
    "C3": 17.0, "C4": 16.7, "C5": 16.7, "C6": 17.0, "C7": 18.0,
    "T1": 18.8, "T2": 19.6, "T3": 19.8, "T4": 20.5, "T5": 21.2, "T6": 22.1, "T7": 23.0, "T8": 24.0, "T9": 25.0,
    "T10": 26.2, "T11": 28.0, "T12": 30.5, "L1": 33.2, "L2": 35.0, "L3": 36.0, "L4": 36.0, "L5": 35.0,
}  # fmt: skip
"""Distance between the discs above and below a vertebra, along the column, in mm."""

CONUS_LEVEL = REGULAR_COLUMN.index("L1") + 0.3
"""The conus medullaris ends at the middle of L1 on average, 95 % between T12 and L2 (GK)."""

_CONUS_SD_LEVELS = 1.2
_PITCH_LOG_SD = 0.09
_SIZE_LOG_SD = 0.12
_MAX_SIZE_SD = 2.5
_FIRST, _LAST = REGULAR_COLUMN.index("C3"), REGULAR_COLUMN.index("L5")
_NORM = np.array([np.log(PITCH_MM[name]) for name in REGULAR_COLUMN[_FIRST : _LAST + 1]])


def offset_probabilities(
    pitch_mm: NDArray[np.float64], first_complete: int, count: int, conus: float | None, cord_reaches: float | None
) -> dict[int, float]:
    """Weigh every numbering by the sizes of the levels and by where the cord ends.

    Parameters
    ----------
    pitch_mm : (n,) ndarray
        Distances between neighbouring discs, cranial to caudal.
    first_complete : int
        Which body of the chain lies between the first two discs.
    count : int
        Number of bodies in the chain.
    conus : float or None
        Where the cord ends, in bodies of the chain (2.5: middle of the third), None where its end is not seen.
    cord_reaches : float or None
        The most caudal place where the cord is seen, None where the cord was not segmented.

    Returns
    -------
    dict of int to float
        Probability by the index in ``REGULAR_COLUMN`` of the chain's first body; sums to one, or empty.
    """
    logs: dict[int, float] = {}
    for offset in range(_FIRST - 1, _LAST + 1):
        start = offset + first_complete
        if start < _FIRST or start + len(pitch_mm) - 1 > _LAST or offset + count - 1 > _LAST:
            continue
        logs[offset] = _size_score(pitch_mm, start) + _cord_score(offset, conus, cord_reaches)
    if not logs:
        return {}
    weights = np.exp(np.array(list(logs.values())) - max(logs.values()))
    return dict(zip(logs, (weights / weights.sum()).tolist(), strict=True))


def _size_score(pitch_mm: NDArray[np.float64], start: int) -> float:
    """Log-likelihood of the distances for a patient of unknown size; neighbouring levels err together."""
    if not len(pitch_mm):
        return 0.0
    residual = np.log(pitch_mm) - _NORM[start - _FIRST : start - _FIRST + len(pitch_mm)]
    size = residual.sum() / (len(residual) + (_PITCH_LOG_SD / _SIZE_LOG_SD) ** 2)
    misfit = float((np.minimum(np.abs(residual - size) / _PITCH_LOG_SD, 3.0) ** 2).sum())
    # Capped: a small child's lumbar spine is still a lumbar spine.
    return float(-0.5 * (misfit + min(abs(size) / _SIZE_LOG_SD, _MAX_SIZE_SD) ** 2))


def _cord_score(offset: int, conus: float | None, cord_reaches: float | None) -> float:
    if conus is not None:
        return -0.5 * min(abs(offset + conus - CONUS_LEVEL) / _CONUS_SD_LEVELS, 2.5) ** 2
    if cord_reaches is not None:
        return -0.5 * min(max(offset + cord_reaches - CONUS_LEVEL, 0.0) / _CONUS_SD_LEVELS, 2.5) ** 2
    return 0.0
