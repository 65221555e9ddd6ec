"""`comparison.json` as types."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spinemri.measure.record import SCHEMA_VERSION, FlagRecord, Interval, QualityRecord, Record, SoftwareRecord

__all__ = [
    "Comparison",
    "FlagRecord",
    "NadirRecord",
    "PairedEstimateRecord",
    "RadiotherapyRecord",
    "RecurrenceRecord",
    "TimepointRecord",
    "Verdict",
    "VerdictBasis",
]

Verdict = Literal["decreased", "increased", "not_distinguishable", "not_assessable"]
VerdictBasis = Literal["paired", "unpaired"]


class PairedEstimateRecord(Record):
    """One of the estimates that the paired change combines: outlines, boundary_shift or complement."""

    method: str
    change_percent: float
    change_ci95_percent: Interval


class TimepointRecord(Record):
    """One visit against the baseline; the baseline's own change fields are null.

    `verdict` and `smallest_detectable_change_percent` rest on the paired change where there is one, else on the
    unpaired; `verdict_basis` says which.
    """

    study_instance_uid: str
    study_date: str
    days_from_baseline: int | None
    days_from_rt_end: int | None
    volume_ml: float | None
    volume_ci95_ml: Interval | None
    change_percent: float | None
    change_ci95_percent: Interval | None
    paired_change_percent: float | None
    paired_change_ci95_percent: Interval | None
    paired_estimates: tuple[PairedEstimateRecord, ...] = ()
    smallest_detectable_change_percent: float | None
    verdict: Verdict | None
    verdict_basis: VerdictBasis | None = None
    mcc_percent: float | None
    mscc_percent: float | None
    escc_grade: str | None
    schizas_grade: str | None = None
    worst_level: str | None
    yardsticks: dict[str, str | float | None] = Field(default_factory=dict)

    @property
    def decisive_percent(self) -> float | None:
        """The change on which the verdict rests."""
        return self.paired_change_percent if self.verdict_basis == "paired" else self.change_percent

    @property
    def decisive_ci95_percent(self) -> Interval | None:
        """The 95 % interval on which the verdict rests."""
        return self.paired_change_ci95_percent if self.verdict_basis == "paired" else self.change_ci95_percent


class NadirRecord(Record):
    """The visit with the smallest volume; `volume_ml` is null where the mass was no longer found."""

    study_date: str
    volume_ml: float | None


class RecurrenceRecord(Record):
    """Whether the mass grew from its nadir by more than the interval, and since when."""

    suspected: bool | None
    since: str | None


class RadiotherapyRecord(Record):
    """What the user or the plan said of the radiotherapy, and whether the treated levels cover the mass.

    `margin_levels` counts whole treated vertebrae beyond the mass at its cranial and caudal end; negative where
    the mass reaches beyond the treated levels. `levels_from` says whether the levels were given or come from the plan.
    Doses are those to the mass of the baseline; `mass_v95_percent` is the part of it that receives 95 % of `dose_gy`.
    """

    start: str | None
    end: str | None
    dose_gy: float | None
    fractions: int | None
    levels: str | None
    mass_covered: bool | None
    margin_levels: tuple[int, int] | None
    levels_from: Literal["given", "plan"] | None = None
    mass_v95_percent: float | None = None
    mass_d95_gy: float | None = None
    mass_mean_gy: float | None = None


class Comparison(Record):
    """Change of the mass over two or more visits, in order of time.

    `software` is that of the last visit; `pair_model_sha256` names the network that looks at two visits together.
    """

    schema_version: str = SCHEMA_VERSION
    software: SoftwareRecord
    timepoints: tuple[TimepointRecord, ...]
    nadir: NadirRecord | None
    recurrence: RecurrenceRecord
    radiotherapy: RadiotherapyRecord | None
    quality: QualityRecord
    pair_model_sha256: str = ""
