"""What speaks against a numbering, in words: findings about levels."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from spinemri.anatomy.anchors import Anchor
from spinemri.anatomy.readings import Reading, Seen
from spinemri.errors import Flag, Severity
from spinemri.nomenclature import REGULAR_COLUMN

__all__ = ["anchor_doubts", "column_doubts", "hint_doubts", "no_anchor_doubt"]

_RECOGNISED = frozenset({"C2", "sacrum"})
_LIKELY = 0.03
_WORTH_SAYING = 0.1
_CLOSE = 0.25


def hint_doubts(asked_user: bool, reference: str | None, found: Collection[str]) -> tuple[Flag, ...]:  # noqa: FBT001
    """Say which hints matched nothing.

    Parameters
    ----------
    asked_user : bool
        The user named a level.
    reference : str or None
        What levels were brought from.
    found : collection of str
        Sources of the anchors.
    """
    flags: tuple[Flag, ...] = ()
    if asked_user and "user" not in found:
        flags += (Flag("LEVEL_HINT_UNMATCHED", "No given level lies on a visible vertebral body; check the points."),)
    if reference is not None and not any(source.split(":")[0] == reference for source in found):
        message = f"No vertebra of the {reference} matches this stack; its names were not used."
        flags += (Flag("LEVEL_REFERENCE_UNMATCHED", message, Severity.INFO),)
    return flags


def anchor_doubts(best: Reading, anchors: Sequence[Anchor]) -> tuple[Flag, ...]:
    """Repeat what the anchors themselves warn of, and name those that read otherwise."""
    flags: tuple[Flag, ...] = ()
    agreeing = [a for a, claimed in zip(anchors, best.agreement, strict=True) if claimed >= _LIKELY]
    for anchor, claimed in zip(anchors, best.agreement, strict=True):
        flags += anchor.flags
        foremost = anchor.evidence.claims[0].probability
        if claimed >= foremost:
            continue
        flags += (_conflict(best, anchor, bool(agreeing) and agreeing[0] is not anchor),)
    return flags


def _conflict(best: Reading, anchor: Anchor, anchored: bool) -> Flag:  # noqa: FBT001
    claim = anchor.evidence.claims[0]
    name = best.names[claim.body] if claim.body < len(best.names) else None
    wanted = claim.name or "the last vertebra above the sacrum"
    reading = f"Counting from {anchor.source}, {name or 'an unnamed body'} is {wanted}"
    away = _levels_between(name, claim.name or "L5")
    if away == 1:
        message = f"{reading}, one level off: a transitional vertebra or a miscount; check by eye."
        return Flag("TRANSITIONAL_SUSPECTED", message)
    if anchor.source not in _RECOGNISED and not anchor.source.startswith("labels:"):
        return Flag("LEVEL_ANCHORS_DISAGREE", f"{reading}; give one with --level.")
    if anchored:
        return Flag("LEVEL_ANCHORS_DISAGREE", f"{reading}; give one with --level.")
    what = "The names in the masks contradict"
    if anchor.source in _RECOGNISED:
        what = f"What looks like the {anchor.source} contradicts"
    message = f"{what} the sizes and tilts of the levels or the end of the cord, and was not used."
    return Flag("LEVEL_ANCHOR_IMPLAUSIBLE", message)


def _levels_between(first: str | None, second: str) -> int:
    places = [REGULAR_COLUMN.index(name) if name in REGULAR_COLUMN else 24 for name in (first or "C1", second)]
    return abs(places[0] - places[1])


def column_doubts(readings: Sequence[Reading], seen: Seen) -> tuple[Flag, ...]:
    """Say what is, or may well be, unusual about the column."""
    best = readings[0]
    flags: tuple[Flag, ...] = ()
    if any(name is None for name, there in zip(best.names, seen.visible, strict=True) if there):
        flags += (Flag("LEVELS_BEYOND_COLUMN", "The most likely count leaves bodies without a name."),)
    anchored = any(claimed >= _LIKELY for claimed in best.agreement)
    unusual = [r for r in readings if r.remark and r.probability >= _WORTH_SAYING] if anchored else []
    said = [f"{r.remark} ({r.probability:.0%})" for r in unusual]
    second = readings[1] if len(readings) > 1 else best
    if anchored and not second.remark and _CLOSE <= second.probability < best.probability:
        said.append(f"its last mobile disc one level off ({second.probability:.0%})")
    if said:
        message = f"The column may have {' or '.join(dict.fromkeys(said))}; check it by eye, settle it with --level."
        flags += (Flag("TRANSITIONAL_SUSPECTED", message),)
    return flags


def no_anchor_doubt(readings: Sequence[Reading], first: int, chosen: Anchor | None) -> Flag:
    """Say that the names are not absolute, why, and which ones are likely."""
    options = ", ".join(f"{r.names[first] or 'beyond the column'} ({r.probability:.0%})" for r in readings[:3])
    if chosen is not None and not chosen.absolute:
        why = f"The names come from the {chosen.source} numbering, which has no anchor"
    elif chosen is not None:
        why = f"The count from {chosen.source} is not sure enough"
    else:
        why = "Nothing anchors the count"
    return Flag("NO_LEVEL_ANCHOR", f"{why}; the topmost vertebra is most likely {options}. Give one with --level.")
