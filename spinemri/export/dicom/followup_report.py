"""The change between visits as a Comprehensive 3D SR after TID 1500, one group for each time point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from highdicom.sr import CompositeContentItem, Comprehensive3DSR
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from spinemri.export.dicom.codes import dcm, level_code, private, sct
from spinemri.export.dicom.groups import (
    Group,
    Template,
    TimePoint,
    measurement_report,
    notes_group,
    segment_reference,
)
from spinemri.export.dicom.identity import Context, Kind, common_arguments
from spinemri.export.dicom.quantities import (
    CHANGE_ANSWERS,
    CHANGE_NUMBERS,
    NADIR_NUMBERS,
    RECURRENCE_ANSWERS,
    TREATMENT_ANSWERS,
    TREATMENT_NUMBERS,
    answers,
    lookup,
    measurements,
)
from spinemri.export.jsonfile import Json, as_json
from spinemri.followup.record import Comparison

__all__ = ["FOLLOWUP", "Evidence", "followup_report", "time_points"]

_WORDS = ("nadir.study_date", "recurrence.since", "radiotherapy.start", "radiotherapy.end", "radiotherapy.levels")

FOLLOWUP = Kind("comparison_sr", 9106, "change between visits")


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the report of one visit rests on.

    Attributes
    ----------
    images : tuple of Dataset
        Headers of the primary series.
    report : Dataset
        The visit's own report.
    segmentation : Dataset or None
        Of the mass.
    """

    images: tuple[Dataset, ...]
    report: Dataset
    segmentation: Dataset | None


def time_points(comparison: Comparison) -> tuple[TimePoint, ...]:
    """Return when each visit took place."""
    return tuple(
        TimePoint(order, visit.days_from_baseline) for order, visit in enumerate(comparison.timepoints, start=1)
    )


def followup_report(comparison: Comparison, visits: Sequence[Evidence], context: Context) -> Comprehensive3DSR:
    """Make the report of a comparison.

    Parameters
    ----------
    comparison : Comparison
    visits : sequence of Evidence
        In order of time, as in `comparison`.
    context : Context
        Of the last visit: the report belongs to its study and refers to the others.

    Returns
    -------
    Comprehensive3DSR
    """
    content = as_json(comparison)
    times = time_points(comparison)
    groups = [
        _visit_group(lookup(content, f"timepoints.{index}"), visit, context).at(time)
        for index, (visit, time) in enumerate(zip(visits, times, strict=True))
    ]
    groups += _course(content, context)
    notes = _notes(comparison, content, visits[:-1], context)
    report = measurement_report([notes, *(group.template(context) for group in groups)], ())
    return Comprehensive3DSR(
        evidence=[item for visit in reversed(visits) for item in _items(visit)],
        content=report[0],
        is_complete=True,
        is_final=False,
        is_verified=False,
        **common_arguments(context, FOLLOWUP),
    )


def _items(visit: Evidence) -> list[Dataset]:
    others = [visit.report] if visit.segmentation is None else [visit.report, visit.segmentation]
    return [*visit.images, *others]


def _visit_group(content: Json, visit: Evidence, context: Context) -> Group:
    level = lookup(content, "worst_level")
    reference = None
    if visit.segmentation is not None:
        reference = segment_reference(visit.segmentation, visit.images[0].SeriesInstanceUID)
    return Group(
        label="Epidural mass",
        tracking_uid=context.lesion_uid,
        finding=sct("Mass"),
        sites=(sct("SpinalCanalStructure"), *([level_code(level)] if isinstance(level, str) else [])),
        segment=reference,
        numbers=measurements(CHANGE_NUMBERS, content),
        answers=answers(CHANGE_ANSWERS, content),
    )


def _course(content: Json, context: Context) -> list[Group]:
    nadir = Group(
        "Nadir",
        context.uid("nadir"),
        codes.UMLS.Nadir,
        numbers=measurements(NADIR_NUMBERS, content),
        answers=answers(RECURRENCE_ANSWERS, content),
    )
    treatment = Group(
        "Radiotherapy",
        context.uid("radiotherapy"),
        private("TREATMENT"),
        numbers=measurements(TREATMENT_NUMBERS, content),
        answers=answers(TREATMENT_ANSWERS, content),
    )
    return [group for group in (nadir, treatment) if group.numbers or group.answers]


def _notes(comparison: Comparison, content: Json, earlier: Sequence[Evidence], context: Context) -> Template:
    """Say what qualifies the numbers, and name the reports that they are compared with."""
    notes = notes_group(context, comparison.quality.flags, _remarks(content))
    for visit in earlier:
        notes[0].ContentSequence.append(
            CompositeContentItem(
                dcm("PriorReportForCurrentPatient"),
                visit.report.SOPClassUID,
                visit.report.SOPInstanceUID,
                relationship_type="CONTAINS",
            )
        )
    return notes


def _remarks(content: Json) -> list[str]:
    """Put into words what has no code: yardsticks, dates and treated levels."""
    remarks = []
    for path in _WORDS:
        value = lookup(content, path)
        if isinstance(value, str) and value:
            remarks.append(f"{path.replace('.', ' ').replace('_', ' ')}: {value}")
    points = lookup(content, "timepoints")
    for order, point in enumerate(points if isinstance(points, list) else (), start=1):
        yardsticks = lookup(point, "yardsticks")
        words = yardsticks.items() if isinstance(yardsticks, dict) else ()
        remarks += [f"{TimePoint(order, None).label}: {key}: {word}" for key, word in words if isinstance(word, str)]
    return remarks
