"""Dates, nadir and recurrence over a series of visits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

from spinemri.followup.change import Change
from spinemri.followup.record import NadirRecord, RecurrenceRecord
from spinemri.measure.record import MassRecord

__all__ = ["days_between", "find_nadir", "find_recurrence", "nadir_index", "study_day"]


def study_day(iso_date: str) -> date | None:
    """Read a study's ISO date; None where it is empty or no date."""
    try:
        return date.fromisoformat(iso_date)
    except ValueError:
        return None


def days_between(first: date | None, last: date | None) -> int | None:
    """Count days from one date to another, negative backwards; None where one is unknown."""
    return (last - first).days if first and last else None


def nadir_index(masses: Sequence[MassRecord | None]) -> int | None:
    """Return which visit has the smallest volume, the earliest of equals.

    A mass that is no longer found counts as smaller than any volume; visits whose mass is truncated or could not
    be assessed do not count.

    Parameters
    ----------
    masses : sequence of MassRecord or None
        In order of time; None for a visit that cannot be compared with the others.

    Returns
    -------
    int or None
        None where no visit counts.
    """
    sizes = {index: size for index, mass in enumerate(masses) if (size := _size_ml(mass)) is not None}
    return min(sizes, key=lambda index: (sizes[index], index), default=None)


def _size_ml(mass: MassRecord | None) -> float | None:
    if mass is None or mass.truncated or mass.status == "not_assessable":
        return None
    return mass.volume_ml if mass.status == "measured" else 0.0


def find_nadir(masses: Sequence[MassRecord | None], dates: Sequence[str]) -> NadirRecord | None:
    """Return the visit with the smallest volume; None where none was ever measured."""
    index = nadir_index(masses)
    smallest = None if index is None else masses[index]
    if index is None or smallest is None or all(mass is None or mass.status != "measured" for mass in masses):
        return None
    return NadirRecord(study_date=dates[index], volume_ml=smallest.volume_ml)


def find_recurrence(
    masses: Sequence[MassRecord | None],
    dates: Sequence[str],
    compare: Callable[[int, int], Change],
    *,
    treated_before_baseline: bool = False,
) -> RecurrenceRecord:
    """Tell whether the mass grew from its nadir by more than the interval of that change (METRICS.md "Change").

    Growth from the baseline itself is growth, not recurrence, unless the treatment was over before the baseline.

    Parameters
    ----------
    masses : sequence of MassRecord or None
        In order of time; None for a visit that cannot be compared with the others.
    dates : sequence of str
        ISO dates or empty.
    compare : callable
        Change from one visit to a later one, by their indices.
    treated_before_baseline : bool
        The baseline may then be the nadir.

    Returns
    -------
    RecurrenceRecord
        `suspected` is None where no visit could be compared with a nadir.
    """
    judged = False
    for later in range(1, len(masses)):
        nadir = nadir_index(masses[:later])
        if nadir is None or masses[later] is None or (nadir == 0 and later == 1 and not treated_before_baseline):
            continue
        change = compare(nadir, later)
        judged = judged or change.verdict != "not_assessable"
        if change.verdict == "increased" and (nadir > 0 or treated_before_baseline):
            return RecurrenceRecord(suspected=True, since=dates[later] or None)
    return RecurrenceRecord(suspected=False if judged else None, since=None)
