"""How likely it is that what the network took for mass is one."""

from __future__ import annotations

import math

__all__ = ["SMALLEST_CANDIDATE_ML", "USUAL_COVERAGE", "USUAL_ML", "existence_probability"]

SMALLEST_CANDIDATE_ML = 0.02
"""Specks below this are not considered."""

# Logistic regression on real scans without a mass and with grown ones (`benchmarks/mass_existence.py`); what several
# sequences add was set by hand, see `docs/results.md`.
_INTERCEPT = -0.46
_PER_LOG_VOLUME = 0.16
_PER_COVERAGE = 21.9
_SEVERAL_SEQUENCES = 2.0
USUAL_ML = 0.3
USUAL_COVERAGE = 0.6


def existence_probability(volume_ml: float, coverage: float, *, sequences: int = 1) -> float:
    """Return the probability that a connected part of the mass is real.

    Logistic in the logarithm of its volume and in its mean coverage: over what is no mass the network hesitates, and
    its coverage is near a half throughout; of a real mass most voxels are sure. On T1 and water-fat images what is
    invented may be large.

    Parameters
    ----------
    volume_ml : float
        Sum of the coverage over the part.
    coverage : float
        Mean over the part, 0..1.
    sequences : int
        How many series were fused. What one of them invents the others do not, so that in healthy canals the mean falls
        by more than in a mass.

    Returns
    -------
    float
        0..1.

    Examples
    --------
    >>> existence_probability(4.0, 0.9) > 0.9 > 0.2 > existence_probability(0.05, 0.4)
    True
    """
    size = math.log(max(volume_ml, SMALLEST_CANDIDATE_ML) / USUAL_ML)
    value = _INTERCEPT + _PER_LOG_VOLUME * size + _PER_COVERAGE * (coverage - USUAL_COVERAGE)
    if sequences > 1:
        value += _SEVERAL_SEQUENCES
    return 1.0 / (1.0 + math.exp(-value))
