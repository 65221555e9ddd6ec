"""What an earlier run knew of its input, read back from its output."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from spinemri.errors import Flag, InputError, Severity
from spinemri.export.dicom.sources import Sources
from spinemri.followup import Radiotherapy
from spinemri.followup.record import Comparison, RadiotherapyRecord
from spinemri.intake.model import Plane, Role, Stack, Study, Weighting, no_instances
from spinemri.measure.record import Measurements, SeriesRecord
from spinemri.pipeline.manifest import Manifest
from spinemri.volume import Volume

__all__ = ["recorded_findings", "recorded_radiotherapy", "recorded_study", "recorded_visits"]

Kept = TypeVar("Kept")

_OF_INPUT = frozenset(
    {
        "LEVEL_HINTS_NOT_USED",
        "RT_DOSE_GRID_SMALL",
        "RT_DOSE_NOT_REMEASURED",
        "RT_FRAME_DIFFERS",
        "RT_LEVELS_NOT_REMEASURED",
        "RT_PLAN_DISAGREES",
        "RT_REGISTERED",
        "RT_SEVERAL_PRESCRIPTIONS",
        "STUDY_NOT_USED",
    }
)
"""Codes of findings about studies and plans that the results do not keep: nothing else can say them again."""


def recorded_study(
    measurements: Measurements, manifest: Manifest, images: Mapping[Role, Volume], sources: Sources
) -> Study:
    """Rebuild the study of an earlier run, as far as its images were used.

    Parameters
    ----------
    measurements : Measurements
    manifest : Manifest
    images : mapping of Role to Volume
        As the run stored them.
    sources : mapping of Role to tuple of SourceInstance
        DICOM headers that the run kept; empty if it wrote no DICOM objects.

    Returns
    -------
    Study
    """
    return Study(
        study_instance_uid=measurements.study.study_instance_uid,
        study_date=measurements.study.study_date,
        patient_key=manifest.patient_key,
        stacks=tuple(
            _stack(series, Role(series.role), images[Role(series.role)], sources)
            for series in measurements.series
            if series.used and series.role and Role(series.role) in images
        ),
        rejected=(),
        inputs_sha256=measurements.study.inputs_sha256,
        flags=tuple(Flag(flag.code, flag.message, Severity(flag.severity)) for flag in manifest.flags),
        issuer_key=manifest.issuer_key,
    )


def _stack(series: SeriesRecord, role: Role, image: Volume, sources: Sources) -> Stack:
    return Stack(
        stack_id=series.stack,
        series_instance_uid=series.series_instance_uid,
        series_description="",
        plane=Plane(series.plane),
        weighting=Weighting(series.weighting),
        fat_suppressed=series.fat_suppressed,
        contrast_enhanced=series.contrast_enhanced,
        region="",
        grid=image.grid,
        frame_of_reference_uid=image.frame_of_reference_uid,
        acquired="",
        reader=partial(_give, image),
        role=role,
        reason=series.reason,
        code="CHOSEN",
        instances=partial(_give, sources[role]) if role in sources else no_instances,
    )


def _give(kept: Kept) -> Kept:
    return kept


def recorded_visits(folder: Path) -> int:
    """Return how many visits ``comparison.json`` compares; a folder named after one more may hold the user's files.

    Raises
    ------
    InputError
        BAD_COMPARISON if the file is missing or not ours.
    """
    return len(_comparison(folder).timepoints)


def recorded_findings(folder: Path) -> tuple[Flag, ...]:
    """Return what ``comparison.json`` says of its input and a new measurement cannot find: studies left out, the plan.

    Raises
    ------
    InputError
        BAD_COMPARISON if the file is missing or not ours.
    """
    flags = _comparison(folder).quality.flags
    return tuple(Flag(flag.code, flag.message, Severity(flag.severity)) for flag in flags if flag.code in _OF_INPUT)


def recorded_radiotherapy(folder: Path) -> tuple[Radiotherapy | None, tuple[Flag, ...]]:
    """Return the radiotherapy that ``comparison.json`` names, and what of it cannot be measured again.

    Raises
    ------
    InputError
        BAD_COMPARISON if the file is missing or not ours.
    """
    record = _comparison(folder).radiotherapy
    if record is None:
        return None, ()
    message = (
        "The dose to the mass is not measured again: the dose grid is not kept. Compare with --radiotherapy again."
    )
    flags = () if record.mass_mean_gy is None else (Flag("RT_DOSE_NOT_REMEASURED", message),)
    return _radiotherapy(record), flags


def _comparison(folder: Path) -> Comparison:
    try:
        return Comparison.model_validate_json((folder / "comparison.json").read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise InputError(
            "BAD_COMPARISON", f"comparison.json cannot be read ({type(error).__name__}).", "Compare the studies again."
        ) from None


def _radiotherapy(record: RadiotherapyRecord) -> Radiotherapy:
    return Radiotherapy(
        start=date.fromisoformat(record.start) if record.start else None,
        end=date.fromisoformat(record.end) if record.end else None,
        dose_gy=record.dose_gy,
        fractions=record.fractions,
        levels=record.levels,
        levels_from=record.levels_from or "given",
    )
