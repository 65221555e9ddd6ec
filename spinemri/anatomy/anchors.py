"""What the count of levels can start from: a person, another stack, the axis (C2) or the sacrum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spinemri.anatomy.axis import is_axis_like, tip_of_column_mm
from spinemri.anatomy.curve import inside
from spinemri.anatomy.instances import Chain
from spinemri.anatomy.model import Centreline, Levels, TissueMap
from spinemri.anatomy.readings import Claim, Evidence
from spinemri.errors import Flag, UsageError
from spinemri.nomenclature import Tissue, vertebra_id

__all__ = ["Anchor", "axis_anchor", "reference_anchor", "sacral_anchor", "user_anchor"]

_BEYOND_SACRUM_MM = 25.0
_SACRAL_TURN_DEG = 20.0
_SACRUM_AT_EDGE_MM3 = 4000.0

_USER_TRUST = 1.0
_REFERENCE_TRUST = 0.98

# Shares of the cases in which the border of the sacrum lies one disc off: above, where S1 was taken for a mobile body,
# and below, where L5 was taken for sacrum.
_ONE_OFF = (0.5, 0.3)
_CLEAR_DISC_BELOW = (0.70, 0.08, 0.17)


@dataclass(frozen=True)
class Anchor:
    """Something that names a vertebra.

    Attributes
    ----------
    source : str
        As in `Levels.anchor`.
    evidence : Evidence
        Which body it names, the most probable claim first.
    absolute : bool
        False where the name itself came from a numbering without an anchor.
    flags : tuple of Flag
    """

    source: str
    evidence: Evidence
    absolute: bool = True
    flags: tuple[Flag, ...] = ()

    @property
    def body(self) -> int:
        """Index into the chain's bodies of the one that it names."""
        return self.evidence.claims[0].body


def _anchor(source: str, claims: Sequence[Claim], *, absolute: bool = True, flags: tuple[Flag, ...] = ()) -> Anchor:
    return Anchor(source, Evidence(source, tuple(claims)), absolute, flags)


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
        None where there are no points, or none of them lies on a body. Where they contradict one another, each is
        as credible as its share of them.

    Raises
    ------
    UsageError
        LEVEL_UNKNOWN if a name is no vertebra's.
    """
    votes = [(_known(name), body) for name, point in user if (body := _body_at(chain, point)) is not None]
    if not votes:
        return None
    counted = Counter(vertebra_id(name) - body for name, body in votes if name not in {"T13", "L6", "S1"})
    agreeing = max(counted.values(), default=1)
    regular = sum(counted.values())
    if agreeing == regular:
        # All together: any of them could stand for all, unless an extra vertebra lies between them.
        return _anchor("user", [Claim(votes[0][1], votes[0][0], _USER_TRUST)])
    best = counted.most_common(1)[0][0]
    name, body = next((name, body) for name, body in votes if vertebra_id(name) - body == best)
    flag = _disagreement(regular - agreeing, regular)
    return _anchor("user", [Claim(body, name, 0.7)], flags=(flag,))


def _disagreement(wrong: int, total: int) -> Flag:
    return Flag("LEVEL_HINTS_DISAGREE", f"{wrong} of {total} given levels contradict the others; check the points.")


def _known(name: str) -> str:
    try:
        vertebra_id(name)
    except ValueError:
        message = f"{name!r} is not a vertebra."
        raise UsageError("LEVEL_UNKNOWN", message, "Give a name from C1 to S1, for example T12@x,y,z.") from None
    return name.strip().upper()


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
    votes = _votes(chain, reference)
    if not votes:
        return None
    places = {vertebra.name: place for place, vertebra in enumerate(reference.vertebrae)}
    shift, agreeing = Counter(places[name] - body for body, name in votes).most_common(1)[0]
    body, name = next((body, name) for body, name in votes if places[name] - body == shift)
    trust = _REFERENCE_TRUST * reference.confidence * agreeing / len(votes)
    title = source if source == "baseline" else f"{source}:{reference.anchor}"
    return _anchor(title, [Claim(body, name, trust)], absolute=reference.numbering == "absolute")


def _votes(chain: Chain, reference: Levels) -> list[tuple[int, str]]:
    """Pair bodies with the reference's vertebrae that lie within half a level."""
    named = [(vertebra.name, vertebra.centre_lps_mm) for vertebra in reference.vertebrae if vertebra.name]
    votes = []
    for number, body in enumerate(chain.bodies):
        if body is None or not named:
            continue
        away = [float(np.linalg.norm(np.subtract(body.centre_lps_mm, centre))) for _, centre in named]
        nearest = int(np.argmin(away))
        along = chain.column.axis.coordinates(np.array([body.centre_lps_mm]))[0, 0]
        if away[nearest] < 0.5 * chain.row.spacing_mm(float(along)):
            votes.append((number, named[nearest][0]))
    return votes


