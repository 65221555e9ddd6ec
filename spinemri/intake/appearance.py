"""Weighting guessed from the image alone: the last resort for images without any words."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from spinemri.intake.model import Weighting
from spinemri.volume import FloatArray, Volume

__all__ = ["bright_column_ratio", "guess_weighting"]

_SMOOTH_MM = 1.5
_COLUMN_WIDTH_MM = 24.0
_TISSUE_AROUND_MM = 40.0
_COLUMN_HEIGHT_MM = 30.0
_CURVE_MM = 6.0
_T2_FROM = 1.0


def guess_weighting(volume: Volume) -> tuple[Weighting, str]:
    """Guess T1 or T2 of a sagittal spine image from the brightness of cerebrospinal fluid.

    On T2 the dural sac is a bright column between darker tissues, on T1 there is none. Measured on real scans: right
    for 37 of 39 T2 (not where the sac is narrow or leaves the midline), and for 5 of 5 T1-like ones, whose ratio
    stayed below 0.86. Nothing but T1 and T2 is recognised.

    Parameters
    ----------
    volume : Volume
        Canonical, sagittal.

    Returns
    -------
    weighting : Weighting
        T1 or T2.
    evidence : str
    """
    ratio = bright_column_ratio(volume)
    if ratio >= _T2_FROM:
        return Weighting.T2, f"guessed from the image: a column {ratio:.1f} x as bright above its sides as the tissue"
    return Weighting.T1, f"guessed from the image: no bright column (ratio {ratio:.1f}, T2 from {_T2_FROM:.1f})"


def bright_column_ratio(volume: Volume) -> float:
    """Return how far a narrow column along the spine stands out of its surroundings, relative to median tissue.

    A white top-hat along antero-posterior keeps what is narrower than 24 mm, only where tissue lies on both sides
    (which drops the skin), and a minimum over 30 mm of height keeps what is continuous.

    Parameters
    ----------
    volume : Volume
        Canonical, sagittal.

    Returns
    -------
    float
        0 for an empty image.
    """
    middle = volume.array.shape[0] / 2
    slab = volume.array[int(0.8 * middle) : max(int(1.2 * middle), int(0.8 * middle) + 1)].mean(axis=0)
    _, step_ap, step_height = volume.spacing
    image = ndimage.gaussian_filter(slab.astype(np.float64), [_SMOOTH_MM / step_ap, _SMOOTH_MM / step_height])
    bright = float(np.percentile(image, 95))
    if bright <= 0:
        return 0.0
    columns = _continuous(_narrow(image, bright, step_ap), step_ap, step_height)
    tissue = float(np.median(image[image > 0.1 * bright]))
    return float(np.percentile(columns.max(axis=0), 70)) / tissue


def _odd(length_mm: float, step_mm: float) -> int:
    return int(length_mm / step_mm) | 1


def _narrow(image: FloatArray, bright: float, step_ap: float) -> FloatArray:
    """Keep bright structures narrower than the sac's upper limit with tissue on both sides."""
    hat = image - ndimage.grey_opening(image, size=(_odd(_COLUMN_WIDTH_MM, step_ap), 1))
    darkest_around = ndimage.minimum_filter1d(image, _odd(_TISSUE_AROUND_MM, step_ap), axis=0)
    return np.where(darkest_around > 0.04 * bright, hat, 0.0)


def _continuous(hat: FloatArray, step_ap: float, step_height: float) -> FloatArray:
    """Keep what goes on over the column's height, give or take the spine's curve."""
    widened = ndimage.maximum_filter1d(hat, _odd(_CURVE_MM, step_ap), axis=0)
    out: FloatArray = ndimage.minimum_filter1d(widened, _odd(_COLUMN_HEIGHT_MM, step_height), axis=1)
    return out
