"""Level names after a person named one: all follow from it, without looking at the images again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spinemri.anatomy.model import Disc, Levels
from spinemri.errors import UsageError
from spinemri.followup.radiotherapy import column_with
from spinemri.nomenclature import disc_name, vertebra_id
from spinemri.pipeline.options import Point

__all__ = ["renumbered", "shift_between", "shifted"]

_REACH_MM = 25.0
_CONFIDENCE = 0.99
_HELP = "Give a point in the body, in LPS mm, as it stands in measurements.json."


def renumbered(levels: Levels, named: Sequence[tuple[str, Point]]) -> Levels:
    """Name all levels as one or several given ones demand.

    Parameters
    ----------
    levels : Levels
        As measured before.
    named : sequence of (name, point)
        Vertebrae with a point of their body in LPS mm.

    Returns
    -------
    Levels
        Absolute, anchored by the user; names are unique and without gaps.

    Raises
    ------
    UsageError
        LEVEL_HINT_UNMATCHED, LEVEL_HINTS_DISAGREE or LEVEL_UNKNOWN.
    """
    given = [(_checked(name), _body_at(levels, point)) for name, point in named]
    column = column_with([name for name, _ in given])
    offsets = {column.index(name) - body for name, body in given}
    if len(offsets) != 1:
        raise UsageError("LEVEL_HINTS_DISAGREE", "The given levels contradict one another.", "Correct one of them.")
    return _named(levels, column, offsets.pop())


def _checked(name: str) -> str:
    try:
        vertebra_id(name)
    except ValueError as error:
        raise UsageError("LEVEL_UNKNOWN", f"{error}.", "Give a name from C1 to S1, for example T12@x,y,z.") from None
    return name.strip().upper()


def _body_at(levels: Levels, point: Point) -> int:
    body = levels.vertebra_at(point, _REACH_MM)
    if body is None:
        where = f"{point[0]:g},{point[1]:g},{point[2]:g}"
        raise UsageError("LEVEL_HINT_UNMATCHED", f"No vertebra lies within {_REACH_MM:.0f} mm of {where}.", _HELP)
    return body


def _named(levels: Levels, column: Sequence[str], offset: int) -> Levels:
    places = [offset + body for body in range(len(levels.vertebrae))]
    names = [column[place] if 0 <= place < len(column) else None for place in places]
    vertebrae = tuple(
        replace(v, name=name, confidence=_CONFIDENCE) for v, name in zip(levels.vertebrae, names, strict=True)
    )
    discs = tuple(_disc(disc, levels, names) for disc in levels.discs)
    return Levels(vertebrae, discs, "absolute", "user", _CONFIDENCE)


def _disc(disc: Disc, levels: Levels, names: Sequence[str | None]) -> Disc:
    """Name a disc after the vertebrae above and below it."""
    above = sum(v.centre_lps_mm[2] > disc.centre_lps_mm[2] for v in levels.vertebrae) - 1
    pair = (names[above], names[above + 1]) if 0 <= above < len(names) - 1 else (None, None)
    upper, lower = pair
    return replace(disc, name=disc_name(upper, lower) if upper and lower else None)


def shift_between(before: Levels, after: Levels) -> int:
    """By how many levels names moved down, from the first vertebra that has a name in both."""
    for old, new in zip(before.vertebrae, after.vertebrae, strict=True):
        if old.name and new.name:
            column = column_with([old.name, new.name])
            return column.index(new.name) - column.index(old.name)
    return 0


def shifted(levels: Levels, shift: int) -> Levels:
    """Move the names of a visit that inherited them from one that was renumbered."""
    known = next(((body, v.name) for body, v in enumerate(levels.vertebrae) if v.name), None)
    if known is None:
        return levels
    body, name = known
    column = column_with([name])
    moved = _named(levels, column, column.index(name) + shift - body)
    return replace(moved, anchor=levels.anchor)
