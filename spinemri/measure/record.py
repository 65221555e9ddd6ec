"""`measurements.json` as types: the contract with everything that reads our results.

Numbers are null where they cannot be trusted, and ``quality.flags`` says why.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "SCHEMA_VERSION",
    "AlternativeRecord",
    "CompromiseRecord",
    "DiscRecord",
    "ExtentRecord",
    "FlagRecord",
    "LevelsRecord",
    "MassComponentRecord",
    "MassRecord",
    "Measurements",
    "ProfileRow",
    "QualityRecord",
    "SeriesRecord",
    "SignalRecord",
    "SoftwareRecord",
    "StudyRecord",
    "VertebraRecord",
]

SCHEMA_VERSION = "1.0"

Point = tuple[float, float, float]
Interval = tuple[float, float]


class Record(BaseModel):
    """Base of all records: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SoftwareRecord(Record):
    """What made the numbers."""

    name: str = "spinemri"
    version: str
    config_sha256: str
    model_sha256: str


class StudyRecord(Record):
    """Which examination was measured; `study_date` is ISO or empty."""

    study_instance_uid: str
    study_date: str
    inputs_sha256: str


class SeriesRecord(Record):
    """One stack of the study, with what it was used for and why."""

    series_instance_uid: str
    stack: str
    plane: str
    weighting: str
    fat_suppressed: bool | None
    contrast_enhanced: bool | None
    role: str | None
    used: bool
    reason: str


class EndplateRecord(Record):
    """Plane of an endplate: a point over or under the body's centre and the unit vector out of the body."""

    point_lps_mm: Point
    normal_lps: Point


class VertebraRecord(Record):
    """One vertebra; `id` after VerSe. Endplates only of complete, named bodies whose face is seen."""

    name: str | None
    id: int | None
    centre_lps_mm: Point
    complete: bool
    confidence: float
    superior_endplate: EndplateRecord | None = None
    inferior_endplate: EndplateRecord | None = None


class DiscRecord(Record):
    """One disc."""

    name: str | None
    centre_lps_mm: Point


class AlternativeRecord(Record):
    """The next most probable numbering: its names of the topmost and the lowest vertebra, and its probability."""

    topmost: str | None
    lowest: str | None
    probability: float


class LevelsRecord(Record):
    """Named levels and what the names rest on."""

    numbering: Literal["absolute", "relative", "unknown"]
    anchor: str
    confidence: float
    vertebrae: tuple[VertebraRecord, ...]
    discs: tuple[DiscRecord, ...]
    alternative: AlternativeRecord | None = None


class MassComponentRecord(Record):
    """Volume of one compartment of the mass in ml."""

    compartment: Literal["epidural", "foraminal", "paravertebral"]
    volume_ml: float


class ExtentRecord(Record):
    """From the vertebra at the cranial end to that at the caudal end, and the length along the canal in mm.

    The JSON keys are ``from`` and ``to``; Python cannot name an attribute ``from``.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    from_level: str | None = Field(alias="from")
    to_level: str | None = Field(alias="to")
    length_mm: float


class SignalRecord(Record):
    """Signal of the mass relative to unaffected marrow; descriptive, never decides alone."""

    t1_to_marrow: float | None = None
    t2_to_marrow: float | None = None
    enhancement_ratio: float | None = None


class MassRecord(Record):
    """The epidural mass; all but status and existence are null unless it was measured.

    `existence_probability` is that of the likeliest part; null where no canal was found.
    """

    status: Literal["measured", "not_found", "not_assessable"]
    existence_probability: float | None = None
    volume_ml: float | None = None
    volume_sd_ml: float | None = None
    volume_ci95_ml: Interval | None = None
    components: tuple[MassComponentRecord, ...] = ()
    extent: ExtentRecord | None = None
    position: Literal["posterior", "anterior", "left", "right", "circumferential"] | None = None
    max_ap_mm: float | None = None
    max_transverse_mm: float | None = None
    truncated: bool | None = None
    signal: SignalRecord = SignalRecord()


class CompromiseRecord(Record):
    """How far canal and cord are compromised at the worst section.

    Areas and diameters are those of the worst section; `canal_occupancy_percent` is the maximum over all sections,
    at `canal_occupancy_level`. `ascor` is cord area over canal area, `compression_ratio` cord AP over transverse. The
    ESCC grade is given where there is cord, the Schizas grade below the conus, each with its evidence.
    """

    worst_level: str | None = None
    worst_point_lps_mm: Point | None = None
    mcc_percent: float | None = None
    mscc_percent: float | None = None
    canal_occupancy_percent: float | None = None
    canal_occupancy_level: str | None = None
    length_over_25_percent_mm: float | None = None
    length_over_50_percent_mm: float | None = None
    canal_area_mm2: float | None = None
    sac_area_mm2: float | None = None
    cord_area_mm2: float | None = None
    canal_ap_mm: float | None = None
    sac_ap_mm: float | None = None
    cord_ap_mm: float | None = None
    ascor: float | None = None
    compression_ratio: float | None = None
    reference_levels: tuple[str | None, str | None] | None = None
    escc_grade: str | None = None
    escc_evidence: dict[str, float | str | bool | None] = Field(default_factory=dict)
    schizas_grade: str | None = None
    schizas_evidence: dict[str, float | str | bool | None] = Field(default_factory=dict)


class FlagRecord(Record):
    """A finding that qualifies the numbers."""

    code: str
    message: str
    severity: Literal["info", "warning", "error"]


class QualityRecord(Record):
    """All findings of the run."""

    flags: tuple[FlagRecord, ...] = ()


class ProfileRow(Record):
    """One section perpendicular to the centreline: a row of ``profile.csv``, one per mm of canal."""

    arc_length_mm: float
    x_lps_mm: float
    y_lps_mm: float
    z_lps_mm: float
    level: str | None
    canal_area_mm2: float | None
    canal_ap_mm: float | None
    canal_transverse_mm: float | None
    sac_area_mm2: float | None
    sac_ap_mm: float | None
    sac_transverse_mm: float | None
    cord_area_mm2: float | None
    cord_ap_mm: float | None
    cord_transverse_mm: float | None
    mass_area_mm2: float | None
    occupancy_percent: float | None


class Measurements(Record):
    """Everything measured in one study. `profile` goes to ``profile.csv`` and is left out of the JSON."""

    schema_version: str = SCHEMA_VERSION
    software: SoftwareRecord
    study: StudyRecord
    series: tuple[SeriesRecord, ...]
    levels: LevelsRecord
    mass: MassRecord
    compromise: CompromiseRecord
    quality: QualityRecord
