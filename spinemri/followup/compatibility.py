"""Whether two visits can be compared: same patient, same protocol, same levels in the field of view."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from spinemri.errors import Flag, Severity
from spinemri.followup.change import SHARED_CORRELATION
from spinemri.followup.radiotherapy import column_with
from spinemri.intake.model import POST_CONTRAST_ROLES, SAGITTAL_ROLES, Role, count_patients
from spinemri.measure.result import StudyResult

__all__ = [
    "coverage_known",
    "different_patients",
    "error_correlation",
    "missing_dates",
    "missing_levels",
    "protocol_differences",
    "repeated_studies",
    "same_reader",
    "same_study",
    "series_flags",
    "unlike_sequences",
]

_SPACING_TOLERANCE = 0.10
_HALF_CANAL_MM = 12.0


def slice_spacing_mm(result: StudyResult) -> float:
    """Return the distance between the sagittal slices that were measured, in mm."""
    return result.primary_image.spacing[0]


def protocol_differences(earlier: StudyResult, later: StudyResult) -> tuple[str, ...]:
    """List what differs between two visits' images, one short clause each; empty where the protocol is the same.

    Compared are the sequence that was measured, its slice spacing (10 %), whether contrast was given, and what other
    sagittal sequences there are, as all of them are read together.
    """
    found: list[str] = []
    if earlier.primary is not later.primary:
        found.append(f"the measured sequence is {earlier.primary.value}, then {later.primary.value}")
    elif earlier.primary in unlike_sequences(earlier, later):
        found.append("the measured sequence has another weighting or fat suppression")
    first, second = slice_spacing_mm(earlier), slice_spacing_mm(later)
    if abs(second - first) > _SPACING_TOLERANCE * first:
        found.append(f"the slice spacing is {first:.2f} mm, then {second:.2f} mm")
    found += _differences_beside(earlier, later)
    return tuple(found)


def _differences_beside(earlier: StudyResult, later: StudyResult) -> list[str]:
    """List what differs in the sequences that are read with the one that was measured."""
    found: list[str] = []
    roles = [role for role in SAGITTAL_ROLES if role is not earlier.primary]
    if _has_contrast(earlier) != _has_contrast(later):
        found.append("only one of the visits has images after contrast agent")
        roles = [role for role in roles if role not in POST_CONTRAST_ROLES]
    wanted = {earlier.primary, *roles}
    before, after = (tuple(r for r in SAGITTAL_ROLES if r in wanted & set(v.images)) for v in (earlier, later))
    if before != after:
        found.append(f"the sagittal sequences are {_listed(before)}, then {_listed(after)}")
    unlike = unlike_sequences(earlier, later)
    found += [f"{role.value} has another weighting or fat suppression" for role in roles if role in unlike]
    return found


def _listed(roles: Sequence[Role]) -> str:
    return " and ".join(role.value for role in roles) or "none"


def unlike_sequences(earlier: StudyResult, later: StudyResult) -> frozenset[Role]:
    """Return the roles that hold another weighting or fat suppression at the later visit.

    A STIR series may take the place of a missing T2: its signals are no T2's.
    """
    return frozenset(
        role
        for role in Role
        if (one := earlier.study.by_role(role))
        and (other := later.study.by_role(role))
        and (one.weighting, one.fat_suppressed) != (other.weighting, other.fat_suppressed)
    )


def _has_contrast(result: StudyResult) -> bool:
    return any(role in result.images for role in POST_CONTRAST_ROLES)


def error_correlation(earlier: StudyResult, later: StudyResult) -> float:
    """Return the correlation of two visits' log-volume errors: shared only by the same protocol and model.

    Masks that people drew or corrected, or another tool made, share nothing that is known of.
    """
    alike = same_reader(earlier, later) and not protocol_differences(earlier, later)
    return SHARED_CORRELATION if alike else 0.0


def same_reader(earlier: StudyResult, later: StudyResult) -> bool:
    """Tell whether the same networks, and they alone, outlined the masses of both visits."""
    readers = {_reader(result) for result in (earlier, later)}
    return len(readers) == 1 and "" not in readers


def _reader(result: StudyResult) -> str:
    """Return the network that outlined the mass, empty where it was not a network alone."""
    edited = any(flag.code == "MASKS_EDITED" for flag in result.measurements.quality.flags)
    return "" if edited else result.anatomy.model_sha256


def coverage_known(earlier: StudyResult, later: StudyResult) -> bool:
    """Tell whether names of levels say what both visits show, and where the mass lies."""
    seen = all(_levels_in_view(result) for result in (earlier, later))
    return seen and bool(_mass_levels(earlier) | _mass_levels(later))


def missing_levels(earlier: StudyResult, later: StudyResult) -> tuple[str, ...]:
    """Name the vertebrae along the mass of either visit that are not wholly in the other's field of view.

    Where levels or extents have no names this cannot be told, and nothing is returned: a mass that is cut is
    still known from its own record.
    """
    covered = [_levels_in_view(result) for result in (earlier, later)]
    needed = _mass_levels(earlier) | _mass_levels(later)
    if not all(covered):
        return ()
    column = column_with(sorted(needed))
    return tuple(name for name in column if name in needed and not all(name in seen for seen in covered))


def _levels_in_view(result: StudyResult) -> frozenset[str]:
    """Name the vertebrae of which the canal is seen over the whole height.

    A body may be cut in front and the canal behind it still be whole: it is if other vertebrae are seen above and below
    and the canal keeps off the image's edges.
    """
    vertebrae = result.measurements.levels.vertebrae
    last = len(vertebrae) - 1
    return frozenset(
        v.name
        for n, v in enumerate(vertebrae)
        if v.name and (v.complete or (0 < n < last and _canal_in_view(result, np.array(v.centre_lps_mm))))
    )


def _canal_in_view(result: StudyResult, body_lps: NDArray[np.float64]) -> bool:
    """Tell whether the canal behind a body lies inside the image, front to back."""
    line, image = result.anatomy.centreline, result.primary_image
    if line is None:
        return False
    place = image.grid.to_index(line.points_lps[line.nearest(body_lps)])[1]
    margin = _HALF_CANAL_MM / image.spacing[1]
    return bool(margin <= place <= image.shape[1] - 1 - margin)


def _mass_levels(result: StudyResult) -> frozenset[str]:
    extent = result.measurements.mass.extent
    if extent is None or not extent.from_level or not extent.to_level:
        return frozenset()
    present = [v.name for v in result.measurements.levels.vertebrae if v.name]
    column = column_with([extent.from_level, extent.to_level, *present])
    return frozenset(column[column.index(extent.from_level) : column.index(extent.to_level) + 1])


def same_study(earlier: StudyResult, later: StudyResult) -> bool:
    """Tell whether two results come from one examination or from the same files."""
    first, second = earlier.study, later.study
    by_uid = bool(first.study_instance_uid) and first.study_instance_uid == second.study_instance_uid
    return by_uid or (bool(first.inputs_sha256) and first.inputs_sha256 == second.inputs_sha256)


def different_patients(earlier: StudyResult, later: StudyResult) -> bool:
    """Tell whether two results carry two different patient keys, or issuers of them; an empty one tells nothing."""
    return count_patients([earlier.study, later.study]) > 1


def series_flags(results: Sequence[StudyResult]) -> tuple[Flag, ...]:
    """Collect what speaks against comparing some visits, in order of time."""
    return (*_patient_flags(results), *repeated_studies(results), *missing_dates(results), *_visit_flags(results))


def _patient_flags(results: Sequence[StudyResult]) -> tuple[Flag, ...]:
    if not any(different_patients(*pair) for pair in combinations(results, 2)):
        return ()
    message = "The studies belong to different patients; no change is reported. Check which studies were given."
    return (Flag("DIFFERENT_PATIENTS", message, Severity.ERROR),)


def repeated_studies(results: Sequence[StudyResult]) -> tuple[Flag, ...]:
    """Flag visits that are the same examination given more than once."""
    return tuple(
        Flag(
            "SAME_STUDY_TWICE",
            f"Visits {first + 1} and {second + 1} are the same study; no change is reported between them. "
            "Remove one of them.",
            Severity.ERROR,
        )
        for first, second in combinations(range(len(results)), 2)
        if same_study(results[first], results[second])
    )


def missing_dates(results: Sequence[StudyResult]) -> tuple[Flag, ...]:
    """Flag visits without a date: they stand in the order in which they were given."""
    undated = [str(index + 1) for index, result in enumerate(results) if not result.study.study_date]
    if not undated:
        return ()
    message = (
        f"Visit {', '.join(undated)} has no study date: visits are taken in the order given, and intervals in days "
        "are missing. Check the order."
    )
    return (Flag("NO_STUDY_DATES", message),)


def _visit_flags(results: Sequence[StudyResult]) -> tuple[Flag, ...]:
    flags: list[Flag] = []
    for index, (earlier, later) in enumerate(pairwise(results), start=1):
        if differences := protocol_differences(earlier, later):
            message = f"Between visit {index} and {index + 1} the protocol changed: {'; '.join(differences)}. "
            flags.append(Flag("PROTOCOL_CHANGED", message + "The interval of the change is wider for it."))
    for index, later in enumerate(results[1:], start=2):
        if levels := missing_levels(results[0], later):
            message = f"Visits 1 and {index} do not both show {', '.join(levels)} wholly, where the mass lies."
            flags.append(Flag("COVERAGE_DIFFERS", f"{message} Compare only studies that cover the mass."))
    return tuple(flags)
