"""What is in a folder, as a table or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from spinemri.errors import Flag, InputError
from spinemri.intake.inspect import InspectionRow, inspection_rows
from spinemri.intake.model import SAGITTAL_ROLES, Study

__all__ = ["check_measurable", "inspection_json", "print_inspection"]

_WIDTH_OF_A_FILE = 200
_HEADINGS = ("stack", "description", "plane", "shows", "fat sat", "contrast", "region", "size", "role", "why")


def check_measurable(studies: Sequence[Study]) -> None:
    """Fail if none of the studies could be measured.

    Raises
    ------
    InputError
        NO_SPINE_SERIES.
    """
    if not any(stack.role in SAGITTAL_ROLES for study in studies for stack in study.stacks):
        raise InputError(
            "NO_SPINE_SERIES", "None of these stacks can be measured.", "The last column says why each was left out."
        )


def inspection_json(studies: Sequence[Study]) -> str:
    """Return everything that is known of each stack, and what was left out, as JSON."""
    heads = [
        {
            "study": number,
            "study_instance_uid": study.study_instance_uid,
            "study_date": study.study_date,
            "flags": [asdict(flag) for flag in study.flags],
        }
        for number, study in enumerate(studies, start=1)
    ]
    return json.dumps({"studies": heads, "stacks": [asdict(row) for row in inspection_rows(studies)]}, indent=2)


def print_inspection(studies: Sequence[Study]) -> None:
    """Print one table per study, then what was left out."""
    # A pipe or file has no width of its own; 80 columns would break every reason.
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE, highlight=False)
    rows = inspection_rows(studies)
    for number, study in enumerate(studies, start=1):
        own = [row for row in rows if row.study == number]
        console.print(_table(own, f"Study {number}, {study.study_date or 'undated'}"))
        for row in own:
            if not row.is_stack:
                console.print(f"left out: {row.stack} [{row.code}] {row.reason}", markup=False)
        for flag in _flags(study):
            console.print(f"{flag.severity.value}: [{flag.code}] {flag.message}", markup=False)


def _flags(study: Study) -> tuple[Flag, ...]:
    return (*study.flags, *(flag for stack in study.stacks for flag in stack.flags))


def _table(rows: Sequence[InspectionRow], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in _HEADINGS:
        table.add_column(heading, overflow="fold")
    for row in rows:
        if row.is_stack:
            # As text: a series description may hold brackets, which would be taken for markup.
            table.add_row(*(Text(cell) for cell in _cells(row)))
    return table


def _cells(row: InspectionRow) -> tuple[str, ...]:
    evidence = f" ({'; '.join(row.evidence)})" if row.evidence else ""
    return (
        row.stack,
        row.series_description,
        row.plane,
        row.weighting,
        row.fat_suppressed,
        row.contrast_enhanced,
        row.region or "?",
        f"{row.slices} slices of {row.matrix}, {row.spacing_mm} mm",
        row.role or "-",
        f"[{row.code}] {row.reason}{evidence}",
    )
