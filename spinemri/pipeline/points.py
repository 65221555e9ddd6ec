"""Points of the patient and vertebrae that a user names, as text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from spinemri.errors import UsageError
from spinemri.nomenclature import vertebra_id, vertebra_name
from spinemri.pipeline.options import Point

__all__ = ["parse_level", "parse_levels", "parse_point"]


def parse_point(text: str, *, option: str) -> Point:
    """Read ``x,y,z`` in LPS mm.

    Raises
    ------
    UsageError
        BAD_POINT.

    Examples
    --------
    >>> parse_point("1,-20.5,300", option="--mass-seed")
    (1.0, -20.5, 300.0)
    """
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        x = y = z = math.nan
    if not all(math.isfinite(value) for value in (x, y, z)):
        raise UsageError("BAD_POINT", f"{option} got {text!r}.", "Write x,y,z in mm (LPS: to the left, back and head).")
    return x, y, z


def parse_level(text: str) -> tuple[str, Point]:
    """Read ``T12@x,y,z``: the name of a vertebra and a point in its body.

    Raises
    ------
    UsageError
        BAD_LEVEL or BAD_POINT.
    """
    name, at, point = text.partition("@")
    try:
        known = vertebra_name(vertebra_id(name))
    except ValueError:
        known = ""
    if not known or not at:
        raise UsageError(
            "BAD_LEVEL", f"--level got {text!r}.", "Write the vertebra and a point in it, such as T12@2.5,-40,210."
        )
    return known, parse_point(point, option="--level")


def parse_levels(texts: Sequence[str]) -> tuple[tuple[str, Point], ...]:
    """Read every ``--level``.

    Raises
    ------
    UsageError
        BAD_LEVEL, BAD_POINT, or the same vertebra twice.
    """
    levels = tuple(parse_level(text) for text in texts)
    names = [name for name, _ in levels]
    for name in names:
        if names.count(name) > 1:
            raise UsageError("BAD_LEVEL", f"--level names {name} twice.", "Give each vertebra once.")
    return levels
