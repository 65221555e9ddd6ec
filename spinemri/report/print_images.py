"""Which key images are printed, and how they share the width of the page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from spinemri.intake.model import AXIAL_ROLES
from spinemri.report.drawing import CANAL_COLOUR, CORD_COLOUR, MASS_COLOUR
from spinemri.report.pictures import REFORMATTED, Block, Picture
from spinemri.report.sheet import SOFT, Pen, Sheet, fitted
from spinemri.report.visit import Visit

__all__ = ["Panel", "draw_images", "draw_strip", "key_panels", "more_panels"]

_TITLE_MM, _BELOW_MM, _GAP_MM = 7.4, 1.6, 3.0
_BOLD, _SOFT = Pen(8, bold=True), Pen(7, colour=SOFT)
_SQUARE = 0.8
"""Sections across the canal are wider than this times their height, sagittal images are not."""

_STRIP_MM = (32.0, 74.0)
"""Lowest and largest height of a row of further pictures."""

_LEGEND = (("mass", MASS_COLOUR), ("bony canal", CANAL_COLOUR), ("spinal cord (axial)", CORD_COLOUR))


@dataclass(frozen=True, eq=False)
class Panel:
    """A picture with the words above it."""

    picture: Picture
    title: str
    detail: str

    @property
    def aspect(self) -> float:
        """Width over height."""
        with Image.open(io.BytesIO(self.picture.data)) as image:
            return image.width / image.height


def key_panels(visits: Sequence[Visit], blocks: Sequence[Block]) -> list[list[Panel]]:
    """Choose the pictures: sagittal ones side by side, then a column of sections across the canal.

    Parameters
    ----------
    visits : sequence of Visit
        Of more than two the first and the last are shown.
    blocks : sequence of Block

    Returns
    -------
    list of list of Panel
        Columns from left to right; pictures from top to bottom.
    """
    by_name = {picture.name: picture for block in blocks for picture in block.pictures}
    first, last = visits[0], visits[-1]
    primary = first.result.primary.value
    across = [*(role.value for role in AXIAL_ROLES), "perpendicular"]
    if first is last:
        sagittal = [f"{primary}_visit1.jpg", f"{primary}_visit1_outlined.jpg"]
        sections = [name for key in across if (name := f"{key}_visit1_outlined.jpg") in by_name][:2]
    else:
        ends = (first.number, last.number)
        pairs = ([f"{key}_visit{number}_outlined.jpg" for number in ends] for key in across)
        sagittal = [f"{visit.result.primary.value}_visit{visit.number}_outlined.jpg" for visit in (first, last)]
        sections = next((pair for pair in pairs if all(name in by_name for name in pair)), [])
    panels = {panel.picture.name: panel for block in blocks for panel in _panels(block, visits)}
    columns = [[panels[name]] for name in sagittal if name in panels]
    return [*columns, *([[panels[name] for name in sections]] if sections else [])]


def more_panels(visits: Sequence[Visit], blocks: Sequence[Block]) -> list[Panel]:
    """Return the other outlined pictures of the first and the last visit, to fill what room is left.

    Where visits are compared that is little room: sections across the canal, which stay readable when small.
    """
    large = {panel.picture.name for column in key_panels(visits, blocks) for panel in column}
    ends = (f"visit{visits[0].number}_outlined.jpg", f"visit{visits[-1].number}_outlined.jpg")
    rest = [
        panel
        for block in blocks
        for panel in _panels(block, visits)
        if panel.picture.name not in large and panel.picture.name.endswith(ends)
    ]
    return [panel for panel in rest if panel.aspect > _SQUARE] if len(visits) > 1 else rest


def draw_strip(sheet: Sheet, area: tuple[float, float, float, float], panels: Sequence[Panel]) -> float:
    """Draw further pictures in one row where there is room for them.

    Parameters
    ----------
    sheet : Sheet
    area : (float, float, float, float)
        Left, top, width and lowest bottom in mm.
    panels : sequence of Panel
        As many as fit are drawn.

    Returns
    -------
    float
        Where the page goes on, in mm.
    """
    left, top, width, bottom = area
    height = min(_STRIP_MM[1], bottom - top - 4.0)
    columns: list[list[Panel]] = []
    for panel in panels:
        if sum(_width(one, height) + _GAP_MM for one in [*columns, [panel]]) <= width + _GAP_MM:
            columns.append([panel])
    if height < _STRIP_MM[0] or not columns:
        return top
    _draw_columns(sheet, (left, top, width, height), columns)
    return top + height + 4.0


def _panels(block: Block, visits: Sequence[Visit]) -> list[Panel]:
    """Put the visit above a picture where there are several, else the sequence."""
    if len(visits) == 1:
        return [Panel(p, _short(p), _detail(p)) for p in block.pictures]
    titles = {f"_visit{visit.number}": visit.title for visit in visits}
    return [
        Panel(picture, title, f"{_short(picture)}, {_detail(picture)}")
        for picture in block.pictures
        for key, title in titles.items()
        if picture.name.removesuffix("_outlined.jpg").removesuffix(".jpg").endswith(key)
    ]


def _short(picture: Picture) -> str:
    return picture.title.replace(", fat-suppressed", "").replace(REFORMATTED, "Reformatted")


def _detail(picture: Picture) -> str:
    """Return level and slice, which the bare picture does not name: it stands beside the outlined one."""
    return picture.caption.removesuffix(", outlined") if picture.name.endswith("_outlined.jpg") else "as acquired"


def draw_images(sheet: Sheet, area: tuple[float, float, float, float], columns: Sequence[Sequence[Panel]]) -> float:
    """Draw columns of pictures of one height, as large as the area allows, with a legend below.

    Parameters
    ----------
    sheet : Sheet
    area : (float, float, float, float)
        Left, top, width and lowest bottom in mm.
    columns : sequence of sequence of Panel

    Returns
    -------
    float
        Where the page goes on, in mm.
    """
    left, top, width, bottom = area
    if not columns:
        return top
    height = min(_height(columns, width), bottom - top - 6.0)
    _draw_columns(sheet, (left, top, width, height), columns)
    _draw_legend(sheet, left, top + height + 1.8)
    return top + height + 9.0


def _draw_columns(sheet: Sheet, area: tuple[float, float, float, float], columns: Sequence[Sequence[Panel]]) -> None:
    """Draw columns of one height; those that stay narrow stand a little further apart, in the middle of the page."""
    left, top, width, height = area
    widths = [_width(column, height) for column in columns]
    gap = min(_GAP_MM * 7, (width - sum(widths)) / max(1, len(columns) - 1))
    x = left + max(0.0, width - sum(widths) - gap * (len(columns) - 1)) / 2
    for column, own in zip(columns, widths, strict=True):
        # Words above a narrow picture may use the gap beside it.
        words = min(own + gap - 1.5, left + width - x) if gap > _GAP_MM else own
        _draw_column(sheet, (x, top, words, height), column)
        x += own + gap


def _single(column: Sequence[Panel], height: float) -> float:
    """Return the height of each picture of a column."""
    return (height + _BELOW_MM) / len(column) - _TITLE_MM - _BELOW_MM


def _width(column: Sequence[Panel], height: float) -> float:
    return max(panel.aspect for panel in column) * _single(column, height)


def _height(columns: Sequence[Sequence[Panel]], width: float) -> float:
    """Solve for the height at which all columns fill the width."""
    slope = sum(_width(column, 1.0) - _width(column, 0.0) for column in columns)
    rest = width - _GAP_MM * (len(columns) - 1) - sum(_width(column, 0.0) for column in columns)
    return rest / slope


def _draw_column(sheet: Sheet, area: tuple[float, float, float, float], column: Sequence[Panel]) -> None:
    x, y, width, height = area
    single = _single(column, height)
    for panel in column:
        sheet.text(x, y + 0.4, fitted(panel.title, _BOLD, width), _BOLD)
        sheet.text(x, y + 3.6, fitted(panel.detail, _SOFT, width), _SOFT)
        sheet.picture(x, y + _TITLE_MM, panel.aspect * single, single, panel.picture)
        y += single + _TITLE_MM + _BELOW_MM


def _draw_legend(sheet: Sheet, x: float, y: float) -> None:
    for words, colour in _LEGEND:
        sheet.rule(x, y + 1.3, 6.0, colour=colour, points=1.6)
        sheet.text(x + 7.5, y, words, Pen(7.5, colour=SOFT))
        x += 7.5 + Pen(7.5).width_mm(words) + 6.0
    words = "Sagittal: anterior on the left. Axial: the patient's left on the right."
    sheet.text(195.0, y, words, Pen(7.5, colour=SOFT), align="right")
