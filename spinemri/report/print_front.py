"""First printed page: the answer, the numbers, the key images, and what a person has to look at."""

from __future__ import annotations

from collections.abc import Sequence

from spinemri.followup.record import Comparison
from spinemri.measure.record import Measurements
from spinemri.report.pictures import Block
from spinemri.report.print_images import draw_images, draw_strip, key_panels, more_panels
from spinemri.report.sheet import ACCENT, AMBER, LINE, RED, SOFT, WASH, Pen, Sheet, text_height
from spinemri.report.summary import RESEARCH, Finding, course, findings, headlines
from spinemri.report.tiles import Tile, tiles
from spinemri.report.visit import Visit
from spinemri.report.wording import decimal, extent_text

__all__ = ["BOTTOM_MM", "LEFT_MM", "WIDE_MM", "footer", "front_page", "header"]

LEFT_MM, WIDE_MM = 15.0, 180.0
"""Left margin and width of what is printed."""

BOTTOM_MM = 281.0
"""Where the footer begins."""

_FINDINGS_MM = 62.0
"""Most of the page that findings may take from the pictures."""

_VERDICTS = {"decreased": ACCENT, "increased": RED, "not_distinguishable": "#475569", "not_assessable": AMBER}
_TILE_MM = 16.5
_DASH, _ARROW = "\N{EN DASH}", "\N{RIGHTWARDS ARROW}"


def header(sheet: Sheet, visits: Sequence[Visit], comparison: Comparison | None) -> float:
    """Write title, dates and the research banner; return where the page goes on, in mm."""
    title = "Epidural mass in spine MRI" + (": follow-up" if comparison else "")
    sheet.text(LEFT_MM, 13, title, Pen(17, bold=True))
    dates = visits[0].title if len(visits) == 1 else f"{visits[0].title}  \N{MIDDLE DOT}  {visits[-1].title}"
    sheet.text(LEFT_MM + WIDE_MM, 15.2, dates, Pen(9, colour=SOFT), align="right")
    sheet.box(LEFT_MM, 22, WIDE_MM, 6.6, fill="#fffbeb", line="#e8b26a")
    sheet.bar(LEFT_MM, 22, 6.6, colour=AMBER)
    sheet.text(LEFT_MM + 4, 23.7, RESEARCH, Pen(8.5, bold=True, colour="#7c2d12"))
    return 32.0


def footer(sheet: Sheet, page: int, software: str) -> None:
    """Write the foot of a page: research wording, software, number."""
    sheet.rule(LEFT_MM, BOTTOM_MM + 1, WIDE_MM)
    pen = Pen(7, colour=SOFT)
    sheet.text(LEFT_MM, BOTTOM_MM + 2.6, f"{RESEARCH} {software}", pen)
    sheet.text(LEFT_MM + WIDE_MM, BOTTOM_MM + 2.6, f"Page {page} of 2", pen, align="right")


def front_page(sheet: Sheet, visits: Sequence[Visit], comparison: Comparison | None, blocks: Sequence[Block]) -> None:
    """Draw the first page.

    Parameters
    ----------
    sheet : Sheet
    visits : sequence of Visit
    comparison : Comparison or None
    blocks : sequence of Block
        The report's key images.
    """
    y = header(sheet, visits, comparison)
    y = _answer(sheet, y, visits, comparison)
    y = _tiles(sheet, y, visits)
    named = findings(visits, comparison)
    asking = [finding for finding in named if finding.flag.severity != "info"]
    room = min(_FINDINGS_MM, 9.0 + sum(_finding_height(finding) + 1.3 for finding in asking) + 5.0)
    y = draw_images(sheet, (LEFT_MM, y, WIDE_MM, BOTTOM_MM - room), key_panels(visits, blocks))
    y = draw_strip(sheet, (LEFT_MM, y, WIDE_MM, BOTTOM_MM - room), more_panels(visits, blocks))
    _findings(sheet, y, asking, len(named) - len(asking))


def _answer(sheet: Sheet, y: float, visits: Sequence[Visit], comparison: Comparison | None) -> float:
    """Write the verdict and what the first and the last visit show, in a box as high as its text."""
    lines = _answer_lines(visits, comparison)
    x, width = LEFT_MM + 6, WIDE_MM - 11
    heights = [text_height(words, pen, width, most) + gap for words, pen, most, gap in lines]
    height = sum(heights) + 6.5
    sheet.box(LEFT_MM, y, WIDE_MM, height, fill=WASH, line=LINE)
    verdict = comparison.timepoints[-1].verdict if comparison else None
    sheet.bar(LEFT_MM, y, height, colour=_VERDICTS.get(str(verdict), ACCENT))
    top = y + 3.6
    for (words, pen, most, gap), step in zip(lines, heights, strict=True):
        sheet.paragraph(x, top + gap, width, words, pen, most)
        top += step
    return y + height + 3.5


