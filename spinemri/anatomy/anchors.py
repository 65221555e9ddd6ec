"""What the count of levels can start from: a person, another stack, the axis (C2) or the sacrum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spinemri.anatomy.curve import inside
from spinemri.anatomy.instances import Chain
from spinemri.anatomy.model import Centreline, Levels, TissueMap
from spinemri.errors import Flag, UsageError
from spinemri.nomenclature import REGULAR_COLUMN, vertebra_id

__all__ = ["Anchor", "axis_anchor", "reference_anchor", "sacral_anchor", "user_anchor"]

C2, L5 = REGULAR_COLUMN.index("C2"), REGULAR_COLUMN.index("L5")

_BEYOND_SACRUM_MM = 25.0
_SACRAL_TURN_DEG = 20.0


@dataclass(frozen=True)
class Anchor:
    """One vertebra of which the name is known.

    Attributes
    ----------
    source : str
        As in `Levels.anchor`.
    body : int
        Index into the chain's bodies.
    offset : int
        Index in ``REGULAR_COLUMN`` of the chain's first body; may be negative.
    confidence : float
    absolute : bool
        False where the name itself came from a numbering without an anchor.
    """

    source: str
    body: int
    offset: int
    confidence: float
    absolute: bool = True
    flags: tuple[Flag, ...] = ()


def user_anchor(chain: Chain, user: Sequence[tuple[str, tuple[float, float, float]]]) -> Anchor | None:
    """Anchor the count at vertebrae that a person pointed at.

    Parameters
    ----------
    chain : Chain
    user : sequence of (name, point)
        Vertebra names with a point of the body in LPS mm.

    Returns
    -------
    Anchor or None
        None where there are no points, or none of them lies on a body.

    Raises
    ------
    UsageError
        LEVEL_UNKNOWN if a name is no vertebra of the regular column.
    """
    votes = [(_column_index(name) - body, body) for name, point in user if (body := _body_at(chain, point)) is not None]
    if not votes:
        return None
    offset, agreeing = Counter(offset for offset, _ in votes).most_common(1)[0]
    body = next(body for candidate, body in votes if candidate == offset)
    flags = () if agreeing == len(votes) else (_disagreement(len(votes) - agreeing, len(votes)),)
    return Anchor("user", body, offset, 0.99 if not flags else 0.7, flags=flags)


def _disagreement(wrong: int, total: int) -> Flag:
    return Flag("LEVEL_HINTS_DISAGREE", f"{wrong} of {total} given levels contradict the others; check the points.")


def _column_index(name: str) -> int:
    try:
        vertebra_id(name)
        return REGULAR_COLUMN.index(name.strip().upper())
    except ValueError:
        message = f"{name!r} is not a vertebra of the regular column."
        raise UsageError("LEVEL_UNKNOWN", message, "Give a name from C1 to S1, for example T12@x,y,z.") from None


def _body_at(chain: Chain, point: tuple[float, float, float]) -> int | None:
    """Return the body at whose height along the column a point lies."""
    along, back, left = chain.column.axis.coordinates(np.array([point], dtype=float))[0]
    if abs(back) > 40.0 or abs(left) > 40.0:
        return None
    surfaces = [disc.position_mm + disc.slope[0] * back + disc.slope[1] * left for disc in chain.discs]
    body = int(np.sum(along > np.array(surfaces)))
    return body if chain.bodies[body] is not None else None


def reference_anchor(chain: Chain, reference: Levels, source: str) -> Anchor | None:
    """Anchor the count at the levels of another stack of the same frame of reference.

    Every body votes with the nearest reference body within half a level; the majority decides.

    Parameters
    ----------
    chain : Chain
    reference : Levels
    source : str
        ``"localizer"``, ``"labels"``, or ``"baseline"`` for levels brought from an earlier visit by registration.

    Returns
    -------
    Anchor or None
        None where nothing matches or the reference has no names.
    """
    named = [vertebra for vertebra in reference.vertebrae if vertebra.name in REGULAR_COLUMN]
    votes = []
    for number, body in enumerate(chain.bodies):
        if body is None or not named:
            continue
        away = [float(np.linalg.norm(np.subtract(body.centre_lps_mm, other.centre_lps_mm))) for other in named]
        nearest = int(np.argmin(away))
        along = chain.column.axis.coordinates(np.array([body.centre_lps_mm]))[0, 0]
        if away[nearest] < 0.5 * chain.row.spacing_mm(float(along)):
            votes.append((REGULAR_COLUMN.index(named[nearest].name or "") - number, number))
    if not votes:
        return None
    offset, agreeing = Counter(offset for offset, _ in votes).most_common(1)[0]
    body_number = next(number for candidate, number in votes if candidate == offset)
    name = source if source == "baseline" else f"{source}:{reference.anchor}"
    confidence = 0.98 * reference.confidence * agreeing / len(votes)
    return Anchor(name, body_number, offset, confidence, absolute=reference.numbering == "absolute")


def axis_anchor(chain: Chain, centreline: Centreline, tissues: TissueMap) -> Anchor | None:
    """Recognise C2: with its dens it is about twice as tall as C3, no disc divides it, and the image goes on above.

    Parameters
    ----------
    chain : Chain
    centreline : Centreline
    tissues : TissueMap

    Returns
    -------
    Anchor or None
    """
    bony = np.flatnonzero(chain.column.profile.body > 0.3)
    if chain.bodies[0] is None or not len(bony):
        return None
    first = chain.discs[0].position_mm
    spacing_mm = chain.row.spacing_mm(first)
    ratio = (first - float(bony[0])) / spacing_mm
    axis = chain.column.axis
    above = axis.points[bony[0]] - axis.tangent[bony[0]] * np.array([[4.0], [8.0]])
    canal_top = float(axis.coordinates(centreline.points_lps[:1])[0, 0])
    seen_above = bool(inside(tissues.grid, above).all())
    canal_goes_on = canal_top < first - 1.2 * spacing_mm
    if not (1.35 < ratio < 3.2 and spacing_mm < 24.0 and seen_above and canal_goes_on):
        return None
    # A dens that is half missing from the mask looks like an ordinary body with something on top.
    return Anchor("C2", 0, C2, 0.93 if 1.6 < ratio < 2.9 else 0.75)


def sacral_anchor(chain: Chain, centreline: Centreline, tissues: TissueMap) -> Anchor | None:
    """Recognise the lumbosacral disc: by the sacrum below it, else by the canal's turn where the bodies end.

    Parameters
    ----------
    chain : Chain
    centreline : Centreline
    tissues : TissueMap

    Returns
    -------
    Anchor or None
    """
    last_body = len(chain.discs) - 1
    if chain.row.promontory is not None:
        confidence = 0.55 + 0.4 * chain.row.promontory_evidence
        return Anchor("sacrum", last_body, L5 - last_body, confidence)
    if chain.bodies[-1] is not None or not _column_ends_inside(chain, tissues):
        return None
    if _canal_turn_deg(chain, centreline) < _SACRAL_TURN_DEG:
        return None
    return Anchor("sacrum", last_body, L5 - last_body, 0.8)


def _column_ends_inside(chain: Chain, tissues: TissueMap) -> bool:
    """Tell whether the image goes on for 25 mm below the last disc."""
    disc = np.array(chain.discs[-1].centre_lps_mm)
    axis = chain.column.axis
    tangent = axis.tangent[min(round(chain.discs[-1].position_mm), len(axis) - 1)]
    return bool(inside(tissues.grid, disc + _BEYOND_SACRUM_MM * tangent[None]).all())


def _canal_turn_deg(chain: Chain, centreline: Centreline) -> float:
    """Angle by which the canal turns to the back from three discs above the last to its end."""
    discs = np.array([disc.centre_lps_mm for disc in chain.discs])
    above = int(centreline.nearest(discs[max(0, len(discs) - 4)]))
    turned = centreline.tangent[[above, -1]]
    angle = np.degrees(np.arctan2(turned[:, 1], -turned[:, 2]))
    return float(angle[1] - angle[0])
