"""What each tissue looks like at two visits, in every sequence they share.

The signals of a tissue are means over both visits, so that both are read alike. Between visits they may differ, by the
scanner's gain or by treatment: that difference is measured on voxels that are the same tissue at both visits. There
it is precise, as texture cancels.

Where an outline missed a part of the mass, that part would count as what it was taken for and make the mass look like
it. Outlines are therefore only where expectation-maximisation starts (Dempster, Laird and Rubin 1977): voxels come to
count for the tissue that they look like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemri.followup.sampled_pair import CLASSES, SampledPair

__all__ = ["TissueSignals", "matched_signals", "settled_signals", "tissue_signals"]

Array = NDArray[np.float64]

_PURE = 0.85
_ENOUGH_VOXELS = 100.0
_VARIANCE_FLOOR = 1e-3
_ROUNDS = 3
_PRIOR_FLOOR = 0.02


@dataclass(frozen=True, eq=False)
class TissueSignals:
    """Normal distributions of the signals of `CLASSES`.

    Attributes
    ----------
    means : (4, s) ndarray
        By class and sequence.
    inverse_covariance : (s, s) ndarray
        Common to all classes.
    """

    means: Array
    inverse_covariance: Array

    def separation(self) -> Array:
        """Squared Mahalanobis distance of every other class from the mass, (3,)."""
        apart = self.means[:-1] - self.means[-1]
        return np.asarray(np.einsum("ci,ij,cj->c", apart, self.inverse_covariance, apart))

    def shares(self, signal: Array, prior: Array) -> Array:
        """Probability of every class, (2, n, 4), by the signals (2, n, s) and the probability before, (n, 4)."""
        away = signal[:, :, None] - self.means
        log_density = -0.5 * np.einsum("vnci,ij,vncj->vnc", away, self.inverse_covariance, away)
        share = prior * np.exp(log_density - log_density.max(2, keepdims=True))
        return np.asarray(share / share.sum(2, keepdims=True))


def matched_signals(pair: SampledPair, region: NDArray[np.bool_]) -> tuple[Array, TissueSignals]:
    """Signals of both visits in a region, both brought to the mean of their scales, and what tissues look like in them.

    Parameters
    ----------
    pair : SampledPair
    region : (i, j, k) ndarray of bool

    Returns
    -------
    signal : (2, n, s) ndarray
    looks : TissueSignals
    """
    signal = np.moveaxis(pair.signal[:, :, region], 1, 2).astype(np.float64)
    coverage = np.moveaxis(pair.coverage[:, :, region], 1, 2).astype(np.float64)
    mixture = _mixture(coverage)
    same = _same_tissue(coverage, settled_signals(signal, coverage).shares(signal, mixture + _PRIOR_FLOOR))
    # Between pure voxels the shift is that of the tissues that share the voxel.
    half = 0.5 * mixture @ np.stack([_shift(signal, column) for column in same.T])
    matched = np.stack([signal[0] + half, signal[1] - half])
    return matched, settled_signals(matched, coverage)


def _mixture(coverage: Array) -> Array:
    """Shares of the tissues in each voxel, mean of both visits, (n, 4)."""
    mean = coverage.mean(0)
    return np.asarray(mean / np.maximum(mean.sum(1, keepdims=True), 1e-3))


def _same_tissue(coverage: Array, shares: Array) -> NDArray[np.bool_]:
    """Which voxels are one tissue, and no other, at both visits by the outlines, and look like it, (n, 4)."""
    likely = shares.argmax(2) == coverage.argmax(2)
    return np.asarray((coverage.min(0) > _PURE) & likely.all(0)[:, None])


def _shift(signal: Array, pure: NDArray[np.bool_]) -> Array:
    """By how much one tissue changed its signals from the earlier to the later visit, little where little is seen."""
    count = int(pure.sum())
    if count == 0:
        return np.zeros(signal.shape[2])
    change = np.median(signal[1, pure] - signal[0, pure], axis=0)
    return np.asarray(change * count / (count + _ENOUGH_VOXELS))


def tissue_signals(signal: Array, weight: Array) -> TissueSignals:
    """Weighted means per class and their common covariance (linear discriminant analysis, Fisher 1936).

    Parameters
    ----------
    signal : (2, n, s) ndarray
    weight : (2, n, 4) ndarray
        How much each voxel says of each class.

    Returns
    -------
    TissueSignals
    """
    flat, share = signal.reshape(-1, signal.shape[2]), weight.reshape(-1, len(CLASSES))
    amount = np.maximum(share.sum(0), 1.0)
    means = (share.T @ flat) / amount[:, None]
    covariance = np.zeros((flat.shape[1], flat.shape[1]))
    for column, mean in enumerate(means):
        centred = flat - mean
        covariance += (share[:, column, None] * centred).T @ centred
    covariance /= max(float(share.sum()), 1.0)
    inverse = np.linalg.inv(covariance + _VARIANCE_FLOOR * np.eye(len(covariance)))
    return TissueSignals(means, np.asarray(inverse, np.float64))


def settled_signals(signal: Array, coverage: Array) -> TissueSignals:
    """Tissue signals that an outline which has missed something does not blur.

    The mean of both visits' coverages is the prior, the same at both, so that neither visit is read with favour. Voxels
    count by the square of their probability: those that two tissues share say little.

    Parameters
    ----------
    signal : (2, n, s) ndarray
    coverage : (2, n, 4) ndarray
        Of each voxel by `CLASSES`, 0..1.

    Returns
    -------
    TissueSignals
    """
    content = coverage.sum(2, keepdims=True)
    prior = _mixture(coverage) + _PRIOR_FLOOR
    looks = tissue_signals(signal, coverage**2)
    for _ in range(_ROUNDS):
        looks = tissue_signals(signal, content * looks.shares(signal, prior) ** 2)
    return looks
