"""Measure again what a run left, after masks or levels were corrected in an editor."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from spinemri.anatomy.centreline import find_centreline
from spinemri.anatomy.model import Anatomy, TissueMap
from spinemri.anatomy.plausibility import REFUSALS
from spinemri.config import Config, load_config, write_config
from spinemri.errors import Flag, InputError, Severity
from spinemri.export import write_study
from spinemri.export.dicom.sources import read_sources
from spinemri.export.reading import Masks, read_images, read_masks, read_measurements
from spinemri.mass.find import find_mass
from spinemri.mass.model import Mass
from spinemri.measure.record import Measurements
from spinemri.measure.result import StudyResult
from spinemri.pipeline.compare import ComparedStudies, compare_measured, visit_folder, write_compared
from spinemri.pipeline.corrected import corrected_levels, corrected_tissues, recorded_levels
from spinemri.pipeline.coverage import read_coverage
from spinemri.pipeline.dicom import write_dicom_study
from spinemri.pipeline.events import Recorder
from spinemri.pipeline.manifest import edited_masks, read_manifest
from spinemri.pipeline.measured import measure_prepared
from spinemri.pipeline.output import output_folder
from spinemri.pipeline.prepare import MASS_NOT_OUTLINED, MASS_NOT_REQUESTED, Prepared
from spinemri.pipeline.recorded import recorded_radiotherapy, recorded_study
from spinemri.pipeline.seed import accept_any
from spinemri.report import write_report

__all__ = ["remeasure"]

_NOT_MEASURED = REFUSALS | {"NO_CANAL"}
"""Codes of findings without a centre line."""

_KEPT = (
    "anatomy_dseg.nii.gz",
    "anatomy_probseg.json",
    "anatomy_probseg.nii.gz",
    "levels_dseg.nii.gz",
    "mass_dseg.nii.gz",
    "manifest.json",
)


def remeasure(out: Path, recorder: Recorder | None = None) -> StudyResult | ComparedStudies:
    """Measure the masks in the output of `run_study` or `compare_studies` again, and replace the numbers.

    Masks that were changed are kept as they are and reported with the flag MASKS_EDITED.

    Parameters
    ----------
    out : Path
    recorder : Recorder, optional
        Hears of every stage.

    Returns
    -------
    StudyResult or ComparedStudies
        As the folder holds one study or a comparison.

    Raises
    ------
    InputError
        If the folder is not a run's, or a mask cannot be used.
    """
    recorder = recorder or Recorder()
    config = _config(out)
    if (out / "comparison.json").is_file():
        return _remeasure_comparison(out, config, recorder)
    return _remeasure_study(out, config, recorder)


def _config(out: Path) -> Config:
    path = out / "config.yaml"
    if not path.is_file():
        raise InputError("NOT_A_RESULT", f"{out} holds no config.yaml.", "Give the output folder of a run.")
    return load_config(str(path))


def _remeasure_study(out: Path, config: Config, recorder: Recorder) -> StudyResult:
    with output_folder(out, overwrite=True) as folder:
        result = _measure_folder(out, config, recorder, None)
        with recorder.stage("export"):
            _write(result, out, folder)
        if config.report.html:
            with recorder.stage("report"):
                write_report([result], None, folder)
        write_dicom_study(result, folder, recorder)
        write_config(config, folder / "config.yaml")
        recorder.write(folder / "log.jsonl")
    return result


def _remeasure_comparison(out: Path, config: Config, recorder: Recorder) -> ComparedStudies:
    radiotherapy = recorded_radiotherapy(out)
    with output_folder(out, overwrite=True) as folder:
        results: list[StudyResult] = []
        while visit_folder(out, len(results) + 1).is_dir():
            visit = len(results) + 1
            results.append(_measure_folder(visit_folder(out, visit), config, recorder, visit))
        compared = compare_measured(results, radiotherapy, config, recorder)
        write_compared(compared, folder, config, recorder)
        for visit in range(1, len(results) + 1):
            _keep_masks(visit_folder(out, visit), visit_folder(folder, visit))
    return compared


def _write(result: StudyResult, out: Path, folder: Path) -> None:
    write_study(result, folder)
    _keep_masks(out, folder)


def _keep_masks(source: Path, target: Path) -> None:
    """Keep the masks as the user saved them, what they were drawn on, and the note of what they were at first."""
    for name in _KEPT:
        shutil.copyfile(source / "nifti" / name, target / "nifti" / name)


def _measure_folder(folder: Path, config: Config, recorder: Recorder, visit: int | None) -> StudyResult:
    with recorder.stage("load", visit):
        measurements, manifest = read_measurements(folder), read_manifest(folder)
        images, masks = read_images(folder), read_masks(folder)
        stored = read_coverage(folder / "nifti", masks.anatomy)
        sources = read_sources(folder / "dicom")
    edited = edited_masks(manifest, masks)
    study = recorded_study(measurements, manifest, images, sources)
    # What spoke against measuring is said anew, of the masks as they are now.
    earlier = tuple(flag for flag in study.flags if flag.code not in _NOT_MEASURED)
    study = replace(study, flags=(*earlier, *_edited_flag(edited)))
    anatomy = _anatomy(measurements, stored, masks, edited)
    mass = _mass(anatomy, config, measurements, masks)
    with recorder.stage("measure", visit):
        prepared = Prepared(study, images, manifest.primary, anatomy, mass)
        result = measure_prepared(prepared, config, measurements.series)
    recorder.flag_codes("measure", result.measurements.quality.flags, visit)
    return result


def _edited_flag(edited: Collection[str]) -> tuple[Flag, ...]:
    if not edited:
        return ()
    message = f"Measured on masks that were changed after the run: {', '.join(edited)}."
    return (Flag("MASKS_EDITED", message, Severity.INFO),)


def _anatomy(measurements: Measurements, stored: TissueMap, masks: Masks, edited: Collection[str]) -> Anatomy:
    assessed = measurements.mass.status != "not_assessable"
    tissues = corrected_tissues(stored, masks, edited, mass_assessed=assessed)
    levels = corrected_levels(masks.levels) if "levels" in edited else recorded_levels(measurements.levels)
    # Whoever corrected a mask vouches for what it shows.
    refusals = () if edited else tuple(flag for flag in measurements.quality.flags if flag.code in _NOT_MEASURED)
    centreline = None if refusals else find_centreline(tissues)
    flags = tuple(Flag(flag.code, flag.message, Severity(flag.severity)) for flag in refusals)
    return Anatomy(tissues, centreline, levels, masks.levels, measurements.software.model_sha256, flags)


def _mass(anatomy: Anatomy, config: Config, measurements: Measurements, masks: Masks) -> Mass:
    """Find the mass that the mask shows: a person or the first run has already accepted it."""
    shown = bool(masks.mass.array.any())
    settings = accept_any(config.mass) if shown else config.mass
    mass = find_mass(anatomy.tissues, anatomy.centreline, settings)
    if anatomy.centreline is None:
        # The anatomy says why.
        return replace(mass, flags=())
    codes = {flag.code for flag in measurements.quality.flags}
    unknown = tuple(flag for flag in (MASS_NOT_REQUESTED, MASS_NOT_OUTLINED) if flag.code in codes)
    return mass if shown or not unknown else replace(mass, status="not_assessable", flags=unknown)
