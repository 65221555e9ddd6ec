"""Two or more studies of one patient, from their folders to the change between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spinemri.config import Config, write_config
from spinemri.errors import Flag, InputError, Severity, UsageError
from spinemri.export import write_comparison, write_study
from spinemri.followup import Radiotherapy, compare_results, rename_levels, transfer_levels
from spinemri.followup.record import Comparison
from spinemri.intake import read_studies
from spinemri.intake.model import Role, Study, Weighting, count_patients
from spinemri.measure.record import QualityRecord
from spinemri.measure.result import StudyResult
from spinemri.pipeline.deidentify import details_withheld, without_identity
from spinemri.pipeline.dicom import write_dicom_comparison
from spinemri.pipeline.events import Recorder
from spinemri.pipeline.manifest import write_manifest
from spinemri.pipeline.measured import flag_records, measure_prepared
from spinemri.pipeline.options import Options
from spinemri.pipeline.output import check_apart, output_folder
from spinemri.pipeline.prepare import Prepared, prepare_study
from spinemri.report import write_report

__all__ = [
    "ComparedStudies",
    "compare_measured",
    "compare_studies",
    "measure_visits",
    "visit_folder",
    "write_compared",
]

_HINTS_NOT_USED = Flag(
    "LEVEL_HINTS_NOT_USED",
    "The given levels were not used: their points are those of the first visit, which was left out or may have been. "
    "Compare without what was left out, with points of the first visit that remains.",
)


@dataclass(frozen=True, eq=False)
class ComparedStudies:
    """The measured visits in order of time, and the change between them."""

    results: tuple[StudyResult, ...]
    comparison: Comparison


def visit_folder(out: Path, visit: int) -> Path:
    """Return the folder of one visit; 1 is the baseline."""
    return out / f"timepoint_{visit}"


def compare_studies(
    paths: Sequence[Path],
    out: Path,
    options: Options | None = None,
    radiotherapy: Radiotherapy | None = None,
    recorder: Recorder | None = None,
) -> ComparedStudies:
    """Measure every study, compare them, and write everything that a comparison leaves.

    Parameters
    ----------
    paths : sequence of Path
        Folders or files; one may hold several studies. Ordered by study date; as given where dates lack.
    out : Path
        Folder for the results; appears whole or not at all.
    options : Options, optional
        Its levels are those of the first visit; without it they are not used.
    radiotherapy : Radiotherapy, optional
    recorder : Recorder, optional
        Hears of every stage.

    Returns
    -------
    ComparedStudies

    Raises
    ------
    UsageError
        If `out` or an option cannot be used.
    InputError
        SEVERAL_PATIENTS, or TOO_FEW_STUDIES if fewer than two can be measured.
    """
    options = options or Options()
    recorder = recorder or Recorder()
    with details_withheld(options):
        check_apart(out, paths)
    with output_folder(out, overwrite=options.overwrite) as folder:
        with recorder.stage("intake"):
            studies, failures, first_read = _read(paths, options)
            _check_labels(options, len(studies))
            _refuse_foreign_plan(studies, radiotherapy)
            studies, radiotherapy = without_identity(studies, radiotherapy, options)
        if options.levels and not first_read:
            options, failures = replace(options, levels=()), [*failures, _HINTS_NOT_USED]
        results, more_failures = measure_visits(studies, options, recorder)
        failures += more_failures
        if len(results) < 2:
            raise _too_few(len(results), failures)
        compared = compare_measured(results, radiotherapy, options.config, recorder, failures)
        write_compared(compared, folder, options.config, recorder, dicom=options.dicom)
    return compared


def _read(paths: Sequence[Path], options: Options) -> tuple[list[Study], list[Flag], bool]:
    """Read all studies, in order of time, and a flag per path that gave none; tell if the first visit is there."""
    found: list[tuple[int, Study]] = []
    failures: list[Flag] = []
    unread: list[int] = []
    for number, path in enumerate(paths, start=1):
        try:
            with details_withheld(options):
                found.extend((number, study) for study in read_studies(path, contrast=options.contrast))
        except InputError as error:
            if error.code == "SEVERAL_PATIENTS":
                raise
            failures.append(_failure(f"Input {number}", error))
            unread.append(number)
    _refuse_several_patients([study for _, study in found])
    if all(study.study_date for _, study in found):
        found.sort(key=lambda item: _moment(item[1]))
    return [study for _, study in found], failures, _first_is_read([number for number, _ in found], unread)


def _first_is_read(inputs: Sequence[int], unread: Sequence[int]) -> bool:
    """Tell whether the first visit is among those read, by the inputs that visits in order of time came from.

    An input that cannot be read has no date: where the others were not given in order of time, it may be any visit.
    """
    return not unread or bool(inputs and inputs[0] < unread[0] and list(inputs) == sorted(inputs))


def _moment(study: Study) -> tuple[str, str]:
    return study.study_date, min((stack.acquired for stack in study.stacks if stack.acquired), default="")


def _refuse_several_patients(studies: Sequence[Study]) -> None:
    patients = count_patients(studies)
    if patients > 1:
        raise InputError(
            "SEVERAL_PATIENTS",
            f"The studies belong to {patients} patients by their patient ids.",
            "Give studies of one patient.",
        )


def _refuse_foreign_plan(studies: Sequence[Study], radiotherapy: Radiotherapy | None) -> None:
    planned = [radiotherapy.course] if radiotherapy and radiotherapy.course else []
    if count_patients([*studies, *planned]) > 1:
        raise InputError(
            "RT_OTHER_PATIENT",
            "The radiotherapy belongs to another patient than the studies, by their patient ids.",
            "Give the treatment of the same patient.",
        )


def _check_labels(options: Options, studies: int) -> None:
    if options.labels and len(options.labels) != studies:
        raise UsageError(
            "BAD_LABELS",
            f"{len(options.labels)} masks were given for {studies} studies.",
            "Give one --labels per study, in order of time.",
        )


def measure_visits(
    studies: Sequence[Study], options: Options, recorder: Recorder
) -> tuple[tuple[StudyResult, ...], list[Flag]]:
    """Measure visit after visit; the first that succeeds lends its level names to the others.

    Parameters
    ----------
    studies : sequence of Study
        In order of time.
    options : Options
        Its levels are those of the first study, its masks one per study.
    recorder : Recorder

    Returns
    -------
    results : tuple of StudyResult
    failures : list of Flag
        One for every study that could not be measured, and one for levels that were not used for that.
    """
    results: list[StudyResult] = []
    failures: list[Flag] = []
    for number, study in enumerate(studies, start=1):
        visit = len(results) + 1
        own = replace(options, labels=options.labels[number - 1 : number], levels=options.levels if number == 1 else ())
        try:
            with details_withheld(options):
                prepared = prepare_study(study, own, recorder, visit)
            if results:
                prepared = _with_baseline_levels(results[0], prepared, recorder, visit)
            with recorder.stage("measure", visit):
                results.append(measure_prepared(prepared, options.config))
            recorder.flag_codes("measure", results[-1].measurements.quality.flags, visit)
        except InputError as error:
            failures.append(_failure(f"Study {number}", error))
            if own.levels:
                failures.append(_HINTS_NOT_USED)
    return tuple(results), failures


def _with_baseline_levels(baseline: StudyResult, prepared: Prepared, recorder: Recorder, visit: int) -> Prepared:
    """Name the levels of a follow-up as those of the baseline."""
    with recorder.stage("levels", visit):
        levels, flags = transfer_levels(
            baseline.anatomy,
            baseline.primary_image,
            prepared.anatomy,
            prepared.primary_image,
            same_sequence=_sequence(baseline) == _sequence(prepared),
        )
        levels = replace(levels, flags=tuple(dict.fromkeys((*levels.flags, *flags))))
    return replace(prepared, anatomy=rename_levels(prepared.anatomy, levels))


def _sequence(visit: StudyResult | Prepared) -> tuple[Role, Weighting, bool | None] | None:
    """Return what decides the contrast of the images that levels are compared on."""
    stack = visit.study.by_role(visit.primary)
    return (visit.primary, stack.weighting, stack.fat_suppressed) if stack else None


def _failure(what: str, error: InputError) -> Flag:
    return Flag("STUDY_NOT_USED", f"{what} was left out: {error}", Severity.ERROR)


def _too_few(measured: int, failures: Sequence[Flag]) -> InputError:
    reasons = " ".join(flag.message for flag in failures if flag is not _HINTS_NOT_USED)
    return InputError(
        "TOO_FEW_STUDIES",
        f"A comparison needs two studies that can be measured, {measured} could. {reasons}".strip(),
        "Run 'spinemri inspect' on each input.",
    )


def compare_measured(
    results: Sequence[StudyResult],
    radiotherapy: Radiotherapy | None,
    config: Config,
    recorder: Recorder,
    failures: Sequence[Flag] = (),
) -> ComparedStudies:
    """Compare visits that are measured.

    Parameters
    ----------
    results : sequence of StudyResult
        In order of time.
    radiotherapy : Radiotherapy or None
    config : Config
    recorder : Recorder
    failures : sequence of Flag
        Studies that could not be used.

    Returns
    -------
    ComparedStudies
    """
    with recorder.stage("followup"):
        comparison = compare_results(results, radiotherapy)
        comparison = _with_flags(comparison, [*failures, *_narrow_margin(comparison, config)])
    recorder.flag_codes("followup", comparison.quality.flags)
    return ComparedStudies(tuple(results), comparison)


def _narrow_margin(comparison: Comparison, config: Config) -> tuple[Flag, ...]:
    wanted = config.followup.radiotherapy_margin_levels
    treatment = comparison.radiotherapy
    if treatment is None or treatment.margin_levels is None or not 0 <= min(treatment.margin_levels) < wanted:
        return ()
    cranial, caudal = treatment.margin_levels
    message = f"The treated levels reach {cranial} vertebrae above and {caudal} below the mass; {wanted} are expected."
    return (Flag("RT_MARGIN_NARROW", message),)


def _with_flags(comparison: Comparison, flags: Sequence[Flag]) -> Comparison:
    quality = QualityRecord(flags=(*comparison.quality.flags, *flag_records(flags)))
    return comparison.model_copy(update={"quality": quality})


def write_compared(
    compared: ComparedStudies, folder: Path, config: Config, recorder: Recorder, *, dicom: bool = True
) -> None:
    """Write every visit, the comparison and the report into a folder.

    Parameters
    ----------
    compared : ComparedStudies
    folder : Path
    config : Config
    recorder : Recorder
        Its events end up in ``log.jsonl``.
    dicom : bool
        Write DICOM objects, too, if the visits came from DICOM.
    """
    results, comparison = compared.results, compared.comparison
    with recorder.stage("export"):
        for visit, result in enumerate(results, start=1):
            write_study(result, visit_folder(folder, visit))
            write_manifest(result, visit_folder(folder, visit))
        write_comparison(comparison, folder)
    if config.report.html:
        with recorder.stage("report"):
            write_report(results, comparison, folder)
    if dicom:
        folders = [visit_folder(folder, visit) for visit in range(1, len(results) + 1)]
        write_dicom_comparison(results, comparison, folder, folders, recorder)
    write_config(config, folder / "config.yaml")
    recorder.write(folder / "log.jsonl")
