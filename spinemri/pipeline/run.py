"""One study, from its folder to its results."""

from __future__ import annotations

from pathlib import Path

from spinemri.config import write_config
from spinemri.export import write_study
from spinemri.intake import read_study
from spinemri.measure.result import StudyResult
from spinemri.pipeline.deidentify import details_withheld, without_identity
from spinemri.pipeline.dicom import write_dicom_study
from spinemri.pipeline.events import Recorder
from spinemri.pipeline.manifest import write_manifest
from spinemri.pipeline.measured import measure_prepared
from spinemri.pipeline.options import Options
from spinemri.pipeline.output import check_apart, output_folder
from spinemri.pipeline.prepare import prepare_study
from spinemri.report import write_report

__all__ = ["run_study"]


def run_study(path: Path, out: Path, options: Options | None = None, recorder: Recorder | None = None) -> StudyResult:
    """Measure one study and write everything that a run leaves.

    Parameters
    ----------
    path : Path
        Folder or file of one study: DICOM, zip, NIfTI or BIDS.
    out : Path
        Folder for the results; appears whole or not at all.
    options : Options, optional
    recorder : Recorder, optional
        Hears of every stage.

    Returns
    -------
    StudyResult

    Raises
    ------
    UsageError
        If `out` or an option cannot be used.
    InputError
        If nothing in `path` can be measured.
    """
    options = options or Options()
    recorder = recorder or Recorder()
    with details_withheld(options):
        check_apart(out, [path])
    with output_folder(out, overwrite=options.overwrite) as folder:
        with details_withheld(options):
            with recorder.stage("intake"):
                (study,), _ = without_identity([read_study(path, contrast=options.contrast)], None, options)
            prepared = prepare_study(study, options, recorder)
        with recorder.stage("measure"):
            result = measure_prepared(prepared, options.config)
        recorder.flag_codes("measure", result.measurements.quality.flags)
        with recorder.stage("export"):
            write_study(result, folder)
            write_manifest(result, folder)
        if options.config.report.html:
            with recorder.stage("report"):
                write_report([result], None, folder)
        if options.dicom:
            write_dicom_study(result, folder, recorder)
        write_config(options.config, folder / "config.yaml")
        recorder.write(folder / "log.jsonl")
    return result
