"""Which vertebra of one visit is which of another, and the rigid transform between the visits.

The visits have different coordinates, the patient lies differently and the spine bends, so images are compared
unbent (`spinemri.followup.straighten`). What all vertebrae have in common is subtracted before correlating: what
remains tells one vertebra from its neighbour, and one patient from another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.model import Anatomy
from spinemri.followup.straighten import VertebraFrames, straighten, vertebra_frames
from spinemri.volume import Volume

__all__ = ["Registration", "Shift", "Similarity", "register_visits", "rigid_fit", "similarity"]

Array = NDArray[np.float64]
Blocks = NDArray[np.float32]
State = tuple[int, ...]

MIN_COMMON_VERTEBRAE = 4
"""Fewer vertebrae leave too little that tells one level from the next."""

_ROLLS_DEGREES = (-8.0, -4.0, 0.0, 4.0, 8.0)
_MAX_STEPS = 2
_MIN_SHARE_OF_VERTEBRAE = 0.6
_MIN_SHARE_OF_SAMPLES = 0.4


@dataclass(frozen=True)
class Similarity:
    """Correlation, -1..1, of all samples, of what distinguishes the vertebrae, and of what they have in common."""

    total: float
    own: float
    common: float


@dataclass(frozen=True)
class Shift:
    """One way to pair the vertebrae of two visits.

    Attributes
    ----------
    levels : int
        Follow-up vertebra ``i`` is baseline vertebra ``i + levels``.
    similarity : float
        Correlation of what distinguishes the vertebrae, -1..1.
    common : float
        Correlation of what the vertebrae have in common, -1..1: low where the contrast differs.
    vertebrae : int
        How many are paired.
    judged : bool
        False where their images share too little to be compared.
    """

    levels: int
    similarity: float
    common: float
    vertebrae: int
    judged: bool = True


@dataclass(frozen=True, eq=False)
class Registration:
    """Correspondence of two visits.

    Attributes
    ----------
    best : Shift
    runner_up : Shift or None
        The most similar other pairing; None where there is only one.
    to_baseline : (4, 4) ndarray
        Rigid transform of follow-up LPS mm to baseline LPS mm that fits the paired vertebrae.
    residual_mm : float
        Root mean square distance of the paired vertebrae after it: the bending between visits.
    step_ratio : float
        Largest ratio, at least 1, of the distances between two neighbouring vertebrae at the two visits: near 2
        where one visit lacks a vertebra.
    contrast : float
        Highest correlation, over all pairings, of what vertebrae have in common: low where the contrast differs.
    most_vertebrae : int
        Number of vertebrae of the longest pairing that could be judged.
    unjudged : int
        Pairings of at least as many vertebrae as the best one whose images share too little to be judged.
    """

    best: Shift
    runner_up: Shift | None
    to_baseline: Array
    residual_mm: float
    step_ratio: float
    contrast: float
    most_vertebrae: int
    unjudged: int

    @property
    def margin(self) -> float:
        """How much more similar the best pairing is than the runner-up; 1 where there is none."""
        return self.best.similarity - self.runner_up.similarity if self.runner_up else 1.0

    def paired(self, n_baseline: int, n_followup: int) -> tuple[slice, slice]:
        """Select the paired ones of so many vertebrae of baseline and follow-up."""
        return _paired(n_baseline, n_followup, self.best.levels)


def register_visits(
    baseline: Anatomy, baseline_image: Volume, followup: Anatomy, followup_image: Volume
) -> Registration | None:
    """Pair the vertebrae of two visits of one patient.

    Every pairing with at least `MIN_COMMON_VERTEBRAE` is tried; each is given the benefit of small errors of the
    canal's position and direction.

    Parameters
    ----------
    baseline, followup : Anatomy
    baseline_image, followup_image : Volume
        Of the same weighting, in each visit's own coordinates.

    Returns
    -------
    Registration or None
        None where a visit has no centreline, or too few vertebrae are common to both.
    """
    frames = vertebra_frames(baseline), vertebra_frames(followup)
    if frames[0] is None or frames[1] is None:
        return None
    fixed = _standardised(straighten(baseline_image, baseline, frames[0]).blocks)
    moving = [
        _standardised(straighten(followup_image, followup, frames[1], roll_degrees=roll).blocks)
        for roll in _ROLLS_DEGREES
    ]
    shifts = _all_shifts(fixed, moving)
    judged = sorted((shift for shift in shifts if shift.judged), key=lambda shift: -shift.similarity)
    if not judged:
        return None
    best = judged[0]
    transform, residual = _fit_frames(frames[0], frames[1], best.levels)
    return Registration(
        best=best,
        runner_up=judged[1] if len(judged) > 1 else None,
        to_baseline=transform,
        residual_mm=residual,
        step_ratio=_step_ratio(frames[0], frames[1], best.levels),
        contrast=max(shift.common for shift in judged),
        most_vertebrae=max(shift.vertebrae for shift in judged),
        unjudged=sum(not shift.judged and shift.vertebrae >= best.vertebrae for shift in shifts),
    )


def _standardised(blocks: Blocks) -> Blocks:
    """Zero mean and unit standard deviation per vertebra: coil sensitivity and gain differ between visits."""
    flat = blocks.reshape(len(blocks), -1)
    valid = np.isfinite(flat)
    count = np.maximum(valid.sum(1, keepdims=True), 1)
    mean = np.where(valid, flat, 0).sum(1, keepdims=True) / count
    centred = flat - mean
    sd = np.sqrt(np.where(valid, centred**2, 0).sum(1, keepdims=True) / count)
    out: Blocks = (centred / np.maximum(sd, 1e-6)).reshape(blocks.shape).astype(np.float32)
    return out


def _all_shifts(fixed: Blocks, moving: Sequence[Blocks]) -> list[Shift]:
    longer = max(len(fixed), len(moving[0]))
    pairs = {levels: _paired(len(fixed), len(moving[0]), levels) for levels in range(-longer, longer + 1)}
    return [
        _best_for(levels, fixed[first], [blocks[second] for blocks in moving])
        for levels, (first, second) in pairs.items()
        if second.stop - second.start >= MIN_COMMON_VERTEBRAE
    ]


def _paired(n_baseline: int, n_followup: int, levels: int) -> tuple[slice, slice]:
    """Select the vertebrae of either visit that a shift pairs."""
    start = max(0, -levels)
    stop = max(start, min(n_followup, n_baseline - levels))
    return slice(start + levels, stop + levels), slice(start, stop)


def _best_for(levels: int, fixed: Blocks, moving: Sequence[Blocks]) -> Shift:
    """Judge a pairing at its best small offset along, behind and beside the canal and turn about it."""

    def score(state: State) -> Similarity:
        """Compare the images with one of them rolled and shifted."""
        roll, *offset = state
        return similarity(*_overlap(fixed, moving[roll], offset))

    value = _search(score, len(moving))
    return Shift(levels, value.own, value.common, len(fixed), judged=value.total > -1.0)


def _search(score: Callable[[State], Similarity], rolls: int) -> Similarity:
    """Try turn and sideways offset together, as one looks like the other, then move one coordinate at a time."""
    steps = range(-_MAX_STEPS, _MAX_STEPS + 1)
    starts: list[State] = [(roll, 0, 0, side) for roll in range(rolls) for side in steps]
    known = {start: score(start) for start in starts}
    state = max(known, key=lambda trial: known[trial].total)
    for _ in range(3):
        before = state
        for axis, values in enumerate((range(rolls), steps, steps, steps)):
            trials = [(*state[:axis], value, *state[axis + 1 :]) for value in values]
            known |= {trial: score(trial) for trial in trials if trial not in known}
            state = max((state, *trials), key=lambda trial: known[trial].total)
        if state == before:
            break
    return known[state]


def _overlap(fixed: Blocks, moving: Blocks, offset: Sequence[int]) -> tuple[Blocks, Blocks]:
    """Cut both sets of blocks to what they share when the second is displaced by whole samples."""
    a = [slice(max(0, d), n + min(0, d)) for d, n in zip(offset, fixed.shape[1:], strict=True)]
    b = [slice(max(0, -d), n + min(0, -d)) for d, n in zip(offset, fixed.shape[1:], strict=True)]
    return fixed[:, *a], moving[:, *b]


def similarity(fixed: Blocks, moving: Blocks) -> Similarity:
    """Correlate samples around paired vertebrae, with and without what all vertebrae have in common.

    Parameters
    ----------
    fixed, moving : (n, ...) ndarray of float32
        One block per vertebra in the same order, NaN where there is no image.

    Returns
    -------
    Similarity
        -1, 0, 0 where less than 40 % of the smaller field of view is shared.
    """
    seen_a, seen_b = np.isfinite(fixed), np.isfinite(moving)
    valid = seen_a & seen_b
    # The mean over vertebrae needs several of them, or what is left of each is arbitrary.
    enough = valid.sum(0) >= max(_MIN_SHARE_OF_VERTEBRAE * len(fixed), MIN_COMMON_VERTEBRAE - 1)
    valid &= enough
    count = valid.sum(0)[enough]
    if not count.size or count.sum() < _MIN_SHARE_OF_SAMPLES * min(int(seen_a.sum()), int(seen_b.sum())):
        return Similarity(-1.0, 0.0, 0.0)
    a, b = (np.where(valid, blocks, 0)[:, enough] for blocks in (fixed, moving))
    sum_a, sum_b = a.sum(0), b.sum(0)
    products = np.array([np.vdot(a, a), np.vdot(b, b), np.vdot(a, b)])
    shared = np.array([(x * y / count).sum() for x, y in ((sum_a, sum_a), (sum_b, sum_b), (sum_a, sum_b))])
    return Similarity(_cosine(products), _cosine(products - shared), _correlation(sum_a / count, sum_b / count))


def _cosine(products: NDArray[np.floating]) -> float:
    norm = float(np.sqrt(max(products[0], 0) * max(products[1], 0)))
    return float(products[2]) / norm if norm > 1e-6 else 0.0


def _correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    a, b = a - a.mean(), b - b.mean()
    return _cosine(np.array([np.vdot(a, a), np.vdot(b, b), np.vdot(a, b)]))


def _fit_frames(baseline: VertebraFrames, followup: VertebraFrames, levels: int) -> tuple[Array, float]:
    """Fit rigidly the canal points, and points before and beside them, of the paired vertebrae."""
    first, second = _paired(len(baseline.centres), len(followup.centres), levels)
    return rigid_fit(_landmarks(followup, second), _landmarks(baseline, first))


def _step_ratio(baseline: VertebraFrames, followup: VertebraFrames, levels: int) -> float:
    """Compare distances between neighbours; the outermost ones are left out, as the field of view may cut them."""
    pairs = _paired(len(baseline.centres), len(followup.centres), levels)
    first, second = (
        np.linalg.norm(np.diff(frames.centres[which][1:-1], axis=0), axis=1)
        for frames, which in zip((baseline, followup), pairs, strict=True)
    )
    return float(np.exp(np.abs(np.log(first / second)).max()))


def _landmarks(frames: VertebraFrames, which: slice) -> Array:
    points, posterior, left = frames.points[which], frames.posterior[which], frames.left[which]
    return np.concatenate([points, points - 25.0 * posterior, points + 25.0 * left])


def rigid_fit(source: Array, target: Array) -> tuple[Array, float]:
    """Find the rotation and shift that bring points closest to others (Kabsch 1976).

    Parameters
    ----------
    source, target : (n, 3) ndarray
        Corresponding points in mm.

    Returns
    -------
    transform : (4, 4) ndarray
        Source mm to target mm, without reflection.
    residual_mm : float
        Root mean square distance that remains.
    """
    centre_source, centre_target = source.mean(0), target.mean(0)
    u, _, vt = np.linalg.svd((source - centre_source).T @ (target - centre_target))
    turn = np.diag([1.0, 1.0, np.sign(np.linalg.det(vt.T @ u.T))])
    transform = np.eye(4)
    transform[:3, :3] = vt.T @ turn @ u.T
    transform[:3, 3] = centre_target - transform[:3, :3] @ centre_source
    moved = source @ transform[:3, :3].T + transform[:3, 3]
    return transform, float(np.sqrt(((moved - target) ** 2).sum(1).mean()))
