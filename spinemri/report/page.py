"""The report: one self-contained HTML page and its figures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from spinemri.followup.record import Comparison, RadiotherapyRecord
from spinemri.measure.record import FlagRecord
from spinemri.measure.result import StudyResult
from spinemri.report.drawing import CANAL_COLOUR, CORD_COLOUR, MASS_COLOUR
from spinemri.report.pictures import Block, Picture, key_images
from spinemri.report.profile_plot import profile_picture
from spinemri.report.tables import change_rows, level_rows, measurement_groups, series_rows
from spinemri.report.tiles import tiles
from spinemri.report.visit import Visit, visits_of
from spinemri.report.wording import change_sentence, compromise_sentence, decimal, finding_sentence

__all__ = ["write_report"]

_SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """A flag with the visits it belongs to; `visit` is empty for the comparison and for a single study."""

    flag: FlagRecord
    visit: str


def write_report(results: Sequence[StudyResult], comparison: Comparison | None, folder: Path) -> None:
    """Write ``report.html`` and ``figures/`` for one study or for visits that were compared.

    The page holds its style and its figures, so that it opens offline. The same input gives the same bytes.

    Parameters
    ----------
    results : sequence of StudyResult
        One, or the visits in order of time.
    comparison : Comparison or None
        None for a single study.
    folder : Path
        Made if it does not exist.

    Raises
    ------
    ValueError
        If there is no result, or the comparison has another number of visits.
    OSError
        If the folder cannot be written.
    """
    if not results or (comparison is not None and len(comparison.timepoints) != len(results)):
        raise ValueError(f"a report needs one result for each visit, got {len(results)}")
    visits = visits_of(results)
    blocks, profile = key_images(visits), profile_picture(visits)
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for picture in _pictures(blocks, profile):
        (figures / picture.name).write_bytes(picture.data)
    html = _render(visits, comparison, blocks, profile)
    (folder / "report.html").write_text(html, encoding="utf-8", newline="\n")


def _pictures(blocks: Sequence[Block], profile: Picture | None) -> list[Picture]:
    pictures = [picture for block in blocks for picture in block.pictures]
    return [*pictures, profile] if profile else pictures


def _inline(picture: Picture) -> str:
    return f"data:{picture.mime};base64,{base64.b64encode(picture.data).decode('ascii')}"


def _render(
    visits: Sequence[Visit], comparison: Comparison | None, blocks: Sequence[Block], profile: Picture | None
) -> str:
    environment = Environment(
        loader=PackageLoader("spinemri.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["inline"] = _inline
    results = [visit.result for visit in visits]
    return environment.get_template("report.html.j2").render(
        visits=visits,
        comparison=comparison,
        headlines=_headlines(visits, comparison),
        tiles=tiles(results),
        findings=_findings(visits, comparison),
        blocks=blocks,
        profile=profile,
        colours={"mass": MASS_COLOUR, "canal": CANAL_COLOUR, "cord": CORD_COLOUR},
        groups=measurement_groups(results),
        changes=change_rows(comparison) if comparison else (),
        course=_course(comparison) if comparison else (),
        levels=level_rows(results),
        series=[(visit, series_rows(visit.result)) for visit in visits],
        software=results[-1].measurements.software,
    )


def _headlines(visits: Sequence[Visit], comparison: Comparison | None) -> list[tuple[str, str]]:
    """Return lead and detail of each headline: the change first, then what each visit shows."""
    lines = [(change_sentence(comparison), "")] if comparison else []
    for visit in visits:
        measured = visit.result.measurements
        lead = f"{visit.title[0].upper()}{visit.title[1:]}: " if comparison else ""
        lines.append((f"{lead}{finding_sentence(measured)}", compromise_sentence(measured)))
    return lines


def _findings(visits: Sequence[Visit], comparison: Comparison | None) -> list[Finding]:
    """Return the flags of comparison and visits, the gravest first; one that several visits share comes once."""
    found: dict[FlagRecord, list[str]] = {flag: [] for flag in comparison.quality.flags} if comparison else {}
    for visit in visits:
        for flag in dict.fromkeys(visit.result.measurements.quality.flags):
            found.setdefault(flag, []).append(visit.title if comparison else "")
    everyone = f"all {len(visits)} visits"
    findings = [
        Finding(flag, everyone if len(titles) == len(visits) > 1 else "; ".join(titles))
        for flag, titles in found.items()
    ]
    return sorted(findings, key=lambda finding: _SEVERITIES.index(finding.flag.severity))


def _course(comparison: Comparison) -> tuple[tuple[str, str], ...]:
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
    return ", ".join(parts)
