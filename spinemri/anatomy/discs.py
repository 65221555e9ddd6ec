"""Which discs lie along the vertebral column: evidence of the tissues, and the even spacing of levels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from spinemri.anatomy.axis import is_axis_like, tip_of_column_mm
from spinemri.anatomy.column import Profile

__all__ = ["DiscMark", "DiscRow", "find_discs"]

_SMOOTHING_MM = 1.5
_WEAKEST_PEAK = 0.08
_NEUTRAL_PEAK = 0.15
_EVIDENCE_PER_FRACTION = 8.0
_MAX_EVIDENCE = 6.0
_SPACING_LOG_SD = 0.2
_MISSED_DISC_COST = 2.0
_MAX_MISSED = 3
_PROMONTORY_EVIDENCE = 2.5
_CLEAR_DISC = 0.5
_CLEAR_DISC_BONUS_MM = 20.0
_TOO_LONG = 1.5
_MIN_SPACING_MM, _MAX_SPACING_MM = 9.0, 50.0

SPACING_GROWTH_PER_MM = 0.0013
"""Spacing doubles from the cervical (about 18 mm) to the lumbar spine (about 36 mm) over some 540 mm of column."""


@dataclass(frozen=True)
class DiscMark:
    """A disc at an arc length of the column's axis; `inferred` where only the spacing says that it is there."""

    position_mm: float
    inferred: bool


@dataclass(frozen=True)
class DiscRow:
    """The discs from cranial to caudal.

    Attributes
    ----------
    marks : tuple of DiscMark
    log_spacing : float
        Natural logarithm of the spacing of levels in mm, extrapolated to the cranial end of the axis.
    promontory : int or None
        Which disc borders the sacrum; discs below it (S1/2) are left out, so it is the last or none.
    promontory_evidence : float
        0..1: share of the column above and below that disc that agrees with it.
    sacral_disc : bool
        A disc as clear as a mobile one lies one level below it.
    """

    marks: tuple[DiscMark, ...]
    log_spacing: float
    promontory: int | None = None
    promontory_evidence: float = 0.0
    sacral_disc: bool = False

    def spacing_mm(self, position_mm: float) -> float:
        """Return the expected distance between neighbouring discs at an arc length of the axis."""
        return float(np.exp(self.log_spacing + SPACING_GROWTH_PER_MM * position_mm))


def find_discs(profile: Profile) -> DiscRow:
    """Choose the discs that explain the profile best.

    Candidates are all local maxima of the disc fraction, even weak ones, and the border between bodies and sacrum.
    Dynamic programming chooses a chain of them: each disc adds its evidence, each interval costs by how far it is
    from the local spacing or, at a price per missed disc, from two to four times it. Missed discs are filled in.

    Parameters
    ----------
    profile : Profile

    Returns
    -------
    DiscRow
        Without marks where there is no disc at all.
    """
    position, evidence = _candidates(profile)
    if not len(position):
        return DiscRow((), float(np.log(30.0)))
    log_spacing = _first_spacing(position, evidence)
    chain: list[int] = []
    for _ in range(3):
        chain = _best_chain(position, evidence, log_spacing)
        log_spacing = _spacing(position[chain], log_spacing)
    row = DiscRow(_fill(position[chain], log_spacing), log_spacing)
    row = _fill_ends(row, profile)
    return _with_promontory(row, profile)


