"""Measure again what a run left, after masks or levels were corrected in an editor."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.centreline import find_centreline
from spinemri.anatomy.model import Anatomy, Levels, TissueMap
from spinemri.anatomy.plausibility import REFUSALS
from spinemri.config import Config, load_config, write_config
from spinemri.errors import Flag, InputError, Severity
from spinemri.export import write_study
from spinemri.export.dicom.sources import read_sources
from spinemri.export.reading import Masks, read_images, read_masks, read_measurements
from spinemri.followup import rename_levels
from spinemri.followup.treated import under_new_names
from spinemri.mass.find import find_mass, shown_mass
from spinemri.mass.model import Mass
from spinemri.measure.record import Measurements
from spinemri.measure.result import StudyResult
from spinemri.nomenclature import Tissue
from spinemri.pipeline.compare import ComparedStudies, compare_measured, visit_folder, write_compared
from spinemri.pipeline.corrected import corrected_levels, corrected_tissues, recorded_levels
from spinemri.pipeline.coverage import read_coverage
from spinemri.pipeline.dicom import write_dicom_study
from spinemri.pipeline.events import Recorder
from spinemri.pipeline.manifest import edited_masks, read_manifest
from spinemri.pipeline.measured import measure_prepared
from spinemri.pipeline.options import Point
from spinemri.pipeline.output import output_folder
from spinemri.pipeline.prepare import MASS_NOT_OUTLINED, MASS_NOT_REQUESTED, Prepared
from spinemri.pipeline.recorded import recorded_findings, recorded_radiotherapy, recorded_study, recorded_visits
from spinemri.pipeline.renumber import renumbered, shift_between, shifted
from spinemri.report import write_report

__all__ = ["remeasure"]

_NOT_MEASURED = REFUSALS | {"NO_CANAL"}
"""Codes of findings without a centre line."""

_SETTLED = frozenset(
    {
        "NO_LEVEL_ANCHOR",
        "LEVELS_BEYOND_COLUMN",
        "LEVEL_ANCHORS_DISAGREE",
        "LEVEL_ANCHOR_IMPLAUSIBLE",
        "LEVEL_HINT_UNMATCHED",
        "TRANSITIONAL_SUSPECTED",
    }
)
"""Codes of findings about a count that a person has settled."""

_DRAWN_INSTEAD = frozenset({"MASS_SEED_FAINT", "MASS_SEED_FAR"})
"""Codes of findings about a point, where a person has drawn the mass since."""

_KEPT = (
    "anatomy_dseg.nii.gz",
    "anatomy_probseg.json",
    "anatomy_probseg.nii.gz",
    "levels_dseg.nii.gz",
    "mass_dseg.nii.gz",
    "manifest.json",
)


@dataclass(frozen=True)
class _Naming:
    """How levels get other names: as a person named some, or moved as the first visit's were."""

    named: tuple[tuple[str, Point], ...] = ()
    shift: int = 0

    def apply(self, anatomy: Anatomy) -> Anatomy:
        """Return the anatomy under its new names, in the level map too."""
        if self.named:
            return rename_levels(anatomy, renumbered(anatomy.levels, self.named))
        if self.shift and anatomy.levels.anchor == "baseline":
            return rename_levels(anatomy, shifted(anatomy.levels, self.shift))
        return anatomy


def remeasure(
    out: Path, recorder: Recorder | None = None, *, levels: Sequence[tuple[str, Point]] = ()
) -> StudyResult | ComparedStudies:
    """Measure the masks in the output of `run_study` or `compare_studies` again, and replace the numbers.

    Masks that were changed are kept as they are and reported with the flag MASKS_EDITED. Nothing is segmented again.

    Parameters
    ----------
    out : Path
    recorder : Recorder, optional
        Hears of every stage.
    levels : sequence of (name, point)
        Vertebrae that a person names, in LPS mm: all others follow, at every visit that has the first one's names.

    Returns
    -------
    StudyResult or ComparedStudies
        As the folder holds one study or a comparison.

    Raises
    ------
    InputError
        If the folder is not a run's, or a mask cannot be used.
    UsageError
        LEVEL_HINT_UNMATCHED, LEVEL_HINTS_DISAGREE or LEVEL_UNKNOWN if the levels cannot be named so.
    """
    naming = _Naming(tuple(levels))
    recorder = recorder or Recorder()
    config = _config(out)
    if (out / "comparison.json").is_file():
        return _remeasure_comparison(out, config, recorder, naming)
    return _remeasure_study(out, config, recorder, naming)


def _config(out: Path) -> Config:
    path = out / "config.yaml"
    if not path.is_file():
        raise InputError("NOT_A_RESULT", f"{out} holds no config.yaml.", "Give the output folder of a run.")
    return load_config(str(path))


def _remeasure_study(out: Path, config: Config, recorder: Recorder, naming: _Naming) -> StudyResult:
    with output_folder(out, overwrite=True) as folder:
        result = _measure_folder(out, config, recorder, None, naming)
        with recorder.stage("export"):
            write_study(result, folder)
            _keep_masks(out, folder, naming)
        if config.report.html:
            with recorder.stage("report"):
                write_report([result], None, folder)
        write_dicom_study(result, folder, recorder)
        write_config(config, folder / "config.yaml")
        recorder.write(folder / "log.jsonl")
    return result


