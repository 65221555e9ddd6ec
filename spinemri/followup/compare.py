"""Two or more measured studies in, one comparison out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial

from spinemri.errors import Flag, Severity, UsageError
from spinemri.followup.change import Change, LogVolume, Pairing, mass_change, not_assessable
from spinemri.followup.compatibility import (
    coverage_known,
    different_patients,
    error_correlation,
    missing_levels,
    same_reader,
    same_study,
    series_flags,
    unlike_sequences,
)
from spinemri.followup.decision import decide, decide_outlined_once, without_pairing
from spinemri.followup.joint_look import pair_network_sha256
from spinemri.followup.paired import paired_change
from spinemri.followup.radiotherapy import Radiotherapy
from spinemri.followup.record import Comparison, PairedEstimateRecord, TimepointRecord, VerdictBasis
from spinemri.followup.timeline import days_between, find_nadir, find_recurrence, study_day
from spinemri.followup.treated import treatment_record
from spinemri.followup.yardsticks import yardsticks
from spinemri.measure.record import FlagRecord, MassRecord, QualityRecord
from spinemri.measure.result import StudyResult

__all__ = ["compare_results", "pair_change"]


def compare_results(results: Sequence[StudyResult], radiotherapy: Radiotherapy | None) -> Comparison:
    """Compare visits of one patient with the first of them.

    Parameters
    ----------
    results : sequence of StudyResult
        Two or more, in order of time; levels already transferred from the baseline.
    radiotherapy : Radiotherapy or None

    Returns
    -------
    Comparison

    Raises
    ------
    UsageError
        TOO_FEW_STUDIES, if there are fewer than two.
    """
    if len(results) < 2:
        remedy = "Give at least two studies of one patient."
        raise UsageError("TOO_FEW_STUDIES", f"A comparison needs two studies, got {len(results)}.", remedy)
    change_between = cache(lambda earlier, later: pair_change(results[earlier], results[later]))
    changes = [change_between(0, later) for later in range(1, len(results))]
    treatment, treatment_flags = treatment_record(results[0], radiotherapy)
    masses = [
        result.measurements.mass if _counts(index, results, change_between) else None
        for index, result in enumerate(results)
    ]
    dates = [result.study.study_date for result in results]
    return Comparison(
        software=results[-1].measurements.software,
        timepoints=tuple(_timepoints(results, masses, changes, radiotherapy)),
        nadir=find_nadir(masses, dates),
        recurrence=find_recurrence(
            masses,
            dates,
            change_between,
            treated_before_baseline=_treated_before(results[0], radiotherapy),
        ),
        radiotherapy=treatment,
        quality=_quality([*series_flags(results), *_change_flags(changes), *treatment_flags]),
        pair_model_sha256=pair_network_sha256(),
    )


def _counts(index: int, results: Sequence[StudyResult], change_between: Callable[[int, int], Change]) -> bool:
    """Tell whether a visit may be the nadir, or grown from it.

    Not one that carries an error or shows another patient than the baseline; nor one in which nothing was found, if it
    does not show the place where another visit has the mass.
    """
    visit = results[index]
    if _errors(visit) or different_patients(results[0], visit):
        return False
    if visit.measurements.mass.status != "not_found":
        return True
    shown = (n for n, r in enumerate(results) if r.measurements.mass.status == "measured" and not _errors(r))
    other = next((n for n in shown if not results[n].measurements.mass.truncated), None)
    return other is None or change_between(min(index, other), max(index, other)).verdict != "not_assessable"


def pair_change(earlier: StudyResult, later: StudyResult) -> Change:
    """Compare the masses of two visits, or say why they cannot be compared.

    Parameters
    ----------
    earlier, later : StudyResult

    Returns
    -------
    Change
        `not_assessable` for different patients, the same study twice, a mass not covered by both fields of view,
        or a finding of severity error at either visit. The paired change decides where there is one: also of a mass
        that only one visit's outline shows, if the images show it at both.
    """
    if reason := _obstacle(earlier, later):
        return not_assessable(reason)
    correlation = error_correlation(earlier, later)
    unpaired = mass_change(earlier.measurements.mass, later.measurements.mass, correlation=correlation)
    if unpaired.verdict == "not_assessable":
        return unpaired
    unlike = unlike_sequences(earlier, later)
    stacks = (
        {stack.role: stack for stack in earlier.study.stacks if stack.role} if same_reader(earlier, later) else None
    )
    paired = paired_change(earlier, later, alike=correlation > 0, unlike=unlike, stacks=stacks)
    # Visits brought together may show the whole mass with what surrounds it; else only the levels tell.
    seen = not isinstance(paired, str) and paired.wholly_seen
    if not seen and (levels := missing_levels(earlier, later)):
        return not_assessable(f"the visits do not both cover {', '.join(levels)}, where the mass lies")
    first, second = (LogVolume.from_record(visit.measurements.mass) for visit in (earlier, later))
    if not seen and not (first and second) and not coverage_known(earlier, later):
        return not_assessable("a visit in which no mass was found has no level names; look whether it shows the place")
    if first and second:
        return without_pairing(unpaired, paired) if isinstance(paired, str) else decide(unpaired, first, paired)
    return unpaired if isinstance(paired, str) else decide_outlined_once(unpaired, first, second, paired)


def _obstacle(earlier: StudyResult, later: StudyResult) -> str:
    if different_patients(earlier, later):
        return "the studies belong to different patients"
    if same_study(earlier, later):
        return "both visits are the same study"
    codes = dict.fromkeys((*_errors(earlier), *_errors(later)))
    return f"a visit carries {', '.join(codes)}" if codes else ""


def _errors(visit: StudyResult) -> tuple[str, ...]:
    """Codes of what keeps a visit's numbers from being trusted."""
    return tuple(flag.code for flag in visit.measurements.quality.flags if flag.severity == Severity.ERROR.value)


