"""The plots of a cohort: change of each subject, course of each subject, agreement of two estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from spinemri.batch.pages.svg import Axis, Plot
from spinemri.export.cohort import CohortRow

__all__ = ["Agreement", "agreement", "agreement_plot", "course_plot", "last_changes", "waterfall_plot"]

COLOURS = {
    "decreased": "#1d6f5c",
    "increased": "#b91c1c",
    "not_distinguishable": "#94a3b8",
    "not_assessable": "#cbd5e1",
}
_COURSE, _AXIS = "#1d4e89", "#64748b"
_LIMITS = 1.96
_LEAST_PAIRS = 3
_WHISKERS = 250
_LEAST_PLACES = 10
"""So that the bars of a small cohort are no walls."""


def report_of(folder: str) -> str:
    """Return the link to the report of a visit."""
    return f"{folder}/report.html"


def last_changes(rows: Sequence[CohortRow]) -> list[CohortRow]:
    """Return the last visit of each subject that has a change, from the largest growth to the largest loss."""
    found = {row.subject: row for row in rows if row.timepoint and row.timepoint.decisive_percent is not None}
    return sorted(found.values(), key=lambda row: (-_change(row), row.subject))


def _change(row: CohortRow) -> float:
    percent = row.timepoint.decisive_percent if row.timepoint else None
    return 0.0 if percent is None else percent


def waterfall_plot(rows: Sequence[CohortRow], folders: Sequence[str]) -> str:
    """Plot one bar for each subject: change of volume at its last visit, with its 95 % interval.

    Parameters
    ----------
    rows : sequence of CohortRow
    folders : sequence of str
        Of the same rows.

    Returns
    -------
    str
        SVG; empty if no subject has a change.
    """
    links = dict(zip([(row.subject, row.visit) for row in rows], folders, strict=True))
    shown = last_changes(rows)
    if not shown:
        return ""
    ends = [end for row in shown for end in (_change(row), *_interval(row))]
    plot = Plot(
        Axis("subjects, by change", -0.5, max(len(shown), _LEAST_PLACES) - 0.5, marked=False),
        Axis.around("change of volume, %", ends, zero=True),
        "Change of volume at the last visit of each subject",
    )
    # Where thousands lie side by side, their intervals must not hide the bars.
    whiskers = f"rgba(15,23,42,{min(1.0, _WHISKERS / len(shown)):.2f})"
    for place, row in enumerate(shown):
        verdict = str(row.timepoint.verdict) if row.timepoint else ""
        link = report_of(links[row.subject, row.visit])
        plot.bar(place, 0.38, _change(row), COLOURS.get(verdict, _AXIS), _said(row), link)
        low, high = _interval(row)
        plot.line([(place, low), (place, high)], whiskers)
    plot.line([(plot.x.low, 0.0), (plot.x.high, 0.0)], _AXIS)
    return plot.svg()


def _interval(row: CohortRow) -> tuple[float, float]:
    interval = row.timepoint.decisive_ci95_percent if row.timepoint else None
    return interval or (_change(row), _change(row))


def _said(row: CohortRow) -> str:
    low, high = _interval(row)
    verdict = str(row.timepoint.verdict if row.timepoint else "").replace("_", " ")
    return f"{row.subject}, {row.visit}: {_change(row):+.1f} % (95 % {low:+.1f} to {high:+.1f}), {verdict}"


def course_plot(rows: Sequence[CohortRow], *, from_radiotherapy: bool) -> str:
    """Plot one line for each subject: volume in per cent of the first visit's over days.

    Parameters
    ----------
    rows : sequence of CohortRow
    from_radiotherapy : bool
        Days from the end of radiotherapy, of subjects where it is known; else days from baseline, of the others.

    Returns
    -------
    str
        SVG; empty if there is no such subject.
    """
    courses = [(name, _course(list(own), from_radiotherapy=from_radiotherapy)) for name, own in _by_subject(rows)]
    courses = [(name, course) for name, course in courses if len(course) > 1]
    if not courses:
        return ""
    days = [day for _, course in courses for day, _ in course]
    shares = [share for _, course in courses for _, share in course]
    title = "days from the end of radiotherapy" if from_radiotherapy else "days from the first visit"
    plot = Plot(
        Axis.around(title, days, zero=True),
        Axis.around("volume, % of the first visit", [*shares, 100.0], zero=True),
        f"Course of each subject over {title}",
    )
    plot.line([(plot.x.low, 100.0), (plot.x.high, 100.0)], _AXIS, style="4 4")
    if from_radiotherapy:
        plot.line([(0.0, plot.y.low), (0.0, plot.y.high)], _AXIS, style="2 3")
    for name, course in courses:
        plot.line(course, _COURSE, said=name)
        for day, share in course:
            plot.dot(day, share, _COURSE, f"{name}: day {day:+.0f}, {share:.0f} %")
    return plot.svg()


def _by_subject(rows: Sequence[CohortRow]) -> Sequence[tuple[str, Sequence[CohortRow]]]:
    return [(name, list(own)) for name, own in groupby(rows, key=lambda row: row.subject)]


def _course(rows: Sequence[CohortRow], *, from_radiotherapy: bool) -> list[tuple[float, float]]:
    """Return day and per cent of each visit; a mass that is no longer found counts as none."""
    first = rows[0].measurements.mass.volume_ml
    knows = all(row.days_from_rt_end is not None for row in rows)
    if not first or knows is not from_radiotherapy:
        return []
    points = []
    for row in rows:
        mass = row.measurements.mass
        day = row.days_from_rt_end if from_radiotherapy else row.days_from_baseline
        volume = 0.0 if mass.status == "not_found" else mass.volume_ml
        if day is not None and volume is not None:
            points.append((float(day), 100.0 * volume / first))
    return points


@dataclass(frozen=True)
class Agreement:
    """Two estimates of one quantity.

    Attributes
    ----------
    labels : tuple of str
    mean, difference : tuple of float
    """

    labels: tuple[str, ...]
    mean: tuple[float, ...]
    difference: tuple[float, ...]

    @property
    def bias(self) -> float:
        """Mean difference."""
        return float(np.mean(self.difference))

    @property
    def limits(self) -> tuple[float, float]:
        """Limits of agreement: bias +- 1.96 standard deviations of the differences (Bland & Altman 1986)."""
        spread = _LIMITS * float(np.std(self.difference, ddof=1))
        return self.bias - spread, self.bias + spread


def agreement(pairs: Sequence[tuple[str, float | None, float | None]]) -> Agreement | None:
    """Compare pairs of values; None if fewer than three have both.

    Examples
    --------
    >>> found = agreement([("a", 1.0, 2.0), ("b", 2.0, 4.0), ("c", 3.0, 6.0), ("d", None, 1.0)])
    >>> found.bias, len(found.mean)
    (-2.0, 3)
    """
    both = [(name, one, two) for name, one, two in pairs if one is not None and two is not None]
    if len(both) < _LEAST_PAIRS:
        return None
    names, ones, twos = zip(*both, strict=True)
    means = tuple((one + two) / 2 for one, two in zip(ones, twos, strict=True))
    return Agreement(tuple(names), means, tuple(one - two for one, two in zip(ones, twos, strict=True)))


def agreement_plot(found: Agreement, quantity: str, difference: str) -> str:
    """Plot difference over mean, with bias and limits of agreement.

    Parameters
    ----------
    found : Agreement
    quantity, difference : str
        Titles of the axes.

    Returns
    -------
    str
        SVG.
    """
    low, high = found.limits
    plot = Plot(
        Axis.around(quantity, found.mean),
        Axis.around(difference, [*found.difference, low, high], zero=True),
        f"Agreement: {difference} over {quantity}",
        width=530.0,
        height=320.0,
    )
    for value, style, words in ((found.bias, "", "bias"), (low, "5 4", "limit"), (high, "5 4", "limit")):
        plot.line([(plot.x.low, value), (plot.x.high, value)], _AXIS, style=style)
        plot.text(plot.x.high, value, f"{words} {value:+.2f}".replace("-", "\N{MINUS SIGN}"))
    for name, mean, gap in zip(found.labels, found.mean, found.difference, strict=True):
        plot.dot(mean, gap, _COURSE, f"{name}: {gap:+.2f}")
    return plot.svg()
