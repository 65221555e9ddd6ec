"""Subjects and visits of a BIDS dataset: ``sub-<label>/[ses-<label>/]``, with what its tables say of dates."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

from spinemri.batch.looking import look_at
from spinemri.batch.model import Visit
from spinemri.errors import InputError

__all__ = ["find_bids_visits", "is_bids", "read_table"]


def is_bids(root: Path) -> bool:
    """Tell a BIDS dataset by its description or by NIfTI images of subjects; trees of DICOM have such folders, too."""
    return (root / "dataset_description.json").is_file() or any(
        _holds_nifti(folder) for folder in _labelled(root, "sub")
    )


def _holds_nifti(folder: Path) -> bool:
    return any(name.endswith((".nii", ".nii.gz")) for _, _, names in os.walk(folder) for name in names)


def find_bids_visits(root: Path, listener: Callable[[int], None] = lambda _count: None) -> list[Visit]:
    """Find every session; a subject without sessions has one visit, ``1``.

    Dates come from ``acq_time`` of ``sub-<label>_sessions.tsv`` or ``_scans.tsv``.

    Parameters
    ----------
    root : Path
    listener : callable
        Hears how many visits were found so far.

    Returns
    -------
    list of Visit
    """
    visits: list[Visit] = []
    for subject in _labelled(root, "sub"):
        dates = _session_dates(subject)
        for session in _labelled(subject, "ses") or [subject]:
            name = session.name.partition("-")[2] if session != subject else "1"
            day = dates.get(session.name, "") or _scan_date(session)
            visits.append(
                Visit(subject.name.partition("-")[2], name, session, date=day, voxels=look_at(session).voxels)
            )
            listener(len(visits))
    return visits


def _labelled(folder: Path, entity: str) -> list[Path]:
    return sorted(path for path in folder.glob(f"{entity}-*") if path.is_dir())


def _session_dates(subject: Path) -> dict[str, str]:
    rows = _rows_if_any(subject / f"{subject.name}_sessions.tsv")
    return {row.get("session_id", ""): _day(row.get("acq_time", "")) for row in rows}


def _scan_date(session: Path) -> str:
    days = [_day(row.get("acq_time", "")) for table in session.glob("*_scans.tsv") for row in _rows_if_any(table)]
    return min((day for day in days if day), default="")


def _rows_if_any(table: Path) -> list[dict[str, str]]:
    return read_table(table) if table.is_file() else []


def _day(text: str) -> str:
    """Return the date of a time, empty if the calendar has no such day."""
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        return ""


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a table with a header: tabs in ``.tsv``, else commas or semicolons; ``n/a`` and blanks are empty.

    Raises
    ------
    InputError
        BAD_COHORT_LIST if it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        what = f"{path.name} cannot be read ({type(error).__name__})."
        raise InputError("BAD_COHORT_LIST", what, "Save it as UTF-8 text with a header row.") from None
    head = text.partition("\n")[0]
    separator = "\t" if path.suffix.lower() == ".tsv" else max(",;", key=head.count)
    rows = csv.DictReader(text.splitlines(), delimiter=separator)
    return [{(key or "").strip(): _filled(value) for key, value in row.items()} for row in rows]


def _filled(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    return "" if text.lower() == "n/a" else text
