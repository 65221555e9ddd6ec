"""What the user or the plan says of the radiotherapy, and whether the treated levels cover the mass."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from spinemri.errors import UsageError
from spinemri.followup.record import RadiotherapyRecord
from spinemri.intake.treatment import Course
from spinemri.measure.record import ExtentRecord
from spinemri.nomenclature import REGULAR_COLUMN, vertebra_id, vertebra_name

__all__ = ["Radiotherapy", "column_with", "margin_levels", "parse_date", "parse_radiotherapy", "radiotherapy_record"]

_EXTRA_AFTER = {"T13": "T12", "L6": "L5"}


@dataclass(frozen=True)
class Radiotherapy:
    """One course of radiotherapy; what is not known is None.

    Attributes
    ----------
    start, end : date or None
        First and last day of treatment.
    dose_gy : float or None
        Total prescribed dose in Gy.
    fractions : int or None
    levels : str or None
        Treated vertebrae from cranial to caudal, e.g. ``"T3-T9"``.
    course : Course or None
        What DICOM objects say.
    levels_from : {"given", "plan"}
        Whether the user gave the levels, or they were read off the plan.
    """

    start: date | None = None
    end: date | None = None
    dose_gy: float | None = None
    fractions: int | None = None
    levels: str | None = None
    course: Course | None = None
    levels_from: Literal["given", "plan"] = "given"

    def __post_init__(self) -> None:
        if self.start and self.end and self.end < self.start:
            raise UsageError(
                "RT_END_BEFORE_START",
                f"Radiotherapy ends on {self.end} before it starts on {self.start}.",
                "Swap or correct the dates.",
            )
        if self.dose_gy is not None and not 0 < self.dose_gy <= 200:
            raise UsageError("BAD_RT_DOSE", f"A total dose of {self.dose_gy} Gy is not possible.", "Give it in Gy.")
        if self.fractions is not None and not 1 <= self.fractions <= 100:
            raise UsageError("BAD_RT_FRACTIONS", f"{self.fractions} fractions are not possible.", "Give 1 to 100.")
        if self.levels is not None:
            object.__setattr__(self, "levels", "-".join(_level_pair(self.levels)))

    @property
    def level_pair(self) -> tuple[str, str] | None:
        """The most cranial and the most caudal treated vertebra."""
        return _level_pair(self.levels) if self.levels else None


def parse_date(text: str) -> date:
    """Read a date written as ``YYYY-MM-DD`` or ``YYYYMMDD``.

    Raises
    ------
    UsageError
        BAD_DATE, if it is no such date.
    """
    if re.fullmatch(r"\d{4}-\d\d-\d\d|\d{8}", text.strip()):
        try:
            return date.fromisoformat(text.strip())
        except ValueError:
            pass
    raise UsageError("BAD_DATE", f"{text!r} is not a date.", "Write it as YYYY-MM-DD, for example 2024-03-18.")


def parse_radiotherapy(
    *,
    start: str | None = None,
    end: str | None = None,
    dose_gy: float | None = None,
    fractions: int | None = None,
    levels: str | None = None,
    course: Course | None = None,
) -> Radiotherapy | None:
    """Read and check what the user said of the radiotherapy; a plan stands in for what was not said.

    Parameters
    ----------
    start, end : str or None
        Dates, ``YYYY-MM-DD``.
    dose_gy : float or None
    fractions : int or None
    levels : str or None
        For example ``"T3-T9"``, or one vertebra.
    course : Course or None
        From DICOM objects.

    Returns
    -------
    Radiotherapy or None
        None where nothing was said.

    Raises
    ------
    UsageError
        BAD_DATE, RT_END_BEFORE_START, BAD_RT_LEVELS, BAD_RT_DOSE or BAD_RT_FRACTIONS.
    """
    if all(value is None for value in (start, end, dose_gy, fractions, levels, course)):
        return None
    planned = course or Course()
    days = planned.delivered or (None,)
    return Radiotherapy(
        start=parse_date(start) if start is not None else days[0],
        end=parse_date(end) if end is not None else days[-1],
        dose_gy=planned.prescribed_gy if dose_gy is None else dose_gy,
        fractions=planned.fractions if fractions is None else fractions,
        levels=levels,
        course=course,
    )


def _level_pair(levels: str) -> tuple[str, str]:
    ends = [part.strip() for part in re.split(r"[-\u2013]", levels)]
    try:
        names = [vertebra_name(vertebra_id(end)) for end in ends]
    except ValueError:
        names = []
    first, last = (names[0], names[-1]) if len(names) in (1, 2) else ("", "")
    column = column_with(names)
    if not first or column.index(first) > column.index(last):
        raise UsageError(
            "BAD_RT_LEVELS",
            f"{levels!r} is not a range of treated vertebrae.",
            "Give the most cranial and the most caudal one, for example T3-T9.",
        )
    return first, last


def column_with(names: Sequence[str]) -> tuple[str, ...]:
    """Return the regular column, with T13 or L6 added where it is among some names."""
    column = list(REGULAR_COLUMN)
    for extra, above in _EXTRA_AFTER.items():
        if extra in names:
            column.insert(column.index(above) + 1, extra)
    return tuple(column)


def margin_levels(treated: tuple[str, str], extent: tuple[str, str], present: Sequence[str] = ()) -> tuple[int, int]:
    """Count whole treated vertebrae beyond the mass at its cranial and its caudal end.

    Parameters
    ----------
    treated, extent : (str, str)
        Most cranial and most caudal vertebra.
    present : sequence of str
        Names of the patient's vertebrae, so that a T13 or L6 is counted.

    Returns
    -------
    (int, int)
        Negative where the mass reaches beyond the treated levels.

    Examples
    --------
    >>> margin_levels(("T3", "T9"), ("T5", "T8"))
    (2, 1)
    """
    column = column_with([*treated, *extent, *present])
    cranial = column.index(extent[0]) - column.index(treated[0])
    caudal = column.index(treated[1]) - column.index(extent[1])
    return cranial, caudal


def radiotherapy_record(
    radiotherapy: Radiotherapy, extent: ExtentRecord | None, present: Sequence[str] = ()
) -> RadiotherapyRecord:
    """Put the radiotherapy beside the extent of the mass.

    Parameters
    ----------
    radiotherapy : Radiotherapy
    extent : ExtentRecord or None
        Of the mass before treatment; None where its levels cannot be trusted.
    present : sequence of str
        Names of the patient's vertebrae.

    Returns
    -------
    RadiotherapyRecord
    """
    margins = None
    if extent and extent.from_level and extent.to_level and radiotherapy.level_pair:
        margins = margin_levels(radiotherapy.level_pair, (extent.from_level, extent.to_level), present)
    return RadiotherapyRecord(
        start=radiotherapy.start.isoformat() if radiotherapy.start else None,
        end=radiotherapy.end.isoformat() if radiotherapy.end else None,
        dose_gy=radiotherapy.dose_gy,
        fractions=radiotherapy.fractions,
        levels=radiotherapy.levels,
        mass_covered=None if margins is None else min(margins) >= 0,
        margin_levels=margins,
        levels_from=radiotherapy.levels_from if radiotherapy.levels else None,
    )
