"""How far canal and cord are compromised, and where most."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.model import Levels
from spinemri.errors import Flag
from spinemri.measure.escc import escc_evidence, escc_grade, why_no_cord, why_no_grade
from spinemri.measure.mass import Extent
from spinemri.measure.profile import number
from spinemri.measure.record import CompromiseRecord
from spinemri.measure.references import CORD_AREA_MM2, References, same_place
from spinemri.measure.sections import MeasuredCanal, Sections, smooth_along

__all__ = ["compression_percent", "compromise_record", "occupied_length_mm", "worst_section"]

SAME_RATIO = 0.02
NARROWED_RATIO = 0.9
SAME_OCCUPANCY_PERCENT = 1.0


def compression_percent(here: float, above: float, below: float) -> float | None:
    """Return how much narrower a section is than the mean of its references, in percent.

    ``(1 - Di / ((Da + Db) / 2)) * 100``: maximum canal compromise (MCC) if D is the AP diameter of the dural sac,
    that is of the canal left to it, maximum spinal cord compression (MSCC) if it is the cord's (Fehlings et al.,
    Spine 1999;24:605-613).

    Parameters
    ----------
    here, above, below : float
        Di, Da, Db in mm.

    Returns
    -------
    float or None
        None unless all three are finite and the references positive; negative where the section is wider.

    Examples
    --------
    >>> compression_percent(4.0, 7.0, 9.0)
    50.0
    """
    reference = (above + below) / 2
    if not np.isfinite(here) or not np.isfinite(reference) or min(above, below) <= 0:
        return None
    return float(100.0 * (1.0 - here / reference))


def occupied_length_mm(occupancy_percent: NDArray[np.float64], limit_percent: float, step_mm: float) -> float:
    """Return the length of canal in mm of which the mass takes more than a limit in percent."""
    return float((np.nan_to_num(occupancy_percent) > limit_percent).sum()) * step_mm


def worst_section(sections: Sections, references: References, extent: Extent) -> int | None:
    """Find the section of highest compromise.

    Among affected sections, the one where sac and cord, smoothed over 3 mm and each divided by its reference, are
    smallest on average, in AP diameter and area alike: a mass in front or behind takes both, one beside them the area.
    Sections within 0.02 of it are tied and go by canal occupancy; of those within 1 % of the highest, the middle one.
    Where sac and cord stay above nine tenths everywhere, occupancy alone decides. Where a reference is missing the
    largest value along the mass stands in for it: the place can be told, the percentage cannot.

    Parameters
    ----------
    sections : Sections
    references : References
    extent : Extent

    Returns
    -------
    int or None
        None where neither sac nor occupancy is known on any affected section.
    """
    step = sections.step_mm
    seen = np.nan_to_num(sections.cord.area_mm2) >= CORD_AREA_MM2
    sac = _left(sections, "sac", references, extent)
    cord = np.where(seen, _left(sections, "cord", references, extent), np.nan)
    score = np.where(np.isfinite(cord), (sac + cord) / 2, sac)
    score[~extent.affected] = np.nan
    occupancy = smooth_along(sections.occupancy_percent, step_mm=step)
    if not np.isfinite(score).any():
        score = np.where(extent.affected & np.isfinite(occupancy), 0.0, np.nan)
    if not np.isfinite(score).any():
        return None
    narrowed = any((values[extent.affected] < NARROWED_RATIO).any() for values in (sac, cord))
    tied = np.flatnonzero(score <= np.nanmin(score) + SAME_RATIO if narrowed else np.isfinite(score))
    full = np.nan_to_num(occupancy[tied])
    best = tied[full >= full.max() - SAME_OCCUPANCY_PERCENT]
    return int(best[(len(best) - 1) // 2])


def _left(
    sections: Sections, name: Literal["sac", "cord"], references: References, extent: Extent
) -> NDArray[np.float64]:
    """Share of a structure that is left on every section, the mean of AP diameter and area as far as they are known."""
    parts = []
    structure = sections.known(name)
    for quantity in ("ap_mm", "area_mm2"):
        values = smooth_along(getattr(structure, quantity), step_mm=sections.step_mm)
        parts.append(_relative(values, references.mean_of_known(f"{name}_{quantity}"), extent))
    known = np.isfinite(parts)
    total: NDArray[np.float64] = np.where(known, parts, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    return np.where(known.any(0), total, np.nan)


def _relative(values: NDArray[np.float64], reference: float, extent: Extent) -> NDArray[np.float64]:
    """Divide a profile by its reference, or by its largest value along the mass where there is none."""
    if not np.isfinite(reference) or reference <= 0:
        along = values[extent.first : extent.last + 1]
        reference = float(np.nanmax(along)) if np.isfinite(along).any() else float("nan")
    out: NDArray[np.float64] = values / reference if reference > 0 else np.full(len(values), np.nan)
    return out


def compromise_record(
    canal: MeasuredCanal, levels: Levels, extent: Extent, references: References
) -> tuple[CompromiseRecord, tuple[Flag, ...]]:
    """Return canal and cord compromise by the mass.

    Parameters
    ----------
    canal : MeasuredCanal
    levels : Levels
    extent : Extent
    references : References

    Returns
    -------
    record : CompromiseRecord
        All null where no affected section can be measured.
    flags : tuple of Flag
        Why numbers are missing.
    """
    sections, names = canal.sections, canal.names
    worst = worst_section(sections, references, extent)
    if worst is None:
        return CompromiseRecord(), (_nothing_measurable(),)
    beside = same_place(references, sections, levels, canal.centreline, worst)
    evidence = escc_evidence(canal.stack, sections, beside, worst)
    no_cord = why_no_cord(sections, evidence, worst, names[worst])
    grade = escc_grade(evidence) if no_cord is None else None
    x, y, z = (float(v) for v in canal.centreline.points_lps[worst])
    numbers = _diameters(sections, references, worst, cord=no_cord is None)
    bony = _bony_canal(sections, names, worst, cord=no_cord is None) if canal.bony else {}
    record = CompromiseRecord(
        worst_level=names[worst],
        worst_point_lps_mm=(x, y, z),
        reference_levels=_reference_names(references, levels),
        escc_grade=grade,
        escc_evidence=evidence.record(grade),
        **numbers,
        **bony,
    )
    flags = list(_missing_references(references, cord=no_cord is None))
    if record.mcc_percent is None and references.above and references.below:
        flags.append(_sac_not_measurable(names[worst]))
    if no_cord:
        flags.append(no_cord)
    elif grade is None:
        flags.append(why_no_grade(evidence, names[worst]))
    return record, tuple(flags)


def _diameters(sections: Sections, references: References, worst: int, *, cord: bool) -> dict[str, float | None]:
    """Sac and cord at the worst section, and their narrowing; cord values only where there is one."""

    def here(values: NDArray[np.float64]) -> float:
        """Smooth along the canal and take the worst section."""
        return float(smooth_along(values, step_mm=sections.step_mm)[worst])

    out = {
        "sac_ap_mm": number(here(sections.sac.ap_mm)),
        "sac_area_mm2": number(here(sections.sac.area_mm2)),
        "mcc_percent": compression_percent(here(sections.sac.ap_mm), *references.values("sac_ap_mm")),
    }
    if not cord:
        return out
    seen = sections.known("cord")
    ap, transverse = here(seen.ap_mm), here(seen.transverse_mm)
    return out | {
        "cord_ap_mm": number(ap),
        "cord_area_mm2": number(here(seen.area_mm2)),
        "mscc_percent": compression_percent(ap, *references.values("cord_ap_mm")),
        "compression_ratio": number(ap / transverse) if transverse > 0 else None,
    }


def _bony_canal(sections: Sections, names: tuple[str | None, ...], worst: int, *, cord: bool) -> dict[str, Any]:
    """Sizes of the bony canal at the worst section, and how much of it the mass takes."""
    step = sections.step_mm
    occupancy = smooth_along(sections.occupancy_percent, step_mm=step)
    highest = int(np.nan_to_num(occupancy, nan=-1.0).argmax())
    area = float(smooth_along(sections.canal.area_mm2, step_mm=step)[worst])
    cord_area = float(smooth_along(sections.known("cord").area_mm2, step_mm=step)[worst])
    return {
        "canal_occupancy_percent": number(occupancy[highest]),
        "canal_occupancy_level": names[highest],
        "length_over_25_percent_mm": occupied_length_mm(occupancy, 25.0, step),
        "length_over_50_percent_mm": occupied_length_mm(occupancy, 50.0, step),
        "canal_area_mm2": number(area),
        "canal_ap_mm": number(float(smooth_along(sections.canal.ap_mm, step_mm=step)[worst])),
        "ascor": number(cord_area / area) if cord and area > 0 else None,
    }


def _reference_names(references: References, levels: Levels) -> tuple[str | None, str | None]:
    """Names of the reference vertebrae."""
    above, below = (levels.vertebrae[r.vertebra].name if r else None for r in (references.above, references.below))
    return above, below


def _missing_references(references: References, *, cord: bool) -> tuple[Flag, ...]:
    """Return flags for the sides on which a reference is missing."""
    sides = [s for s, r in (("above", references.above), ("below", references.below)) if r is None]
    if sides:
        return (
            Flag(
                "MCC_REFERENCE_MISSING",
                f"No unaffected vertebra with a margin of one vertebra is in view {' and '.join(sides)} the mass: "
                "MCC and MSCC are not given. A larger field of view would show one.",
            ),
        )
    bare = [s for s, v in zip(("above", "below"), references.values("cord_ap_mm"), strict=True) if not np.isfinite(v)]
    if cord and bare:
        return (
            Flag(
                "MSCC_REFERENCE_MISSING",
                f"The reference vertebra {' and '.join(bare)} the mass shows no full spinal cord: MSCC is not given.",
            ),
        )
    return ()


def _sac_not_measurable(level: str | None) -> Flag:
    """Return the flag for a sac too small to measure, or not outlined, between two references that are."""
    return Flag(
        "SAC_NOT_MEASURABLE",
        f"No dural sac can be measured at the worst section ({level or 'level unknown'}): it is pressed shut or not "
        "outlined. MCC and MSCC are not given. Take the compression for high-grade until you have looked at the "
        "images.",
    )


def _nothing_measurable() -> Flag:
    """Return the flag for a mass whose sections cannot be measured."""
    return Flag(
        "COMPROMISE_NOT_ASSESSABLE",
        "Neither dural sac nor bony canal could be measured on any section with mass: canal compromise is not given.",
    )
