"""A prepared study, measured and put into the form that is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from spinemri import __version__
from spinemri.anatomy.model import Anatomy
from spinemri.config import Config, config_sha256
from spinemri.errors import Flag, Severity
from spinemri.intake.model import Role, Stack, Study
from spinemri.measure import measure_study
from spinemri.measure.record import (
    FlagRecord,
    MassRecord,
    Measurements,
    QualityRecord,
    SeriesRecord,
    SoftwareRecord,
    StudyRecord,
)
from spinemri.measure.result import StudyResult
from spinemri.measure.signal import without_stand_in
from spinemri.pipeline.prepare import Prepared
from spinemri.volume import Volume

__all__ = ["flag_records", "flags_before_measuring", "measure_prepared", "needs_a_person"]


def measure_prepared(prepared: Prepared, config: Config, series: tuple[SeriesRecord, ...] | None = None) -> StudyResult:
    """Measure a prepared study.

    Parameters
    ----------
    prepared : Prepared
    config : Config
        Settings of the run, for the record.
    series : tuple of SeriesRecord, optional
        What is known of the series; made from the study if not given.

    Returns
    -------
    StudyResult
    """
    measured = measure_study(prepared.images, prepared.primary, prepared.anatomy, prepared.mass)
    study = prepared.study
    before = flags_before_measuring(study, prepared.images, prepared.anatomy)
    flags = (*before, *prepared.mass.flags, *measured.flags)
    measurements = Measurements(
        software=_software_record(config, prepared.anatomy.model_sha256),
        study=StudyRecord(
            study_instance_uid=study.study_instance_uid,
            study_date=study.study_date,
            inputs_sha256=study.inputs_sha256,
        ),
        series=_series_records(study, prepared.images) if series is None else series,
        levels=measured.levels,
        mass=_with_true_signals(measured.mass, study),
        compromise=measured.compromise,
        quality=QualityRecord(flags=flag_records(flags)),
    )
    return StudyResult(
        study, prepared.images, prepared.primary, prepared.anatomy, prepared.mass, measurements, measured.profile
    )


def _with_true_signals(mass: MassRecord, study: Study) -> MassRecord:
    """Keep the signal ratios that are what their names say."""
    signal = without_stand_in(mass.signal, study.by_role(Role.SAGITTAL_T1), study.by_role(Role.SAGITTAL_T2))
    return mass.model_copy(update={"signal": signal})


def _software_record(config: Config, model_sha256: str) -> SoftwareRecord:
    """Say what made the numbers."""
    return SoftwareRecord(version=__version__, config_sha256=config_sha256(config), model_sha256=model_sha256)


def _series_records(study: Study, images: Mapping[Role, Volume]) -> tuple[SeriesRecord, ...]:
    """List every stack of a study with what it was used for and why."""
    return tuple(_series_record(stack, images) for stack in study.stacks)


def _series_record(stack: Stack, images: Mapping[Role, Volume]) -> SeriesRecord:
    used = stack.role in images
    unread = stack.role is not None and not used
    return SeriesRecord(
        series_instance_uid=stack.series_instance_uid,
        stack=stack.stack_id,
        plane=stack.plane.value,
        weighting=stack.weighting.value,
        fat_suppressed=stack.fat_suppressed,
        contrast_enhanced=stack.contrast_enhanced,
        role=stack.role.value if stack.role else None,
        used=used,
        reason=f"{stack.reason} Its pixels could not be read." if unread else stack.reason,
    )


def flags_before_measuring(study: Study, images: Mapping[Role, Volume], anatomy: Anatomy) -> tuple[Flag, ...]:
    """Collect the findings of every stage up to the anatomy."""
    of_stacks = [flag for stack in study.stacks if stack.role in images for flag in stack.flags]
    return (*study.flags, *of_stacks, *anatomy.flags, *anatomy.levels.flags)


def flag_records(flags: Iterable[Flag]) -> tuple[FlagRecord, ...]:
    """Return findings as records, each once, in the order in which they came up."""
    unique = dict.fromkeys((flag.code, flag.message, flag.severity) for flag in flags)
    return tuple(FlagRecord(code=code, message=message, severity=severity.value) for code, message, severity in unique)


def needs_a_person(flags: Iterable[FlagRecord]) -> bool:
    """Tell whether a finding is more than information."""
    return any(flag.severity != Severity.INFO.value for flag in flags)
