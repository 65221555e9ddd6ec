"""How well the visible levels fit a numbering by themselves: sizes, tilts, and the end of the cord."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.conus import CordEnd
from spinemri.anatomy.norms import CONUS_LEVEL, DEPTH_MM, PITCH_MM, TILT_DEG
from spinemri.anatomy.traits import Traits
from spinemri.nomenclature import REGULAR_COLUMN

__all__ = ["numbering_score"]

_FREEDOM = 5.0
"""Degrees of freedom of the t distributions: deformed levels are more common than a normal law has it."""

_CORD_SD_LEVELS = 1.0
_CORD_MAX_SD = 3.0
_UNKNOWN_PENALTY = -4.0


@dataclass(frozen=True)
class _Spread:
    """How levels of one patient deviate from the norm.

    Attributes
    ----------
    common : float
        Of all levels together: the patient's size, or how they lie.
    drift : float
        Gradual, over `length` levels; per level where `walk`.
    single : float
        Of each level by itself.
    """

    common: float
    drift: float
    single: float
    length: float = 5.0
    walk: bool = False

    def covariance(self, place: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the covariance matrix (n, n) of levels at some places along the column."""
        apart = np.abs(place[:, None] - place[None])
        if self.walk:
            middle = place - place.mean()
            reach = 0.5 * (np.abs(middle)[:, None] + np.abs(middle)[None] - apart)
            gradual = self.drift**2 * np.maximum(reach, 0.0)
        else:
            gradual = self.drift**2 * np.exp(-apart / self.length)
        return np.asarray(self.common**2 + gradual + np.diag(np.full(len(place), self.single**2)))


# Scatter of single levels and of patients: 20 lumbar scans of the training split (pitch 6 %, size 7 %, depth 6 %, size
# 10 %, tilt from disc to disc 4.6 degrees), widened for other regions, children and postures.
_PITCH = _Spread(0.16, 0.06, 0.075)
_DEPTH = _Spread(0.16, 0.06, 0.065)
_TILT = _Spread(8.0, 6.5, 3.0, walk=True)


_PLACES = {name: float(place) for place, name in enumerate((*REGULAR_COLUMN, "S2"))}


def numbering_score(places: NDArray[np.float64], traits: Traits, cord: CordEnd) -> float:
    """Log-likelihood of what is seen if the bodies stand at some places of the regular column.

    Parameters
    ----------
    places : (n,) ndarray
        By body of a chain, 0 for C1; ``places[i]`` lies above disc ``i``. Fractions lie between two vertebrae.
    traits : Traits
    cord : CordEnd

    Returns
    -------
    float
        Only differences between numberings have a meaning.
    """
    above, between = places[: len(traits)], places[1 : len(traits)]
    pitch = _score(np.log(traits.pitch_mm), np.log(_expected(PITCH_MM, between)), _PITCH)
    depth = _score(np.log(traits.depth_mm), np.log(_expected(DEPTH_MM, above)), _DEPTH)
    tilt = _score(traits.tilt_deg, _expected(TILT_DEG, above), _TILT)
    return pitch + depth + tilt + _cord_score(places, cord)


def _expected(table: Mapping[str, float], places: NDArray[np.float64]) -> NDArray[np.float64]:
    known = [_PLACES[name] for name in table]
    return np.interp(places, known, list(table.values()), left=np.nan, right=np.nan)


def _score(seen: NDArray[np.float64], expected: NDArray[np.float64], spread: _Spread) -> float:
    """Logarithm of a multivariate t density, without what all numberings share."""
    there = ~np.isnan(seen)
    known = there & ~np.isnan(expected)
    place = np.arange(len(seen), dtype=float)[known]
    penalty = _UNKNOWN_PENALTY * int((there & ~known).sum())
    if not len(place):
        return penalty
    residual = (seen - expected)[known]
    misfit = float(residual @ np.linalg.solve(spread.covariance(place), residual))
    return penalty - 0.5 * (_FREEDOM + len(place)) * float(np.log1p(misfit / _FREEDOM))


def _cord_score(places: NDArray[np.float64], cord: CordEnd) -> float:
    """Compare the end of the cord, or how far down there still is cord, with where it usually ends."""
    if cord.reaches is None:
        return 0.0
    body = int(np.clip(np.floor(cord.reaches), 0, len(places) - 1))
    level = float(places[body]) + cord.reaches - body
    away = abs(level - CONUS_LEVEL) if cord.seen_below else max(level - CONUS_LEVEL, 0.0)
    return -0.5 * min(away / _CORD_SD_LEVELS, _CORD_MAX_SD) ** 2
