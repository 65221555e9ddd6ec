"""The paired change: what registered images, outlines and the rest of the canal say together (METRICS.md "Change").

Three estimates of the same ml, each with its own uncertainty, are combined:

outlines
    The difference of both visits' coverages by mass in the region that both show.
boundary_shift
    The boundary shift integral over the border of the mass, from the images (`boundary_shift`).
complement
    What the mass loses, cord, CSF and epidural fat gain, as the bony canal does not move. Where a mass has grown
    through its wall, into a foramen, they do not: by how much more the canal holds at one visit than at the other is
    part of the standard deviation of this estimate.

Mass outside the canal has no rigid wall around it: its part is the difference of the outlines in all three.

A fourth, both visits read by one mixture model with a common prior, was tried and left out: the prior holds the border
back, and half of a true change was lost.

Where one visit's outline shows the mass and the other's does not, outlines and complement say nothing. The images may:
the boundary shift then stands alone.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from spinemri.followup.boundary_shift import BoundaryShift, boundary_shift
from spinemri.followup.joint_look import look_jointly
from spinemri.followup.meeting import Visit, meet
from spinemri.followup.sampled_pair import MASS, SampledPair, sample_pair
from spinemri.intake.model import Role, Stack
from spinemri.mass.uncertainty import surface_area_mm2
from spinemri.volume import Volume

__all__ = [
    "ERROR_CORRELATION",
    "ESTIMATE_SD_MM",
    "JOINT_ESTIMATE_SD_MM",
    "PairedChange",
    "PairedEstimate",
    "combined",
    "compare_outlined_once",
    "compare_pair",
    "paired_change",
]

ESTIMATE_SD_MM = {"outlines": 0.115, "boundary_shift": 0.09, "complement": 0.14}
"""Standard deviation of each estimate as a uniform shift of the surface of the mass in mm, visits outlined one by one.

Between the robust and the plain root mean square of generated pairs (`docs/results.md`): gross errors make estimates
disagree, and then the interval spans them all. ``benchmarks/change_constants.py`` derives them from the records of
``benchmarks/change.py``.
"""

JOINT_ESTIMATE_SD_MM = {"outlines": 0.07, "boundary_shift": 0.07, "complement": 0.1}
"""The same where both visits were outlined with both in view."""

OUTLINED_ONCE_SD_MM = 0.22
"""The same for the boundary shift where only one visit's outline shows the mass: root mean square of nine pairs."""

OUTLINE_SD_MM = 0.23
"""The same for the difference of two outlines: 0.3 mm at either visit, of which `SHARED_CORRELATION` is shared."""

ERROR_CORRELATION = 0.6
"""Correlation of the errors of any two estimates inside the canal: they rest on the same images and outlines.

On the same pairs 0.54 to 0.88.
"""

UNLIKE_FACTOR = 2.0
"""By how much standard deviations grow where the visits differ in protocol; an assumption, not a measurement."""

_Z_95 = 1.96
_MOST_LOST = 0.02
_LEAST_CONTRAST = 0.3
_LEAST_CONTRAST_ALONE = 0.6
_MOST_BEYOND_CANAL = 0.1
_LEAST_IN_CANAL_ML = 0.05


@dataclass(frozen=True)
class PairedEstimate:
    """One estimate of the gain of the mass in ml, negative for a loss, with its standard deviation."""

    method: str
    change_ml: float
    sd_ml: float


@dataclass(frozen=True)
class PairedChange:
    """The combined estimate and what it was combined from.

    Attributes
    ----------
    change_ml, sd_ml : float
    estimates : tuple of PairedEstimate
    disagreeing : tuple of str
        Methods that differ from another one by more than 1.96 standard deviations of the difference.
    contrast_share : float
        Part of the border of the mass, 0..1, where the images tell the mass from what adjoins it.
    roles : tuple of Role
        Sequences that both visits have.
    wholly_seen : bool
        Whether both fields of view hold the mass with 5 mm around it.
    baseline_ml : float or None
        Volume at the earlier visit by outlines drawn with both visits in view, which per cent then refer to; None where
        each visit was outlined by itself.
    """

    change_ml: float
    sd_ml: float
    estimates: tuple[PairedEstimate, ...]
    disagreeing: tuple[str, ...]
    contrast_share: float
    roles: tuple[Role, ...] = ()
    wholly_seen: bool = True
    baseline_ml: float | None = None


