"""From options to a run, and from a run to the terminal and the exit status."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

from spinemri.cli.summary import comparison_lines, flag_lines, study_lines
from spinemri.cli.values import parse_levels, parse_point, with_segmenter
from spinemri.config import load_config
from spinemri.measure.record import FlagRecord, Measurements
from spinemri.pipeline import ComparedStudies, Event, Options
from spinemri.pipeline.dicom import dicom_findings
from spinemri.pipeline.measured import needs_a_person

__all__ = ["finish_comparison", "finish_study", "study_options"]

_EXIT_FINDINGS = 1


def study_options(
    *,
    config: str,
    contrast: str | None,
    levels: Sequence[str] | None,
    overwrite: bool,
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
    )


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
