"""Grey-value windows that do not depend on the scanner's arbitrary units."""

from __future__ import annotations

import numpy as np

from spinemri.anatomy.model import Centreline
from spinemri.volume import Volume

__all__ = ["spine_window"]

_AROUND_MM = 40.0
_PERCENTILES = (1.0, 99.5)


def spine_window(volume: Volume, centreline: Centreline | None) -> tuple[float, float]:
    """Return the grey values to show as black and white: robust percentiles around the spine.

    Parameters
    ----------
    volume : Volume
    centreline : Centreline or None
        Voxels within 40 mm of its bounding box count; None takes the whole image.

    Returns
    -------
    (float, float)
        The second is always larger than the first.
    """
    box = _box_around(volume, centreline)
    values = volume.array[box]
    if not values.size:
        values = volume.array
    low, high = (float(v) for v in np.percentile(values, _PERCENTILES))
    return low, max(high, low + 1e-6)


def _box_around(volume: Volume, centreline: Centreline | None) -> tuple[slice, ...]:
    if centreline is None or not len(centreline):
        return (slice(None),) * 3
    index = volume.grid.to_index(centreline.points_lps)
    reach = _AROUND_MM / np.array(volume.spacing)
    low = np.clip(np.floor(index.min(0) - reach), 0, volume.shape).astype(int)
    high = np.clip(np.ceil(index.max(0) + reach) + 1, 0, volume.shape).astype(int)
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True))
