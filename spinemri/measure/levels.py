"""Where named levels lie along the canal, and levels as a record."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.endplates import Endplate, endplates
from spinemri.anatomy.model import Centreline, Levels
from spinemri.measure.record import AlternativeRecord, DiscRecord, EndplateRecord, LevelsRecord, VertebraRecord
from spinemri.nomenclature import vertebra_id
from spinemri.volume import Volume

__all__ = ["arc_position_mm", "levels_record", "vertebra_of_sections", "vertebra_positions_mm"]

_FEWEST_VOXELS = 100

USUAL_VERTEBRA_MM = 25.0
"""Distance between neighbouring vertebrae where only one is known; between thoracic (20-27) and lumbar (30-38) ones."""


def levels_record(levels: Levels, level_map: Volume) -> LevelsRecord:
    """Return the named levels as a record.

    Parameters
    ----------
    levels : Levels
    level_map : Volume
        Ids of vertebrae and discs, from which the endplates come.

    Returns
    -------
    LevelsRecord
        `id` after VerSe; None where the numbering is unknown.
    """
    vertebrae = tuple(_vertebra_record(levels, number, level_map) for number in range(len(levels.vertebrae)))
    discs = tuple(DiscRecord(name=d.name, centre_lps_mm=d.centre_lps_mm) for d in levels.discs)
    second = levels.alternative
    return LevelsRecord(
        numbering=levels.numbering,
        anchor=levels.anchor,
        confidence=levels.confidence,
        vertebrae=vertebrae,
        discs=discs,
        alternative=None if second is None else AlternativeRecord(**vars(second)),
    )


def _vertebra_record(levels: Levels, number: int, level_map: Volume) -> VertebraRecord:
    vertebra = levels.vertebrae[number]
    superior, inferior = _endplates(levels, number, level_map)
    return VertebraRecord(
        name=vertebra.name,
        id=None if vertebra.name is None else vertebra_id(vertebra.name),
        centre_lps_mm=vertebra.centre_lps_mm,
        complete=vertebra.complete,
        confidence=vertebra.confidence,
        superior_endplate=None if superior is None else EndplateRecord(**vars(superior)),
        inferior_endplate=None if inferior is None else EndplateRecord(**vars(inferior)),
    )


def _endplates(levels: Levels, number: int, level_map: Volume) -> tuple[Endplate | None, Endplate | None]:
    """Endplates of one body, seen along the line between its neighbours; none of a body that is cut or has no name."""
    vertebra, last = levels.vertebrae[number], len(levels.vertebrae) - 1
    if vertebra.name is None or not vertebra.complete or last < 1:
        return None, None
    above, below = (levels.vertebrae[n].centre_lps_mm for n in (max(0, number - 1), min(last, number + 1)))
    voxels = np.argwhere(level_map.array == vertebra_id(vertebra.name))
    if len(voxels) < _FEWEST_VOXELS:
        return None, None
    # Rounded as in the JSON, from which `measure` starts: the same planes to the last digit.
    return endplates(voxels, level_map.grid, np.round(above, 3) - np.round(below, 3))


def arc_position_mm(points_lps: NDArray[np.float64], centreline: Centreline) -> NDArray[np.float64]:
    """Project points of the patient on the canal.

    Parameters
    ----------
    points_lps : (n, 3) ndarray
        LPS mm.
    centreline : Centreline

    Returns
    -------
    (n,) ndarray
        Arc length in mm from the cranial end; beyond either end the canal is continued straight.
    """
    points = np.asarray(points_lps, dtype=np.float64).reshape(-1, 3)
    if not len(points):
        return np.zeros(0)
    nearest = centreline.nearest(points)
    along = np.einsum("ij,ij->i", points - centreline.points_lps[nearest], centreline.tangent[nearest])
    at_end = (nearest == 0) | (nearest == len(centreline) - 1)
    limit = centreline.step_mm
    along = np.where(at_end, along, np.clip(along, -limit, limit))
    out: NDArray[np.float64] = centreline.arc_length_mm[nearest] + along
    return out


def vertebra_positions_mm(levels: Levels, centreline: Centreline) -> NDArray[np.float64]:
    """Return the arc length in mm at which each vertebra's middle lies, (number of vertebrae,)."""
    return arc_position_mm(np.array([v.centre_lps_mm for v in levels.vertebrae]), centreline)


def vertebra_of_sections(levels: Levels, centreline: Centreline) -> NDArray[np.intp]:
    """Tell which vertebra each section belongs to, discs being halved between their neighbours.

    Parameters
    ----------
    levels : Levels
    centreline : Centreline

    Returns
    -------
    (n,) ndarray of int
        Index into `levels.vertebrae`; -1 beyond the outermost vertebrae and where none is known.
    """
    middles = vertebra_positions_mm(levels, centreline)
    if not len(middles):
        return np.full(len(centreline), -1, np.intp)
    discs = arc_position_mm(np.array([d.centre_lps_mm for d in levels.discs]), centreline)
    between = [_border(above, below, discs) for above, below in pairwise(middles)]
    spacing = np.diff(middles) if len(middles) > 1 else np.array([USUAL_VERTEBRA_MM])
    # A little more than half a vertebra: the outermost disc is halved like the others.
    borders = [middles[0] - 0.55 * spacing[0], *between, middles[-1] + 0.55 * spacing[-1]]
    ordinal = np.searchsorted(np.array(borders), centreline.arc_length_mm, side="right") - 1
    return np.where((ordinal >= 0) & (ordinal < len(middles)), ordinal, -1).astype(np.intp)


def _border(above: float, below: float, discs: NDArray[np.float64]) -> float:
    """Arc length of the border between two vertebrae: their disc's centre, else halfway."""
    own = discs[(discs > above) & (discs < below)]
    return float(np.median(own)) if len(own) else (above + below) / 2
