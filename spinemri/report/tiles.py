"""The few numbers that a reader wants at first sight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spinemri.measure.record import Measurements
from spinemri.measure.result import StudyResult
from spinemri.report.wording import below_conus, decimal, volume_text

__all__ = ["Tile", "tiles"]

_NONE = "\N{EN DASH}"


@dataclass(frozen=True)
class Tile:
    """A quantity with its value at every visit; a dash where it is not assessable, which the table explains."""

    name: str
    unit: str
    values: tuple[str, ...]


def _percent(value: float | None) -> str:
    return _NONE if value is None else decimal(value, 0)


def _volume(measured: Measurements) -> str:
    value = measured.mass.volume_ml
    return _NONE if value is None else volume_text(value, None).split("\N{NO-BREAK SPACE}")[0]


_TILES: tuple[tuple[str, str, Callable[[Measurements], str]], ...] = (
    ("Volume", "ml", _volume),
    ("Canal compromise, MCC", "%", lambda m: _percent(m.compromise.mcc_percent)),
    ("Cord compression, MSCC", "%", lambda m: _percent(m.compromise.mscc_percent)),
    ("Canal occupancy", "%", lambda m: _percent(m.compromise.canal_occupancy_percent)),
    ("ESCC grade", "", lambda m: m.compromise.escc_grade or _NONE),
)
_CAUDA = ("Schizas grade", "", lambda m: m.compromise.schizas_grade or _NONE)


def tiles(results: Sequence[StudyResult]) -> tuple[Tile, ...]:
    """Return the tiles of a report; none where no visit has a measured mass.

    The grade is that of the cauda equina where all worst sections lie below the conus.
    """
    measured = [r.measurements for r in results if r.measurements.mass.status == "measured"]
    if not measured:
        return ()
    shown = (*_TILES[:-1], _CAUDA) if all(map(below_conus, measured)) else _TILES
    return tuple(Tile(name, unit, tuple(value(r.measurements) for r in results)) for name, unit, value in shown)
