"""Unaffected mid-vertebral sections above and below the mass: what compromise is measured against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.model import Centreline, Levels
from spinemri.measure.levels import vertebra_of_sections, vertebra_positions_mm
from spinemri.measure.mass import END_AREA_MM2, Extent
from spinemri.measure.sections import Sections, Structure, smooth_along
from spinemri.nomenclature import vertebra_id

__all__ = [
    "MARGIN_VERTEBRAE",
    "Reference",
    "References",
    "above_any_conus",
    "below_any_conus",
    "conus_index",
    "find_references",
    "same_place",
]

MARGIN_VERTEBRAE = 1
"""Vertebrae left out between the mass's end and its reference."""
FURTHEST_VERTEBRAE = 3
"""The reference lies at most this many vertebrae beyond the nearest one allowed: further away the canal differs."""
REFERENCE_LENGTH_MM = 5.0
LEAST_SPACING = 0.85
"""Of a body that the field of view cuts, relative to its neighbours': its middle is then off by 3 to 4 mm at most."""
CORD_AREA_MM2 = 12.0
"""A smaller "cord" is filum, root bundles or wrong voxels; a thoracic cord has 35 +- 4 mm2."""
CORD_GAP_MM, SHORTEST_CORD_MM = 8.0, 15.0
"""Rootlets that lie together are taken for cord now and then, in stretches of less than 10 mm."""
HIGHEST_CONUS, LOWEST_CONUS = "T12", "L2"
"""Of 504 adults the cord ended between the middle of T12 and the upper third of L3 (Saifuddin et al., Spine
1998;23:1452-1456)."""
CONUS_TAPER_MM = 20.0
"""The cord tapers over about this length above the tip of the conus."""


@dataclass(frozen=True)
class Reference:
    """One unaffected mid-vertebral section.

    Attributes
    ----------
    vertebra : int
        Index into `Levels.vertebrae`.
    index : int
        Section.
    sac_ap_mm, cord_ap_mm, sac_area_mm2, cord_area_mm2 : float
        Means over 5 mm of canal; NaN where not measurable, cord values also near the conus and below it.
    """

    vertebra: int
    index: int
    sac_ap_mm: float
    cord_ap_mm: float
    sac_area_mm2: float
    cord_area_mm2: float


@dataclass(frozen=True)
class References:
    """The reference sections above and below the mass; None where the field of view holds none."""

    above: Reference | None
    below: Reference | None

    def values(self, name: str) -> tuple[float, float]:
        """Return one quantity above and below; NaN where it is missing."""
        return tuple(getattr(r, name) if r else np.nan for r in (self.above, self.below))  # type: ignore[return-value]

    def mean_of_both(self, name: str) -> float:
        """Return the mean of one quantity above and below; NaN unless both are known."""
        return float(np.mean(self.values(name)))

    def least_of_known(self, name: str) -> float:
        """Return the smaller value of one quantity above and below; NaN if known on neither side."""
        known = [v for v in self.values(name) if np.isfinite(v)]
        return float(min(known, default=np.nan))

    def mean_of_known(self, name: str) -> float:
        """Return the mean of one quantity over the sides where it is known; NaN if on neither."""
        known = [v for v in self.values(name) if np.isfinite(v)]
        return float(np.mean(known)) if known else float("nan")


def conus_index(sections: Sections) -> int | None:
    """Return the most caudal section with spinal cord, None where no cord is seen.

    Strands of the cauda equina that were taken for cord come in shorter stretches and do not count.

    Parameters
    ----------
    sections : Sections

    Returns
    -------
    int or None
        The last section of the stack if the cord leaves the field of view.
    """
    area = smooth_along(sections.cord.area_mm2, step_mm=sections.step_mm)
    with_cord = np.flatnonzero(np.nan_to_num(area) >= CORD_AREA_MM2)
    if not len(with_cord):
        return None
    measurable = np.flatnonzero(np.isfinite(area))
    # A cord that reaches the last measurable section goes on beyond the field of view.
    if measurable[-1] - with_cord[-1] <= 2:
        return len(area) - 1
    runs = np.split(with_cord, np.flatnonzero(np.diff(with_cord) * sections.step_mm > CORD_GAP_MM) + 1)
    long = [run for run in runs if len(run) * sections.step_mm >= SHORTEST_CORD_MM]
    return int(long[-1][-1]) if long else None


def below_any_conus(level: str | None) -> bool:
    """Tell whether a level lies below where the cord ends in nearly everyone: from the disc L2/3 on.

    Examples
    --------
    >>> below_any_conus("L2"), below_any_conus("L2/3"), below_any_conus("T12"), below_any_conus(None)
    (False, True, False, False)
    """
    if level is None or level[0] not in "LS":
        return False
    above = vertebra_id(level.split("/", maxsplit=1)[0])
    lowest = vertebra_id(LOWEST_CONUS)
    return above > lowest or ("/" in level and above == lowest)


def above_any_conus(level: str | None) -> bool:
    """Tell whether a level lies above where the cord ends in everyone: up to the disc T11/12.

    Examples
    --------
    >>> above_any_conus("T11/12"), above_any_conus("T12"), above_any_conus("L3"), above_any_conus(None)
    (True, False, False, False)
    """
    if level is None or level[0] not in "CT":
        return False
    return vertebra_id(level.split("/", maxsplit=1)[0]) < vertebra_id(HIGHEST_CONUS)