def _candidates(profile: Profile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    disc = gaussian_filter1d(profile.disc, _SMOOTHING_MM, mode="nearest")
    padded = np.concatenate([[0.0], disc, [0.0]])
    peaks = find_peaks(padded, height=_WEAKEST_PEAK, distance=4)[0] - 1
    between_sacrum = np.minimum(_mean_before(profile.sacrum, peaks), _mean_after(profile.sacrum, peaks))
    strength = _EVIDENCE_PER_FRACTION * (disc[peaks] * (1.0 - between_sacrum) - _NEUTRAL_PEAK)
    position, evidence = peaks.astype(float), np.minimum(strength, _MAX_EVIDENCE)
    border = _sacral_border(profile)
    if border is not None:
        # A faint disc there is believed more; where there is none, the border itself stands for the disc.
        near = np.abs(position - border) < _MIN_SPACING_MM
        evidence = np.where(near, np.minimum(evidence + _PROMONTORY_EVIDENCE, _MAX_EVIDENCE), evidence)
        if not near.any():
            position, evidence = np.append(position, border), np.append(evidence, _PROMONTORY_EVIDENCE)
    order = np.argsort(position)
    return position[order], evidence[order]


def _mean_before(values: NDArray[np.float64], where: NDArray[np.intp], reach: int = 12) -> NDArray[np.float64]:
    return np.array([values[max(0, i - reach) : i].mean() if i else 0.0 for i in where])


def _mean_after(values: NDArray[np.float64], where: NDArray[np.intp], reach: int = 12) -> NDArray[np.float64]:
    return np.array([values[i + 1 : i + 1 + reach].mean() if i + 1 < len(values) else 0.0 for i in where])


def _agreement(profile: Profile) -> NDArray[np.float64]:
    """Sum of body above and sacrum below each place, less what disagrees; its maximum is the sacral border."""
    contrast = profile.body - profile.sacrum
    before = np.concatenate([[0.0], np.cumsum(contrast)])
    return np.asarray(before - (contrast.sum() - before))[:-1]


def _sacral_border(profile: Profile) -> float | None:
    """Where bodies end and the sacrum begins, or None unless there is 12 mm of it."""
    if profile.sacrum.sum() < 12.0:
        return None
    border = int(_agreement(profile).argmax())
    caudal = slice(border, None)
    enough = profile.sacrum[caudal].sum() >= 12.0 and profile.sacrum[caudal].sum() > profile.body[caudal].sum()
    return float(border) if enough and profile.body[:border].sum() > 8.0 else None


def _first_spacing(position: NDArray[np.float64], evidence: NDArray[np.float64]) -> float:
    """Spacing from the clear discs alone; the median survives a third of them being missed or false."""
    clear = position[evidence >= 0.4 * evidence.max()]
    if len(clear) < 2:
        clear = position
    return _spacing(clear, float(np.log(28.0)))


def _spacing(position: NDArray[np.float64], otherwise: float) -> float:
    gaps = np.diff(position)
    middle = (position[1:] + position[:-1]) / 2
    usable = (gaps >= _MIN_SPACING_MM) & (gaps <= _MAX_SPACING_MM)
    if not usable.any():
        return otherwise
    return float(np.median(np.log(gaps[usable]) - SPACING_GROWTH_PER_MM * middle[usable]))


def _interval_cost(start: float, stop: NDArray[np.float64] | float, log_spacing: float) -> tuple[float, int]:
    """Cost of neighbouring chosen discs at two places, and how many discs must have been missed between them."""
    gap = float(stop) - start
    expected = log_spacing + SPACING_GROWTH_PER_MM * (start + gap / 2)
    options = [
        (0.5 * ((np.log(gap / steps) - expected) / _SPACING_LOG_SD) ** 2 + _MISSED_DISC_COST * (steps - 1), steps - 1)
        for steps in range(1, _MAX_MISSED + 2)
    ]
    return min(options)


def _best_chain(position: NDArray[np.float64], evidence: NDArray[np.float64], log_spacing: float) -> list[int]:
    count = len(position)
    score, previous = evidence.copy(), np.full(count, -1)
    for later in range(count):
        for earlier in range(later):
            cost, _ = _interval_cost(float(position[earlier]), float(position[later]), log_spacing)
            total = score[earlier] + evidence[later] - cost
            if total > score[later]:
                score[later], previous[later] = total, earlier
    chain = [int(score.argmax())]
    while previous[chain[-1]] >= 0:
        chain.append(int(previous[chain[-1]]))
    return chain[::-1]


def _fill(position: NDArray[np.float64], log_spacing: float) -> tuple[DiscMark, ...]:
    marks = [DiscMark(float(position[0]), inferred=False)]
    for start, stop in pairwise(position):
        _, missed = _interval_cost(float(start), float(stop), log_spacing)
        places = np.linspace(start, stop, missed + 2)[1:-1]
        marks += [DiscMark(float(place), inferred=True) for place in places]
        marks.append(DiscMark(float(stop), inferred=False))
    return tuple(marks)


def _fill_ends(row: DiscRow, profile: Profile) -> DiscRow:
    """Continue the row through bodies beyond its ends that are too long to be one vertebra.

    Above, only where the field of view cuts the column: a long body that ends inside it, or beside which the canal
    widens, is the axis with its dens.
    """
    marks = list(row.marks)
    bony = np.flatnonzero(profile.body > 0.4)
    if not len(bony):
        return row
    while _goes_on_above(row, marks[0].position_mm, profile):
        place = marks[0].position_mm - row.spacing_mm(marks[0].position_mm)
        marks.insert(0, DiscMark(place, inferred=True))
    while bony[-1] - marks[-1].position_mm > _TOO_LONG * row.spacing_mm(marks[-1].position_mm):
        place = marks[-1].position_mm + row.spacing_mm(marks[-1].position_mm)
        marks.append(DiscMark(place, inferred=True))
    return DiscRow(tuple(marks), row.log_spacing)


def _goes_on_above(row: DiscRow, first_mm: float, profile: Profile) -> bool:
    """Tell whether the bone above a disc, cut by the image, must be more than one body."""
    spacing_mm, top = row.spacing_mm(first_mm), tip_of_column_mm(profile)
    if top is None or first_mm - top <= _TOO_LONG * spacing_mm:
        return False
    cut = bool((profile.visible[: round(top) + 4] < 0.99).any())
    return cut and not is_axis_like(profile, first_mm, spacing_mm)


def _with_promontory(row: DiscRow, profile: Profile) -> DiscRow:
    """Find the disc above the sacrum and leave out what was taken for discs below it."""
    border = _sacral_border(profile)
    if border is None:
        return row
    agreement = _agreement(profile)
    index = np.clip(np.round([mark.position_mm for mark in row.marks]).astype(int), 0, len(agreement) - 1)
    # Where S1 looks half like a body, a clear disc above it speaks against the border below it.
    disc = gaussian_filter1d(profile.disc, _SMOOTHING_MM, mode="nearest")
    clear = np.array([disc[max(0, i - 3) : i + 4].max() > _CLEAR_DISC for i in index])
    chosen = int((agreement[index] + _CLEAR_DISC_BONUS_MM * clear).argmax())
    if abs(row.marks[chosen].position_mm - border) > 1.3 * row.spacing_mm(border):
        return row
    reach = round(1.5 * row.spacing_mm(border))
    place = int(index[chosen])
    above, below = slice(max(0, place - reach), place), slice(place, place + reach)
    right = profile.body[above].sum() + profile.sacrum[below].sum()
    wrong = profile.sacrum[above].sum() + profile.body[below].sum()
    evidence = float(right / max(right + wrong, 1e-6))
    sacral_disc = _disc_below(profile, place, row.spacing_mm(border))
    return DiscRow(row.marks[: chosen + 1], row.log_spacing, chosen, evidence, sacral_disc)


def _disc_below(profile: Profile, place: int, spacing_mm: float) -> bool:
    window = profile.disc[place + round(0.5 * spacing_mm) : place + round(1.4 * spacing_mm)]
    return bool(gaussian_filter1d(window, _SMOOTHING_MM).max() > _CLEAR_DISC) if len(window) else False
