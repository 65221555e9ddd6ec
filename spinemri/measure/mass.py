"""The mass itself: volume with its uncertainty, extent along the canal, position, size in the section plane."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.model import Centreline, Levels
from spinemri.mass.model import Mass
from spinemri.measure.levels import vertebra_of_sections
from spinemri.measure.planes import FloatMap, SectionStack
from spinemri.measure.record import ExtentRecord, MassComponentRecord, MassRecord, SignalRecord
from spinemri.measure.sections import MeasuredCanal, Sections, smooth_along

__all__ = ["Extent", "Position", "find_extent", "mass_position", "mass_record", "mass_size_mm", "volume_interval"]

Position = Literal["posterior", "anterior", "left", "right", "circumferential"]

END_SHARE = 0.05
END_AREA_MM2 = 8.0
"""A section is affected where the mass area exceeds both 5 % of its maximum and this: about one wrong voxel's worth."""
SMALLEST_RUN_SHARE = 0.05
"""Separate stretches of mass with less than this share of the total are left out of the extent."""
GAP_MM = 3.0
ANGLE_BINS = 36
COVERED_MM = 1.0
CIRCUMFERENTIAL_DEGREES = 270.0
EDGE_FRACTION = 0.15


@dataclass(frozen=True, eq=False)
class Extent:
    """Where along the canal the mass lies.

    Attributes
    ----------
    affected : (n,) ndarray of bool
        Sections with mass, without specks.
    first, last : int
        Outermost affected sections.
    vertebrae : tuple of int
        Indices into `Levels.vertebrae` of the cranial and the caudal end; -1 where no vertebra is known there.
    length_mm : float
        Along the canal.
    """

    affected: NDArray[np.bool_]
    first: int
    last: int
    vertebrae: tuple[int, int]
    length_mm: float


def volume_interval(volume_ml: float, log_sd: float) -> tuple[float, tuple[float, float]]:
    """Return standard deviation and 95 % interval of a volume from the standard deviation of its logarithm.

    ``sd = V * s`` (first order) and ``V * exp(+-1.96 s)`` (log-normal).

    Parameters
    ----------
    volume_ml : float
    log_sd : float
        Of the natural logarithm of the volume.

    Returns
    -------
    sd_ml : float
    ci95_ml : tuple of float
    """
    factor = float(np.exp(1.96 * log_sd))
    return volume_ml * log_sd, (volume_ml / factor, volume_ml * factor)


def find_extent(sections: Sections, levels: Levels, centreline: Centreline) -> Extent | None:
    """Find the affected sections and the vertebrae at the ends of the mass.

    A section is affected where the mass area, averaged over 3 mm, exceeds 5 % of its maximum and 8 mm2. Stretches
    more than 3 mm apart are separate; those with less than 5 % of the mass in the canal are ignored. An end that
    lies at a disc belongs to the vertebra on its side of the disc's centre.

    Parameters
    ----------
    sections : Sections
    levels : Levels
    centreline : Centreline

    Returns
    -------
    Extent or None
        None where no section is affected.
    """
    area = np.nan_to_num(smooth_along(sections.mass.area_mm2, step_mm=sections.step_mm))
    threshold = max(END_AREA_MM2, END_SHARE * float(area.max(initial=0.0)))
    runs = _runs(area > threshold, gap=round(GAP_MM / sections.step_mm))
    total = float(area.sum())
    runs = [(a, b) for a, b in runs if float(area[a : b + 1].sum()) >= SMALLEST_RUN_SHARE * total]
    if not runs:
        return None
    affected = np.zeros(len(area), bool)
    for a, b in runs:
        affected[a : b + 1] = area[a : b + 1] > threshold
    first, last = runs[0][0], runs[-1][1]
    ordinal = vertebra_of_sections(levels, centreline)
    ends = (int(ordinal[first]), int(ordinal[last]))
    return Extent(affected, first, last, ends, (last - first + 1) * sections.step_mm)


def _runs(flags: NDArray[np.bool_], *, gap: int) -> list[tuple[int, int]]:
    """First and last index of each stretch of true flags; gaps of up to `gap` are bridged."""
    where = np.flatnonzero(flags)
    if not len(where):
        return []
    breaks = [i for i, (a, b) in enumerate(pairwise(where)) if b - a > gap + 1]
    starts = [0, *(i + 1 for i in breaks)]
    stops = [*breaks, len(where) - 1]
    return [(int(where[a]), int(where[b])) for a, b in zip(starts, stops, strict=True)]