def _timepoints(
    results: Sequence[StudyResult],
    masses: Sequence[MassRecord | None],
    changes: Sequence[Change],
    radiotherapy: Radiotherapy | None,
) -> Iterable[TimepointRecord]:
    sized = [masses[0], *(None if _missed(m, change) else m for m, change in zip(masses[1:], changes, strict=True))]
    record = partial(_timepoint, results=results, masses=sized, radiotherapy=radiotherapy)
    yield record(0, change=None)
    for index, change in enumerate(changes, start=1):
        yield record(index, change=change)


def _missed(mass: MassRecord | None, change: Change) -> bool:
    """Tell whether only the outline of a visit lacks the mass: it is not gone then, and its size not known."""
    once = any(flag.code == "MASS_OUTLINED_ONCE" for flag in change.flags)
    return once and mass is not None and mass.status == "not_found"


def _timepoint(
    index: int,
    *,
    change: Change | None,
    results: Sequence[StudyResult],
    masses: Sequence[MassRecord | None],
    radiotherapy: Radiotherapy | None,
) -> TimepointRecord:
    measured = results[index].measurements
    day = study_day(results[index].study.study_date)
    shown = change or Change("not_assessable")
    paired = shown.pairing
    return TimepointRecord(
        study_instance_uid=results[index].study.study_instance_uid,
        study_date=results[index].study.study_date,
        days_from_baseline=days_between(study_day(results[0].study.study_date), day),
        days_from_rt_end=days_between(radiotherapy.end if radiotherapy else None, day),
        volume_ml=measured.mass.volume_ml,
        volume_ci95_ml=measured.mass.volume_ci95_ml,
        change_percent=shown.percent,
        change_ci95_percent=shown.ci95_percent,
        paired_change_percent=paired.percent if paired else None,
        paired_change_ci95_percent=paired.ci95_percent if paired else None,
        paired_estimates=_estimates(paired),
        verdict_basis=_basis(change),
        smallest_detectable_change_percent=shown.smallest_detectable_percent,
        verdict=change.verdict if change else None,
        mcc_percent=measured.compromise.mcc_percent,
        mscc_percent=measured.compromise.mscc_percent,
        escc_grade=measured.compromise.escc_grade,
        schizas_grade=measured.compromise.schizas_grade,
        worst_level=measured.compromise.worst_level,
        yardsticks={} if shown.verdict == "not_assessable" else yardsticks(masses[: index + 1], shown.percent),
    )


def _estimates(paired: Pairing | None) -> tuple[PairedEstimateRecord, ...]:
    return tuple(
        PairedEstimateRecord(method=method, change_percent=percent, change_ci95_percent=interval)
        for method, percent, interval in (paired.estimates if paired else ())
    )


def _basis(change: Change | None) -> VerdictBasis | None:
    """Say which change the verdict rests on."""
    if change is None or change.verdict == "not_assessable":
        return None
    return "paired" if change.pairing else "unpaired"


def _treated_before(baseline: StudyResult, radiotherapy: Radiotherapy | None) -> bool:
    days = days_between(radiotherapy.end if radiotherapy else None, study_day(baseline.study.study_date))
    return days is not None and days >= 0


def _change_flags(changes: Sequence[Change]) -> list[Flag]:
    return [
        Flag(flag.code, f"Visit {index} against baseline: {flag.message}", flag.severity)
        for index, change in enumerate(changes, start=2)
        for flag in change.flags
    ]


def _quality(flags: Iterable[Flag]) -> QualityRecord:
    return QualityRecord(
        flags=tuple(
            FlagRecord(code=flag.code, message=flag.message, severity=flag.severity.value)
            for flag in dict.fromkeys(flags)
        )
    )
