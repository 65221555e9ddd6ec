"""How an image becomes the network's input: shared by inference and training, so that both see the same thing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.volume import Volume

__all__ = ["CONTEXT_MM", "IN_PLANE_MM", "condition_planes", "context_offset", "flatten_illumination", "interpolated"]

IN_PLANE_MM = 1.0
"""Pixel size at which the network works."""

CONTEXT_MM = (2.9, 5.2)
"""Range of distances to the neighbouring slices that the network has seen in training."""

_SMOOTHING_MM = (8.0, 30.0, 30.0)
_FLOOR = 0.15
_COARSE_MM = 4.0


def flatten_illumination(volume: Volume) -> Volume:
    """Divide an image by its local mean, so that a surface coil's fall-off and the scanner's scale vanish.

    The local mean is a Gaussian of 30 mm in plane and 8 mm across slices; a floor of 15 % of the mean over the
    brighter half keeps air dark.

    Parameters
    ----------
    volume : Volume
        Canonical sagittal stack, any intensity scale.

    Returns
    -------
    Volume
        float32, about 1 in average tissue, clipped to 0..6.
    """
    image = np.nan_to_num(volume.array.astype(np.float32), posinf=0.0, neginf=0.0)
    image -= np.percentile(image, 0.5)
    np.maximum(image, 0.0, out=image)
    local = _local_mean(image, volume.spacing)
    bright = image[image > np.median(image)]
    level = float(bright.mean()) if bright.size else 0.0
    if level <= 0.0:
        return volume.with_array(np.zeros_like(image))
    return volume.with_array(np.clip(image / (local + _FLOOR * level), 0.0, 6.0))


def _local_mean(image: NDArray[np.float32], spacing: tuple[float, float, float]) -> NDArray[np.float32]:
    """Gaussian mean, computed on every few pixels: it is far smoother than they are apart."""
    every = [1, *(max(1, round(_COARSE_MM / step)) for step in spacing[1:])]
    low = ndimage.uniform_filter(image, every, mode="nearest")[:, :: every[1], :: every[2]]
    sigma = [mm / step / n for mm, step, n in zip(_SMOOTHING_MM, spacing, every, strict=True)]
    smooth = ndimage.gaussian_filter(low, sigma, mode="nearest", truncate=2.5)
    across, along = (np.arange(n) / e for n, e in zip(image.shape[1:], every[1:], strict=True))
    return interpolated(interpolated(smooth, across, 1), along, 2)


def interpolated(values: NDArray[np.float32], places: NDArray[np.float64], axis: int) -> NDArray[np.float32]:
    """Interpolate linearly along one axis; beyond the edge the outermost sample counts.

    No matrix product, as the threads of the linear algebra would take the cores from the network's.

    Parameters
    ----------
    values : ndarray of float32
    places : (n,) ndarray
        In units of samples.
    axis : int

    Returns
    -------
    ndarray of float32
        Of length n along the axis.
    """
    last = values.shape[axis] - 1
    inside = np.clip(places, 0, last)
    low = inside.astype(int)
    share = (inside - low).astype(np.float32).reshape([-1 if n == axis else 1 for n in range(values.ndim)])
    out: NDArray[np.float32] = np.take(values, np.minimum(low + 1, last), axis)
    below = np.take(values, low, axis)
    out -= below
    out *= share
    out += below
    return out


def context_offset(slice_pitch_mm: float) -> float:
    """Distance in slices to the neighbours that the network is shown.

    Thick slices use their direct neighbours; thin ones look further, to a distance seen in training.

    Examples
    --------
    >>> context_offset(3.6), context_offset(0.9)
    (1.0, 4.0)
    """
    low, high = CONTEXT_MM
    if low <= slice_pitch_mm <= high:
        return 1.0
    if slice_pitch_mm > high:
        return high / slice_pitch_mm
    return float(np.ceil(low / slice_pitch_mm))


def condition_planes(
    weighting: str, *, fat_suppressed: bool | None, contrast_enhanced: bool | None
) -> NDArray[np.float32]:
    """Return the four numbers that tell the network what kind of image it sees; zeros where unknown.

    Returns
    -------
    (4,) ndarray of float32
        T1, T2 (or STIR), fat suppressed, contrast enhanced.
    """
    flags: list[Any] = [
        weighting == "T1",
        weighting in {"T2", "STIR"},
        bool(fat_suppressed) or weighting == "STIR",
        bool(contrast_enhanced),
    ]
    return np.array(flags, dtype=np.float32)
