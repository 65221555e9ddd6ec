"""The border of the spinal cord in the sac, by what the image itself says of cord and fluid.

The network knows the cord from generated anatomy alone and hesitates at its border. In one image, cord and fluid each
look like themselves at every height: where the network is sure of them tells how. Half way between both signals lies
the border; the mean of what the network and the signal say is nearer to outlines by hand than either.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.model import TissueMap
from spinemri.anatomy.preparation import flatten_illumination
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume, box_around

__all__ = ["settle_cord"]

Array = NDArray[np.float64]

_SURE_CORD = 0.95
_SURE_FLUID = 0.9
_HESITANT = 0.1
_ALONG_MM = 8.0
_LEAST_VOXELS = 20.0
_LEAST_CONTRAST = 4.0
_SIGNAL_SHARE = 0.5
_LEAST = 1e-6


def settle_cord(tissues: TissueMap, image: Volume) -> TissueMap:
    """Divide the voxels on the border of the cord between cord and sac by their signal, too.

    The sum of cord and sac stays, and so does everything that the network is sure of. At heights where too little of
    either is sure, or where their signals do not differ by four standard deviations, nothing changes: beside a mass
    that leaves no fluid, for one.

    Parameters
    ----------
    tissues : TissueMap
    image : Volume
        On the grid of `tissues`, any intensity scale.

    Returns
    -------
    TissueMap
    """
    cord, fluid = tissues.coverage[Tissue.CORD], tissues.coverage[Tissue.DURAL_SAC]
    if not (cord > _SURE_CORD).any():
        return tissues
    box = box_around(cord + fluid > _HESITANT, tissues.grid.spacing, 0.0)
    flat = flatten_illumination(image).array[box].astype(np.float64)
    signals, told = _signals(flat, cord[box], fluid[box], tissues.grid.spacing[2])
    together = cord[box] + fluid[box]
    share = cord[box] / np.maximum(together, _LEAST)
    filled = np.clip((signals[1] - flat) / np.where(told, signals[1] - signals[0], 1.0), 0.0, 1.0)
    hesitant = told & (np.minimum(share, 1 - share) > _HESITANT)
    settled = np.where(hesitant, (1 - _SIGNAL_SHARE) * share + _SIGNAL_SHARE * filled, share)
    coverage = tissues.coverage.copy()
    coverage[(Tissue.CORD, *box)] = settled * together
    coverage[(Tissue.DURAL_SAC, *box)] = (1 - settled) * together
    return replace(tissues, coverage=coverage)


def _signals(
    flat: Array, cord: NDArray[np.float32], fluid: NDArray[np.float32], step_mm: float
) -> tuple[Array, NDArray[np.bool_]]:
    """Mean signals of cord and fluid at every height, (2, nk), and where they can be told apart, (nk,)."""
    sure = np.stack([cord > _SURE_CORD, fluid > _SURE_FLUID]).astype(np.float64)

    def along(values: Array) -> Array:
        """Sum up a slice and smooth along the spine."""
        smooth: Array = ndimage.gaussian_filter1d(values.sum((1, 2)), _ALONG_MM / step_mm, axis=1, mode="constant")
        return smooth

    # Sums over a window, in voxels: the Gaussian kernel has a sum of one.
    window = _ALONG_MM / step_mm * np.sqrt(2 * np.pi)
    amount = along(sure)
    means = along(sure * flat) / np.maximum(amount, _LEAST)
    spread = np.maximum(along(sure * flat**2) / np.maximum(amount, _LEAST) - means**2, 0.0)
    enough = (amount * window >= _LEAST_VOXELS).all(0)
    contrast = np.abs(means[1] - means[0]) / np.sqrt(np.maximum(spread.mean(0), _LEAST))
    return means, enough & (contrast >= _LEAST_CONTRAST)
