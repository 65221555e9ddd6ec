"""The numbers of one study as a Comprehensive 3D SR after TID 1500 (DICOM PS3.16)."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.sr import Comprehensive3DSR, FindingSite, Measurement, QualitativeEvaluation
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from spinemri.export.dicom.codes import TISSUE_CODES, level_code, private, sct, ucum
from spinemri.export.dicom.groups import Group, TimePoint, measurement_report, notes_group, segment_reference
from spinemri.export.dicom.identity import Context, Kind, common_arguments
from spinemri.export.dicom.quantities import (
    COMPROMISE_ANSWERS,
    COMPROMISE_NUMBERS,
    MASS_ANSWERS,
    MASS_NUMBERS,
    OCCUPANCY_NUMBERS,
    answers,
    measurements,
)
from spinemri.export.dicom.segmentation import level_tracking_uid
from spinemri.export.jsonfile import as_json, rounded
from spinemri.measure.record import Measurements
from spinemri.nomenclature import Tissue

__all__ = ["REPORT", "study_report"]

REPORT = Kind("measurements_sr", 9105, "measurements")

_COMPARTMENTS = {
    "epidural": private("EPIDURAL_SPACE"),
    "foraminal": private("FORAMEN"),
    "paravertebral": private("PARAVERTEBRAL"),
}


def study_report(
    measured: Measurements,
    context: Context,
    *,
    images: Sequence[Dataset],
    library: Sequence[Dataset],
    mass_segmentation: Dataset | None,
    time: TimePoint | None,
) -> Comprehensive3DSR:
    """Make the report of one study.

    Parameters
    ----------
    measured : Measurements
    context : Context
    images : sequence of Dataset
        Headers of all images that were used, those of the primary series first: the evidence.
    library : sequence of Dataset
        Those that are described within the report; all of them would make it ten times as large.
    mass_segmentation : Dataset or None
        The object that outlines the mass, if there is one.
    time : TimePoint or None
        None for a study on its own.

    Returns
    -------
    Comprehensive3DSR
        Nulls are left out; the findings that explain them are in the first group.
    """
    groups = [_mass(measured, context, mass_segmentation), *_compromise(measured, context), *_levels(measured, context)]
    remarks = [f"Level names: {measured.levels.numbering}, counted from: {measured.levels.anchor}."]
    notes = notes_group(context, measured.quality.flags, remarks)
    content = measurement_report([notes, *(group.at(time).template(context) for group in groups)], library)
    others = [mass_segmentation] if mass_segmentation is not None else []
    return Comprehensive3DSR(
        evidence=[*images, *others],
        content=content[0],
        is_complete=True,
        is_final=False,
        is_verified=False,
        **common_arguments(context, REPORT),
    )


def _mass(measured: Measurements, context: Context, segmentation: Dataset | None) -> Group:
    content = as_json(measured)
    extent = measured.mass.extent
    ends = (extent.from_level, extent.to_level) if extent else ()
    reference = None
    if segmentation is not None:
        reference = segment_reference(segmentation, context.header.SeriesInstanceUID)
    return Group(
        label="Epidural mass",
        tracking_uid=context.lesion_uid,
        finding=sct("Mass"),
        sites=(sct("SpinalCanalStructure"), *(level_code(name) for name in dict.fromkeys(ends) if name)),
        segment=reference,
        numbers=[*measurements(MASS_NUMBERS, content), *_parts(measured)],
        answers=answers(MASS_ANSWERS, content),
    )


def _parts(measured: Measurements) -> list[Measurement]:
    return [
        Measurement(
            sct("Volume"),
            rounded(part.volume_ml, "volume_ml"),
            ucum("Milliliter"),
            finding_sites=[FindingSite(_COMPARTMENTS[part.compartment])],
        )
        for part in measured.mass.components
    ]


def _sites(*names: str | None) -> tuple[Code, ...]:
    return (sct("SpinalCanalStructure"), *(level_code(name) for name in names if name))


def _compromise(measured: Measurements, context: Context) -> list[Group]:
    content, found = as_json(measured), measured.compromise
    worst = Group(
        label="Worst section",
        tracking_uid=context.uid("worst section"),
        finding=private("COMPROMISE"),
        sites=_sites(found.worst_level),
        point_lps_mm=found.worst_point_lps_mm,
        numbers=measurements(COMPROMISE_NUMBERS, content),
        answers=answers(COMPROMISE_ANSWERS, content),
    )
    occupied = Group(
        label="Section of largest occupancy",
        tracking_uid=context.uid("largest occupancy"),
        finding=private("LARGEST_OCCUP"),
        sites=_sites(found.canal_occupancy_level),
        numbers=measurements(OCCUPANCY_NUMBERS, content),
    )
    return [group for group in (worst, occupied) if group.numbers or group.answers or group.point_lps_mm]


def _confidence(value: float) -> Measurement:
    return Measurement(private("CONFIDENCE"), rounded(value, "confidence"), ucum("NoUnits"))


def _levels(measured: Measurements, context: Context) -> list[Group]:
    levels = measured.levels
    numbering = Group(
        label="Numbering of levels",
        tracking_uid=context.uid("numbering"),
        finding=private("NUMBERING_GROUP"),
        numbers=[_confidence(levels.confidence)],
        answers=[QualitativeEvaluation(private("NUMBERING"), private(levels.numbering.upper()))],
    )
    bodies = [
        Group(
            label=body.name or f"vertebra {index}",
            tracking_uid=level_tracking_uid(context, body.name or f"unnamed vertebra {index}"),
            finding=sct("Vertebra"),
            sites=(level_code(body.name) if body.name else sct("Vertebra"),),
            point_lps_mm=body.centre_lps_mm,
            numbers=[_confidence(body.confidence)],
            answers=[QualitativeEvaluation(private("COMPLETE"), sct("Yes" if body.complete else "No"))],
        )
        for index, body in enumerate(levels.vertebrae, start=1)
    ]
    discs = [
        Group(
            label=disc.name or f"disc {index}",
            tracking_uid=level_tracking_uid(context, disc.name or f"unnamed disc {index}"),
            finding=TISSUE_CODES[Tissue.DISC],
            sites=(level_code(disc.name) if disc.name else TISSUE_CODES[Tissue.DISC],),
            point_lps_mm=disc.centre_lps_mm,
        )
        for index, disc in enumerate(levels.discs, start=1)
    ]
    return [numbering, *bodies, *discs]
