"""CSV as every table of ours is written: one header, empty cells for null, Unix line ends."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from spinemri.export.columns import Cell, Column
from spinemri.export.jsonfile import rounded

__all__ = ["csv_text", "write_csv"]


def _text(cell: Cell, name: str) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return str(rounded(cell, name)) if isinstance(cell, float) else str(cell)


def csv_text(columns: Sequence[Column[Any]], records: Iterable[object]) -> str:
    """Return a table of records as CSV text with a header row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    for record in records:
        writer.writerow([_text(column.value(record), column.name) for column in columns])
    return out.getvalue()


def write_csv(columns: Sequence[Column[Any]], records: Iterable[object], path: Path) -> None:
    """Write a table of records as UTF-8 CSV."""
    path.write_text(csv_text(columns, records), encoding="utf-8", newline="\n")
