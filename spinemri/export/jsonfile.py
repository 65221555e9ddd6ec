"""JSON as every file of ours is written: rounded, UTF-8, stable key order, one trailing newline."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from spinemri.errors import InternalError

__all__ = ["Json", "as_json", "json_text", "rounded", "write_json"]

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

_DECIMALS = 3
_PERCENT_DECIMALS = 2


def _decimals(key: str) -> int:
    return _PERCENT_DECIMALS if "percent" in key else _DECIMALS


def rounded(value: float, key: str) -> float:
    """Round a number for output by the unit in its name: 2 decimals for per cent, 3 for all else.

    Raises
    ------
    InternalError
        If the number is not finite: what cannot be measured has to be null.

    Examples
    --------
    >>> rounded(41.2345, "mcc_percent"), rounded(-0.00001, "x_lps_mm")
    (41.23, 0.0)
    """
    if not math.isfinite(value):
        raise InternalError("NOT_FINITE", f"{key} is {value}; a number that cannot be given has to be null.")
    # Adding zero turns -0.0 into 0.0, which reads and compares better.
    return round(float(value), _decimals(key)) + 0.0


def _tidy(value: object, key: str) -> Json:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return rounded(value, key)
    if isinstance(value, Mapping):
        # Entries of a dictionary are rounded by their own name, those of a list by the list's.
        return {str(name): _tidy(entry, str(name)) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_tidy(entry, key) for entry in value]
    raise InternalError("NOT_JSON", f"{key} holds a {type(value).__name__}, which JSON cannot.")


def as_json(record: BaseModel) -> Json:
    """Return a record as rounded plain data with the contract's keys."""
    return _tidy(record.model_dump(mode="json", by_alias=True), "")


def json_text(content: Json) -> str:
    """Return the text of a JSON file: keys in the order given, two spaces, trailing newline."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(content: Json, path: Path) -> None:
    """Write plain data as UTF-8 JSON with Unix line ends."""
    path.write_text(json_text(content), encoding="utf-8", newline="\n")
