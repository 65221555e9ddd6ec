"""Measured studies built by hand: only what the follow-up reads is filled in."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spinemri.anatomy.model import Anatomy, Levels, TissueMap
from spinemri.intake.model import Role, Study
from spinemri.mass.model import Mass
from spinemri.measure.record import (
    CompromiseRecord,
    ExtentRecord,
    FlagRecord,
    LevelsRecord,
    MassRecord,
    Measurements,
    QualityRecord,
    SoftwareRecord,
    StudyRecord,
    VertebraRecord,
)
from spinemri.measure.result import StudyResult
from spinemri.nomenclature import REGULAR_COLUMN, vertebra_id
from spinemri.volume import Volume

THORACIC = REGULAR_COLUMN[REGULAR_COLUMN.index("T1") : REGULAR_COLUMN.index("L1") + 1]


def mass_record(volume_ml: float | None = 6.0, log_sd: float = 0.06, **fields: Any) -> MassRecord:
    if volume_ml is None:
        return MassRecord(**({"status": "not_found", "truncated": False} | fields))
    half = math.exp(1.96 * log_sd)
    measured = {
        "status": "measured",
        "volume_ml": volume_ml,
        "volume_sd_ml": volume_ml * log_sd,
        "volume_ci95_ml": (volume_ml / half, volume_ml * half),
        "extent": ExtentRecord(from_level="T5", to_level="T8", length_mm=88.0),
        "max_ap_mm": 8.0,
        "max_transverse_mm": 16.0,
        "truncated": False,
    }
    return MassRecord(**(measured | fields))


def levels_record(names: tuple[str, ...] = THORACIC, numbering: str = "absolute") -> LevelsRecord:
    vertebrae = tuple(
        VertebraRecord(
            name=name, id=vertebra_id(name), centre_lps_mm=(0.0, 0.0, -22.0 * i), complete=True, confidence=0.9
        )
        for i, name in enumerate(names)
    )
    return LevelsRecord(numbering=numbering, anchor="sacrum", confidence=0.95, vertebrae=vertebrae, discs=())


def study_result(
    mass: MassRecord | None = None,
    *,
    date: str = "2024-03-01",
    uid: str = "",
    patient: str = "p",
    levels: LevelsRecord | None = None,
    spacing_mm: float = 4.4,
    roles: tuple[Role, ...] = (Role.SAGITTAL_T2, Role.SAGITTAL_T1_POST_FS),
    flags: tuple[FlagRecord, ...] = (),
) -> StudyResult:
    uid = uid or f"1.2.{date.replace('-', '')}"
    image = Volume(np.zeros((3, 4, 5), np.float32), np.diag([spacing_mm, 0.7, 0.7, 1.0]))
    tissues = TissueMap(np.zeros((10, 3, 4, 5), np.float32), image.affine)
    measurements = Measurements(
        software=SoftwareRecord(version="0", config_sha256="c", model_sha256="m"),
        study=StudyRecord(study_instance_uid=uid, study_date=date, inputs_sha256=uid),
        series=(),
        levels=levels or levels_record(),
        mass=mass or mass_record(),
        compromise=CompromiseRecord(worst_level="T6/7", mcc_percent=40.0, mscc_percent=30.0, escc_grade="2"),
        quality=QualityRecord(flags=flags),
    )
    return StudyResult(
        study=Study(uid, date, patient, (), (), uid),
        images=dict.fromkeys(roles, image),
        primary=roles[0],
        anatomy=Anatomy(tissues, None, Levels((), (), "unknown", "none", 0.0), image, "m"),
        mass=Mass("not_found", image, image, (), truncated=False, existence=0.0, volume_log_sd=0.0),
        measurements=measurements,
        profile=(),
    )


@pytest.fixture
def make() -> SimpleNamespace:
    """Builders of records and results."""
    builders: dict[str, Callable[..., Any]] = {
        "mass": mass_record,
        "levels": levels_record,
        "result": study_result,
    }
    return SimpleNamespace(**builders)
