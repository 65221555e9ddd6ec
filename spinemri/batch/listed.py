"""A cohort as a table of the user: ``subject``, ``visit``, ``path``, and what is known of radiotherapy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from spinemri.batch.bids_tree import read_table
from spinemri.batch.looking import look_at
from spinemri.batch.model import Visit
from spinemri.errors import InputError, UsageError
from spinemri.followup.radiotherapy import Radiotherapy, parse_date, parse_radiotherapy
from spinemri.pipeline.points import parse_level, parse_point

__all__ = ["read_listed_visits", "read_radiotherapy"]

_NEEDED = ("subject", "path")
_TREATMENT = ("rt_start", "rt_end", "rt_dose_gy", "rt_fractions", "rt_levels")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def read_listed_visits(
    table: Path, listener: Callable[[int], None] = lambda _count: None
) -> tuple[list[Visit], dict[str, Radiotherapy]]:
    """Read one visit per row.

    Columns are ``subject`` and ``path`` (relative to the table's folder), and optionally ``visit``, ``date``,
    ``level``, ``mass_seed``, ``labels``, ``reference_volume_ml``, ``rt_start``, ``rt_end``, ``rt_dose_gy``,
    ``rt_fractions`` and ``rt_levels``; others are left alone.

    Parameters
    ----------
    table : Path
        CSV with a header.
    listener : callable
        Hears how many visits were looked at so far.

    Returns
    -------
    visits : list of Visit
    radiotherapy : dict of str to Radiotherapy
        By subject.

    Raises
    ------
    InputError
        BAD_COHORT_LIST with the row, and what is wrong with it.
    """
    rows = read_table(table)
    missing = [name for name in _NEEDED if not rows or name not in rows[0]]
    if missing:
        message = f"{table.name} has no column {' and no '.join(missing)}, or no row."
        raise _refused(message)
    counts: dict[str, int] = {}
    visits = []
    for place, row in enumerate(rows, start=2):
        counts[row["subject"]] = counts.get(row["subject"], 0) + 1
        visits.append(_visit(row, table.parent, counts[row["subject"]], place))
        listener(len(visits))
    return visits, _treatments(rows, "subject")


def read_radiotherapy(table: Path) -> dict[str, Radiotherapy]:
    """Read courses of radiotherapy from a ``participants.tsv``, by subject without ``sub-``.

    Raises
    ------
    InputError
        BAD_COHORT_LIST.
    """
    rows = read_table(table)
    named = [row | {"participant_id": row.get("participant_id", "").removeprefix("sub-")} for row in rows]
    return _treatments(named, "participant_id")


def _refused(message: str) -> InputError:
    return InputError("BAD_COHORT_LIST", message, "docs/batch.md lists the columns; correct the table.")


def _visit(row: Mapping[str, str], folder: Path, order: int, place: int) -> Visit:
    name = row.get("visit") or str(order)
    for text in (row["subject"], name):
        if not _NAME.fullmatch(text):
            raise _refused(f"Row {place}: {text!r} is no name; letters, digits, '.', '_' and '-' are.")
    if not row["path"]:
        raise _refused(f"Row {place} has no path.")
    path = folder / row["path"]
    look = look_at(path)
    try:
        return Visit(
            subject=row["subject"],
            name=name,
            path=path,
            date=parse_date(row["date"]).isoformat() if row.get("date") else look.date,
            voxels=look.voxels,
            levels=tuple(parse_level(text) for text in row.get("level", "").split()),
            mass_seed_lps_mm=parse_point(row["mass_seed"], option="mass_seed") if row.get("mass_seed") else None,
            labels=folder / row["labels"] if row.get("labels") else None,
            reference_volume_ml=_number(row.get("reference_volume_ml", "")),
        )
    except UsageError as error:
        raise _refused(f"Row {place}: {error.message}") from None


def _treatments(rows: Sequence[Mapping[str, str]], key: str) -> dict[str, Radiotherapy]:
    """Read the treatment of each subject; all of its rows have to say the same."""
    said: dict[str, dict[str, str]] = {}
    for row in rows:
        own = said.setdefault(row.get(key, ""), {})
        for name in _TREATMENT:
            value = row.get(name, "")
            if value and own.setdefault(name, value) != value:
                raise _refused(f"Subject {row.get(key)} has two values for {name}: {own[name]!r} and {value!r}.")
    courses = {subject: _course(subject, values) for subject, values in said.items() if values}
    return {subject: course for subject, course in courses.items() if course is not None}


def _course(subject: str, values: Mapping[str, str]) -> Radiotherapy | None:
    try:
        fractions = _number(values.get("rt_fractions", ""))
        return parse_radiotherapy(
            start=values.get("rt_start"),
            end=values.get("rt_end"),
            dose_gy=_number(values.get("rt_dose_gy", "")),
            fractions=None if fractions is None else int(fractions),
            levels=values.get("rt_levels"),
        )
    except UsageError as error:
        raise _refused(f"Subject {subject}: {error.message}") from None


def _number(text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError("BAD_POINT", f"{text!r} is not a number.", "Write it with a decimal point.") from None
