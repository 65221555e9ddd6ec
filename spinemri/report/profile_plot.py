"""The profile along the canal as a plot with level names on the axis."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spinemri.report.drawing import CANAL_COLOUR, CORD_COLOUR, MASS_COLOUR, SAC_COLOUR
from spinemri.report.matching import level_arcs, map_arcs
from spinemri.report.pictures import Picture
from spinemri.report.visit import Visit, level_text
from spinemri.report.wording import NOT_ASSESSABLE

__all__ = ["profile_picture"]

_STRUCTURES = (
    ("canal", "Bony canal", CANAL_COLOUR, "canal_area_mm2", "canal_ap_mm", "AP diameter, mm"),
    ("sac", "Dural sac", SAC_COLOUR, "sac_area_mm2", "sac_ap_mm", "AP diameter, mm"),
    ("cord", "Spinal cord", CORD_COLOUR, "cord_area_mm2", "cord_ap_mm", "AP diameter, mm"),
    ("mass", "Mass", MASS_COLOUR, "mass_area_mm2", "occupancy_percent", "of the canal, %"),
)
# The first visit is a broken line, the last a full one, so that they differ without colour.
_STYLES: tuple[tuple[str, float], ...] = (("--", 1.2), (":", 1.4), ("-.", 1.2))
_INK = "#334155"
_LEGEND_COLUMNS = 5


@dataclass(frozen=True, eq=False)
class _Curve:
    visit: Visit
    arcs: NDArray[np.float64]
    style: str
    width: float

    def values(self, field: str) -> NDArray[np.float64]:
        """Gather one number of every section, NaN where it is missing."""
        found = [getattr(row, field) for row in self.visit.result.profile]
        return np.array([np.nan if value is None else value for value in found], dtype=float)


def profile_picture(
    visits: Sequence[Visit], *, size_inch: tuple[float, float] = (11.4, 6.6), dpi: int = 110
) -> Picture | None:
    """Plot areas and diameters of canal, sac, cord and mass, all visits over one another.

    Follow-ups are laid on the baseline's canal by level names; a visit that shares none is left out.

    Parameters
    ----------
    visits : sequence of Visit
        The baseline first.
    size_inch : (float, float)
        Width and height; letters keep their size.
    dpi : int

    Returns
    -------
    Picture or None
        None where no visit has a profile.
    """
    curves = _curves(visits)
    if not curves:
        return None
    figure = Figure(figsize=size_inch, dpi=dpi, facecolor="white", layout="constrained")
    grid = figure.subplots(4, 2, sharex=True)
    for row, (_, name, colour, area, second, second_unit) in enumerate(_STRUCTURES):
        for axes, field in zip(grid[row], (area, second), strict=True):
            _draw(axes, curves, field, colour)
            _say_missing(axes, curves, field)
        _title(grid[row][0], f"{name}: area, mm²")
        _title(grid[row][1], f"{name}: {second_unit}")
    for axes in grid.flat:
        _dress(axes, visits[0], size_inch[0])
    _share_limits(grid)
    if len(curves) > 1:
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="outside upper right",
            frameon=False,
            fontsize=9,
            ncols=min(len(curves), _LEGEND_COLUMNS),
        )
    out = io.BytesIO()
    FigureCanvasAgg(figure).print_png(out, metadata={"Software": None})
    titles = "; ".join(curve.visit.title for curve in curves)
    alt = f"Areas and diameters of canal, dural sac, cord and mass along the canal, by level ({titles})"
    return Picture("profile.png", out.getvalue(), "image/png", alt, "")


def _curves(visits: Sequence[Visit]) -> list[_Curve]:
    curves = []
    for visit in visits:
        arcs = np.array([row.arc_length_mm for row in visit.result.profile])
        if visit.number > 1:
            mapped = map_arcs(visit.result, visits[0].result)
            if mapped is None:
                continue
            arcs = mapped(arcs)
        if arcs.size:
            last = visit is visits[-1]
            style, width = ("-", 1.8) if last else _STYLES[(visit.number - 1) % len(_STYLES)]
            curves.append(_Curve(visit, arcs, style, width))
    return curves


def _draw(axes: Axes, curves: Sequence[_Curve], field: str, colour: str) -> None:
    for index, curve in enumerate(curves):
        values = curve.values(field)
        last = index == len(curves) - 1
        shade = colour if last else _INK
        axes.plot(curve.arcs, values, curve.style, color=shade, linewidth=curve.width, label=curve.visit.title)
        if last and field in {"mass_area_mm2", "occupancy_percent"}:
            axes.fill_between(curve.arcs, 0, np.nan_to_num(values), color=colour, alpha=0.18, linewidth=0)


def _say_missing(axes: Axes, curves: Sequence[_Curve], field: str) -> None:
    if not any(np.isfinite(curve.values(field)).any() for curve in curves):
        axes.text(
            0.5, 0.5, NOT_ASSESSABLE, ha="center", va="center", fontsize=9, color="#64748b", transform=axes.transAxes
        )
        axes.set_yticks([])


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=9, color=_INK, pad=3)


def _dress(axes: Axes, baseline: Visit, width_inch: float) -> None:
    """Level names on the axis, a light grid, and a mark at the worst section."""
    result = baseline.result
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#94a3b8")
    arcs = _legible({name: arc for name, arc in level_arcs(result).items() if "/" not in name}, width_inch)
    if arcs:
        axes.set_xticks(list(arcs.values()), [level_text(result, name) for name in arcs])
    line = result.anatomy.centreline
    if line is not None and result.measurements.compromise.worst_point_lps_mm is not None:
        worst = line.arc_length_mm[int(line.nearest(baseline.place.point_lps))]
        axes.axvline(worst, color="#94a3b8", linewidth=1.0, linestyle=(0, (1, 2)))
    axes.tick_params(labelsize=8, colors=_INK, length=3)
    axes.grid(axis="both", color="#e2e8f0", linewidth=0.7)
    axes.set_axisbelow(b=True)
    axes.margins(x=0.01)


def _legible(arcs: dict[str, float], width_inch: float) -> dict[str, float]:
    """Leave out names that would run into the one before: bodies cut by the border of the image lie close to it."""
    if not arcs:
        return arcs
    # Two plots share the width; a name with its gap takes a fifth of an inch.
    least = (max(arcs.values()) - min(arcs.values())) * 0.2 / (0.46 * width_inch)
    kept: dict[str, float] = {}
    for name, arc in sorted(arcs.items(), key=lambda item: item[1]):
        if not kept or arc - max(kept.values()) >= least:
            kept[name] = arc
    return kept


def _share_limits(grid: NDArray[Any]) -> None:
    for axes in grid.flat:
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, 0.0), max(high, 1.0) * 1.06)
    last = grid.flat[-1]
    last.set_ylim(0, max(60.0, last.get_ylim()[1]))
