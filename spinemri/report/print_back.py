"""Second printed page: the profile, the levels, the course, and how the numbers came about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from spinemri.followup.record import Comparison, TimepointRecord
from spinemri.measure.record import ProfileRow, SoftwareRecord
from spinemri.measure.result import StudyResult
from spinemri.report.pictures import Picture
from spinemri.report.print_front import BOTTOM_MM, LEFT_MM, WIDE_MM, header
from spinemri.report.sheet import SOFT, TABLE_HEAD_MM, TABLE_ROW_MM, Column, Pen, Sheet, text_height, wrapped
from spinemri.report.summary import course
from spinemri.report.tables import series_rows
from spinemri.report.visit import Visit, level_text
from spinemri.report.wording import decimal, interval_text, signed

__all__ = ["PROFILE_INCH", "back_page"]

PROFILE_INCH = (8.8, 4.3)
"""Size at which the profile is drawn for print."""

_MOST_VISITS = 6
_HEADING_MM, _AFTER_MM = 6.2, 4.5
_COURSE_PEN, _COURSE_LINES = Pen(8, colour=SOFT), 3
_METHOD_PEN, _NAME_MM = Pen(7.5, colour=SOFT), 20.0
_DASH = "\N{EN DASH}"
_LIMITS = (
    "the network learned without a real epidural mass that had a reference outline; metal, scoliosis and earlier "
    "surgery were not tested; what cannot be trusted is left out."
)
_CHANGE = {
    "paired": "mean of outlines, shift of the border and rest of the canal in the registered visits (paired);",
    "unpaired": "ln(V2 / V1) of independent outlines, with the errors of both visits less what they share;",
}
_METHODS = (
    ("Volume", "sum of the mass probability times the voxel volume; its interval joins boundary, repeat and sampling."),
    ("Sections", "perpendicular to the canal every 1 mm, reformatted from the primary sagittal stack."),
    ("MCC, MSCC", "loss of AP diameter of the sac's room and of the cord against the nearest unaffected vertebrae."),
    ("ESCC, Schizas", "grades by rule, of the cord (Bilsky) or below the conus (A to D); suggestions for the reader."),
)


def back_page(sheet: Sheet, visits: Sequence[Visit], comparison: Comparison | None, profile: Picture | None) -> None:
    """Draw the second page.

    Parameters
    ----------
    sheet : Sheet
    visits : sequence of Visit
    comparison : Comparison or None
    profile : Picture or None
        Drawn at `PROFILE_INCH`.
    """
    results = [visit.result for visit in visits]
    methods = _methods(results, comparison)
    bottom = BOTTOM_MM - 1.5 - _methods_height(methods)
    y = header(sheet, visits, comparison)
    y = _profile(sheet, y, visits, profile)
    y = _levels(sheet, y, bottom - (_course_height(comparison) if comparison else 0.0), visits)
    if comparison:
        _course(sheet, y, comparison)
    else:
        _series(sheet, y, bottom, results[0])
    _write_methods(sheet, bottom, methods)


def _heading(sheet: Sheet, y: float, words: str, note: str = "") -> float:
    sheet.line(LEFT_MM, y, WIDE_MM, [(words, Pen(10.5, bold=True)), (note, Pen(8, colour=SOFT))])
    return y + _HEADING_MM


def _profile(sheet: Sheet, y: float, visits: Sequence[Visit], profile: Picture | None) -> float:
    note = "First and last visit. " if len(visits) > 2 else ""
    note += "Dotted vertical line: worst section." if visits[0].marked else ""
    y = _heading(sheet, y, "Profile along the canal", f"Cranial on the left. {note}")
    if profile is None:
        return y + sheet.paragraph(LEFT_MM, y, WIDE_MM, "Not assessable: no canal was measured.", Pen(8.5)) + 4
    height = WIDE_MM * PROFILE_INCH[1] / PROFILE_INCH[0]
    sheet.picture(LEFT_MM, y, WIDE_MM, height, profile)
    return y + height + 4.0


def _levels(sheet: Sheet, y: float, bottom: float, visits: Sequence[Visit]) -> float:
    """List what the profile shows at every level of the mass and its neighbours, as far as there is room."""
    ends = list(dict.fromkeys((visits[0], visits[-1])))
    worst = ends[0].result.measurements.compromise.worst_level
    every = _level_names([visit.result for visit in ends])
    names = _around(every, worst, int((bottom - y - _HEADING_MM - TABLE_HEAD_MM - _AFTER_MM) / TABLE_ROW_MM))
    if not names:
        return y
    notes = ["first and last visit"] * (len(ends) > 1) + ["largest mass, narrowest sac, cord and canal"]
    notes += [f"and {len(every) - len(names)} more, see profile.csv"] * (len(names) < len(every))
    y = _heading(sheet, y, "By level", "; ".join(notes))
    rows = [[level_text(ends[0].result, name), *_level_cells(name, ends)] for name in names]
    strong = names.index(worst) if worst in names else -1
    return y + sheet.table(LEFT_MM, y, _LEVEL_COLUMNS, rows, strong=strong) + _AFTER_MM


def _around(names: Sequence[str], worst: str | None, most: int) -> list[str]:
    """Keep so many levels, those nearest to the worst."""
    kept = list(names)
    while len(kept) > max(0, most):
        middle = kept.index(worst) if worst in kept else len(kept) // 2
        kept.pop(0 if middle > len(kept) - 1 - middle else -1)
    return kept


_LEVEL_COLUMNS = (
    Column("Level", 22, number=False),
    Column("Mass area, mm²", 34),
    Column("of the canal, %", 32),
    Column("Sac AP, mm", 32),
    Column("Cord AP, mm", 32),
    Column("Canal AP, mm", 28),
)
_LEVEL_FIELDS: tuple[tuple[str, Callable[[Iterable[float]], float], int], ...] = (
    ("mass_area_mm2", max, 0),
    ("occupancy_percent", max, 0),
    ("sac_ap_mm", min, 1),
    ("cord_ap_mm", min, 1),
    ("canal_ap_mm", min, 1),
)


def _level_names(results: Sequence[StudyResult]) -> list[str]:
    """Return the levels with mass and two more at either end, from cranial to caudal; all where there is none."""
    order = list(dict.fromkeys(row.level for result in results for row in result.profile if row.level))
    heights = {row.level: index for index, row in reversed(list(enumerate(results[0].profile)))}
    order.sort(key=lambda name: heights.get(name, len(heights)))
    with_mass = {row.level for result in results for row in result.profile if row.mass_area_mm2}
    places = [index for index, name in enumerate(order) if name in with_mass]
    return order[max(0, places[0] - 2) : places[-1] + 3] if places else order


def _level_cells(name: str, visits: Sequence[Visit]) -> list[str]:
    return [_level_cell(name, visits, field, choose, decimals) for field, choose, decimals in _LEVEL_FIELDS]


def _level_cell(
    name: str, visits: Sequence[Visit], field: str, choose: Callable[[Iterable[float]], float], decimals: int
) -> str:
    """Return one number, or those of the first and the last visit."""
    texts = [
        _of_level([r for r in visit.result.profile if r.level == name], field, choose, decimals) for visit in visits
    ]
    return "\N{RIGHTWARDS ARROW}".join(texts)


def _of_level(rows: Sequence[ProfileRow], field: str, choose: Callable[[Iterable[float]], float], decimals: int) -> str:
    values = [value for row in rows if (value := getattr(row, field)) is not None]
    return decimal(choose(values), decimals) if values else _DASH


_COURSE_COLUMNS = (
    Column("Visit", 21, number=False),
    Column("Days", 11),
    Column("Volume, ml", 35),
    Column("Change from baseline, %", 42),
    Column("", 2),
    Column("Verdict", 37, number=False),
    Column("MCC, %", 12),
    Column("MSCC, %", 12),
    Column("Grade", 8),
)


def _course(sheet: Sheet, y: float, comparison: Comparison) -> None:
    """List the visits: the first, and the last few."""
    points = list(comparison.timepoints)
    shown = points if len(points) <= _MOST_VISITS else [points[0], *points[1 - _MOST_VISITS :]]
    rest = f"and {len(points) - len(shown)} more between, see report.html" if len(shown) < len(points) else ""
    y = _heading(sheet, y, "Course", "; ".join(["95 % intervals in parentheses"] + [rest] * bool(rest)))
    y += sheet.table(LEFT_MM, y, _COURSE_COLUMNS, [_course_row(point) for point in shown])
    sheet.paragraph(LEFT_MM, y + 1.0, WIDE_MM, _course_words(comparison), _COURSE_PEN, _COURSE_LINES)


def _course_words(comparison: Comparison) -> str:
    return " ".join(f"{name}: {text}." for name, text in course(comparison))


def _course_height(comparison: Comparison) -> float:
    rows = min(len(comparison.timepoints), _MOST_VISITS)
    words = text_height(_course_words(comparison), _COURSE_PEN, WIDE_MM, _COURSE_LINES)
    return _HEADING_MM + TABLE_HEAD_MM + rows * TABLE_ROW_MM + 1.0 + words + _AFTER_MM


def _course_row(point: TimepointRecord) -> list[str]:
    verdict = (point.verdict or _DASH).replace("_", " ")
    volume = _with_interval(point.volume_ml, interval_text(point.volume_ci95_ml, 2), decimal)
    change = _with_interval(
        point.decisive_percent, interval_text(point.decisive_ci95_percent, 1, with_sign=True), signed, 1
    )
    numbers = [_DASH if value is None else decimal(value, 0) for value in (point.mcc_percent, point.mscc_percent)]
    days = _DASH if point.days_from_baseline is None else str(point.days_from_baseline)
    return [
        point.study_date or "unknown",
        days,
        volume,
        change,
        "",
        verdict,
        *numbers,
        point.escc_grade or point.schizas_grade or _DASH,
    ]


def _with_interval(value: float | None, interval: str, write: Callable[[float, int], str], decimals: int = 2) -> str:
    if value is None:
        return _DASH
    ends = interval.rpartition("CI ")[2]
    return f"{write(value, decimals)} ({ends})" if ends else write(value, decimals)


_SERIES_COLUMNS = (
    Column("Used as", 42, number=False),
    Column("Kind", 52, number=False),
    Column("Why", 86, number=False),
)


def _series(sheet: Sheet, y: float, bottom: float, result: StudyResult) -> None:
    """List the series of a single study, the used ones first, as far as there is room."""
    rows = [[role, kind, why] for _, _, kind, role, why in series_rows(result)]
    rows.sort(key=lambda row: row[0] == "not used")
    most = int((bottom - y - _HEADING_MM - TABLE_HEAD_MM - _AFTER_MM) / TABLE_ROW_MM)
    if not rows or most < 1:
        return
    rest = f"and {len(rows) - most} more, see report.html" if len(rows) > most else ""
    y = _heading(sheet, y, "Series", rest)
    sheet.table(LEFT_MM, y, _SERIES_COLUMNS, rows[:most])


def _methods(results: Sequence[StudyResult], comparison: Comparison | None) -> list[tuple[str, list[str]]]:
    """Return how the numbers are defined and what made them, as names and lines."""
    change = (("Change", _change_method(comparison)),) if comparison else ()
    said = (*_METHODS, *change, ("Limits", _LIMITS), ("Made by", _made_by(results)))
    return [(name, wrapped(words, _METHOD_PEN, WIDE_MM - _NAME_MM, 2)) for name, words in said]


def _change_method(comparison: Comparison) -> str:
    used = {point.verdict_basis for point in comparison.timepoints}
    said = [text for basis, text in _CHANGE.items() if basis in used] or list(_CHANGE.values())
    return " ".join([*said, "a verdict only beyond the interval."])


def _methods_height(methods: Sequence[tuple[str, list[str]]]) -> float:
    return _HEADING_MM + sum(len(lines) * _METHOD_PEN.leading_mm + 0.5 for _, lines in methods)


def _write_methods(sheet: Sheet, y: float, methods: Sequence[tuple[str, list[str]]]) -> None:
    y = _heading(sheet, y, "How the numbers are defined")
    for name, lines in methods:
        sheet.text(LEFT_MM, y, name, Pen(7.5, bold=True))
        for number, line in enumerate(lines):
            sheet.text(LEFT_MM + _NAME_MM, y + number * _METHOD_PEN.leading_mm, line, _METHOD_PEN)
        y += len(lines) * _METHOD_PEN.leading_mm + 0.5


def _made_by(results: Sequence[StudyResult]) -> str:
    software: SoftwareRecord = results[-1].measurements.software
    network = f"network {software.model_sha256[:12]}" if software.model_sha256 else "masks from elsewhere"
    inputs = ", ".join(result.measurements.study.inputs_sha256[:12] for result in results[:4])
    more = f" and {len(results) - 4} more" if len(results) > 4 else ""
    return (
        f"{software.name} {software.version}, settings {software.config_sha256[:12]}, {network}, "
        f"input {inputs}{more} (first digits of SHA-256; in full in report.html)."
    )
