"""The rows of the report's tables; every cell is text that can be read aloud."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spinemri.followup.record import Comparison, TimepointRecord
from spinemri.measure.record import Interval, Measurements
from spinemri.measure.result import StudyResult
from spinemri.report.reasons import why_missing
from spinemri.report.wording import (
    NOT_ASSESSABLE,
    below_conus,
    decimal,
    extent_text,
    interval_text,
    schizas_note,
    signed,
    volume_text,
)

__all__ = ["Cell", "Group", "Row", "change_rows", "level_rows", "measurement_groups", "series_rows"]


@dataclass(frozen=True)
class Cell:
    """Text of one cell; `note` says why a value is missing, or adds to it in small print."""

    text: str
    note: str = ""

    @property
    def missing(self) -> bool:
        """Whether the value could not be given."""
        return self.text == NOT_ASSESSABLE


@dataclass(frozen=True)
class Row:
    """A named quantity, its unit, and one cell for each visit."""

    name: str
    unit: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """Rows under one heading."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class _Quantity:
    name: str
    unit: str
    field: str
    value: Callable[[Measurements], str | None]
    note: Callable[[Measurements], str] = lambda _: ""

    def cell(self, measured: Measurements) -> Cell:
        """Show the number of a visit, or why it is missing."""
        text = self.value(measured)
        if text is None or text == NOT_ASSESSABLE:
            return Cell(NOT_ASSESSABLE, why_missing(self.field, measured))
        return Cell(text, self.note(measured))


def _number(field: str, decimals: int, part: str) -> Callable[[Measurements], str | None]:
    def value(measured: Measurements) -> str | None:
        """Write the number as decimal; None where it is missing."""
        owner = measured.mass.signal if part == "signal" else getattr(measured, part)
        found = getattr(owner, field)
        return None if found is None else decimal(float(found), decimals)

    return value


def _of_mass(name: str, unit: str, field: str, decimals: int = 1) -> _Quantity:
    return _Quantity(name, unit, field, _number(field, decimals, "mass"))


def _of_signal(name: str, field: str) -> _Quantity:
    return _Quantity(name, "ratio", field, _number(field, 2, "signal"))


def _of_compromise(name: str, unit: str, field: str, decimals: int = 0) -> _Quantity:
    return _Quantity(name, unit, field, _number(field, decimals, "compromise"))


def _status(measured: Measurements) -> str:
    return {"measured": "measured", "not_found": "not found"}.get(measured.mass.status, NOT_ASSESSABLE)


def _volume(measured: Measurements) -> str | None:
    value = measured.mass.volume_ml
    return None if value is None else volume_text(value, None).split("\N{NO-BREAK SPACE}")[0]


def _volume_note(measured: Measurements) -> str:
    mass = measured.mass
    decimals = 1 if (mass.volume_ml or 0) >= 10 else 2
    return interval_text(mass.volume_ci95_ml, decimals)


def _compartments(measured: Measurements) -> str | None:
    parts = measured.mass.components
    return ", ".join(f"{p.compartment} {decimal(p.volume_ml, 2)}" for p in parts) or None


def _extent(measured: Measurements) -> str:
    return extent_text(measured.mass.extent, anchored=measured.levels.numbering == "absolute")


def _length(measured: Measurements) -> str | None:
    extent = measured.mass.extent
    return None if extent is None else decimal(extent.length_mm, 0)


def _truncated(measured: Measurements) -> str | None:
    cut = measured.mass.truncated
    return None if cut is None else ("yes: lower bound" if cut else "no")


def _references(measured: Measurements) -> str | None:
    levels = measured.compromise.reference_levels
    return None if levels is None else " and ".join(level or "none" for level in levels)


def _occupancy_level(measured: Measurements) -> str:
    level = measured.compromise.canal_occupancy_level
    return f"at {level}" if level else ""


