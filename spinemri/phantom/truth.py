"""What is exactly known of a generated visit, in the terms of METRICS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from spinemri.nomenclature import REGULAR_COLUMN
from spinemri.phantom.geometry import Geometry
from spinemri.phantom.mass import ANGLES, MassGrid, mass_volumes_mm3
from spinemri.phantom.shapes import step

__all__ = ["SectionTruth", "level_of_section", "measure_sections", "visit_truth"]

Array = NDArray[np.float64]
_NAMED = frozenset({*REGULAR_COLUMN, "T13", "L6"})
SECTION_MM = 1.0
PIXEL_MM = 0.25
REACH_MM = 24.0
ENDPLATE_MARGIN_MM = 3.0
END_AREA_MM2 = 8.0
END_SHARE = 0.05
MARGIN_VERTEBRAE = 1
SMOOTHING_SECTIONS = 3


@dataclass(frozen=True, eq=False)
class SectionTruth:
    """Areas (mm2) and AP diameters (mm) on planes perpendicular to the canal, one entry per mm of it.

    Diameters are lengths inside the structure of the antero-posterior line through its own centroid. The sac
    includes the cord; `mass` is the part in the bony canal.
    """

    s: Array
    areas: dict[str, Array]
    ap: dict[str, Array]


def measure_sections(geometry: Geometry, first_mm: float, last_mm: float) -> SectionTruth:
    """Measure canal, sac, cord and mass every mm between two positions along the canal."""
    at = np.arange(first_mm, last_mm + 0.5 * SECTION_MM, SECTION_MM)
    axis = np.arange(-REACH_MM, REACH_MM + 0.5 * PIXEL_MM, PIXEL_MM)
    p, l = (x.ravel() for x in np.meshgrid(axis, axis, indexing="ij"))  # noqa: E741
    names = ("canal", "sac", "cord", "mass")
    areas: dict[str, Array] = {name: np.zeros(len(at)) for name in names}
    ap: dict[str, Array] = {name: np.zeros(len(at)) for name in names}
    for index, s in enumerate(at):
        for name, cover in _coverage(geometry, np.full_like(p, s), p, l).items():
            lengths = cover.reshape(len(axis), -1).sum(0) * PIXEL_MM
            areas[name][index] = lengths.sum() * PIXEL_MM
            if areas[name][index] > 0.0:
                ap[name][index] = np.interp((lengths @ axis) / lengths.sum(), axis, lengths)
    return SectionTruth(at, areas, ap)


def _coverage(geometry: Geometry, s: Array, p: Array, l: Array) -> dict[str, Array]:  # noqa: E741
    points = geometry.section(s, p, l)
    canal = points.canal_distance(geometry.canal)
    mass = None if geometry.mass is None else geometry.mass.distance(points, canal)
    sac, cord = geometry.sac.distances(points, canal, mass)
    inside = np.zeros_like(canal) if mass is None else step(mass, PIXEL_MM) * (canal < 0.0)
    return {
        "canal": step(canal, PIXEL_MM),
        "sac": step(sac, PIXEL_MM),
        "cord": step(cord, PIXEL_MM),
        "mass": inside,
    }


def level_of_section(geometry: Geometry, s: float) -> str:
    """Name a section: a disc within 3 mm of its end plates, else the vertebra."""
    column = geometry.column
    disc = int(np.abs(column.disc_centre[:-1] - s).argmin())
    if abs(column.disc_centre[disc] - s) <= 0.5 * column.disc_gap[disc] + ENDPLATE_MARGIN_MM:
        return column.disc_names()[disc]
    return column.names[_vertebra(geometry, s)]


def _vertebra(geometry: Geometry, s: float) -> int:
    return int(np.searchsorted(geometry.column.disc_centre[:-1], s))


def _point(values: Array) -> list[float]:
    return [round(float(v), 3) for v in values]


def visit_truth(geometry: Geometry) -> dict[str, Any]:
    """Return everything known of one visit, ready for JSON.

    Returns
    -------
    dict
        ``levels`` always; ``mass`` and ``compromise`` are None without a mass. Lengths in mm, areas in mm2, points
        in LPS mm of the visit's frame of reference.
    """
    column = geometry.column
    discs = column.disc_names()
    levels = {
        "vertebrae": [
            {"name": name, "centre_lps_mm": _point(geometry.level_lps(name))} for name in column.names if name in _NAMED
        ],
        "discs": [
            {"name": name, "centre_lps_mm": _point(geometry.level_lps(name))}
            for name, above in zip(discs, column.names[:-1], strict=True)
            if above in _NAMED and above not in ("C1", "S1")
        ],
    }
    if geometry.mass is None:
        return {"levels": levels, "mass": None, "compromise": None}
    mass, compromise = _mass_truth(geometry)
    return {"levels": levels, "mass": mass, "compromise": compromise}


def _mass_truth(geometry: Geometry) -> tuple[dict[str, Any], dict[str, Any]]:
    form, column = geometry.mass, geometry.column
    if form is None:
        raise ValueError("the geometry has no mass")
    first, last = (_vertebra(geometry, s) for s in (form.start_mm, form.stop_mm))
    beyond = MARGIN_VERTEBRAE + 2
    low, high = max(first - beyond, 0), min(last + beyond, len(column.names) - 1)
    sections = measure_sections(geometry, float(column.centre[low]), float(column.centre[high]))
    area = sections.areas["mass"]
    affected = np.flatnonzero((area > END_AREA_MM2) & (area > END_SHARE * area.max()))
    inside, outside = mass_volumes_mm3(form, MassGrid.around(form, geometry.canal, geometry.curve))
    recipe = form.recipe
    record: dict[str, Any] = {
        "volume_ml": round((inside + outside) / 1000.0, 5),
        "volume_in_canal_ml": round(inside / 1000.0, 5),
        "volume_outside_ml": round(outside / 1000.0, 5),
        "position": _position(recipe.shape),
        "shape": recipe.shape,
        "signal": {
            "t1_to_marrow": recipe.t1_to_marrow,
            "t2_to_marrow": recipe.t2_to_marrow,
            "enhancement_ratio": recipe.enhancement,
        },
    }
    if affected.size == 0:
        return record | {"extent": None}, {}
    ends = sections.s[affected[[0, -1]]]
    vertebrae = [_vertebra(geometry, float(s)) for s in ends]
    record["extent"] = {
        "from": column.names[vertebrae[0]],
        "to": column.names[vertebrae[1]],
        "length_mm": round(float(ends[1] - ends[0]) + SECTION_MM, 2),
    }
    record["max_ap_mm"] = round(float(sections.ap["mass"].max()), 2)
    return record, _compromise(geometry, sections, affected, (vertebrae[0], vertebrae[1]))


def _position(shape: str) -> str | None:
    """Side of the sac; None between two sides."""
    if shape == "circumferential":
        return shape
    sides = {0.0: "posterior", 90.0: "left", 180.0: "anterior", -90.0: "right"}
    return sides.get(ANGLES[shape])


def _compromise(
    geometry: Geometry, sections: SectionTruth, affected: NDArray[np.intp], ends: tuple[int, int]
) -> dict[str, Any]:
    """Apply METRICS: references are the middles of the vertebrae beyond the ends plus one."""
    column = geometry.column
    beyond = (ends[0] - MARGIN_VERTEBRAE - 1, ends[1] + MARGIN_VERTEBRAE + 1)
    names = [column.names[k] if 0 <= k < len(column.names) else None for k in beyond]
    at = [None if n is None else int(np.abs(sections.s - column.position_mm(n)).argmin()) for n in names]

    def reference(structure: str) -> float:
        """Average the diameters at both references; NaN unless both are known."""
        known = [sections.ap[structure][k] for k in at if k is not None]
        return float(np.mean(known)) if len(known) == 2 else float("nan")

    smooth = {k: uniform_filter1d(v, SMOOTHING_SECTIONS) for k, v in sections.ap.items()}
    score = smooth["sac"] / sections.ap["sac"][affected].max() + smooth["cord"] / sections.ap["cord"].max()
    worst = int(affected[score[affected].argmin()])
    occupancy = 100.0 * sections.areas["mass"] / sections.areas["canal"]
    s = float(sections.s[worst])

    def lost(structure: str) -> float | None:
        """Say how many per cent of its reference a diameter has lost."""
        value = 100.0 * (1.0 - sections.ap[structure][worst] / reference(structure))
        return round(float(value), 2) if np.isfinite(value) else None

    numbers = {f"{k}_area_mm2": round(float(sections.areas[k][worst]), 2) for k in sections.areas}
    numbers |= {f"{k}_ap_mm": round(float(sections.ap[k][worst]), 2) for k in sections.ap}
    return {
        "worst_level": level_of_section(geometry, s),
        "worst_point_lps_mm": _point(geometry.to_lps(np.array(s), np.array(0.0), np.array(0.0))),
        "reference_levels": names,
        "mcc_percent": lost("sac"),
        "mscc_percent": lost("cord"),
        "canal_occupancy_percent": round(float(occupancy[worst]), 2),
        "max_canal_occupancy_percent": round(float(occupancy.max()), 2),
        "max_canal_occupancy_level": level_of_section(geometry, float(sections.s[occupancy.argmax()])),
        **numbers,
        "reference_sac_ap_mm": round(reference("sac"), 2),
        "reference_cord_ap_mm": round(reference("cord"), 2),
    }