def find_references(sections: Sections, levels: Levels, centreline: Centreline, extent: Extent) -> References:
    """Find the nearest unaffected mid-vertebral sections beyond the mass's ends and a margin of one vertebra.

    Windows at a fixed distance would lie inside a mass of several vertebrae, hence vertebrae are counted from its
    ends: for a mass from T5 to T8 the references are T3 and T10 (T4 and T9 are the margin).

    Parameters
    ----------
    sections : Sections
    levels : Levels
        Names are not needed, only the order of the vertebrae.
    centreline : Centreline
    extent : Extent

    Returns
    -------
    found : References
    """
    middles = np.rint(vertebra_positions_mm(levels, centreline) / sections.step_mm).astype(int)
    ordinal = vertebra_of_sections(levels, centreline)
    length = len(sections)
    usable = [0 <= m < length and ordinal[m] == i and _middle_known(levels, i) for i, m in enumerate(middles)]
    first, last = extent.vertebrae
    above = _nearest(sections, middles, usable, first, step=-1) if first >= 0 else None
    below = _nearest(sections, middles, usable, last, step=1) if last >= 0 else None
    return References(above, below)


def _middle_known(levels: Levels, index: int) -> bool:
    """Tell whether the centre of a vertebra is near its middle, though the field of view may cut it.

    Between others a body may be cut in front, which does not move its middle along the canal. Of the first and the last
    one the end may be missing: what is left has its centre nearer to the neighbour than that one has to the next.
    """
    last = len(levels.vertebrae) - 1
    if levels.vertebrae[index].complete or 0 < index < last:
        return True
    inwards = 1 if index == 0 else -1
    if not 0 <= index + 2 * inwards <= last:
        return False
    own, neighbour, next_one = (np.array(levels.vertebrae[index + n * inwards].centre_lps_mm) for n in range(3))
    return bool(np.linalg.norm(own - neighbour) >= LEAST_SPACING * np.linalg.norm(neighbour - next_one))


def same_place(
    references: References, sections: Sections, levels: Levels, centreline: Centreline, index: int
) -> References:
    """Move references to where their own segments correspond to a section.

    Sac and canal narrow at every disc and widen behind every body: a section at a disc is compared with a disc, one
    behind a body with a body.

    Parameters
    ----------
    references : References
        At the middles of vertebrae.
    sections : Sections
    levels : Levels
    centreline : Centreline
    index : int
        Section.

    Returns
    -------
    moved : References
        At most half a vertebra away; a side where that place cannot be measured keeps its own.
    """
    if references.above is None and references.below is None:
        return references
    middles = vertebra_positions_mm(levels, centreline)
    count = np.arange(len(middles))
    place = float(np.interp(index * sections.step_mm, middles, count))
    beyond_middle = place - round(place)

    def beside(reference: Reference | None) -> Reference | None:
        """Move a reference as far from its vertebra as the section lies, unless it cannot be measured there."""
        if reference is None or not 0 <= reference.vertebra + beyond_middle <= count[-1]:
            return reference
        at = round(float(np.interp(reference.vertebra + beyond_middle, count, middles)) / sections.step_mm)
        if not 0 <= at < len(sections) or _mass_area(sections, at) >= END_AREA_MM2:
            return reference
        found = _reference(sections, reference.vertebra, at)
        return found if np.isfinite(found.sac_ap_mm) else reference

    return References(beside(references.above), beside(references.below))


def _nearest(
    sections: Sections, middles: NDArray[np.intp], usable: list[bool], end: int, *, step: int
) -> Reference | None:
    """Go from the mass's end up or down the spine to the first vertebra that can serve as reference."""
    start = end + step * (MARGIN_VERTEBRAE + 1)
    for vertebra in range(start, start + step * (FURTHEST_VERTEBRAE + 1), step):
        if not 0 <= vertebra < len(middles) or not usable[vertebra]:
            continue
        found = _reference(sections, vertebra, int(middles[vertebra]))
        if np.isfinite(found.sac_ap_mm) and _mass_area(sections, found.index) < END_AREA_MM2:
            return found
    return None


def _window(sections: Sections, index: int) -> slice:
    """Sections within half the reference length of one section."""
    half = round(REFERENCE_LENGTH_MM / 2 / sections.step_mm)
    return slice(max(0, index - half), index + half + 1)


def _mass_area(sections: Sections, index: int) -> float:
    """Largest mass area near a section in mm2."""
    return float(np.nan_to_num(sections.mass.area_mm2[_window(sections, index)]).max())


def _reference(sections: Sections, vertebra: int, index: int) -> Reference:
    """Measure one reference section."""

    def mean(values: NDArray[np.float64]) -> float:
        """Average what is known around the section."""
        near = values[_window(sections, index)]
        near = near[np.isfinite(near)]
        return float(near.mean()) if len(near) else float("nan")

    sac, cord = sections.sac, _full_cord(sections)
    return Reference(vertebra, index, mean(sac.ap_mm), mean(cord.ap_mm), mean(sac.area_mm2), mean(cord.area_mm2))


def _full_cord(sections: Sections) -> Structure:
    """Return the cord with everything near and below the tip of the conus set to NaN."""
    tip = conus_index(sections)
    at = np.arange(len(sections))
    end = -1 if tip is None else tip if tip == len(sections) - 1 else tip - CONUS_TAPER_MM / sections.step_mm
    absent = (at > end) | (np.nan_to_num(sections.cord.area_mm2) < CORD_AREA_MM2)
    cord = sections.cord
    area, ap, transverse = (np.where(absent, np.nan, v) for v in (cord.area_mm2, cord.ap_mm, cord.transverse_mm))
    return Structure(area, ap, transverse, cord.centroid_mm)
