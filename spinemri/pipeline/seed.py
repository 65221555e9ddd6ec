"""What the user says of the mass: where it is, or that there is none to measure."""

from __future__ import annotations

from dataclasses import replace

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.model import TissueMap
from spinemri.config import MassSettings
from spinemri.errors import Flag
from spinemri.nomenclature import Tissue
from spinemri.pipeline.options import Point
from spinemri.volume import Volume, box_around

__all__ = ["accept_any", "keep_nearest", "without_mass"]

_COMPONENT_FRACTION = 0.1
"""Voxels with less mass than this do not join two components."""

_HALF = 0.5
"""A mass that fills no voxel by half has no outline."""

_NEAR_MM = 20.0
"""A seed farther from any mass than this was hardly meant for it."""

_ONE_MASS_MM = 15.0
"""Parts no farther apart than this are one mass: around the sac it lies before and behind it."""

_FAINT = Flag(
    "MASS_SEED_FAINT",
    "What lies at the seed fills no voxel by half, so no mass was measured. Draw it in mass_dseg and run "
    "'spinemri measure'.",
)


def without_mass(tissues: TissueMap, where: NDArray[np.bool_] | None = None) -> TissueMap:
    """Give the fraction of the mass back to what surrounds it: epidural space inside the canal, background outside.

    Parameters
    ----------
    tissues : TissueMap
    where : (ni, nj, nk) ndarray of bool, optional
        Voxels to change; all of them if not given.

    Returns
    -------
    TissueMap
    """
    coverage = tissues.coverage.copy()
    mask = np.ones(coverage.shape[1:], dtype=bool) if where is None else where
    for mass, heir in ((Tissue.MASS_CANAL, Tissue.EPIDURAL), (Tissue.MASS_OUTSIDE, Tissue.BACKGROUND)):
        coverage[heir][mask] += coverage[mass][mask]
        coverage[mass][mask] = 0.0
    return replace(tissues, coverage=coverage)


def keep_nearest(tissues: TissueMap, seed_lps_mm: Point) -> tuple[TissueMap, tuple[Flag, ...]]:
    """Keep only the mass that lies nearest to a point: the nearest component, and what has a core within 15 mm of it.

    Parameters
    ----------
    tissues : TissueMap
    seed_lps_mm : (x, y, z)
        LPS mm.

    Returns
    -------
    tissues : TissueMap
    flags : tuple of Flag
        MASS_SEED_FAR if no mass lies within 20 mm of the point: then nothing is kept. MASS_SEED_FAINT if what lies
        there fills no voxel by half.
    """
    fraction = tissues.fraction(Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)
    components = cc3d.connected_components(fraction.array > _COMPONENT_FRACTION, connectivity=26)
    voxels = np.argwhere(components)
    distance = np.linalg.norm(fraction.grid.to_lps(voxels.astype(float)) - np.array(seed_lps_mm), axis=1)
    if not len(voxels) or distance.min() > _NEAR_MM:
        return without_mass(tissues), (_far(seed_lps_mm, distance),)
    chosen = components == components[tuple(voxels[distance.argmin()])]
    flags = () if fraction.array[chosen].max() >= _HALF else (_FAINT,)
    kept = chosen | _same_mass(chosen, components, fraction)
    return without_mass(tissues, (components > 0) & ~kept), flags


def _same_mass(chosen: NDArray[np.bool_], components: NDArray[np.integer], fraction: Volume) -> NDArray[np.bool_]:
    """Components with a core near the chosen one."""
    box = box_around(chosen, fraction.spacing, _ONE_MASS_MM)
    near = ndimage.distance_transform_edt(~chosen[box], sampling=fraction.spacing) <= _ONE_MASS_MM
    core = near & (fraction.array[box] >= _HALF)
    return np.isin(components, np.setdiff1d(components[box][core], [0]))


def _far(seed_lps_mm: Point, distance: NDArray[np.float64]) -> Flag:
    seed = ", ".join(f"{value:.1f}" for value in seed_lps_mm)
    nearest = f"the nearest lies {distance.min():.0f} mm away" if distance.size else "none was segmented anywhere"
    return Flag("MASS_SEED_FAR", f"No mass within {_NEAR_MM:.0f} mm of the seed ({seed}): {nearest}. Check the point.")


def accept_any(settings: MassSettings) -> MassSettings:
    """Accept whatever lies at a point that the user named, however low its score or small its volume."""
    return settings.model_copy(update={"existence_threshold": 0.0, "minimum_volume_ml": 0.0})
