"""To which level a section across the canal belongs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.curve import Curve
from spinemri.anatomy.model import Centreline, Levels
from spinemri.nomenclature import disc_id, vertebra_id
from spinemri.volume import Volume

__all__ = ["level_of_sections"]

DISC_MARGIN_MM = 3.0
"""A section within 3 mm of a disc's end plates still belongs to the disc (METRICS)."""

_BORDER_DEPTH_MM = 10.0
_INFERRED_HALF_HEIGHT_MM = 2.5


def level_of_sections(levels: Levels, level_map: Volume, centreline: Centreline) -> tuple[str | None, ...]:
    """Name the level of every point of the centreline.

    A section belongs to a disc when it lies between the end plates or within 3 mm of them, judged at the disc's
    posterior border, else to the vertebra between two discs.

    Parameters
    ----------
    levels : Levels
    level_map : Volume
        uint8, VerSe ids (see `Anatomy.level_map`).
    centreline : Centreline

    Returns
    -------
    tuple of (str or None)
        One name per point, ``"T7"`` or ``"T6/7"``; None where no named level lies in front of the point.
    """
    curve = Curve(centreline.points_lps, centreline.tangent, centreline.posterior, centreline.left)
    names: NDArray[np.object_] = np.full(len(centreline), None, dtype=object)
    arc = centreline.arc_length_mm
    vertebrae = [
        (vertebra.name, _extent(level_map, vertebra_id(vertebra.name), curve))
        for vertebra in levels.vertebrae
        if vertebra.name is not None
    ]
    discs = [
        (disc.name, _disc_extent(disc.name, disc.centre_lps_mm, level_map, curve)) for disc in levels.discs if disc.name
    ]
    for name, extent in vertebrae:
        if extent is not None:
            names[(arc >= extent[0]) & (arc <= extent[1])] = name
    _close_gaps(names, levels, discs, arc)
    for name, extent in discs:
        names[(arc >= extent[0] - DISC_MARGIN_MM) & (arc <= extent[1] + DISC_MARGIN_MM)] = name
    return tuple(names.tolist())


def _close_gaps(
    names: NDArray[np.object_],
    levels: Levels,
    discs: list[tuple[str, tuple[float, float]]],
    arc: NDArray[np.float64],
) -> None:
    """Give everything between two neighbouring discs to the vertebra between them, whatever its mask leaves out."""
    order = {disc.name: number for number, disc in enumerate(levels.discs)}
    for (upper, above), (lower, below) in pairwise(discs):
        if order[lower] == order[upper] + 1:
            between = (arc > above[1]) & (arc < below[0])
            names[between] = _vertebra_below(upper)


def _vertebra_below(disc: str) -> str:
    above, below = disc.split("/")
    return below if below[0].isalpha() else above[0] + below


def _extent(level_map: Volume, number: int, curve: Curve) -> tuple[float, float] | None:
    """Arc lengths between which a level's posterior border lies."""
    index = np.argwhere(level_map.array == number)
    if not len(index):
        return None
    along, back, _ = curve.coordinates(level_map.grid.to_lps(index.astype(float))).T
    border = back > np.percentile(back, 98) - _BORDER_DEPTH_MM
    low, high = np.percentile(along[border], [4.0, 96.0])
    return float(low), float(high)


def _disc_extent(name: str, centre: tuple[float, float, float], level_map: Volume, curve: Curve) -> tuple[float, float]:
    above = name.split("/", maxsplit=1)[0]
    extent = _extent(level_map, disc_id(above), curve)
    if extent is not None:
        return extent
    along = float(curve.coordinates(np.array([centre], dtype=float))[0, 0])
    return along - _INFERRED_HALF_HEIGHT_MM, along + _INFERRED_HALF_HEIGHT_MM
