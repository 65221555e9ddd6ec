"""The boundary shift integral of the mass, symmetric and over several sequences (Freeborough and Fox 1997).

In the border of the mass the difference of two registered images, divided by the contrast across the border, is how
much of each voxel the mass has lost. Mass against CSF, cord and fat differ in contrast and in sign, from sequence to
sequence. So every voxel of the border has its own window: from the signal of the mass to that of what adjoins it
there, in all sequences together, weighted by their noise; what noise loses at the ends of the window is given back.
Where that contrast is too low to tell, the difference of the two outlines takes the integral's place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import norm

from spinemri.followup.pair_signals import matched_signals
from spinemri.followup.sampled_pair import MASS, SampledPair

__all__ = ["BoundaryShift", "boundary_shift"]

Array = NDArray[np.float64]

LOW_CONTRAST = 4.0
"""Squared contrast over noise at which image and outlines count alike."""

LEAST_HELD = 0.3
"""The correction for noise is at most a factor of about three: noisier voxels rest on the outlines anyway."""

_INSIDE = 0.5
_BORDER_MM = 2.5
_NEIGHBOUR_MM = 2.0


@dataclass(frozen=True)
class BoundaryShift:
    """Outcome of the integral.

    Attributes
    ----------
    change_ml : float
        Gain of the mass from the earlier to the later visit, negative for a loss.
    border_ml : float
        Volume of the border over which it was taken.
    contrast_share : float
        Part of the border, 0..1, that rests on image contrast; the rest on the difference of the outlines.
    """

    change_ml: float
    border_ml: float
    contrast_share: float


def boundary_shift(pair: SampledPair) -> BoundaryShift:
    """Integrate the shift of the border of the mass inside the canal.

    Parameters
    ----------
    pair : SampledPair

    Returns
    -------
    BoundaryShift
    """
    border = _border(pair)
    weight = pair.content[border] * pair.voxel_ml
    outlines = pair.coverage[:, MASS][:, border]
    signal, looks = matched_signals(pair, pair.canal)
    neighbour = _neighbours(pair)[:, border].T @ looks.means[:MASS]
    contrast = looks.means[MASS] - neighbour
    direction = contrast @ looks.inverse_covariance
    strength = (direction * contrast).sum(1)
    filled = [_window(visit, neighbour, direction, strength) for visit in signal[:, border[pair.canal]]]
    trust = strength / (strength + LOW_CONTRAST)
    shifted = (filled[1] - filled[0]) / _kept_by_window(strength)
    change = trust * shifted + (1 - trust) * (outlines[1] - outlines[0])
    total = max(float(weight.sum()), 1e-9)
    return BoundaryShift(float((weight * change).sum()), total, float((weight * trust).sum()) / total)


def _border(pair: SampledPair) -> NDArray[np.bool_]:
    """Between what is mass at both visits, less a margin, and what is mass at either, plus a margin."""
    inside = pair.coverage[:, MASS] >= _INSIDE
    both, either = np.asarray(inside.all(0)), np.asarray(inside.any(0))
    if not either.any():
        return either
    outer = ndimage.distance_transform_edt(~either, sampling=pair.spacing) <= _BORDER_MM
    inner = ndimage.distance_transform_edt(both, sampling=pair.spacing) > _BORDER_MM
    border: NDArray[np.bool_] = outer & ~inner & pair.near & pair.canal
    return border


def _neighbours(pair: SampledPair) -> Array:
    """Which tissues other than the mass lie nearby, as shares, (3, i, j, k)."""
    sigma = [_NEIGHBOUR_MM / mm for mm in pair.spacing]
    mean = pair.coverage.mean(0)[:MASS].astype(np.float64)
    nearby = np.stack([ndimage.gaussian_filter(tissue, sigma) for tissue in mean])
    return np.asarray(nearby / np.maximum(nearby.sum(0), 1e-6))


def _window(signal: Array, neighbour: Array, direction: Array, strength: Array) -> Array:
    """Where the signals of each voxel lie between what adjoins the mass there, 0, and the mass, 1."""
    along = ((signal - neighbour) * direction).sum(1) / np.maximum(strength, 1e-9)
    return np.asarray(np.clip(along, 0.0, 1.0))


def _kept_by_window(strength: Array) -> Array:
    """Part of a shift that the window lets through.

    What lies beyond the two tissues is cut off, so that other tissues do not count; noise of a pure voxel is cut off on
    one side, too, and a voxel that changes wholly appears to change by less. With noise of standard deviation s, in
    units of the contrast, the mean of a voxel filled by f is that of a normal variable cut at 0 and 1; between f = 0
    and f = 1 it rises by ``1 - 2 (s (p(0) - p(1/s)) + 1 - P(1/s))``, p and P being the normal density and distribution.
    The same holds for a small shift, averaged over how the voxels of the border are filled.
    """
    noise = 1.0 / np.sqrt(np.maximum(strength, 1e-9))
    lost = noise * (norm.pdf(0.0) - norm.pdf(1.0 / noise)) + norm.sf(1.0 / noise)
    return np.asarray(np.maximum(1.0 - 2.0 * lost, LEAST_HELD))
