"""Names of vertebrae and discs: the most probable consistent numbering, and whether anything anchors it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.anchors import Anchor, axis_anchor, reference_anchor, sacral_anchor, user_anchor
from spinemri.anatomy.conus import find_cord_end
from spinemri.anatomy.doubts import anchor_doubts, column_doubts, hint_doubts, no_anchor_doubt
from spinemri.anatomy.instances import Chain, find_chain
from spinemri.anatomy.model import Alternative, Centreline, Disc, Levels, Numbering, TissueMap, Vertebra
from spinemri.anatomy.readings import Reading, Seen, weigh_readings
from spinemri.anatomy.traits import chain_traits
from spinemri.errors import Flag
from spinemri.nomenclature import disc_id, disc_name, vertebra_id
from spinemri.volume import Volume

__all__ = ["MIN_ABSOLUTE_CONFIDENCE", "LevelHints", "name_levels"]

MIN_ABSOLUTE_CONFIDENCE = 0.8
"""Names are only called absolute if they are right with at least this probability."""

_FILLED_GAP_FACTOR = 0.9
_MAX_CONFIDENCE = 0.99
_MAX_UNANCHORED = 0.7
"""Sizes and tilts alone are never surer: of generated patients at 0.7 and more, seven in ten were right."""

_MIN_BODIES = 3
_LEAST_CLAIM = 0.03


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
    """A decided numbering: the names of the bodies, how sure each is, and what they rest on.

    `body` is the one that the count starts from.
    """

    names: tuple[str | None, ...]
    sure: tuple[float, ...]
    numbering: Numbering
    anchor: str
    confidence: float
    body: int
    flags: tuple[Flag, ...]
    alternative: Alternative | None = None


def name_levels(tissues: TissueMap, centreline: Centreline, hints: LevelHints) -> tuple[Levels, Volume]:
    """Find vertebrae and discs and name them.

    Every consistent numbering is weighed: by the anchors that are seen (the user, another stack, C2 with its dens, the
    sacrum), by sizes and tilts of the levels and the end of the cord, and by how common such a column is. The most
    probable one is taken. It is ``"absolute"`` if an anchor supports it and its probability is at least
    `MIN_ABSOLUTE_CONFIDENCE`, else ``"relative"``. Names are unique and without gaps; a level that only the spacing of
    its neighbours betrays is counted and flagged.

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
    flags = hint_doubts(bool(hints.user), None, {})
    return replace(levels, anchor=f"labels:{levels.anchor}", flags=flags)


def _empty_map(tissues: TissueMap) -> Volume:
    return Volume(np.zeros(tissues.grid.shape, np.uint8), tissues.affine, tissues.frame_of_reference_uid)


def _anchors(chain: Chain, centreline: Centreline, tissues: TissueMap, hints: LevelHints) -> list[Anchor]:
    """Whatever the count can start from, in the order of trust."""
    reference, source = hints.reference, hints.reference_source
    found = (
        user_anchor(chain, hints.user),
        reference_anchor(chain, reference, source) if reference is not None else None,
        axis_anchor(chain, centreline, tissues),
        sacral_anchor(chain, centreline, tissues),
    )
    return [anchor for anchor in found if anchor is not None]


def _count(chain: Chain, centreline: Centreline, tissues: TissueMap, hints: LevelHints) -> _Count:
    anchors = _anchors(chain, centreline, tissues, hints)
    asked = None if hints.reference is None else hints.reference_source
    flags = hint_doubts(bool(hints.user), asked, {anchor.source for anchor in anchors})
    seen = Seen(
        tuple(body is not None for body in chain.bodies),
        tuple(body is not None and body.sacral for body in chain.bodies),
        chain_traits(chain),
        find_cord_end(chain, centreline, tissues),
    )
    if not anchors and sum(seen.visible) < _MIN_BODIES:
        unnamed = tuple(None for _ in chain.bodies)
        message = "Neither C2 nor the sacrum nor enough levels are visible; give a level with --level, e.g. T12@x,y,z."
        flags = (*flags, Flag("NO_LEVEL_ANCHOR", message))
        return _Count(unnamed, (0.0,) * len(unnamed), "unknown", "none", 0.0, 0, flags)
    readings = weigh_readings(seen, [anchor.evidence for anchor in anchors])
    count = _decide(readings, anchors, seen, flags)
    return _with_gaps(chain, count)


