"""Read back what studies and comparisons left, as the rows of the cohort's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import ValidationError

from spinemri.batch.journal import Journal
from spinemri.batch.model import Cohort, Subject, Visit
from spinemri.errors import InputError
from spinemri.export.cohort import CohortRow, FailureRow, LinkRow
from spinemri.export.reading import read_measurements
from spinemri.followup.record import Comparison, TimepointRecord
from spinemri.measure.record import Measurements

__all__ = ["CohortResult", "read_results"]


@dataclass(frozen=True)
class CohortResult:
    """Everything that is known of a cohort.

    Attributes
    ----------
    rows : tuple of CohortRow
    failures : tuple of FailureRow
    links : tuple of LinkRow
    folders : tuple of str
        Of each row's results, relative to those of the cohort.
    unfinished : int
        Visits that have neither a row nor a failure.
    """

    rows: tuple[CohortRow, ...]
    failures: tuple[FailureRow, ...]
    links: tuple[LinkRow, ...]
    folders: tuple[str, ...]
    unfinished: int = 0


def read_results(cohort: Cohort, out: Path, journal: Journal, ratings: Mapping[str, str]) -> CohortResult:
    """Read the results of all visits that the journal calls done, and the reasons of those that failed.

    Parameters
    ----------
    cohort : Cohort
    out : Path
        Folder of the cohort's results.
    journal : Journal
    ratings : mapping of str to str
        By the folder of the visit.

    Returns
    -------
    CohortResult
    """
    rows: list[tuple[str, CohortRow]] = []
    failures: list[FailureRow] = []
    for subject in cohort.subjects:
        measured = _measured(subject, out, journal, ratings, failures)
        comparison = _comparison(subject, out, journal, failures) if len(measured) > 1 else None
        rows += [(f"visits/{visit.folder}", row) for visit, row in _rows(subject, measured, comparison, ratings)]
    links = tuple(LinkRow(visit.subject, visit.name, _relative(visit, cohort.root)) for visit in cohort.visits)
    missing = len(cohort.visits) - len(rows) - sum(failure.kind == "visit" for failure in failures)
    return CohortResult(
        tuple(row for _, row in rows), tuple(failures), links, tuple(folder for folder, _ in rows), missing
    )


def _relative(visit: Visit, root: Path) -> str:
    return visit.path.relative_to(root).as_posix() if visit.path.is_relative_to(root) else visit.path.as_posix()


def _measured(
    subject: Subject, out: Path, journal: Journal, ratings: Mapping[str, str], failures: list[FailureRow]
) -> list[tuple[Visit, Measurements]]:
    """Read the visits of a subject; those without a result go to the failures."""
    found = []
    for visit in subject.visits:
        if ratings.get(visit.folder) == "exclude":
            message = "The visit was excluded by its rating."
            failures.append(
                FailureRow(subject.name, visit.name, "visit", "EXCLUDED_BY_RATING", message, "Rate it otherwise.")
            )
            continue
        failure = _failure(journal, visit.folder, subject.name, visit.name)
        if failure is not None:
            failures.append(failure)
        elif journal.entry(visit.folder) is not None:
            try:
                found.append((visit, read_measurements(out / "visits" / visit.folder)))
            except InputError as error:
                failures.append(FailureRow(subject.name, visit.name, "visit", error.code, error.message, error.remedy))
    return found


def _failure(journal: Journal, task: str, subject: str, visit: str) -> FailureRow | None:
    entry = journal.entry(task)
    if entry is None or entry.outcome.state == "done":
        return None
    outcome = entry.outcome
    kind = "visit" if visit else "comparison"
    return FailureRow(subject, visit, kind, outcome.code, outcome.message, outcome.remedy)


def _comparison(subject: Subject, out: Path, journal: Journal, failures: list[FailureRow]) -> Comparison | None:
    failure = _failure(journal, subject.folder, subject.name, "")
    if failure is not None:
        failures.append(failure)
        return None
    path = out / "comparisons" / subject.folder / "comparison.json"
    try:
        return Comparison.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        message = f"comparison.json is damaged ({type(error).__name__})."
        failures.append(FailureRow(subject.name, "", "comparison", "BAD_COMPARISON", message, "Compare again."))
        return None


def _rows(
    subject: Subject,
    measured: list[tuple[Visit, Measurements]],
    comparison: Comparison | None,
    ratings: Mapping[str, str],
) -> Iterator[tuple[Visit, CohortRow]]:
    points = {point.study_instance_uid: point for point in comparison.timepoints} if comparison else {}
    for visit, measurements in measured:
        point = points.get(measurements.study.study_instance_uid)
        yield (
            visit,
            CohortRow(
                subject=subject.name,
                visit=visit.name,
                measurements=measurements,
                timepoint=point,
                days_from_baseline=_days(visit, measured[0][0], point),
                days_from_rt_end=_days_from_rt_end(visit, subject, point),
                recurrence_suspected=comparison.recurrence.suspected if comparison else None,
                rating=ratings.get(visit.folder, ""),
                reference_volume_ml=visit.reference_volume_ml,
            ),
        )


def _days(visit: Visit, first: Visit, point: TimepointRecord | None) -> int | None:
    if point is not None and point.days_from_baseline is not None:
        return point.days_from_baseline
    return _between(first.date, visit.date)


def _days_from_rt_end(visit: Visit, subject: Subject, point: TimepointRecord | None) -> int | None:
    if point is not None and point.days_from_rt_end is not None:
        return point.days_from_rt_end
    end = subject.radiotherapy.end if subject.radiotherapy else None
    return _between(end.isoformat(), visit.date) if end else None


def _between(start: str, end: str) -> int | None:
    """Return the days between two ISO dates; None where one is missing or none that the calendar has."""
    try:
        return (date.fromisoformat(end) - date.fromisoformat(start)).days
    except ValueError:
        return None
