"""Smooth random fields fixed in the patient, so that tissue keeps its texture from visit to visit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter, map_coordinates

__all__ = ["Texture", "build_texture"]

Array = NDArray[Any]
TILE = 64
FINE_MM = 0.9
COARSE_MM = 4.5


@dataclass(frozen=True, eq=False)
class Texture:
    """Two periodic unit-variance fields in rest space: `fine` (mm) and `coarse` (cm)."""

    fine: Array
    coarse: Array

    def sample(self, affine: NDArray[np.float64], shape: tuple[int, int, int]) -> tuple[Array, Array]:
        """Sample both fields on a grid.

        Parameters
        ----------
        affine : (4, 4) ndarray
            Voxel index to rest-space mm.
        shape : tuple of int

        Returns
        -------
        fine, coarse : ndarray of float32
            Of the given shape.
        """
        out = []
        for tile, pitch in ((self.fine, FINE_MM), (self.coarse, COARSE_MM)):
            out.append(
                affine_transform(
                    tile, affine[:3, :3] / pitch, affine[:3, 3] / pitch, shape, order=1, mode="grid-wrap",
                    output=np.float32,
                )
            )  # fmt: skip
        return out[0], out[1]

    def streaks(self, s: Array, p: Array, l: Array) -> Array:  # noqa: E741 - canal coordinates
        """Field stretched along the canal and slanting backwards as it descends, like muscle bundles; (n,)."""
        slanted = np.stack([(s - 0.8 * p) / 11.0, p / 2.2 + s / 30.0, l / 3.5])
        return np.asarray(map_coordinates(self.coarse, slanted, order=1, mode="grid-wrap", output=np.float32))


def build_texture(rng: np.random.Generator) -> Texture:
    """Draw a patient's texture."""

    def tile(sigma: float) -> Array:
        """Draw smooth noise of standard deviation one that repeats without a seam."""
        field = gaussian_filter(rng.standard_normal((TILE,) * 3).astype(np.float32), sigma, mode="wrap")
        return np.asarray(field / field.std())

    return Texture(tile(0.9), tile(1.2))
