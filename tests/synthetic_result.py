"""A measured study of a parametric thoracic spine with a posterior mass, on small oblique anisotropic grids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from synthetic_spine import (
    WORST_Z,
    Spine,
    axial_grid,
    make_anatomy,
    make_image,
    make_mass,
    make_point,
    make_stack,
    sagittal_grid,
)

from spinemri.anatomy.model import Anatomy, Levels
from spinemri.errors import Flag, Severity
from spinemri.followup.record import (
    Comparison,
    NadirRecord,
    RadiotherapyRecord,
    RecurrenceRecord,
    TimepointRecord,
)
from spinemri.intake.model import Plane, Rejected, Role, Stack, Study, Weighting
from spinemri.mass.model import Mass
from spinemri.measure.record import (
    CompromiseRecord,
    DiscRecord,
    ExtentRecord,
    FlagRecord,
    LevelsRecord,
    MassComponentRecord,
    MassRecord,
    Measurements,
    QualityRecord,
    SeriesRecord,
    SoftwareRecord,
    StudyRecord,
    VertebraRecord,
)
from spinemri.measure.result import StudyResult
from spinemri.nomenclature import vertebra_id


def _measurements(spine: Spine, study: Study, anatomy: Anatomy, mass: Mass) -> Measurements:
    volume = sum(part.volume_ml for part in mass.components)
    t = spine.thickness_mm
    return Measurements(
        software=SoftwareRecord(version="0.1.0", config_sha256="cd" * 32, model_sha256="ab" * 32),
        study=StudyRecord(
            study_instance_uid=study.study_instance_uid,
            study_date=study.study_date,
            inputs_sha256=study.inputs_sha256,
        ),
        series=tuple(_series(stack) for stack in study.stacks),
        levels=_levels_record(anatomy.levels),
        mass=MassRecord(
            status="measured",
            volume_ml=volume,
            volume_sd_ml=volume * 0.06,
            volume_ci95_ml=(volume * 0.89, volume * 1.125),
            components=tuple(
                MassComponentRecord(compartment=p.compartment, volume_ml=p.volume_ml) for p in mass.components
            ),
            extent=ExtentRecord(from_level="T5", to_level="T8", length_mm=77.3),
            position="posterior",
            max_ap_mm=t,
            max_transverse_mm=19.2,
            truncated=False,
        ),
        compromise=CompromiseRecord(
            worst_level="T6/7",
            worst_point_lps_mm=make_point(spine, 0.0, WORST_Z),
            mcc_percent=100 * (1 - (13.7 - t) / 13.0),
            mscc_percent=100 * (1 - min(3.4, 0.4 * (13.7 - t)) / 3.4),
            canal_occupancy_percent=54.1234,
            canal_area_mm2=250.1,
            sac_area_mm2=76.02,
            cord_area_mm2=35.8,
            canal_ap_mm=13.7 - t,
            cord_ap_mm=2 * min(3.4, 0.4 * (13.7 - t)),
            reference_levels=("T4", "T9"),
            escc_grade="2" if t > 7 else "1c",
            escc_evidence={"sac_deformed": True, "mass_cord_distance_mm": 0.0, "csf_fraction": 0.12},
        ),
        quality=QualityRecord(
            flags=(
                FlagRecord(code="PAIRED_AXIAL", message="Axial and sagittal areas agree within 6 %.", severity="info"),
                FlagRecord(
                    code="SIGNAL_NOT_MEASURED",
                    message="No unaffected marrow outside <T4-T9>; signal ratios are null.",
                    severity="warning",
                ),
            )
        ),
    )


def _series(stack: Stack) -> SeriesRecord:
    return SeriesRecord(
        series_instance_uid=stack.series_instance_uid,
        stack=stack.stack_id,
        plane=stack.plane.value,
        weighting=stack.weighting.value,
        fat_suppressed=stack.fat_suppressed,
        contrast_enhanced=stack.contrast_enhanced,
        role=stack.role.value if stack.role else None,
        used=stack.role is not None,
        reason=stack.reason,
    )


def _levels_record(levels: Levels) -> LevelsRecord:
    return LevelsRecord(
        numbering=levels.numbering,
        anchor=levels.anchor,
        confidence=levels.confidence,
        vertebrae=tuple(
            VertebraRecord(
                name=v.name,
                id=vertebra_id(v.name) if v.name else None,
                centre_lps_mm=v.centre_lps_mm,
                complete=v.complete,
                confidence=v.confidence,
            )
            for v in levels.vertebrae
        ),
        discs=tuple(DiscRecord(name=d.name, centre_lps_mm=d.centre_lps_mm) for d in levels.discs),
    )


def make_result(spine: Spine | None = None, date: str = "2024-03-01", uid: str = "1.2.840.1") -> StudyResult:
    """A measured study with three sagittal and one axial sequence."""
    spine = spine or Spine()
    sagittal, axial = sagittal_grid(spine), axial_grid(spine)
    stacks = (
        make_stack(1, sagittal, Role.SAGITTAL_T2, Plane.SAGITTAL, Weighting.T2, enhanced=False),
        make_stack(2, sagittal, Role.SAGITTAL_T1, Plane.SAGITTAL, Weighting.T1, enhanced=False),
        make_stack(3, sagittal, Role.SAGITTAL_T1_POST_FS, Plane.SAGITTAL, Weighting.OTHER, enhanced=True),
        make_stack(4, axial, Role.AXIAL_T2, Plane.AXIAL, Weighting.T2, enhanced=False),
        make_stack(5, axial, None, Plane.CORONAL, Weighting.T1, enhanced=False),
    )
    rejected = (Rejected("README.txt", "NOT_DICOM", "not a DICOM file"),)
    study = Study(uid, date, "ef" * 32, stacks, rejected, "12" * 32)
    images = {
        stack.role: make_image(spine, stack.grid, stack.weighting, seed)
        for seed, stack in enumerate(stacks)
        if stack.role
    }
    anatomy = make_anatomy(spine, sagittal)
    mass = make_mass(anatomy)
    return StudyResult(
        study,
        images,
        Role.SAGITTAL_T2,
        anatomy,
        mass,
        _measurements(spine, study, anatomy, mass),
        spine.profile(),
    )


def make_followup() -> StudyResult:
    """The same spine repositioned, with a thinner mass."""
    return make_result(Spine(6.6, tilt_deg=3.0, shift_mm=(-1.0, -14.0, 28.0)), date="2024-03-20", uid="1.2.840.2")


def make_unmeasured(status: str = "not_assessable") -> StudyResult:
    """A study in which nothing could be measured: no centreline, no mass, every number null."""
    result = make_result()
    measured = result.measurements
    flag = FlagRecord(code="NO_CANAL", message="No canal was found in the primary stack.", severity="error")
    anatomy = replace(result.anatomy, centreline=None, levels=Levels((), (), "unknown", "none", 0.0))
    nothing = result.mass.probability.with_array(np.zeros(result.mass.mask.shape, np.float32))
    mass = replace(
        result.mass,
        status=status,
        probability=nothing,
        mask=nothing.with_array(nothing.array.astype(np.uint8)),
        components=(),
    )
    measurements = measured.model_copy(
        update={
            "levels": LevelsRecord(numbering="unknown", anchor="none", confidence=0.0, vertebrae=(), discs=()),
            "mass": MassRecord(status=status),
            "compromise": CompromiseRecord(),
            "quality": QualityRecord(flags=(flag,)),
        }
    )
    flags = (Flag(flag.code, flag.message, Severity.ERROR),)
    return replace(result, anatomy=replace(anatomy, flags=flags), mass=mass, measurements=measurements, profile=())


def make_comparison(first: StudyResult, second: StudyResult) -> Comparison:
    """What the follow-up would say of two visits."""
    one, two = first.measurements, second.measurements
    assert one.mass.volume_ml
    assert two.mass.volume_ml
    change = 100 * (two.mass.volume_ml / one.mass.volume_ml - 1)
    baseline = TimepointRecord(
        study_instance_uid=one.study.study_instance_uid,
        study_date=one.study.study_date,
        days_from_baseline=0,
        days_from_rt_end=-12,
        volume_ml=one.mass.volume_ml,
        volume_ci95_ml=one.mass.volume_ci95_ml,
        change_percent=None,
        change_ci95_percent=None,
        paired_change_percent=None,
        paired_change_ci95_percent=None,
        smallest_detectable_change_percent=None,
        verdict=None,
        mcc_percent=one.compromise.mcc_percent,
        mscc_percent=one.compromise.mscc_percent,
        escc_grade=one.compromise.escc_grade,
        worst_level=one.compromise.worst_level,
    )
    later = baseline.model_copy(
        update={
            "study_instance_uid": two.study.study_instance_uid,
            "study_date": two.study.study_date,
            "days_from_baseline": 19,
            "days_from_rt_end": 7,
            "volume_ml": two.mass.volume_ml,
            "volume_ci95_ml": two.mass.volume_ci95_ml,
            "change_percent": change,
            "change_ci95_percent": (change - 6.1, change + 6.9),
            "smallest_detectable_change_percent": 12.04,
            "verdict": "decreased",
            "mcc_percent": two.compromise.mcc_percent,
            "mscc_percent": two.compromise.mscc_percent,
            "escc_grade": two.compromise.escc_grade,
            "yardsticks": {"recist": "stable", "volume_20_percent": "stable"},
        }
    )
    return Comparison(
        software=two.software,
        timepoints=(baseline, later),
        nadir=NadirRecord(study_date=two.study.study_date, volume_ml=two.mass.volume_ml),
        recurrence=RecurrenceRecord(suspected=False, since=None),
        radiotherapy=RadiotherapyRecord(
            start="2024-03-02",
            end="2024-03-13",
            dose_gy=20.0,
            fractions=10,
            levels="T3-T9",
            mass_covered=True,
            margin_levels=(2, 1),
        ),
        quality=QualityRecord(
            flags=(FlagRecord(code="NO_PAIRED_ESTIMATE", message="The visits were not registered.", severity="info"),)
        ),
    )
