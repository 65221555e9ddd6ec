"""From groups of frames to classified stacks that roles can be chosen among."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from spinemri.errors import Flag
from spinemri.intake.classify import (
    Kind,
    contrast_of,
    fat_suppression_of,
    is_other_body_part,
    is_spine_study,
    is_uncorrected,
    kind_of,
    region_of,
    weighting_of,
)
from spinemri.intake.grouping import SliceGroup
from spinemri.intake.instances import read_instances
from spinemri.intake.model import Plane, Stack, Weighting
from spinemri.intake.pixels import DicomReader
from spinemri.intake.rules import SeriesRules
from spinemri.intake.slices import plan_slices, plane_of
from spinemri.intake.tags import SeriesTags
from spinemri.volume import Grid, canonical_grid

__all__ = [
    "Candidate",
    "Traits",
    "classify_stack",
    "dicom_candidates",
    "height_range_mm",
    "slice_axis",
    "with_study_named",
]


@dataclass(frozen=True)
class Traits:
    """What decides about roles besides the stack's own fields.

    Attributes
    ----------
    kind : Kind
    kind_evidence : str
    spine : bool
        False only where header and words say that it is another part of the body.
    problem : str
        Why the geometry cannot be used; empty if it can.
    uncorrected : bool
        Whether this is the copy of a series whose distortion was not corrected.
    """

    tags: SeriesTags
    kind: Kind
    kind_evidence: str
    spine: bool
    problem: str = ""
    uncorrected: bool = False


@dataclass(frozen=True, eq=False)
class Candidate:
    """A classified stack without a role yet."""

    stack: Stack
    traits: Traits

    @property
    def slices(self) -> int:
        """Number of slices across the plane."""
        return self.stack.grid.shape[slice_axis(self.stack.plane)]

    @cached_property
    def height_range_mm(self) -> tuple[float, float]:
        """Lowest and highest point of the stack along the patient's axis, S of LPS in mm."""
        return height_range_mm(self.stack.grid)

    def with_contrast(self, evidence: str, *, enhanced: bool, flags: tuple[Flag, ...] = ()) -> Candidate:
        """Return the candidate with contrast decided by what other stacks tell."""
        kept = tuple(sentence for sentence in self.stack.evidence if not sentence.startswith("neither contrast agent"))
        stack = replace(
            self.stack,
            contrast_enhanced=enhanced,
            evidence=(*kept[:3], evidence, *kept[3:]),
            flags=(*self.stack.flags, *flags),
        )
        return replace(self, stack=stack)


def slice_axis(plane: Plane) -> int:
    """Return the canonical axis along which a plane's slices follow each other."""
    return {Plane.SAGITTAL: 0, Plane.CORONAL: 1, Plane.AXIAL: 2}[plane]


def height_range_mm(grid: Grid) -> tuple[float, float]:
    """Return the lowest and highest point of a grid's voxels in mm along the patient's axis (S of LPS)."""
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in grid.shape])).reshape(3, -1).T
    heights = grid.to_lps(corners)[:, 2]
    return float(heights.min()), float(heights.max())


def classify_stack(bare: Stack, tags: SeriesTags, rules: SeriesRules, *, problem: str = "") -> Candidate:
    """Fill in everything about a stack that its own header tells.

    Parameters
    ----------
    bare : Stack
        With plane and grid; `weighting` and what follows are overwritten.
    tags : SeriesTags
    rules : SeriesRules
    problem : str
        Why the geometry cannot be used, if so.

    Returns
    -------
    Candidate
        Its stack has one sentence of evidence each for plane, weighting, fat suppression, contrast, region, origin.
    """
    low, high = height_range_mm(bare.grid)
    weighting, weighting_evidence = weighting_of(tags, rules)
    suppressed, suppression_evidence = fat_suppression_of(tags, weighting, rules)
    enhanced, contrast_evidence = contrast_of(tags, rules)
    region, region_evidence = region_of(tags, high - low if bare.plane is not Plane.AXIAL else 0.0, rules)
    kind, kind_evidence = kind_of(tags, rules)
    evidence = (
        _plane_evidence(bare),
        f"{weighting.value}: {weighting_evidence}",
        suppression_evidence,
        contrast_evidence,
        region_evidence,
        f"{kind.value}: {kind_evidence}",
    )
    stack = replace(
        bare,
        weighting=weighting,
        fat_suppressed=suppressed,
        contrast_enhanced=enhanced,
        region=region,
        evidence=evidence,
    )
    spine, uncorrected = not is_other_body_part(tags, rules), is_uncorrected(tags, rules)
    return Candidate(stack, Traits(tags, kind, kind_evidence, spine, problem, uncorrected))


def with_study_named(candidates: Sequence[Candidate], rules: SeriesRules) -> list[Candidate]:
    """Let the study's description decide where every series says another body part.

    Body Part Examined is then the default of a protocol, such as ``CHEST`` for the thoracic spine.

    Parameters
    ----------
    candidates : sequence of Candidate
        One study.
    rules : SeriesRules

    Returns
    -------
    list of Candidate
        In the same order.
    """
    if any(candidate.traits.spine for candidate in candidates):
        return list(candidates)
    return [replace(c, traits=replace(c.traits, spine=is_spine_study(c.traits.tags, rules))) for c in candidates]


def _plane_evidence(stack: Stack) -> str:
    axis = slice_axis(stack.plane)
    cosine = min(1.0, float(abs(stack.slice_normal[axis])))
    return f"{stack.plane.value}: slices are tilted by {np.degrees(np.arccos(cosine)):.0f} degrees"


def dicom_candidates(groups: Sequence[SliceGroup], rules: SeriesRules) -> list[Candidate]:
    """Return one classified candidate per group of slices, in the same order."""
    counts: Counter[int] = Counter()
    candidates = []
    for group in groups:
        number = group.frames[0].series_number
        counts[number] += 1
        candidates.append(_candidate(group, f"s{max(number, 0):03d}_{counts[number]}", rules))
    return with_study_named(candidates, rules)


def _candidate(group: SliceGroup, stack_id: str, rules: SeriesRules) -> Candidate:
    frames = group.frames
    plan = plan_slices(frames)
    first = frames[0]
    bare = Stack(
        stack_id=stack_id,
        series_instance_uid=first.series_uid,
        series_description=first.tags.description,
        plane=plane_of(plan.grid, 2),
        weighting=Weighting.OTHER,
        fat_suppressed=None,
        contrast_enhanced=None,
        region="",
        grid=canonical_grid(plan.grid),
        frame_of_reference_uid=first.frame_of_reference_uid,
        acquired=min(frame.acquired for frame in frames),
        reader=DicomReader(f"stack {stack_id}", frames, plan),
        flags=(*plan.flags, *_cut_off(stack_id, group.gap_mm)),
        instances=partial(read_instances, frames),
    )
    return classify_stack(bare, first.tags, rules, problem=plan.problem)


def _cut_off(stack_id: str, gap_mm: float) -> tuple[Flag, ...]:
    """Say that a stack is only a part of its series."""
    if gap_mm == 0:
        return ()
    message = (
        f"Slices are missing: a gap of {gap_mm:.0f} mm parts {stack_id} from the rest of its series, and what lies "
        "beyond it is not measured with it. Export the series again."
    )
    return (Flag("MISSING_SLICES", message),)
