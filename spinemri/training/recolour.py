"""A labelled T2 scan given the contrast of another sequence: real anatomy where no real images can be had.

Only the ranks of signals matter here: on T1 the fluid is dark, cord and roots lie between fluid and marrow, fat is
brightest; with fat suppression and contrast the fat and, in part, the marrow darken too. How far is drawn at
random, since it differs between scanners and patients.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["SacAndDisc", "as_t1", "as_t1_fat_suppressed"]

FloatArray = NDArray[np.float32]
SacAndDisc = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def as_t1(image: FloatArray, parts: SacAndDisc, marrow: float, rng: np.random.Generator) -> FloatArray:
    """Give a T2 image T1-like contrast.

    Parameters
    ----------
    image : (ni, nj, nk) ndarray of float32
        Flattened T2 image.
    parts : tuple of two (ni, nj, nk) ndarrays of bool
        Dural sac with the cord, and discs.
    marrow : float
        Signal of marrow in `image`; kept.
    rng : numpy.random.Generator

    Returns
    -------
    (ni, nj, nk) ndarray of float32
    """
    outside = marrow * (image / marrow) ** rng.uniform(0.55, 1.0)
    return _with_fluid(image, outside.astype(np.float32), parts, marrow, rng)


def as_t1_fat_suppressed(image: FloatArray, parts: SacAndDisc, marrow: float, rng: np.random.Generator) -> FloatArray:
    """Give a T2 image the contrast of a post-contrast fat-suppressed T1 image; arguments as for `as_t1`."""
    fat = 1 / (1 + np.exp(-(image / marrow - rng.uniform(1.5, 2.0)) / 0.2))
    outside = np.minimum(image, 2.5 * marrow) * (1 - rng.uniform(0.5, 0.9) * fat)
    return _with_fluid(image, outside.astype(np.float32), parts, marrow, rng)


def _with_fluid(
    image: FloatArray, outside: FloatArray, parts: SacAndDisc, marrow: float, rng: np.random.Generator
) -> FloatArray:
    """Turn the sac's contrast over, and bring discs near to marrow."""
    sac, disc = (ndimage.gaussian_filter(part.astype(np.float32), (0.0, 0.7, 0.7)) for part in parts)
    fluid = float(np.percentile(image[parts[0]], 85))
    top, drop = rng.uniform(0.65, 1.0), rng.uniform(0.3, 0.55)
    inside = marrow * (top - drop * np.clip(image / fluid, 0, 1.2))
    flat_disc = marrow * rng.uniform(0.6, 1.0) * (0.7 + 0.3 * image / max(float(np.median(image[parts[1]])), 1e-3))
    out = outside * (1 - disc) + flat_disc * disc
    return np.clip(out * (1 - sac) + inside * sac, 0.0, 6.0).astype(np.float32)
