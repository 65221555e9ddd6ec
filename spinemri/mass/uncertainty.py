"""How sure the volume of a mass is, on the log scale (METRICS.md, Volume and its uncertainty)."""

from __future__ import annotations

import math

import numpy as np

from spinemri.volume import Volume, box_around

__all__ = ["BOUNDARY_SD_MM", "sampling_log_sd", "surface_area_mm2", "volume_log_sd"]

BOUNDARY_SD_MM = 0.3
"""Standard deviation of a uniform shift of the outline: 0.31 mm on generated studies, see `docs/results.md`."""

_BEYOND_VOXELS = 2
"""Beyond what is covered the gradient takes one voxel more, and one must be left so that no edge is seen."""

# Repeatability coefficients of positioning in simulation, per cent, against slice pitch in mm; a coefficient is
# 1.96 * sqrt(2) standard deviations.
_PITCH_MM = (1.0, 3.3, 4.4)
_REPEATABILITY_PERCENT = (3.1, 7.1, 13.8)


def volume_log_sd(probability: Volume) -> float:
    """Estimate the standard deviation of the natural logarithm of a mass volume.

    Boundary term: surface area times a uniform shift, relative to the volume. Sampling term: how the position of
    thick slices changes the volume.

    Parameters
    ----------
    probability : Volume
        Coverage by the mass.

    Returns
    -------
    float
        0 for an empty mass.
    """
    volume_mm3 = float(probability.array.sum()) * probability.grid.voxel_volume_mm3
    if volume_mm3 <= 0:
        return 0.0
    boundary = surface_area_mm2(probability) * BOUNDARY_SD_MM / volume_mm3
    return float(np.hypot(boundary, sampling_log_sd(max(probability.spacing))))


def sampling_log_sd(pitch_mm: float) -> float:
    """Return the standard deviation of the log volume due to where slices happen to lie; linear between tabled pitches.

    Examples
    --------
    >>> round(sampling_log_sd(3.3), 4)
    0.0256
    """
    slope = (_REPEATABILITY_PERCENT[2] - _REPEATABILITY_PERCENT[1]) / (_PITCH_MM[2] - _PITCH_MM[1])
    percent = float(np.interp(pitch_mm, _PITCH_MM, _REPEATABILITY_PERCENT))
    percent += max(0.0, pitch_mm - _PITCH_MM[2]) * slope
    return percent / 100 / (1.96 * math.sqrt(2))


def surface_area_mm2(probability: Volume) -> float:
    """Surface area as the integral of the gradient's length (total variation), right for partial volume.

    Co-area formula: for coverage that rises from 0 to 1 the integral of the gradient's length is the area of the
    boundary (Federer 1959).
    """
    some = probability.array != 0
    if not some.any():
        return 0.0
    array = probability.array[box_around(some, (1.0, 1.0, 1.0), _BEYOND_VOXELS)].astype(np.float64)
    gradient = np.stack([np.gradient(array, axis=axis) for axis in range(3)], axis=-1)
    in_mm = gradient @ np.linalg.inv(probability.affine[:3, :3])
    return float(np.linalg.norm(in_mm, axis=-1).sum()) * probability.grid.voxel_volume_mm3