def paired_change(
    earlier: Visit,
    later: Visit,
    *,
    alike: bool,
    unlike: Collection[Role] = (),
    stacks: Mapping[Role, Stack] | None = None,
) -> PairedChange | str:
    """Compare the masses of two visits in one space.

    Parameters
    ----------
    earlier, later : Visit
        Both or one of them with a measured mass that no field of view cuts.
    alike : bool
        Whether both were taken with the same protocol and read by the same model.
    unlike : collection of Role
        Sequences that differ in weighting between the visits: their images are not compared.
    stacks : mapping of Role to Stack, optional
        What the other sequences are, where networks outlined both visits: a third one then looks at them together.
        What people drew is theirs.

    Returns
    -------
    PairedChange or str
        A clause that says why there is no paired change.
    """
    meeting = meet(earlier, later, unlike)
    if isinstance(meeting, str):
        return meeting
    pair = sample_pair(meeting, earlier, later)
    if pair.lost_share > _MOST_LOST:
        return f"{100 * pair.lost_share:.0f} % of the mass lies outside the field of view of one visit"
    both = earlier.mass.status == later.mass.status == "measured"
    if both and stacks is not None:
        pair = look_jointly(pair, stacks)
    found = (compare_pair if both else compare_outlined_once)(pair, widened=1.0 if alike else UNLIKE_FACTOR)
    if isinstance(found, str):
        return found
    return replace(
        found,
        roles=pair.roles,
        wholly_seen=pair.margin_lost_share <= _MOST_LOST,
        baseline_ml=_baseline_ml(pair) if pair.jointly else None,
    )


def compare_pair(pair: SampledPair, *, widened: float = 1.0) -> PairedChange:
    """Make every estimate that a pair allows, and combine them.

    Parameters
    ----------
    pair : SampledPair
    widened : float
        Factor on the standard deviations.

    Returns
    -------
    PairedChange
        Without the boundary shift where there is image contrast along less than three tenths of the border. Of the
        outlines alone where the mass lies outside the canal.
    """
    if _largest_ml(pair, pair.coverage[:, MASS]) <= _LEAST_IN_CANAL_ML:
        return _outside_alone(pair, widened)
    shift = boundary_shift(pair)
    surface_mm2 = float(np.mean([_surface_mm2(pair, coverage[MASS]) for coverage in pair.coverage]))
    sd_mm = JOINT_ESTIMATE_SD_MM if pair.jointly else ESTIMATE_SD_MM
    estimates = [
        PairedEstimate(method, change_ml, widened * math.hypot(surface_mm2 * sd_mm[method] / 1000, more_ml))
        for method, change_ml, more_ml in _in_canal(pair, shift)
    ]
    beyond_ml, beyond_sd = _beyond_canal(pair)
    return _with(combined(estimates, contrast_share=shift.contrast_share), beyond_ml, widened * beyond_sd)


def _baseline_ml(pair: SampledPair) -> float:
    """Volume of the whole mass at the earlier visit."""
    return float((pair.coverage[0, MASS] + pair.outside[0])[pair.near].sum()) * pair.voxel_ml


def _largest_ml(pair: SampledPair, mass: NDArray[np.float32]) -> float:
    """Volume of a part of the mass, (2, i, j, k), the larger of both visits."""
    return float(mass[:, pair.near].sum(1).max()) * pair.voxel_ml


def _outside_alone(pair: SampledPair, widened: float) -> PairedChange:
    """Compare a mass of which next to nothing lies in the canal."""
    gain_ml, sd_ml = _beyond_canal(pair)
    estimate = PairedEstimate("outlines", gain_ml, widened * sd_ml)
    return PairedChange(gain_ml, widened * sd_ml, (estimate,), (), contrast_share=0.0)


def compare_outlined_once(pair: SampledPair, *, widened: float = 1.0) -> PairedChange | str:
    """Compare the images of a pair of which one outline shows the mass and the other does not.

    Parameters
    ----------
    pair : SampledPair
    widened : float
        Factor on the standard deviation.

    Returns
    -------
    PairedChange or str
        Of the boundary shift alone, or a clause that says why the images do not tell.
    """
    shift = boundary_shift(pair)
    if shift.contrast_share < _LEAST_CONTRAST_ALONE:
        return "the images do not tell the mass from its neighbours"
    if _largest_ml(pair, pair.outside) > _MOST_BEYOND_CANAL * _largest_ml(pair, pair.coverage[:, MASS]):
        return "part of the mass lies outside the canal, where only outlines tell"
    surface_mm2 = max(_surface_mm2(pair, coverage[MASS]) for coverage in pair.coverage)
    sd_ml = widened * surface_mm2 * OUTLINED_ONCE_SD_MM / 1000
    return combined([PairedEstimate("boundary_shift", shift.change_ml, sd_ml)], contrast_share=shift.contrast_share)


