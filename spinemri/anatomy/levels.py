"""Names of vertebrae and discs: counted from an anchor, or offered as the most likely ones without."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.anchors import Anchor, axis_anchor, reference_anchor, sacral_anchor, user_anchor
from spinemri.anatomy.instances import Chain, find_chain
from spinemri.anatomy.likelihood import likely_offsets
from spinemri.anatomy.model import Centreline, Disc, Levels, Numbering, TissueMap, Vertebra
from spinemri.errors import Flag, Severity
from spinemri.nomenclature import REGULAR_COLUMN, disc_id, disc_name, vertebra_id
from spinemri.volume import Volume

__all__ = ["LevelHints", "name_levels"]

_FILLED_GAP_FACTOR = 0.85
_MAX_RELATIVE_CONFIDENCE = 0.6
_MIN_PITCHES = 2
_MIN_BODIES = 3
_MIN_ANCHOR_CONFIDENCE = 0.5
_SACRAL_DISC_FACTOR = 0.8


@dataclass(frozen=True, eq=False)
class LevelHints:
    """What is known about the levels from elsewhere.

    Attributes
    ----------
    user : tuple of (name, point)
        Vertebra names with a point of their body in LPS mm.
    reference : Levels or None
        Levels of another stack in the same frame of reference, brought from an earlier visit, or named by a mask.
    reference_source : str
        ``"localizer"``, ``"baseline"`` or ``"labels"``.
    """

    user: tuple[tuple[str, tuple[float, float, float]], ...] = ()
    reference: Levels | None = None
    reference_source: str = "localizer"


@dataclass(frozen=True)
class _Count:
    """A decided numbering: the name of every body of the chain and what it rests on."""

    names: tuple[str | None, ...]
    numbering: Numbering
    anchor: str
    confidence: float
    body: int
    flags: tuple[Flag, ...]


def name_levels(tissues: TissueMap, centreline: Centreline, hints: LevelHints) -> tuple[Levels, Volume]:
    """Find vertebrae and discs and name them.

    Anchors in the order of trust: the user, another stack, C2 with its dens, the sacrum. Without any the numbering
    is ``"relative"`` and carries the most likely names. Names are unique and without gaps; a level that only the
    spacing of its neighbours betrays is counted and flagged.

    Parameters
    ----------
    tissues : TissueMap
    centreline : Centreline
    hints : LevelHints

    Returns
    -------
    levels : Levels
    level_map : Volume
        uint8, VerSe ids of vertebrae, discs 100 + the id of the vertebra above, 0 elsewhere.

    Raises
    ------
    UsageError
        LEVEL_UNKNOWN if the user named a level that does not exist.
    """
    chain = find_chain(tissues, centreline)
    if chain is None and hints.reference is not None and hints.reference_source == "labels":
        return _as_given(hints.reference, hints), _empty_map(tissues)
    if chain is None:
        message = "No row of vertebral bodies and discs was found in front of the canal; give masks with --labels."
        flag = Flag("LEVELS_NOT_FOUND", message)
        return Levels((), (), "unknown", "none", 0.0, (flag,)), _empty_map(tissues)
    count = _count(chain, centreline, tissues, hints)
    return _levels(chain, count), _level_map(chain, count.names)


def _as_given(levels: Levels, hints: LevelHints) -> Levels:
    """Take the levels of masks without bodies and discs at their word: there is nothing to match them with."""
    flags = _unmatched(replace(hints, reference=None), (None, None))
    return replace(levels, anchor=f"labels:{levels.anchor}", flags=flags)


def _empty_map(tissues: TissueMap) -> Volume:
    return Volume(np.zeros(tissues.grid.shape, np.uint8), tissues.affine, tissues.frame_of_reference_uid)


def _count(chain: Chain, centreline: Centreline, tissues: TissueMap, hints: LevelHints) -> _Count:
    reference = hints.reference
    found = (
        user_anchor(chain, hints.user),
        reference_anchor(chain, reference, hints.reference_source) if reference is not None else None,
        axis_anchor(chain, centreline, tissues),
        sacral_anchor(chain, centreline, tissues),
    )
    flags = _unmatched(hints, found)
    chances = likely_offsets(chain, centreline, tissues)
    anchors, doubts = _plausible([anchor for anchor in found if anchor is not None], chances)
    flags += doubts
    if not anchors:
        return _relative(chain, chances, flags)
    chosen, others = anchors[0], anchors[1:]
    confidence, more = _agreement(chosen, others)
    names = _names(chain, chosen.offset)
    if None in [name for name, body in zip(names, chain.bodies, strict=True) if body is not None]:
        confidence *= 0.4
        more += (Flag("LEVELS_BEYOND_COLUMN", f"Counting from {chosen.source} leaves bodies without a name."),)
    if chosen.source == "sacrum" and chain.row.sacral_disc:
        confidence *= _SACRAL_DISC_FACTOR
        message = "A well-formed disc lies below the one counted as L5/S1: lumbarised S1, sacralised L5, or neither."
        more += (Flag("TRANSITIONAL_SUSPECTED", message),)
    numbering: Numbering = "absolute" if chosen.absolute else "relative"
    flags += chosen.flags + more
    if not chosen.absolute:
        flags += (Flag("NO_LEVEL_ANCHOR", f"The names come from the {chosen.source} numbering, which has no anchor."),)
    return _with_gaps(chain, _Count(names, numbering, chosen.source, confidence, chosen.body, flags))


def _unmatched(hints: LevelHints, found: tuple[Anchor | None, ...]) -> tuple[Flag, ...]:
    flags: tuple[Flag, ...] = ()
    if hints.user and found[0] is None:
        flags += (Flag("LEVEL_HINT_UNMATCHED", "No given level lies on a visible vertebral body; check the points."),)
    if hints.reference is not None and found[1] is None:
        message = f"No vertebra of the {hints.reference_source} matches this stack; its names were not used."
        flags += (Flag("LEVEL_REFERENCE_UNMATCHED", message, Severity.INFO),)
    return flags


def _agreement(chosen: Anchor, others: list[Anchor]) -> tuple[float, tuple[Flag, ...]]:
    """Raise the confidence by anchors that agree, lower it by those that do not."""
    confidence = chosen.confidence
    flags: tuple[Flag, ...] = ()
    for other in others:
        shift = other.offset - chosen.offset
        if shift == 0:
            confidence = 1.0 - (1.0 - confidence) * (1.0 - other.confidence)
            continue
        trusted = chosen.source == "user"
        confidence *= 0.95 if trusted else 0.6 if abs(shift) == 1 else 0.4
        flags += (_conflict(chosen, other, shift),)
    return min(confidence, 0.99), flags


def _conflict(chosen: Anchor, other: Anchor, shift: int) -> Flag:
    counts = f"Counting from {other.source} gives names {abs(shift)} level(s) {'lower' if shift > 0 else 'higher'}"
    if abs(shift) == 1:
        message = f"{counts} than from {chosen.source}: a transitional vertebra or a miscount; check by eye."
        return Flag("TRANSITIONAL_SUSPECTED", message)
    return Flag("LEVEL_ANCHORS_DISAGREE", f"{counts} than from {chosen.source}; give one with --level.")


def _names(chain: Chain, offset: int) -> tuple[str | None, ...]:
    """Name all bodies of the chain; one more than five above the sacrum is L6."""
    column: tuple[str, ...] = REGULAR_COLUMN
    sacral = chain.row.promontory is not None
    if sacral and offset + len(chain.bodies) - 1 == len(REGULAR_COLUMN):
        column = (*REGULAR_COLUMN[:-1], "L6", "S1")
    places = range(offset, offset + len(chain.bodies))
    return tuple(column[place] if 0 <= place < len(column) else None for place in places)


def _with_gaps(chain: Chain, count: _Count) -> _Count:
    filled = [number for number, disc in enumerate(chain.discs) if disc.inferred]
    if not filled:
        return count
    names = ", ".join(_disc_label(count.names, number) or "?" for number in filled)
    message = f"No disc was seen at {names}; it was counted because the neighbouring levels lie too far apart."
    confidence = count.confidence * _FILLED_GAP_FACTOR ** len(filled)
    flags = (*count.flags, Flag("LEVEL_GAP_FILLED", message))
    return _Count(count.names, count.numbering, count.anchor, confidence, count.body, flags)


def _plausible(anchors: list[Anchor], chances: dict[int, float]) -> tuple[list[Anchor], tuple[Flag, ...]]:
    """Weigh what was recognised in the image against what the sizes of the levels and the cord allow.

    A network may take thoracic bodies for sacrum, or number a crop from one; a person or a matched stack is not
    doubted.
    """
    kept: list[Anchor] = []
    flags: tuple[Flag, ...] = ()
    for anchor in anchors:
        seen = anchor.source in {"C2", "sacrum"}
        if not (seen or anchor.source.startswith("labels:")) or not chances:
            kept.append(anchor)
            continue
        # The square root allows for levels that vary together.
        ratio = (chances.get(anchor.offset, 0.0) / max(chances.values())) ** 0.5
        likely = anchor.confidence * ratio
        confidence = likely / (likely + 1.0 - anchor.confidence)
        if confidence >= _MIN_ANCHOR_CONFIDENCE:
            kept.append(replace(anchor, confidence=confidence))
        else:
            what = f"What looks like the {anchor.source} contradicts" if seen else "The names in the masks contradict"
            flags += (Flag("LEVEL_ANCHOR_IMPLAUSIBLE", f"{what} the sizes of the levels or the cord; not used."),)
    return kept, flags


def _relative(chain: Chain, chances: dict[int, float], flags: tuple[Flag, ...]) -> _Count:
    """Offer the numbering that sizes and conus make most likely."""
    unnamed = tuple(None for _ in chain.bodies)
    visible = sum(body is not None for body in chain.bodies)
    if len(chain.discs) <= _MIN_PITCHES or visible < _MIN_BODIES or not chances:
        message = "Neither C2 nor the sacrum nor enough levels are visible; give a level with --level, e.g. T12@x,y,z."
        flags = (*flags, Flag("NO_LEVEL_ANCHOR", message))
        return _Count(unnamed, "unknown", "none", 0.0, 0, flags)
    ranked = sorted(chances.items(), key=lambda item: -item[1])[:3]
    first = next(number for number, body in enumerate(chain.bodies) if body is not None)
    options = ", ".join(f"{REGULAR_COLUMN[offset + first]} ({chance:.0%})" for offset, chance in ranked)
    message = f"Nothing anchors the count; the topmost vertebra is most likely {options}. Give one with --level."
    confidence = min(ranked[0][1], _MAX_RELATIVE_CONFIDENCE)
    flags = (*flags, Flag("NO_LEVEL_ANCHOR", message))
    count = _Count(_names(chain, ranked[0][0]), "relative", "none", confidence, first, flags)
    return _with_gaps(chain, count)


def _disc_label(names: tuple[str | None, ...], number: int) -> str | None:
    above, below = names[number], names[number + 1]
    return disc_name(above, below) if above is not None and below is not None else None


def _levels(chain: Chain, count: _Count) -> Levels:
    vertebrae = tuple(
        Vertebra(name, body.centre_lps_mm, body.complete, _own_confidence(chain, count, number))
        for number, (name, body) in enumerate(zip(count.names, chain.bodies, strict=True))
        if body is not None
    )
    discs = tuple(Disc(_disc_label(count.names, number), disc.centre_lps_mm) for number, disc in enumerate(chain.discs))
    return Levels(vertebrae, discs, count.numbering, count.anchor, round(count.confidence, 3), count.flags)


def _own_confidence(chain: Chain, count: _Count, number: int) -> float:
    """Only filled gaps between the anchor and a vertebra put its name in doubt."""
    filled = sum(disc.inferred for disc in chain.discs)
    low, high = sorted((count.body, number))
    between = sum(disc.inferred for disc in chain.discs[low:high])
    return round(count.confidence / _FILLED_GAP_FACTOR ** (filled - between), 3)


def _level_map(chain: Chain, names: tuple[str | None, ...]) -> Volume:
    bodies = np.array([0, *(vertebra_id(name) if name is not None else 0 for name in names)], dtype=np.uint8)
    discs = np.array([0, *(disc_id(name) if name is not None else 0 for name in names[:-1])], dtype=np.uint8)
    array: NDArray[np.uint8] = bodies[chain.body_map.array]
    inside_disc = chain.disc_map.array > 0
    array[inside_disc] = discs[chain.disc_map.array[inside_disc]]
    return chain.body_map.with_array(array)
