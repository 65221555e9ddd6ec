"""Grey-value windows that do not depend on the scanner's arbitrary units."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.model import Centreline
from spinemri.volume import Volume, sample_at

__all__ = ["spine_window"]

# Bodies, canal and arches, but not the fat under the skin, which a surface coil makes far brighter than all else.
_LEFT_MM = np.arange(-15.0, 15.1, 5.0)
_POSTERIOR_MM = np.arange(-32.0, 24.1, 2.0)
_PERCENTILES = (0.5, 99.5)


def spine_window(volume: Volume, centreline: Centreline | None) -> tuple[float, float]:
    """Return the grey values to show as black and white: robust percentiles around the spine.

    Parameters
    ----------
    volume : Volume
    centreline : Centreline or None
        Points from 32 mm in front of it to 24 mm behind count; None takes the whole image.

    Returns
    -------
    (float, float)
        The second is always larger than the first.
    """
    values = volume.array if centreline is None else _around(volume, centreline)
    if not values.size:
        values = volume.array
    low, high = (float(v) for v in np.percentile(values, _PERCENTILES))
    return low, max(high, low + 1e-6)


def _around(volume: Volume, line: Centreline) -> NDArray[Any]:
    """Sample the image around the canal, without what lies outside the field of view."""
    left, back = np.meshgrid(_LEFT_MM, _POSTERIOR_MM, indexing="ij")
    offsets = left[..., None] * line.left[::2, None, None] + back[..., None] * line.posterior[::2, None, None]
    values = sample_at(volume, line.points_lps[::2, None, None] + offsets, outside=np.nan)
    return values[np.isfinite(values)]