def _answer_lines(visits: Sequence[Visit], comparison: Comparison | None) -> list[tuple[str, Pen, int, float]]:
    """Return text, look, most lines and the space above for every line of the answer."""
    said = headlines(visits, comparison)
    lead, detail = Pen(9.5, bold=True), Pen(9, colour=SOFT)
    if comparison is None:
        (first, second), *_ = said
        return [(first, Pen(13.5, bold=True), 3, 0.0), *([(second, Pen(10, colour=SOFT), 2, 1.2)] if second else [])]
    lines = [(said[0][0], Pen(13.5, bold=True), 3, 0.0)]
    for words, more in (said[1], said[-1]):
        lines += [(words, lead, 2, 1.8), *([(more, detail, 2, 0.2)] if more else [])]
    if len(visits) > 2:
        lines.append((f"{len(visits) - 2} more between them, see the next page and report.html.", detail, 1, 1.6))
    treated = [f"{name}: {text}." for name, text in course(comparison) if name == "Radiotherapy"]
    recurrence = [f"{name} {text}." for name, text in course(comparison) if name == "Recurrence" and len(visits) > 2]
    return lines + [(text, detail, 2, 1.8) for text in (*treated, *recurrence)]


def _tiles(sheet: Sheet, y: float, visits: Sequence[Visit]) -> float:
    """Draw the few numbers of the first and the last visit."""
    ends = list(dict.fromkeys((visits[0], visits[-1])))
    made = tiles([visit.result for visit in ends])
    if not made:
        return y
    made = (*made, _levels([visit.result.measurements for visit in ends]))
    gap = 2.4
    shares = [1.5, *([1.0] * (len(made) - 2)), 1.45]
    unit = (WIDE_MM - gap * (len(made) - 1)) / sum(shares)
    x = LEFT_MM
    intervals = [visit.result.measurements.mass.volume_ci95_ml for visit in ends]
    notes = {made[0].name: _intervals(intervals), made[-1].name: _worst(ends)}
    for tile, share in zip(made, shares, strict=True):
        _tile(sheet, (x, y, unit * share), tile, notes.get(tile.name, ""))
        x += unit * share + gap
    return y + _TILE_MM + 4.5


def _levels(measured: Sequence[Measurements]) -> Tile:
    extents = [extent_text(m.mass.extent, anchored=m.levels.numbering == "absolute") for m in measured]
    extents = [_DASH if text == "not assessable" else text for text in dict.fromkeys(extents)]
    return Tile("Levels", "", tuple(extents))


def _worst(visits: Sequence[Visit]) -> str:
    levels = [visit.result.measurements.compromise.worst_level for visit in visits]
    named = list(dict.fromkeys(level for level in levels if level))
    return f"worst {_ARROW.join(named)}" if named else ""


def _intervals(intervals: Sequence[tuple[float, float] | None]) -> str:
    known = [f"{decimal(pair[0], 1)}{_DASH}{decimal(pair[1], 1)}" if pair else _DASH for pair in intervals]
    return f"95 % CI {_ARROW.join(known)}" if any(intervals) else ""


def _tile(sheet: Sheet, place: tuple[float, float, float], tile: Tile, note: str) -> None:
    x, y, width = place
    pen = Pen(14 if len(tile.values) == 1 else 12, bold=True)
    sheet.box(x, y, width, _TILE_MM, fill="#ffffff", line=LINE)
    sheet.text(x + 2.4, y + 1.9, tile.name.split(", ")[-1], Pen(7.5, colour=SOFT))
    sheet.line(x + 2.4, y + 5.7, width - 3, [(_ARROW.join(tile.values), pen), (tile.unit, Pen(8, colour=SOFT))])
    sheet.text(x + 2.4, y + 12.1, note or _MEANING.get(tile.name, ""), Pen(6.5, colour=SOFT))


_MEANING = {
    "Canal compromise, MCC": "canal compromise",
    "Cord compression, MSCC": "cord compression",
    "Canal occupancy": "at its largest",
    "ESCC grade": "Bilsky, a suggestion",
    "Schizas grade": "cauda equina",
}


def _findings(sheet: Sheet, y: float, asking: Sequence[Finding], notes: int) -> None:
    """List findings as far as there is room, and say how many there are beyond."""
    sheet.text(LEFT_MM, y, "Findings that need a person", Pen(10.5, bold=True))
    y += 6.4
    if not asking:
        y += sheet.paragraph(LEFT_MM, y, WIDE_MM, "None.", Pen(8.5))
    for number, finding in enumerate(asking):
        left = len(asking) - number
        height = _finding_height(finding)
        if y + height + (4.5 if left > 1 or notes else 0) > BOTTOM_MM - 1:
            sheet.text(LEFT_MM, y, f"and {left} more, see report.html", Pen(8.5, bold=True, colour=AMBER))
            return
        sheet.bar(LEFT_MM, y, height - 0.4, colour=RED if finding.flag.severity == "error" else "#d97706", width=1.0)
        sheet.paragraph(LEFT_MM + 4, y, WIDE_MM - 5, _sentence(finding), Pen(8.5), 3)
        y += height + 1.3
    if notes:
        sheet.text(
            LEFT_MM, y, f"and {notes} note{'s' * (notes > 1)} without need to act, see report.html", Pen(8, colour=SOFT)
        )


def _finding_height(finding: Finding) -> float:
    return text_height(_sentence(finding), Pen(8.5), WIDE_MM - 5, 3)


def _sentence(finding: Finding) -> str:
    kind = "Error" if finding.flag.severity == "error" else "Warning"
    visit = f" ({finding.visit})" if finding.visit else ""
    return f"{kind}{visit}: {finding.flag.message} [{finding.flag.code}]"
