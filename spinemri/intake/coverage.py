"""How much of the patient a stack shows, and what of the spine the chosen one leaves out."""

from __future__ import annotations

from collections.abc import Sequence

from spinemri.errors import Flag
from spinemri.intake.candidates import Candidate
from spinemri.intake.classify import Kind
from spinemri.intake.model import Plane, Stack, Weighting

__all__ = ["ENOUGH_OVERLAP", "coverage_mm", "height_mm", "not_measured", "overlap", "same_frame"]

ENOUGH_OVERLAP = 0.5
"""Shared part of the shorter of two stacks from which they show the same part of the spine."""

_BEYOND_MM = 40.0


def same_frame(one: Stack, other: Stack) -> bool:
    """Tell whether two stacks share the patient's coordinates."""
    return one.frame_of_reference_uid == other.frame_of_reference_uid != ""


def height_mm(candidate: Candidate) -> float:
    """Return the extent of a stack along the patient's axis in mm."""
    low, high = candidate.height_range_mm
    return high - low


def coverage_mm(candidate: Candidate) -> float:
    """Return how much of the spine is shown, in mm: the slab's thickness for axial slices, else the height."""
    if candidate.stack.plane is not Plane.AXIAL:
        return height_mm(candidate)
    return candidate.slices * candidate.stack.grid.spacing[2]


def overlap(one: Candidate, other: Candidate) -> float:
    """Return the shared cranio-caudal extent as a fraction of the shorter stack's."""
    (low, high), (bottom, top) = one.height_range_mm, other.height_range_mm
    return max(0.0, min(high, top) - max(low, bottom)) / min(high - low, top - bottom)


def not_measured(anchor: Candidate, usable: Sequence[Candidate], counting: Candidate | None) -> tuple[Flag, ...]:
    """Say how far other sagittal stacks go on above and below the one that carries the measurement.

    Parameters
    ----------
    anchor : Candidate
        The stack that carries the measurement.
    usable : sequence of Candidate
        Those of the same study that any role may use.
    counting : Candidate or None
        What levels are counted on besides.

    Returns
    -------
    tuple of Flag
        ``SPINE_NOT_ALL_MEASURED``, or nothing.
    """
    stations = [c for c in usable if _is_station(c, anchor) and not _serves_counting(c, anchor, counting)]
    bottom, top = anchor.height_range_mm
    above = max(((c.height_range_mm[1] - top, c.stack.stack_id) for c in stations), default=(0.0, ""))
    below = max(((bottom - c.height_range_mm[0], c.stack.stack_id) for c in stations), default=(0.0, ""))
    ends = (("cranially", *above), ("caudally", *below))
    beyond = [f"{mm:.0f} mm further {where} ({stack_id})" for where, mm, stack_id in ends if mm > _BEYOND_MM]
    if not beyond:
        return ()
    message = (
        f"Only the spine in {anchor.stack.stack_id} is measured. Sagittal images of the same examination go on "
        f"{' and '.join(beyond)}: what they show there is not measured. Run a folder that holds that station alone."
    )
    return (Flag("SPINE_NOT_ALL_MEASURED", message),)


def _is_station(candidate: Candidate, anchor: Candidate) -> bool:
    stack = candidate.stack
    sagittal = candidate is not anchor and stack.plane is Plane.SAGITTAL and stack.weighting is not Weighting.OTHER
    return sagittal and same_frame(stack, anchor.stack)


def _serves_counting(candidate: Candidate, anchor: Candidate, counting: Candidate | None) -> bool:
    """Tell an overview, acquired or composed around the measured part, from a station beside it."""
    if candidate.traits.kind is Kind.COMPOSED:
        return True
    overview = candidate is counting or candidate.stack.region == "whole"
    return overview and overlap(candidate, anchor) >= ENOUGH_OVERLAP