def axis_anchor(chain: Chain, centreline: Centreline, tissues: TissueMap) -> Anchor | None:
    """Recognise C2: with its dens it is about twice as tall as C3, and no disc divides it.

    Besides, either the tip of the dens is seen, with the image and the canal going on above it, or the canal widens
    towards the foramen magnum (see `is_axis_like`).

    Parameters
    ----------
    chain : Chain
    centreline : Centreline
    tissues : TissueMap

    Returns
    -------
    Anchor or None
    """
    profile = chain.column.profile
    first = chain.discs[0].position_mm
    tip = tip_of_column_mm(profile)
    spacing_mm = chain.row.spacing_mm(first)
    if chain.bodies[0] is None or tip is None:
        return None
    widens = is_axis_like(profile, first, spacing_mm)
    ratio = (first - tip) / spacing_mm
    ends = _ends_inside(chain, centreline, tissues, tip, spacing_mm)
    if not (widens or (ends and 1.35 < ratio < 3.2 and spacing_mm < 24.0)):
        return None
    # A dens that is half missing from the mask looks like an ordinary body with something on top.
    trust = 0.96 if widens and ends else 0.93 if widens or 1.6 < ratio < 2.9 else 0.75
    return _anchor("C2", [Claim(0, "C2", trust)])


def _ends_inside(chain: Chain, centreline: Centreline, tissues: TissueMap, tip_mm: float, spacing_mm: float) -> bool:
    """Tell whether image and canal go on above the tip of the column."""
    axis, tip = chain.column.axis, round(tip_mm)
    above = axis.points[tip] - axis.tangent[tip] * np.array([[4.0], [8.0]])
    canal_top = float(axis.coordinates(centreline.points_lps[:1])[0, 0])
    return bool(inside(tissues.grid, above).all()) and canal_top < chain.discs[0].position_mm - 1.2 * spacing_mm


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
        With the chance that the border lies one disc farther up or down.
    """
    last = len(chain.discs) - 1
    if chain.row.promontory is not None:
        if chain.row.sacral_disc:
            return _sacrum(last, _CLEAR_DISC_BELOW)
        trust = 0.55 + 0.4 * chain.row.promontory_evidence
        return _sacrum(last, (trust, _ONE_OFF[0] * (1.0 - trust), _ONE_OFF[1] * (1.0 - trust)))
    if _sacrum_below_mm3(chain, tissues) > _SACRUM_AT_EDGE_MM3:
        # The image ends within the sacrum: whether the last disc is L5/S1 or S1/2 is open.
        return _sacrum(last, (0.45, 0.45, 0.02))
    if chain.bodies[-1] is not None or not _column_ends_inside(chain, tissues):
        return None
    if _canal_turn_deg(chain, centreline) < _SACRAL_TURN_DEG:
        return None
    return _sacrum(last, (0.85, 0.05, 0.05))


def _sacrum(last: int, chances: tuple[float, float, float]) -> Anchor:
    """Claim that the last body above the sacrum is the one above a disc, or the one above or below that."""
    here, above, below = chances
    claims = [Claim(last, None, here), Claim(last - 1, None, above), Claim(last + 1, None, below)]
    return _anchor("sacrum", claims)


def _sacrum_below_mm3(chain: Chain, tissues: TissueMap) -> float:
    """Volume of sacrum around and below the last disc, to both sides of the column."""
    sacrum = tissues.fraction(Tissue.SACRUM)
    index = np.argwhere(sacrum.array > 0.5)
    if not len(index):
        return 0.0
    along, back, _ = chain.column.axis.coordinates(sacrum.grid.to_lps(index.astype(float))).T
    below = (along > chain.discs[-1].position_mm) & (back > -30.0) & (back < 20.0)
    return float(below.sum()) * sacrum.grid.voxel_volume_mm3


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
