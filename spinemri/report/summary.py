"""What every form of the report says first: the answer, the findings, the course."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinemri.followup.record import Comparison, RadiotherapyRecord
from spinemri.measure.record import FlagRecord
from spinemri.report.visit import Visit
from spinemri.report.wording import change_sentence, compromise_sentence, decimal, finding_sentence

__all__ = ["RESEARCH", "Finding", "course", "findings", "headlines"]

RESEARCH = "For research use only. Not a medical device; not for diagnosis."

_SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """A flag with the visits it belongs to; `visit` is empty for the comparison and for a single study."""

    flag: FlagRecord
    visit: str


def headlines(visits: Sequence[Visit], comparison: Comparison | None) -> list[tuple[str, str]]:
    """Return lead and detail of each headline: the change first, then what each visit shows."""
    lines = [(change_sentence(comparison), "")] if comparison else []
    for visit in visits:
        measured = visit.result.measurements
        lead = f"{visit.title[0].upper()}{visit.title[1:]}: " if comparison else ""
        lines.append((f"{lead}{finding_sentence(measured)}", compromise_sentence(measured)))
    return lines


def findings(visits: Sequence[Visit], comparison: Comparison | None) -> list[Finding]:
    """Return the flags of comparison and visits, the gravest first; one that several visits share comes once."""
    found: dict[FlagRecord, list[str]] = {flag: [] for flag in comparison.quality.flags} if comparison else {}
    for visit in visits:
        for flag in dict.fromkeys(visit.result.measurements.quality.flags):
            found.setdefault(flag, []).append(visit.title if comparison else "")
    everyone = f"all {len(visits)} visits"
    named = [
        Finding(flag, everyone if len(titles) == len(visits) > 1 else "; ".join(titles))
        for flag, titles in found.items()
    ]
    return sorted(named, key=lambda finding: _SEVERITIES.index(finding.flag.severity))


def course(comparison: Comparison) -> tuple[tuple[str, str], ...]:
    """Return nadir, recurrence and radiotherapy as label and text."""
    lines = []
    if comparison.nadir:
        volume = comparison.nadir.volume_ml
        size = f"{decimal(volume, 2)} ml" if volume is not None else "mass no longer found"
        lines.append(("Nadir", f"{size}, {comparison.nadir.study_date or 'date unknown'}"))
    lines.append(("Recurrence", _recurrence(comparison)))
    if comparison.radiotherapy:
        lines.append(("Radiotherapy", _radiotherapy(comparison.radiotherapy)))
    return tuple(lines)


def _recurrence(comparison: Comparison) -> str:
    recurrence = comparison.recurrence
    if recurrence.suspected is None:
        return "not assessable: no visit after the nadir to judge it by"
    if not recurrence.suspected:
        return "not suspected: no increase over the nadir beyond its interval"
    return f"suspected since {recurrence.since or 'an undated visit'}"


def _radiotherapy(treatment: RadiotherapyRecord) -> str:
    parts = [f"{treatment.start or 'start unknown'} to {treatment.end or 'end unknown'}"]
    if treatment.dose_gy is not None:
        fractions = f" in {treatment.fractions} fractions" if treatment.fractions else ""
        parts.append(f"{treatment.dose_gy:g} Gy{fractions}")
    if treatment.levels:
        parts.append(f"levels {treatment.levels}")
    if treatment.mass_covered is not None:
        parts.append("mass covered" if treatment.mass_covered else "mass not covered")
    if treatment.margin_levels:
        above, below = treatment.margin_levels
        parts.append(f"margin {above} vertebrae above and {below} below")
    if treatment.mass_mean_gy is not None and treatment.mass_d95_gy is not None:
        parts.append(f"mean dose to the mass {treatment.mass_mean_gy:.1f} Gy, D95 {treatment.mass_d95_gy:.1f} Gy")
    if treatment.mass_v95_percent is not None:
        parts.append(f"95 % of the dose in {treatment.mass_v95_percent:.0f} % of the mass")
    return ", ".join(parts)