_MASS = (
    _Quantity("Epidural mass", "", "status", _status),
    _of_mass("Probability that it exists", "", "existence_probability", 2),
    _Quantity("Volume", "ml", "volume_ml", _volume, _volume_note),
    _of_mass("Standard deviation of the volume", "ml", "volume_sd_ml", 2),
    _Quantity("Compartments", "ml", "components", _compartments),
    _Quantity("Extent", "", "extent", _extent),
    _Quantity("Length along the canal", "mm", "extent", _length),
    _Quantity("Position", "", "position", lambda m: m.mass.position),
    _of_mass("Largest AP diameter", "mm", "max_ap_mm"),
    _of_mass("Largest transverse diameter", "mm", "max_transverse_mm"),
    _Quantity("Cut by the field of view", "", "truncated", _truncated),
    _of_signal("Signal to marrow, T1", "t1_to_marrow"),
    _of_signal("Signal to marrow, T2", "t2_to_marrow"),
    _of_signal("Enhancement, post to pre", "enhancement_ratio"),
)
_COMPROMISE = (
    _Quantity("Worst level", "", "worst_level", lambda m: m.compromise.worst_level),
    _of_compromise("Maximum canal compromise, MCC", "%", "mcc_percent"),
    _of_compromise("Maximum spinal cord compression, MSCC", "%", "mscc_percent"),
    _Quantity(
        "Canal occupancy, maximum",
        "%",
        "canal_occupancy_percent",
        _number("canal_occupancy_percent", 0, "compromise"),
        _occupancy_level,
    ),
    _of_compromise("Length of canal occupied over 25 %", "mm", "length_over_25_percent_mm"),
    _of_compromise("Length of canal occupied over 50 %", "mm", "length_over_50_percent_mm"),
    _Quantity("ESCC grade (Bilsky)", "", "escc_grade", lambda m: m.compromise.escc_grade),
    _Quantity("Reference levels", "", "reference_levels", _references),
)
_CAUDA = _Quantity("Schizas grade", "", "schizas_grade", lambda m: m.compromise.schizas_grade, schizas_note)
"""Only where a worst section lies below the conus; there it stands in for the grade of cord compression."""
_WORST = (
    _of_compromise("Bony canal area", "mm²", "canal_area_mm2"),
    _of_compromise("Dural sac area", "mm²", "sac_area_mm2"),
    _of_compromise("Spinal cord area", "mm²", "cord_area_mm2"),
    _of_compromise("Bony canal AP diameter", "mm", "canal_ap_mm", 1),
    _of_compromise("Dural sac AP diameter", "mm", "sac_ap_mm", 1),
    _of_compromise("Spinal cord AP diameter", "mm", "cord_ap_mm", 1),
    _of_compromise("Cord to canal area, aSCOR", "ratio", "ascor", 2),
    _of_compromise("Cord AP to transverse diameter", "ratio", "compression_ratio", 2),
)


def measurement_groups(results: Sequence[StudyResult]) -> tuple[Group, ...]:
    """Return all measurements, one column of cells for each visit."""
    cauda = (_CAUDA,) if any(below_conus(result.measurements) for result in results) else ()
    groups = (("Mass", _MASS), ("Canal and cord", (*_COMPROMISE, *cauda)), ("At the worst section", _WORST))
    return tuple(Group(title, tuple(_row(q, results) for q in quantities)) for title, quantities in groups)


def _row(quantity: _Quantity, results: Sequence[StudyResult]) -> Row:
    return Row(quantity.name, quantity.unit, tuple(quantity.cell(result.measurements) for result in results))


def level_rows(results: Sequence[StudyResult]) -> tuple[Row, ...]:
    """Return what the level names rest on."""
    levels = [result.measurements.levels for result in results]
    seen = [
        ", ".join(f"{v.name}{'' if v.complete else ' (cut)'}" for v in record.vertebrae if v.name) for record in levels
    ]
    return (
        Row("Numbering", "", tuple(Cell(record.numbering) for record in levels)),
        Row("Counted from", "", tuple(Cell(_anchor(record.anchor)) for record in levels)),
        Row("Confidence", "", tuple(Cell(f"{decimal(100 * record.confidence, 0)} %") for record in levels)),
        Row("Vertebrae in view", "", tuple(Cell(text or "none named") for text in seen)),
    )


def _anchor(anchor: str) -> str:
    words = {"none": "nothing: no anchor in view", "user": "a level given by the user", "baseline": "the baseline"}
    named = anchor.replace("localizer:", "the counting localizer: ").replace("labels:", "the names in the masks: ")
    return words.get(anchor, named)


