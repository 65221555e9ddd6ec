"""The page that shows what came out of a cohort."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from spinemri import __version__
from spinemri.batch.pages.plots import (
    Agreement,
    agreement,
    agreement_plot,
    course_plot,
    report_of,
    waterfall_plot,
)
from spinemri.batch.pages.rendering import render
from spinemri.batch.results import CohortResult
from spinemri.export.cohort import CohortRow

__all__ = ["cohort_page"]

_VERDICTS = ("decreased", "increased", "not_distinguishable", "not_assessable")


@dataclass(frozen=True)
class _Line:
    """One row of the table of visits, as text."""

    subject: str
    visit: str
    link: str
    cells: tuple[str, ...]


def cohort_page(result: CohortResult) -> str:
    """Return ``cohort.html``: counts, plots, every visit, every failure.

    Parameters
    ----------
    result : CohortResult

    Returns
    -------
    str
        A page that asks nothing of a network; its links lead to the reports beside it.
    """
    rows = result.rows
    return render(
        "cohort.html.j2",
        counts=_counts(result),
        verdicts=_verdicts(rows),
        waterfall=waterfall_plot(rows, result.folders),
        courses=[plot for plot in (course_plot(rows, from_radiotherapy=known) for known in (True, False)) if plot],
        agreements=_agreements(rows),
        lines=[_line(row, folder) for row, folder in zip(rows, result.folders, strict=True)],
        failures=result.failures,
        findings=_findings(rows),
        unfinished=result.unfinished,
        version=__version__,
    )


def _counts(result: CohortResult) -> list[tuple[str, int]]:
    rows = result.rows
    return [
        ("Subjects", len({row.subject for row in rows})),
        ("Visits measured", len(rows)),
        ("With a mass", sum(row.measurements.mass.status == "measured" for row in rows)),
        ("Subjects compared", len({row.subject for row in rows if row.timepoint})),
        ("Without a result", len(result.failures)),
    ]


def _verdicts(rows: Sequence[CohortRow]) -> list[tuple[str, str, int]]:
    last = {row.subject: row.timepoint for row in rows if row.timepoint and row.timepoint.verdict}
    found = Counter(str(point.verdict) for point in last.values())
    return [(verdict, verdict.replace("_", " "), found[verdict]) for verdict in _VERDICTS]


def _agreements(rows: Sequence[CohortRow]) -> list[tuple[str, str, int]]:
    """Return title, plot and number of pairs of each agreement that can be shown."""
    changes = [(f"{row.subject}, {row.visit}", *_changes(row)) for row in rows if row.timepoint]
    volumes = [
        (f"{row.subject}, {row.visit}", row.measurements.mass.volume_ml, row.reference_volume_ml) for row in rows
    ]
    shown: list[tuple[str, str, int]] = []
    for title, found, quantity, difference in (
        (
            "Change, paired and by two outlines",
            agreement(changes),
            "mean change, %",
            "paired \N{MINUS SIGN} two outlines, %",
        ),
        (
            "Volume, measured and by a reader",
            agreement(volumes),
            "mean volume, ml",
            "measured \N{MINUS SIGN} reader, ml",
        ),
    ):
        if isinstance(found, Agreement):
            shown.append((title, agreement_plot(found, quantity, difference), len(found.mean)))
    return shown


def _changes(row: CohortRow) -> tuple[float | None, float | None]:
    point = row.timepoint
    return (point.paired_change_percent, point.change_percent) if point else (None, None)


def _line(row: CohortRow, folder: str) -> _Line:
    mass, compromise, point = row.measurements.mass, row.measurements.compromise, row.timepoint
    days = row.days_from_rt_end if row.days_from_rt_end is not None else row.days_from_baseline
    interval = mass.volume_ci95_ml
    volume = mass.status.replace("_", " ") if mass.volume_ml is None else f"{mass.volume_ml:.2f}"
    cells = (
        "" if days is None else f"{days:+d}".replace("-", "\N{MINUS SIGN}"),
        volume + (f" ({interval[0]:.2f}\N{EN DASH}{interval[1]:.2f})" if interval else ""),
        _change_text(row),
        str(point.verdict).replace("_", " ") if point and point.verdict else "",
        compromise.worst_level or "",
        "" if compromise.mcc_percent is None else f"{compromise.mcc_percent:.0f}",
        compromise.escc_grade or "",
        compromise.schizas_grade or "",
        str(sum(flag.severity != "info" for flag in row.measurements.quality.flags)),
        row.rating,
    )
    return _Line(row.subject, row.visit, report_of(folder), cells)


def _change_text(row: CohortRow) -> str:
    point = row.timepoint
    if point is None or point.decisive_percent is None or point.decisive_ci95_percent is None:
        return ""
    low, high = point.decisive_ci95_percent
    return f"{point.decisive_percent:+.1f} ({low:+.1f} to {high:+.1f})".replace("-", "\N{MINUS SIGN}")


def _findings(rows: Sequence[CohortRow]) -> list[tuple[str, int]]:
    codes = Counter(flag.code for row in rows for flag in row.measurements.quality.flags if flag.severity != "info")
    return sorted(codes.items(), key=lambda entry: (-entry[1], entry[0]))
