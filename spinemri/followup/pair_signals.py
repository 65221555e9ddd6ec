"""What each tissue looks like at two visits, in every sequence they share.

The signals of a tissue are means over both visits, so that both are read alike. Between visits they may differ, by the
scanner's gain or by treatment: that difference is measured on voxels that are the same tissue at both visits. There
it is precise, as texture cancels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemri.followup.sampled_pair import CLASSES, SampledPair

__all__ = ["TissueSignals", "matched_signals", "tissue_signals"]

Array = NDArray[np.float64]

_PURE = 0.85
_ENOUGH_VOXELS = 100.0
_VARIANCE_FLOOR = 1e-3


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


def matched_signals(pair: SampledPair, region: NDArray[np.bool_]) -> Array:
    """Signals of both visits in a region, the later visit's brought to the earlier one's scale and both to the mean.

    Parameters
    ----------
    pair : SampledPair
    region : (i, j, k) ndarray of bool

    Returns
    -------
    (2, n, s) ndarray
    """
    signal = np.moveaxis(pair.signal[:, :, region], 1, 2).astype(np.float64)
    share = np.minimum(*pair.coverage[:, :, region])
    total = pair.coverage.sum(1).mean(0)[region]
    # Between pure voxels the shift is that of the tissues that share the voxel.
    shift = np.stack([_shift(signal, row > _PURE) for row in share])
    mixture = pair.coverage[:, :, region].mean(0).T / np.maximum(total, 1e-3)[:, None]
    half = 0.5 * mixture @ shift
    return np.stack([signal[0] + half, signal[1] - half])


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