def mass_position(stack: SectionStack, sections: Sections, extent: Extent) -> Position | None:
    """Tell on which side of the dural sac the mass lies.

    Per affected section the mass is seen from the sac's centroid. A direction (10 degrees wide) is covered where
    the mass is at least 1 mm thick along it. The mass is circumferential if on average, weighted by mass area, more
    than 270 degrees are covered; else it lies in the quadrant that its area-weighted mean direction falls in.

    Parameters
    ----------
    stack : SectionStack
    sections : Sections
    extent : Extent

    Returns
    -------
    {"posterior", "anterior", "left", "right", "circumferential"} or None
        None where mass surrounds the sac so evenly that no direction prevails, yet covers no 270 degrees.
    """
    weights, covered, direction = 0.0, 0.0, np.zeros(2)
    for index in np.flatnonzero(extent.affected & ~stack.cut):
        centre = sections.sac.centroid_mm[index]
        if not np.isfinite(centre).all():
            centre = sections.canal.centroid_mm[index]
        thickness, towards = _seen_from(stack, stack.mass[index], centre)
        area = float(sections.mass.area_mm2[index])
        weights += area
        covered += area * float((thickness >= COVERED_MM).sum()) * 360.0 / ANGLE_BINS
        direction += towards
    if weights <= 0:
        return None
    if covered / weights > CIRCUMFERENTIAL_DEGREES:
        return "circumferential"
    return _quadrant(direction / weights)


def _seen_from(
    stack: SectionStack, fractions: FloatMap, centre: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mass thickness in mm per direction, and the sum of unit vectors (posterior, left) weighted by area in mm2."""
    back = stack.offsets_mm[:, None] - centre[0]
    left = stack.offsets_mm[None, :] - centre[1]
    radius = np.maximum(np.hypot(back, left), stack.pixel_mm)
    area = np.clip(fractions, 0.0, 1.0) * stack.pixel_mm**2
    turn = np.arctan2(left, back) % (2 * np.pi)
    bins = np.minimum((turn * ANGLE_BINS / (2 * np.pi)).astype(int), ANGLE_BINS - 1)
    # An area element is r dr dphi: divided by r and the bin's width it is thickness along the ray.
    thickness = np.bincount(bins.ravel(), (area / radius).ravel(), ANGLE_BINS) * ANGLE_BINS / (2 * np.pi)
    return thickness, np.array([(area * back / radius).sum(), (area * left / radius).sum()])


def _quadrant(direction: NDArray[np.float64]) -> Position | None:
    """Quadrant of a mean direction (posterior, left) of length 0..1; None where it has almost no length."""
    back, left = (float(v) for v in direction)
    if np.hypot(back, left) < 0.05:
        return None
    if abs(back) >= abs(left):
        return "posterior" if back > 0 else "anterior"
    return "left" if left > 0 else "right"


def mass_size_mm(stack: SectionStack, extent: Extent) -> tuple[float | None, float | None]:
    """Return the largest AP thickness and the largest transverse width of the mass in the canal.

    AP is the longest line through the mass from front to back on any affected section; the width is that of the
    mass's shadow on the transverse axis, so that a mass that wraps around the sac is measured from end to end.

    Parameters
    ----------
    stack : SectionStack
    extent : Extent

    Returns
    -------
    ap_mm, transverse_mm : float or None
        None where every affected section is cut.
    """
    own = stack.mass[extent.affected & ~stack.cut]
    if not len(own):
        return None, None
    thickness = own.sum(1, dtype=np.float64).max(1) * stack.pixel_mm
    shadow = np.clip(own.max(1), 0.0, 1.0)
    width = np.where(shadow > EDGE_FRACTION, shadow, 0.0).sum(1, dtype=np.float64) * stack.pixel_mm
    return tuple(float(smooth_along(v, step_mm=1.0).max()) for v in (thickness, width))  # type: ignore[return-value]


def mass_record(
    mass: Mass, levels: Levels, canal: MeasuredCanal, extent: Extent | None, signal: SignalRecord
) -> MassRecord:
    """Return everything that is said of the mass itself.

    The volume is the sum of the mass fractions times the volume of a voxel, which comes from slice positions.

    Parameters
    ----------
    mass : Mass
    levels : Levels
    canal : MeasuredCanal
    extent : Extent or None
        None where the mass does not reach the canal.
    signal : SignalRecord

    Returns
    -------
    MassRecord
        Only status and existence unless the mass was measured.
    """
    existence = None if mass.status == "not_assessable" else mass.existence
    if mass.status != "measured":
        return MassRecord(status=mass.status, existence_probability=existence)
    mm3 = float(mass.probability.array.sum(dtype=np.float64)) * mass.probability.grid.voxel_volume_mm3
    sd, interval = volume_interval(mm3 / 1000, mass.volume_log_sd)
    ap, transverse = (None, None) if extent is None else mass_size_mm(canal.stack, extent)
    return MassRecord(
        status=mass.status,
        existence_probability=existence,
        volume_ml=mm3 / 1000,
        volume_sd_ml=sd,
        volume_ci95_ml=interval,
        components=tuple(
            MassComponentRecord(compartment=c.compartment, volume_ml=c.volume_ml) for c in mass.components
        ),
        extent=None if extent is None else _extent_record(extent, levels),
        position=None if extent is None else mass_position(canal.stack, canal.sections, extent),
        max_ap_mm=ap,
        max_transverse_mm=transverse,
        truncated=mass.truncated,
        signal=signal,
    )


def _extent_record(extent: Extent, levels: Levels) -> ExtentRecord:
    """Name the ends of the mass."""
    first, last = (levels.vertebrae[i].name if i >= 0 else None for i in extent.vertebrae)
    return ExtentRecord(from_level=first, to_level=last, length_mm=extent.length_mm)
