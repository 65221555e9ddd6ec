"""One row per section: the profile along the canal."""

from __future__ import annotations

import math

from spinemri.measure.record import ProfileRow
from spinemri.measure.sections import MeasuredCanal, Structure

__all__ = ["number", "profile_rows"]


def number(value: float) -> float | None:
    """Return a finite value as float, anything else as None."""
    return float(value) if math.isfinite(value) else None


def profile_rows(canal: MeasuredCanal) -> tuple[ProfileRow, ...]:
    """Return one row per section, cranial to caudal.

    Parameters
    ----------
    canal : MeasuredCanal

    Returns
    -------
    tuple of ProfileRow
        Sizes of the bony canal and its occupancy are null where nothing outlines it.
    """
    return tuple(_row(canal, index) for index in range(len(canal.sections)))


def _row(canal: MeasuredCanal, index: int) -> ProfileRow:
    """Return one row."""
    sections = canal.sections
    x, y, z = (float(v) for v in canal.centreline.points_lps[index])
    bony = _sizes("canal", sections.canal, index)
    bony["occupancy_percent"] = number(sections.occupancy_percent[index])
    return ProfileRow(
        arc_length_mm=index * sections.step_mm,
        x_lps_mm=x,
        y_lps_mm=y,
        z_lps_mm=z,
        level=canal.names[index],
        mass_area_mm2=number(sections.mass.area_mm2[index]),
        **(bony if canal.bony else dict.fromkeys(bony)),
        **_sizes("sac", sections.sac, index),
        **_sizes("cord", sections.cord, index),
    )


def _sizes(name: str, structure: Structure, index: int) -> dict[str, float | None]:
    """Area and diameters of a structure as fields of a row."""
    return {
        f"{name}_area_mm2": number(structure.area_mm2[index]),
        f"{name}_ap_mm": number(structure.ap_mm[index]),
        f"{name}_transverse_mm": number(structure.transverse_mm[index]),
    }
