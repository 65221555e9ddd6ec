"""When DICOM objects are written, and what is said when they are not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from spinemri.errors import Flag, Severity
from spinemri.followup.record import Comparison
from spinemri.intake.model import no_instances
from spinemri.measure.record import FlagRecord
from spinemri.measure.result import StudyResult
from spinemri.pipeline.events import Event, Recorder
from spinemri.pipeline.measured import flag_records

__all__ = ["dicom_findings", "write_dicom_comparison", "write_dicom_study"]

_STAGE = "dicom"
_NO_SOURCE = Flag(
    "DICOM_NO_SOURCE",
    "No DICOM objects: the images did not come from DICOM, or the run that is measured again kept no headers of them.",
    Severity.INFO,
)
_NOT_WRITTEN = Flag(
    "DICOM_NOT_WRITTEN",
    "No DICOM objects: the headers of the primary series lack UIDs or one frame of reference, break rules of DICOM, or "
    "can no longer be read. All other results are complete. Export the series from the archive again and rerun.",
)


def write_dicom_study(result: StudyResult, folder: Path, recorder: Recorder) -> None:
    """Write ``dicom/`` of one study, if it came from DICOM.

    Parameters
    ----------
    result : StudyResult
    folder : Path
        Of the results; the report's figures are already there.
    recorder : Recorder
        Hears DICOM_NO_SOURCE or DICOM_NOT_WRITTEN if nothing was written.
    """

    def write() -> str:
        """Write the objects of one study."""
        from spinemri.export.dicom.write import write_study_objects  # noqa: PLC0415 - half a second that NIfTI saves

        return write_study_objects(result, folder, figures=_figures(folder, 1), pdf=_pdf(folder))

    _attempt([result], write, recorder)


def write_dicom_comparison(
    results: Sequence[StudyResult],
    comparison: Comparison,
    folder: Path,
    visit_folders: Sequence[Path],
    recorder: Recorder,
) -> None:
    """Write ``dicom/`` of every visit and of their comparison, if all came from DICOM.

    Parameters
    ----------
    results : sequence of StudyResult
        In order of time.
    comparison : Comparison
    folder : Path
        Of the comparison; the report's figures are already there.
    visit_folders : sequence of Path
        Of each visit's results.
    recorder : Recorder
        Hears DICOM_NO_SOURCE or DICOM_NOT_WRITTEN if nothing was written.
    """

    def write() -> str:
        """Write the objects of all visits and of the comparison."""
        from spinemri.export.dicom.write import write_comparison_objects  # noqa: PLC0415 - as above

        figures = [_figures(folder, visit) for visit in range(1, len(results) + 1)]
        return write_comparison_objects(
            results, comparison, folder, visit_folders=visit_folders, figures=figures, pdf=_pdf(folder)
        )

    _attempt(results, write, recorder)


def dicom_findings(events: Iterable[Event]) -> tuple[FlagRecord, ...]:
    """Return what a run's events say of DICOM objects that were not written; JSON and report are made before them."""
    codes = {event.code for event in events if event.stage == _STAGE}
    return flag_records(flag for flag in (_NO_SOURCE, _NOT_WRITTEN) if flag.code in codes)


def _attempt(results: Sequence[StudyResult], write: Callable[[], str], recorder: Recorder) -> None:
    if not all(_from_dicom(result) for result in results):
        recorder.record(Event(_STAGE, "flag", _NO_SOURCE.code))
        return
    with recorder.stage(_STAGE):
        try:
            problem = write()
        except (AttributeError, IndexError, KeyError, OSError, TypeError, ValueError) as error:
            # Headers break rules in ways that nobody foresees, and a share may be gone by now: what was measured must
            # not be lost for it.
            problem = type(error).__name__
        if problem:
            recorder.record(Event(_STAGE, "flag", _NOT_WRITTEN.code))


def _from_dicom(result: StudyResult) -> bool:
    stack = result.study.by_role(result.primary)
    return stack is not None and stack.instances is not no_instances


def _figures(folder: Path, visit: int) -> list[Path]:
    """Return the outlined figures of a visit; there are none if no report was asked for."""
    return sorted((folder / "figures").glob(f"*_visit{visit}_outlined.jpg"))


def _pdf(folder: Path) -> Path | None:
    path = folder / "report.pdf"
    return path if path.is_file() else None