def _decide(readings: Sequence[Reading], anchors: Sequence[Anchor], seen: Seen, flags: tuple[Flag, ...]) -> _Count:
    """Take the most probable reading, with the most trusted anchor that agrees with it."""
    best = readings[0]
    agreeing = [anchor for anchor, claimed in zip(anchors, best.agreement, strict=True) if claimed >= _LEAST_CLAIM]
    chosen = agreeing[0] if agreeing else None
    first = seen.visible.index(True)
    most = _MAX_CONFIDENCE if chosen is not None else _MAX_UNANCHORED
    absolute = chosen is not None and chosen.absolute and best.probability >= MIN_ABSOLUTE_CONFIDENCE
    flags += anchor_doubts(best, anchors) + column_doubts(readings, seen)
    if not absolute:
        flags += (no_anchor_doubt(readings, first, chosen),)
    return _Count(
        best.names,
        tuple(min(_chance(readings, body), most) for body in range(len(best.names))),
        "absolute" if absolute else "relative",
        chosen.source if chosen is not None else "none",
        min(best.probability, most),
        chosen.body if chosen is not None else first,
        flags,
        _runner_up(readings, first),
    )


def _chance(readings: Sequence[Reading], body: int) -> float:
    """Probability that a body has the name that the best reading gives it."""
    name = readings[0].names[body]
    return sum(reading.probability for reading in readings if reading.names[body] == name)


def _runner_up(readings: Sequence[Reading], first: int) -> Alternative | None:
    if len(readings) < 2:
        return None
    second = readings[1]
    return Alternative(second.names[first], second.names[-1], round(second.probability, 3))


def _with_gaps(chain: Chain, count: _Count) -> _Count:
    filled = [number for number, disc in enumerate(chain.discs) if disc.inferred]
    if not filled:
        return count
    names = ", ".join(_disc_label(count.names, number) or "?" for number in filled)
    message = f"No disc was seen at {names}; it was counted because the neighbouring levels lie too far apart."
    # Only filled gaps between the start of the count and a vertebra put its name in doubt.
    between = [sum(low <= gap < high for gap in filled) for low, high in _spans(count)]
    sure = tuple(chance * _FILLED_GAP_FACTOR**gaps for chance, gaps in zip(count.sure, between, strict=True))
    confidence = count.confidence * _FILLED_GAP_FACTOR ** len(filled)
    return replace(count, sure=sure, confidence=confidence, flags=(*count.flags, Flag("LEVEL_GAP_FILLED", message)))


def _spans(count: _Count) -> list[tuple[int, int]]:
    return [(min(count.body, number), max(count.body, number)) for number in range(len(count.names))]


def _disc_label(names: tuple[str | None, ...], number: int) -> str | None:
    above, below = names[number], names[number + 1]
    return disc_name(above, below) if above is not None and below is not None else None


def _levels(chain: Chain, count: _Count) -> Levels:
    vertebrae = tuple(
        Vertebra(name, body.centre_lps_mm, body.complete, round(sure, 3))
        for name, sure, body in zip(count.names, count.sure, chain.bodies, strict=True)
        if body is not None
    )
    discs = tuple(Disc(_disc_label(count.names, number), disc.centre_lps_mm) for number, disc in enumerate(chain.discs))
    confidence = round(count.confidence, 3)
    return Levels(vertebrae, discs, count.numbering, count.anchor, confidence, count.flags, count.alternative)


def _level_map(chain: Chain, names: tuple[str | None, ...]) -> Volume:
    bodies = np.array([0, *(vertebra_id(name) if name is not None else 0 for name in names)], dtype=np.uint8)
    discs = np.array([0, *(disc_id(name) if name is not None else 0 for name in names[:-1])], dtype=np.uint8)
    array: NDArray[np.uint8] = bodies[chain.body_map.array]
    inside_disc = chain.disc_map.array > 0
    array[inside_disc] = discs[chain.disc_map.array[inside_disc]]
    return chain.body_map.with_array(array)