def _remeasure_comparison(out: Path, config: Config, recorder: Recorder, naming: _Naming) -> ComparedStudies:
    radiotherapy, lost = recorded_radiotherapy(out)
    earlier = recorded_findings(out)
    before = recorded_levels(read_measurements(visit_folder(out, 1)).levels)
    with output_folder(out, overwrite=True) as folder:
        results: list[StudyResult] = []
        for visit in range(1, recorded_visits(out) + 1):
            results.append(_measure_folder(visit_folder(out, visit), config, recorder, visit, naming))
            naming = naming if visit > 1 else _as_the_first(before, results[0], naming)
        if radiotherapy is not None:
            radiotherapy, unnamed = under_new_names(radiotherapy, before, results[0].anatomy.levels)
            lost = (*lost, *unnamed)
        settled = {"LEVEL_HINTS_NOT_USED"} if results[0].anatomy.levels.anchor == "user" else frozenset()
        kept = [flag for flag in earlier if flag.code not in settled]
        compared = compare_measured(results, radiotherapy, config, recorder, [*kept, *lost])
        write_compared(compared, folder, config, recorder)
        for visit in range(1, len(results) + 1):
            _keep_masks(visit_folder(out, visit), visit_folder(folder, visit), naming)
    return compared


def _as_the_first(before: Levels, first: StudyResult, naming: _Naming) -> _Naming:
    """How visits are named that inherited the names of the first one."""
    if not naming.named:
        return naming
    return _Naming(shift=shift_between(before, first.anatomy.levels))


def _keep_masks(source: Path, target: Path, naming: _Naming) -> None:
    """Keep the masks as the user saved them, what they were drawn on, and the note of what they were at first.

    Levels that got other names here stay as they were written.
    """
    renamed = bool(naming.named) or naming.shift != 0
    for name in _KEPT:
        if not (renamed and name == "levels_dseg.nii.gz"):
            shutil.copyfile(source / "nifti" / name, target / "nifti" / name)


def _measure_folder(
    folder: Path, config: Config, recorder: Recorder, visit: int | None, naming: _Naming
) -> StudyResult:
    with recorder.stage("load", visit):
        measurements, manifest = read_measurements(folder), read_manifest(folder)
        images, masks = read_images(folder), read_masks(folder)
        stored = read_coverage(folder / "nifti", masks.anatomy)
        sources = read_sources(folder / "dicom")
    edited = edited_masks(manifest, masks)
    study = recorded_study(measurements, manifest, images, sources)
    settled = _settled(masks, edited, naming)
    earlier = tuple(flag for flag in study.flags if flag.code not in settled)
    study = replace(study, flags=(*earlier, *_edited_flag(edited)))
    anatomy = naming.apply(_anatomy(measurements, stored, masks, edited))
    mass = _mass(anatomy, config, measurements, _shown(measurements, masks, edited))
    with recorder.stage("measure", visit):
        prepared = Prepared(study, images, manifest.primary, anatomy, mass)
        result = measure_prepared(prepared, config, measurements.series)
    recorder.flag_codes("measure", result.measurements.quality.flags, visit)
    return result


def _settled(masks: Masks, edited: Collection[str], naming: _Naming) -> frozenset[str]:
    """Codes of earlier findings that no longer hold."""
    # What spoke against measuring is said anew, of the masks as they are now.
    levels = _SETTLED if naming.named or "levels" in edited else frozenset()
    mass = _DRAWN_INSTEAD if "mass" in edited and masks.mass.array.any() else frozenset()
    return _NOT_MEASURED | levels | mass


def _edited_flag(edited: Collection[str]) -> tuple[Flag, ...]:
    if not edited:
        return ()
    message = f"Measured on masks that were changed after the run: {', '.join(edited)}."
    return (Flag("MASKS_EDITED", message, Severity.INFO),)


def _anatomy(measurements: Measurements, stored: TissueMap, masks: Masks, edited: Collection[str]) -> Anatomy:
    tissues = corrected_tissues(stored, masks, edited, mass_assessed=_assessed(measurements))
    levels = corrected_levels(masks.levels) if "levels" in edited else recorded_levels(measurements.levels)
    # Whoever corrected a mask vouches for what it shows.
    refusals = () if edited else tuple(flag for flag in measurements.quality.flags if flag.code in _NOT_MEASURED)
    centreline = None if refusals else find_centreline(tissues)
    flags = tuple(Flag(flag.code, flag.message, Severity(flag.severity)) for flag in refusals)
    return Anatomy(tissues, centreline, levels, masks.levels, measurements.software.model_sha256, flags)


def _assessed(measurements: Measurements) -> bool:
    return measurements.mass.status != "not_assessable"


def _shown(measurements: Measurements, masks: Masks, edited: Collection[str]) -> NDArray[np.bool_]:
    """Where the masks show a mass: a person or the first run has already accepted it."""
    mass = masks.mass.array > 0
    if "anatomy" in edited and _assessed(measurements):
        # Mass that was drawn there; what the first run turned down has no coverage left.
        mass |= np.isin(masks.anatomy.array, (Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE))
    return mass


def _mass(anatomy: Anatomy, config: Config, measurements: Measurements, shown: NDArray[np.bool_]) -> Mass:
    """Describe the mass that the masks show; where they show none, look for one."""
    if shown.any():
        mass = shown_mass(anatomy.tissues, anatomy.centreline, shown)
    else:
        mass = find_mass(anatomy.tissues, anatomy.centreline, config.mass)
    if anatomy.centreline is None:
        # The anatomy says why.
        return replace(mass, flags=())
    codes = {flag.code for flag in measurements.quality.flags}
    unknown = tuple(flag for flag in (MASS_NOT_REQUESTED, MASS_NOT_OUTLINED) if flag.code in codes)
    return mass if shown.any() or not unknown else replace(mass, status="not_assessable", flags=unknown)
