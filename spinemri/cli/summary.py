"""Results in a few lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spinemri.followup.record import Comparison, TimepointRecord
from spinemri.measure.record import CompromiseRecord, FlagRecord, LevelsRecord, MassRecord, Measurements

__all__ = ["comparison_lines", "flag_lines", "study_lines"]

_MARK = {"warning": "WARNING", "error": "ERROR"}


def study_lines(measurements: Measurements) -> list[str]:
    """Say what one study shows.

    Parameters
    ----------
    measurements : Measurements

    Returns
    -------
    list of str
    """
    lines = [_capitalised(_mass_line(measurements.mass))]
    if measurements.mass.status == "measured":
        lines.append(_compromise_line(measurements.compromise))
    return [*lines, _levels_line(measurements.levels)]


def _capitalised(line: str) -> str:
    return line[:1].upper() + line[1:]


def _mass_line(mass: MassRecord) -> str:
    if mass.status == "not_found":
        return "no mass found"
    if mass.status == "not_assessable":
        return "mass not assessed"
    parts = [_volume(mass.volume_ml, mass.volume_ci95_ml)]
    if mass.extent and mass.extent.from_level and mass.extent.to_level:
        parts.append(f"{mass.extent.from_level} to {mass.extent.to_level}")
    if mass.position:
        parts.append(mass.position)
    return f"mass of {', '.join(parts)}"


def _volume(volume_ml: float | None, interval: tuple[float, float] | None) -> str:
    if volume_ml is None:
        return "unknown volume"
    if interval is None:
        return f"{volume_ml:.2f} ml"
    return f"{volume_ml:.2f} ml (95 % {interval[0]:.2f} to {interval[1]:.2f})"


def _compromise_line(compromise: CompromiseRecord) -> str:
    named = {
        "occupancy": compromise.canal_occupancy_percent,
        "MCC": compromise.mcc_percent,
        "MSCC": compromise.mscc_percent,
    }
    parts = [f"{name} {value:.0f} %" for name, value in named.items() if value is not None]
    if compromise.escc_grade:
        parts.append(f"ESCC {compromise.escc_grade}")
    if compromise.schizas_grade:
        parts.append(f"Schizas {compromise.schizas_grade}")
    level = compromise.worst_level or "no level named"
    return f"Worst level: {', '.join([level, *parts])}"


def _levels_line(levels: LevelsRecord) -> str:
    names = [vertebra.name for vertebra in levels.vertebrae if vertebra.name]
    span = f"{names[0]} to {names[-1]}, " if names else ""
    return f"Levels: {span}{levels.numbering}, counted from {levels.anchor} (confidence {levels.confidence:.2f})"


def comparison_lines(comparison: Comparison, masses: Sequence[MassRecord]) -> list[str]:
    """Say what each visit shows, and how it differs from the baseline.

    Parameters
    ----------
    comparison : Comparison
    masses : sequence of MassRecord
        Of the same visits.

    Returns
    -------
    list of str
    """
    visits = zip(comparison.timepoints, masses, strict=True)
    lines = [_visit_line(number, point, mass) for number, (point, mass) in enumerate(visits, start=1)]
    if comparison.recurrence.suspected:
        lines.append(f"Recurrence suspected since {comparison.recurrence.since}")
    return lines


def _visit_line(number: int, point: TimepointRecord, mass: MassRecord) -> str:
    parts = [_mass_line(mass)]
    if point.worst_level:
        parts.append(f"worst {point.worst_level}")
    if point.mcc_percent is not None:
        parts.append(f"MCC {point.mcc_percent:.0f} %")
    if point.decisive_percent is not None and point.decisive_ci95_percent is not None:
        low, high = point.decisive_ci95_percent
        kind = "paired change" if point.verdict_basis == "paired" else "change"
        parts.append(f"{kind} {point.decisive_percent:+.1f} % (95 % {low:+.1f} to {high:+.1f})")
    if point.verdict:
        parts.append(point.verdict.replace("_", " "))
    return f"Visit {number}, {point.study_date or 'undated'}: {', '.join(parts)}"


def flag_lines(flags: Iterable[FlagRecord], *, what: str = "") -> list[str]:
    """List the findings that need a person; count the others."""
    flags = list(flags)
    prefix = f"{what}: " if what else ""
    lines = [
        f"{prefix}{_MARK[flag.severity]} [{flag.code}] {flag.message}" for flag in flags if flag.severity != "info"
    ]
    notes = [flag.code for flag in flags if flag.severity == "info"]
    return [*lines, f"{prefix}notes: {', '.join(notes)}"] if notes else lines
