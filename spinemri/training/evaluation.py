"""How well a segmentation agrees with a reference: overlap, distance between surfaces, calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["dice", "expected_calibration_error", "hausdorff95_mm", "labelled_extent", "near", "surface_distances_mm"]

Mask = NDArray[np.bool_]


def dice(first: Mask, second: Mask) -> float:
    """Overlap of two masks (Dice, *Ecology* 1945;26:297): ``2 |A and B| / (|A| + |B|)``.

    Parameters
    ----------
    first, second : (ni, nj, nk) ndarray of bool

    Returns
    -------
    float
        0..1; 1 for two empty masks.
    """
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0


def surface_distances_mm(first: Mask, second: Mask, spacing: Sequence[float]) -> NDArray[np.float64]:
    """Distance from every surface voxel of either mask to the nearest surface voxel of the other.

    A surface voxel has a face in common with the background; what lies beyond the image counts as background.

    Parameters
    ----------
    first, second : (ni, nj, nk) ndarray of bool
        Neither empty.
    spacing : sequence of 3 floats
        Distance between voxel centres along each axis in mm.

    Returns
    -------
    (n,) ndarray
        mm, both directions together.
    """
    box = ndimage.find_objects((first | second).astype(np.uint8))[0]
    surfaces = [_surface(mask[box]) for mask in (first, second)]
    away = [ndimage.distance_transform_edt(~surface, sampling=spacing) for surface in surfaces]
    return np.concatenate([away[1][surfaces[0]], away[0][surfaces[1]]])


def _surface(mask: Mask) -> Mask:
    return np.asarray(mask & ~ndimage.binary_erosion(mask))


def hausdorff95_mm(first: Mask, second: Mask, spacing: Sequence[float]) -> float:
    """95th percentile of the distances between two surfaces, both directions pooled.

    The Hausdorff distance by rank of Huttenlocher et al. (IEEE TPAMI 1993;15:850-863), with both directions in one
    sample as for the average symmetric surface distance of Heimann et al. (IEEE TMI 2009;28:1251-1265). The larger of
    the two directed percentiles, which others report, is never smaller.

    Parameters
    ----------
    first, second : (ni, nj, nk) ndarray of bool
    spacing : sequence of 3 floats
        mm.

    Returns
    -------
    float
        mm; 0 for two empty masks, infinite if one alone is empty.
    """
    if not first.any() or not second.any():
        return 0.0 if first.any() == second.any() else math.inf
    return float(np.percentile(surface_distances_mm(first, second, spacing), 95))


def expected_calibration_error(probability: NDArray[np.floating], truth: Mask, *, bins: int = 15) -> float:
    """How far probabilities are from frequencies, one tissue against the rest.

    ``ECE = sum over bins of n_b / n * |mean truth in b - mean probability in b|`` with bins of equal width (Naeini et
    al., AAAI 2015; Guo et al., ICML 2017, who take 15). Computed for the probability of one tissue, not of the most
    likely one, as in the classwise error of Kull et al. (NeurIPS 2019): volumes are sums of these probabilities.

    Parameters
    ----------
    probability : (n,) ndarray
        Of the tissue, 0..1.
    truth : (n,) ndarray of bool
        Whether the voxel is that tissue.
    bins : int

    Returns
    -------
    float
        0..1; 0 is perfect. NaN without any voxel.

    Examples
    --------
    >>> error = expected_calibration_error(np.array([0.9, 0.9, 0.9, 0.9]), np.array([True, True, True, False]))
    >>> round(error, 3)
    0.15
    """
    if not len(probability):
        return math.nan
    values = probability.astype(np.float64)
    which = np.minimum((values * bins).astype(int), bins - 1)
    sums = np.bincount(which, values, bins), np.bincount(which, truth.astype(np.float64), bins)
    return float(np.abs(sums[1] - sums[0]).sum() / len(values))


def near(mask: Mask, spacing: Sequence[float], reach_mm: float) -> Mask:
    """Mark voxels whose centre lies within some mm of a voxel centre of a mask.

    Parameters
    ----------
    mask : (ni, nj, nk) ndarray of bool
        Not empty.
    spacing : sequence of 3 floats
        mm.
    reach_mm : float
    """
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing) <= reach_mm)


def labelled_extent(labelled: Mask) -> Mask:
    """Mark the slices and heights of a canonical sagittal stack between the outermost labelled ones.

    Sets that outline a few levels say nothing of what lies above and below them.

    Parameters
    ----------
    labelled : (slices, antero-posterior, cranio-caudal) ndarray of bool
        Not empty.
    """
    slices, heights = np.flatnonzero(labelled.any((1, 2))), np.flatnonzero(labelled.any((0, 1)))
    inside: Mask = np.zeros(labelled.shape, dtype=bool)
    inside[slices[0] : slices[-1] + 1, :, heights[0] : heights[-1] + 1] = True
    return inside