def _in_canal(pair: SampledPair, shift: BoundaryShift) -> Iterable[tuple[str, float, float]]:
    """Each method with the ml that the mass in the canal has gained, and the ml by which what it rests on fails."""
    gains = (pair.coverage[1] - pair.coverage[0])[:, pair.near].sum(1) * pair.voxel_ml
    gained_ml, rest_ml = float(gains[MASS]), float(gains[:MASS].sum())
    yield "outlines", gained_ml, 0.0
    if shift.contrast_share >= _LEAST_CONTRAST:
        yield "boundary_shift", shift.change_ml, 0.0
    # What cord, CSF and epidural fat lose near the mass; in a canal that does not move all gains sum to nothing.
    yield "complement", -rest_ml, gained_ml + rest_ml


def _beyond_canal(pair: SampledPair) -> tuple[float, float]:
    """Gain of the mass outside the canal and its standard deviation, ml."""
    gain = float((pair.outside[1] - pair.outside[0])[pair.near].sum()) * pair.voxel_ml
    surface_mm2 = float(np.mean([_surface_mm2(pair, outside) for outside in pair.outside]))
    return gain, surface_mm2 * OUTLINE_SD_MM / 1000


def _surface_mm2(pair: SampledPair, coverage: NDArray[np.float32]) -> float:
    affine = np.diag([*pair.spacing, 1.0])
    return surface_area_mm2(Volume(np.where(pair.near, coverage, 0.0), affine))


def combined(estimates: Sequence[PairedEstimate], *, contrast_share: float = 1.0) -> PairedChange:
    """Weigh estimates with correlated errors so that the variance is least (generalised least squares, Aitken 1935).

    No estimate counts against the others: one whose weight would be negative is left out of the mean. Where estimates
    disagree beyond their intervals, one of them is grossly wrong and nothing says which: then these count alike, and no
    other.

    Parameters
    ----------
    estimates : sequence of PairedEstimate
        At least one.
    contrast_share : float
        Handed on.

    Returns
    -------
    PairedChange
    """
    sd = np.array([estimate.sd_ml for estimate in estimates])
    correlation = ERROR_CORRELATION + (1 - ERROR_CORRELATION) * np.eye(len(sd))
    covariance = correlation * np.outer(sd, sd)
    apart = {
        one.method
        for pair in combinations(estimates, 2)
        if abs(pair[0].change_ml - pair[1].change_ml) > _Z_95 * math.hypot(pair[0].sd_ml, pair[1].sd_ml)
        for one in pair
    }
    disagreeing = tuple(estimate.method for estimate in estimates if estimate.method in apart)
    at_odds = np.array([estimate.method in apart for estimate in estimates])
    weight = at_odds / at_odds.sum() if disagreeing else _least_variance(covariance)
    change = float(weight @ [estimate.change_ml for estimate in estimates])
    sd_ml = math.sqrt(float(weight @ covariance @ weight))
    return PairedChange(change, sd_ml, tuple(estimates), disagreeing, contrast_share)


def _least_variance(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights of sum one and of least variance, none below zero."""
    kept = np.arange(len(covariance))
    while True:
        share = np.linalg.solve(covariance[np.ix_(kept, kept)], np.ones(len(kept)))
        if (share >= 0).all():
            break
        kept = kept[share > 0]
    weight = np.zeros(len(covariance))
    weight[kept] = share / share.sum()
    return weight


def _with(change: PairedChange, gain_ml: float, sd_ml: float) -> PairedChange:
    """Add a gain that all estimates share."""
    estimates = tuple(
        replace(one, change_ml=one.change_ml + gain_ml, sd_ml=math.hypot(one.sd_ml, sd_ml)) for one in change.estimates
    )
    total_ml, total_sd = change.change_ml + gain_ml, math.hypot(change.sd_ml, sd_ml)
    return replace(change, change_ml=total_ml, sd_ml=total_sd, estimates=estimates)
