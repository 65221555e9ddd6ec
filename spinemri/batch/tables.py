"""The tables of a cohort as files: each appears whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spinemri.batch.results import CohortResult
from spinemri.export.cohort import COHORT_COLUMNS, FAILURE_COLUMNS, LINK_COLUMNS
from spinemri.export.columns import Column
from spinemri.export.jsonfile import rounded
from spinemri.export.schema import cohort_dictionary
from spinemri.export.tables import csv_text

__all__ = ["replace_file", "write_tables"]

_NUMBER = re.compile(r"_(ml|mm|mm2|percent|ratio|probability)$|^(level_confidence|ascor|t[12]_to_marrow)$|_change_")
_WHOLE = re.compile(r"^days_")
_YES_NO = {"truncated", "recurrence_suspected"}
_WORDS = {
    "recist_1_1_diameter",
    "recist_1_1_sphere_volume",
    "reins_volume_20_percent",
    "interobserver_volume_19_7_percent",
}


def replace_file(path: Path, content: bytes) -> None:
    """Write a file beside its place, then put it there in one step."""
    beside = path.with_name(f".{path.name}.partial")
    beside.write_bytes(content)
    beside.replace(path)


def write_tables(result: CohortResult, out: Path, *, with_links: bool) -> None:
    """Write ``cohort.csv``, ``cohort.parquet``, ``failures.csv``, ``linkage.csv`` and ``data-dictionary.md``.

    Parameters
    ----------
    result : CohortResult
    out : Path
    with_links : bool
        False leaves ``linkage.csv`` out, and removes an earlier one.
    """
    texts = {
        "cohort.csv": csv_text(COHORT_COLUMNS, result.rows),
        "failures.csv": csv_text(FAILURE_COLUMNS, result.failures),
        "data-dictionary.md": cohort_dictionary(),
    }
    if with_links:
        texts["linkage.csv"] = csv_text(LINK_COLUMNS, result.links)
    else:
        (out / "linkage.csv").unlink(missing_ok=True)
    for name, text in texts.items():
        replace_file(out / name, text.encode())
    replace_file(out / "cohort.parquet", _parquet(COHORT_COLUMNS, result.rows))


def _parquet(columns: Sequence[Column[Any]], rows: Sequence[object]) -> bytes:
    """Return the table as Parquet; types depend on the names of columns, not on which cells are filled."""
    arrays = [pa.array([_cell(column, row) for row in rows], _type(column.name)) for column in columns]
    table = pa.table(arrays, schema=pa.schema([(column.name, _type(column.name)) for column in columns]))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _type(name: str) -> Any:  # noqa: ANN401 - pyarrow has no types
    if name in _YES_NO:
        return pa.bool_()
    if name in _WORDS:
        return pa.string()
    if _WHOLE.search(name):
        return pa.int64()
    return pa.float64() if _NUMBER.search(name) else pa.string()


def _cell(column: Column[Any], row: object) -> object:
    cell = column.value(row)
    return rounded(cell, column.name) if isinstance(cell, float) else cell
