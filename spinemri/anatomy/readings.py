"""All consistent ways to name a chain of bodies, and how probable each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spinemri.anatomy.conus import CordEnd
from spinemri.anatomy.likelihood import numbering_score
from spinemri.anatomy.norms import COLUMNS, ColumnKind
from spinemri.anatomy.traits import Traits
from spinemri.nomenclature import REGULAR_COLUMN

__all__ = ["Claim", "Evidence", "Reading", "Seen", "weigh_readings"]

_FIRST_BODY = REGULAR_COLUMN.index("C2")
_NAMES_BEYOND = 2
_BEYOND_PENALTY = -4.0
_SACRAL_SEEN_AS_BODY_PENALTY = -3.0
_CERTAIN = 1e-60
"""Chance that a claim without doubt is mistaken: no likelihood outweighs it."""

_ALTERNATIVES = 20.0
"""Over how many other numberings the probability that a claim is mistaken is spread."""


@dataclass(frozen=True)
class Claim:
    """What one body may be.

    Attributes
    ----------
    body : int
        Index into the chain's bodies.
    name : str or None
        None: the last one above the sacrum, whatever its name.
    probability : float
    """

    body: int
    name: str | None
    probability: float


@dataclass(frozen=True)
class Evidence:
    """Claims of one source that exclude one another; what they lack to 1 is the chance that all are mistaken."""

    source: str
    claims: tuple[Claim, ...]

    @property
    def trust(self) -> float:
        """Probability that one of the claims is right."""
        return sum(claim.probability for claim in self.claims)


@dataclass(frozen=True, eq=False)
class Seen:
    """What is seen of a chain.

    Attributes
    ----------
    visible : tuple of bool
        Whether anything of each body is seen.
    sacral : tuple of bool
        Whether a body was recognised as sacral.
    traits : Traits
    cord : CordEnd
    """

    visible: tuple[bool, ...]
    sacral: tuple[bool, ...]
    traits: Traits
    cord: CordEnd


@dataclass(frozen=True)
class Reading:
    """One way to name the bodies.

    Attributes
    ----------
    names : tuple of (str or None)
        By body of the chain; None beyond the column.
    probability : float
    agreement : tuple of float
        By piece of evidence: probability of the claim that it fulfils, 0 where it contradicts all.
    remark : str
        What is unusual about the column.
    """

    names: tuple[str | None, ...]
    probability: float
    agreement: tuple[float, ...]
    remark: str = ""


@dataclass(frozen=True)
class _Hypothesis:
    kind: ColumnKind
    offset: int

    def name(self, body: int) -> str | None:
        """Name a body, counted from the topmost; None beyond the column."""
        place = self.offset + body
        return self.kind.names[place] if 0 <= place < len(self.kind.names) else None

    def fulfils(self, claim: Claim) -> bool:
        """Tell whether a claim is true in this reading."""
        if claim.name is None:
            return self.offset + claim.body == self.kind.presacral - 1
        return self.name(claim.body) == claim.name


def weigh_readings(seen: Seen, evidence: Sequence[Evidence]) -> tuple[Reading, ...]:
    """Weigh every consistent numbering: how common such a column is, how well it fits, what speaks for it.

    Hypotheses that give all visible bodies the same names are one reading.

    Parameters
    ----------
    seen : Seen
    evidence : sequence of Evidence

    Returns
    -------
    tuple of Reading
        The most probable first; probabilities sum to one.
    """
    count = len(seen.visible)
    hypotheses = [
        _Hypothesis(kind, offset)
        for kind in COLUMNS
        for offset in range(_FIRST_BODY - _NAMES_BEYOND, len(kind.names) + _NAMES_BEYOND - count + 1)
    ]
    scores = np.array([_log_weight(hypothesis, seen, evidence) for hypothesis in hypotheses])
    weights = np.exp(scores - scores.max())
    return _merged(hypotheses, weights / weights.sum(), seen, evidence)


def _log_weight(hypothesis: _Hypothesis, seen: Seen, evidence: Sequence[Evidence]) -> float:
    places = [hypothesis.kind.regular_place(hypothesis.offset + body) for body in range(len(seen.visible))]
    score = float(np.log(hypothesis.kind.prevalence)) + numbering_score(np.array(places), seen.traits, seen.cord)
    for body, (visible, sacral) in enumerate(zip(seen.visible, seen.sacral, strict=True)):
        place = hypothesis.offset + body
        if not visible or sacral:
            continue
        if place >= hypothesis.kind.presacral:
            score += _SACRAL_SEEN_AS_BODY_PENALTY
        if not _FIRST_BODY <= place < len(hypothesis.kind.names):
            score += _BEYOND_PENALTY
    return score + sum(_log_agreement(hypothesis, piece) for piece in evidence)


def _log_agreement(hypothesis: _Hypothesis, piece: Evidence) -> float:
    fulfilled = sum(claim.probability for claim in piece.claims if hypothesis.fulfils(claim))
    return float(np.log(fulfilled + max(1.0 - piece.trust, _CERTAIN) / _ALTERNATIVES))


def _merged(
    hypotheses: Sequence[_Hypothesis], weights: Sequence[float], seen: Seen, evidence: Sequence[Evidence]
) -> tuple[Reading, ...]:
    groups: dict[tuple[str | None, ...], list[tuple[float, _Hypothesis]]] = {}
    for hypothesis, weight in zip(hypotheses, weights, strict=True):
        visible = tuple(hypothesis.name(body) if there else None for body, there in enumerate(seen.visible))
        groups.setdefault(visible, []).append((float(weight), hypothesis))
    readings = [_reading(group, len(seen.visible), evidence) for group in groups.values()]
    return tuple(sorted(readings, key=lambda reading: -reading.probability))


def _reading(group: list[tuple[float, _Hypothesis]], count: int, evidence: Sequence[Evidence]) -> Reading:
    _, best = max(group, key=lambda pair: pair[0])
    agreement = tuple(sum(claim.probability for claim in piece.claims if best.fulfils(claim)) for piece in evidence)
    names = tuple(best.name(body) for body in range(count))
    return Reading(names, sum(weight for weight, _ in group), agreement, best.kind.remark)
