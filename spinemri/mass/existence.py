"""How likely it is that what the network took for mass is one."""

from __future__ import annotations

import math

__all__ = ["SMALLEST_CANDIDATE_ML", "USUAL_COVERAGE", "existence_probability"]

SMALLEST_CANDIDATE_ML = 0.02
"""Specks below this are not considered."""

# Logistic regression on real scans without a mass and with grown ones (`benchmarks/mass_existence.py`).
_INTERCEPT = -1.5
_PER_COVERAGE = 21.9
USUAL_COVERAGE = 0.6


def existence_probability(coverage: float) -> float:
    """Return the probability that a connected part of the mass is real.

    Logistic in its mean coverage: over what is no mass the network hesitates, and its coverage is near a half
    throughout; of a real mass most voxels are sure. Size says nothing: what is invented on T1 and water-fat images, or
    where a curved spine leaves the slices, may be large.

    Parameters
    ----------
    coverage : float
        Mean over the part, 0..1.

    Returns
    -------
    float
        0..1.

    Examples
    --------
    >>> existence_probability(0.75) > 0.9 > 0.1 > existence_probability(0.5)
    True
    """
    value = _INTERCEPT + _PER_COVERAGE * (coverage - USUAL_COVERAGE)
    return 1.0 / (1.0 + math.exp(-value))
