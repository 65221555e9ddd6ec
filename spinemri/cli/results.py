"""From options to a run, and from a run to the terminal and the exit status."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

from spinemri.cli.summary import comparison_lines, flag_lines, study_lines
from spinemri.cli.values import parse_levels, parse_point, with_segmenter
from spinemri.config import load_config
from spinemri.errors import UsageError
from spinemri.intake.pseudonyms import Deidentification
from spinemri.measure.record import FlagRecord, Measurements
from spinemri.pipeline import ComparedStudies, Event, Options
from spinemri.pipeline.dicom import dicom_findings
from spinemri.pipeline.measured import needs_a_person

__all__ = ["deidentification", "finish_comparison", "finish_study", "study_options"]

_EXIT_FINDINGS = 1
_LEAST_KEY_BYTES = 16


def study_options(
    *,
    config: str,
    contrast: str | None,
    levels: Sequence[str] | None,
    overwrite: bool,
    deidentification: Deidentification | None = None,
    mass_seed: str | None = None,
    labels: Sequence[Path] | None = None,
    segmenter: str | None = None,
    with_mass: bool = True,
    dicom: bool = True,
) -> Options:
    """Check the options of a command.

    Raises
    ------
    UsageError
        BAD_CONFIG, BAD_LEVEL, BAD_POINT or BAD_SEGMENTER.
    """
    return Options(
        config=with_segmenter(load_config(config), segmenter, has_labels=bool(labels)),
        contrast=contrast,
        labels=tuple(labels or ()),
        with_mass=with_mass,
        mass_seed_lps_mm=None if mass_seed is None else parse_point(mass_seed, option="--mass-seed"),
        levels=parse_levels(levels or ()),
        dicom=dicom,
        overwrite=overwrite,
        deidentification=deidentification,
    )


def deidentification(key_file: Path | None, *, wanted: bool) -> Deidentification | None:
    """Read the secret behind the pseudonyms, if results are to be de-identified.

    White space at its ends does not count, so that an editor that adds a line end changes nothing.

    Raises
    ------
    UsageError
        BAD_KEY if the file cannot be read, or holds fewer than 16 bytes, which could be guessed.
    """
    if key_file is None:
        return Deidentification() if wanted else None
    try:
        key = key_file.read_bytes().strip()
    except OSError as error:
        what = f"{key_file} cannot be read ({type(error).__name__})"
        raise UsageError("BAD_KEY", f"{what}.", "Give the file that holds the secret.") from None
    if len(key) < _LEAST_KEY_BYTES:
        message = f"The secret has {len(key)} bytes; {_LEAST_KEY_BYTES} are needed, so that nobody can guess it."
        raise UsageError("BAD_KEY", message, "Make one with 'openssl rand -hex 32 > FILE'.")
    return Deidentification(key)


def finish_study(measurements: Measurements, out: Path, events: Iterable[Event], *, quiet: bool) -> None:
    """Print what one study shows and what of it was written, and end with the exit status of its findings.

    Raises
    ------
    typer.Exit
        Status 1 if a finding needs a person.
    """
    flags = (*measurements.quality.flags, *dicom_findings(events))
    _print([*study_lines(measurements), *flag_lines(flags)], out, quiet=quiet)
    _exit(flags)


def finish_comparison(compared: ComparedStudies, out: Path, events: Iterable[Event], *, quiet: bool) -> None:
    """Print how the visits differ and what of it was written, and end with the exit status of all findings.

    Raises
    ------
    typer.Exit
        Status 1 if a finding needs a person.
    """
    lines = comparison_lines(compared.comparison, [result.measurements.mass for result in compared.results])
    flags = [*compared.comparison.quality.flags, *dicom_findings(events)]
    lines += flag_lines(flags)
    for visit, result in enumerate(compared.results, start=1):
        own = result.measurements.quality.flags
        lines += flag_lines(own, what=f"Visit {visit}")
        flags += own
    _print(lines, out, quiet=quiet)
    _exit(flags)


def _print(lines: Sequence[str], out: Path, *, quiet: bool) -> None:
    if quiet:
        return
    report = out / "report.html"
    where = f"Report: {report}" if report.is_file() else f"Results: {out}"
    typer.echo("\n".join([*lines, where, "For research use only."]))


def _exit(flags: Sequence[FlagRecord]) -> None:
    if needs_a_person(flags):
        raise typer.Exit(_EXIT_FINDINGS)
