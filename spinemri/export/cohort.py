"""The tables of a cohort: one tidy row per visit, what failed, and which row is whose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spinemri.export.columns import COMPARISON_COLUMNS, MEASUREMENT_COLUMNS, Column
from spinemri.followup.record import TimepointRecord
from spinemri.measure.record import Measurements

__all__ = ["COHORT_COLUMNS", "FAILURE_COLUMNS", "LINK_COLUMNS", "CohortRow", "FailureRow", "LinkRow"]


@dataclass(frozen=True)
class CohortRow:
    """One visit of a cohort.

    Attributes
    ----------
    subject, visit : str
    measurements : Measurements
        As a run of this study alone.
    timepoint : TimepointRecord or None
        From the comparison of the subject's visits; None without one.
    days_from_baseline, days_from_rt_end : int or None
    recurrence_suspected : bool or None
        Of the subject; None where it cannot be told.
    rating : str
        ``pass``, ``fix`` or empty.
    reference_volume_ml : float or None
        By a reader, from the user's table.
    """

    subject: str
    visit: str
    measurements: Measurements
    timepoint: TimepointRecord | None = None
    days_from_baseline: int | None = None
    days_from_rt_end: int | None = None
    recurrence_suspected: bool | None = None
    rating: str = ""
    reference_volume_ml: float | None = None


@dataclass(frozen=True)
class FailureRow:
    """A study or comparison that has no result, and why."""

    subject: str
    visit: str
    kind: str
    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class LinkRow:
    """Where the images of a row are."""

    subject: str
    visit: str
    path: str


_OWN = {"study_instance_uid", "study_date", "days_from_baseline", "days_from_rt_end"}
_MEASURED = {column.name for column in MEASUREMENT_COLUMNS}


def _of_measurements(column: Column[Measurements]) -> Column[CohortRow]:
    return Column(column.name, column.meaning, lambda row: column.value(row.measurements))


def _of_timepoint(column: Column[TimepointRecord]) -> Column[CohortRow]:
    return Column(
        column.name, column.meaning, lambda row: None if row.timepoint is None else column.value(row.timepoint)
    )


def _field(name: str, meaning: str) -> Column[Any]:
    return Column(name, meaning, lambda row: getattr(row, name))


COHORT_COLUMNS: tuple[Column[CohortRow], ...] = (
    _field("subject", "Name of the subject in the source, or derived from a hash of the patient id."),
    _field("visit", "Name of the visit in the source, or its date."),
    _field("days_from_baseline", "Days since the subject's first visit."),
    _field("days_from_rt_end", "Days since the end of radiotherapy; negative before it."),
    _field("rating", "pass or fix, as rated in the gallery; excluded visits have no row."),
    _field("reference_volume_ml", "Volume of the mass by a reader in ml, as given in the list of the cohort."),
    *(_of_measurements(column) for column in MEASUREMENT_COLUMNS),
    *(_of_timepoint(column) for column in COMPARISON_COLUMNS if column.name not in _OWN | _MEASURED),
    _field("recurrence_suspected", "Whether the subject's mass grew from its smallest volume beyond the interval."),
)
"""One row per visit."""

FAILURE_COLUMNS: tuple[Column[FailureRow], ...] = (
    _field("subject", "As in cohort.csv."),
    _field("visit", "As in cohort.csv; empty for a comparison of visits."),
    _field("kind", "visit or comparison."),
    _field("code", "Stable code; the user guide lists all."),
    _field("message", "What was found."),
    _field("remedy", "What to do."),
)
"""One row per study or comparison without a result."""

LINK_COLUMNS: tuple[Column[LinkRow], ...] = (
    _field("subject", "As in cohort.csv."),
    _field("visit", "As in cohort.csv."),
    _field("path", "Where its images are, relative to the source. Names of folders may identify patients."),
)
"""One row per visit that was found."""