def series_rows(result: StudyResult) -> tuple[tuple[str, ...], ...]:
    """Return one line for each stack and each file left out: name, description, kind, role, reason."""
    described = {stack.stack_id: stack.series_description for stack in result.study.stacks}
    lines = []
    for series in result.measurements.series:
        kind = [series.plane, series.weighting]
        kind += ["fat-suppressed"] if series.fat_suppressed else []
        kind += ["post-contrast"] if series.contrast_enhanced else []
        role = (series.role or "").replace("_", " ") if series.used else "not used"
        lines.append((series.stack, described.get(series.stack, ""), ", ".join(kind), role, series.reason))
    return tuple(lines)


def _change(percent: float | None, interval: Interval | None) -> Cell:
    if percent is None:
        return Cell(NOT_ASSESSABLE)
    return Cell(signed(percent, 1), interval_text(interval, 1, with_sign=True))


def _optional(value: float | None, decimals: int) -> Cell:
    return Cell(NOT_ASSESSABLE) if value is None else Cell(decimal(value, decimals))


def _after_baseline(comparison: Comparison, cell: Callable[[TimepointRecord], Cell]) -> tuple[Cell, ...]:
    return (Cell("\N{EN DASH}"), *(cell(visit) for visit in comparison.timepoints[1:]))


def _verdict(visit: TimepointRecord) -> Cell:
    words = {"not_distinguishable": "not distinguishable from no change", None: NOT_ASSESSABLE}
    basis = {"paired": "from the paired change", "unpaired": "from independent outlines"}
    text = words.get(visit.verdict, str(visit.verdict).replace("_", " "))
    return Cell(text, basis.get(str(visit.verdict_basis), ""))


def _paired(visit: TimepointRecord) -> Cell:
    cell = _change(visit.paired_change_percent, visit.paired_change_ci95_percent)
    return Cell(NOT_ASSESSABLE, "see the findings") if cell.missing else cell


def change_rows(comparison: Comparison) -> tuple[Row, ...]:
    """Return the change of the mass over the visits, with yardsticks below the verdict."""
    visits = comparison.timepoints
    after = comparison.radiotherapy is not None and comparison.radiotherapy.end is not None
    rows = [
        Row("Days from baseline", "", tuple(_optional(v.days_from_baseline, 0) for v in visits)),
        *([Row("Days from end of radiotherapy", "", tuple(_optional(v.days_from_rt_end, 0) for v in visits))] * after),
        Row(
            "Change, independent outlines",
            "%",
            _after_baseline(comparison, lambda v: _change(v.change_percent, v.change_ci95_percent)),
        ),
        Row("Change, paired", "%", _after_baseline(comparison, _paired)),
        Row(
            "Smallest detectable change",
            "%",
            _after_baseline(comparison, lambda v: _optional(v.smallest_detectable_change_percent, 1)),
        ),
        Row("Verdict", "", _after_baseline(comparison, _verdict)),
    ]
    names = dict.fromkeys(name for visit in visits for name in visit.yardsticks)
    return (*rows, *(_yardstick(name, comparison) for name in names))


_YARDSTICKS = {
    "longest_diameter_change_percent": ("Yardstick: change of the longest diameter", "%"),
    "recist_1_1_diameter": ("Yardstick: RECIST 1.1, longest diameter", ""),
    "recist_1_1_sphere_volume": ("Yardstick: RECIST 1.1 as sphere volume", ""),
    "reins_volume_20_percent": ("Yardstick: REiNS, 20 % of volume", ""),
    "interobserver_volume_19_7_percent": ("Yardstick: inter-observer limit, 19.7 % of volume", ""),
}


def _yardstick(name: str, comparison: Comparison) -> Row:
    label, unit = _YARDSTICKS.get(name, (f"Yardstick: {name.replace('_', ' ')}", ""))

    def cell(visit: TimepointRecord) -> Cell:
        """Show what the yardstick says of a visit."""
        value = visit.yardsticks.get(name)
        if value is None:
            return Cell(NOT_ASSESSABLE)
        return Cell(value) if isinstance(value, str) else Cell(signed(value, 1))

    return Row(label, unit, _after_baseline(comparison, cell))
