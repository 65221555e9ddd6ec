"""Contrast that only the order of acquisition reveals: the agent tag is often blank."""

from __future__ import annotations

from collections.abc import Sequence

from spinemri.errors import Flag, Severity
from spinemri.intake.candidates import Candidate
from spinemri.intake.classify import Kind
from spinemri.intake.model import Weighting

__all__ = ["infer_contrast"]

_SIMILAR = 0.10


def infer_contrast(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Decide about contrast where tags and words are silent.

    A T1 stack acquired after one that names contrast is after contrast, one acquired before the first such stack is
    before. Where nothing in the study names contrast, a fat-suppressed T1 stack that repeats an equal earlier one is
    taken for the post-contrast one, with a flag.

    Parameters
    ----------
    candidates : sequence of Candidate
        One study.

    Returns
    -------
    list of Candidate
        In the same order.
    """
    named = [c.stack.acquired for c in candidates if c.stack.contrast_enhanced and c.stack.acquired]
    if named:
        return [_by_time(candidate, min(named)) for candidate in candidates]
    if any(candidate.stack.contrast_enhanced for candidate in candidates):
        return list(candidates)
    return [_by_repeat(candidate, candidates) for candidate in candidates]


def _open_t1(candidate: Candidate) -> bool:
    stack = candidate.stack
    return stack.weighting is Weighting.T1 and stack.contrast_enhanced is None and bool(stack.acquired)


def _by_time(candidate: Candidate, first_post: str) -> Candidate:
    if not _open_t1(candidate):
        return candidate
    if candidate.stack.acquired >= first_post:
        return candidate.with_contrast("after contrast: acquired after a series that names contrast", enhanced=True)
    return candidate.with_contrast("before contrast: acquired before the first series that names it", enhanced=False)


def _by_repeat(candidate: Candidate, candidates: Sequence[Candidate]) -> Candidate:
    if not _open_t1(candidate) or not candidate.stack.fat_suppressed or candidate.traits.kind is not Kind.ORIGINAL:
        return candidate
    twins = [other for other in candidates if other is not candidate and _equal(candidate, other)]
    earlier = [other.stack for other in twins if other.stack.acquired < candidate.stack.acquired]
    if earlier:
        message = (
            f"{candidate.stack.stack_id} is taken for post-contrast because it repeats the fat-suppressed T1 "
            f"{earlier[0].stack_id}; no header names contrast. Check that contrast was given."
        )
        flag = Flag("CONTRAST_INFERRED", message, Severity.WARNING)
        sentence = f"after contrast: repeats the equal fat-suppressed T1 {earlier[0].stack_id}"
        return candidate.with_contrast(sentence, enhanced=True, flags=(flag,))
    if any(other.stack.acquired > candidate.stack.acquired for other in twins):
        return candidate.with_contrast("before contrast: an equal fat-suppressed T1 follows", enhanced=False)
    return candidate


def _equal(one: Candidate, other: Candidate) -> bool:
    """Tell whether two stacks are the same sequence over the same part of the patient."""
    a, b = one.stack, other.stack
    if (a.plane, a.weighting, a.fat_suppressed) != (b.plane, b.weighting, b.fat_suppressed) or not _open_t1(other):
        return False
    if other.traits.kind is not Kind.ORIGINAL or a.series_instance_uid == b.series_instance_uid:
        return False
    first, second = one.traits.tags, other.traits.tags
    times = ((first.repetition_ms, second.repetition_ms), (first.echo_ms, second.echo_ms))
    similar = all(x is None or y is None or abs(x - y) <= _SIMILAR * max(x, y) for x, y in times)
    (bottom, top), (other_bottom, other_top) = one.height_range_mm, other.height_range_mm
    return similar and max(abs(bottom - other_bottom), abs(top - other_top)) <= _SIMILAR * (top - bottom)
