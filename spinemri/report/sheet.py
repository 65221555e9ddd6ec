"""A printed page to draw on: millimetres from its top left corner, one family of letters, few colours."""

from __future__ import annotations

import io
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from spinemri.report.pictures import Picture

__all__ = [
    "ACCENT",
    "AMBER",
    "INK",
    "LINE",
    "RED",
    "SOFT",
    "TABLE_HEAD_MM",
    "TABLE_ROW_MM",
    "WASH",
    "Column",
    "Pen",
    "Sheet",
    "fitted",
    "printable",
    "text_height",
    "wrapped",
]

INK, SOFT, LINE, WASH = "#0f172a", "#526075", "#dbe2ea", "#f5f7fa"
ACCENT, AMBER, RED = "#1d4e89", "#b45309", "#b91c1c"

WIDTH_MM, HEIGHT_MM = A4[0] / mm, A4[1] / mm

TABLE_HEAD_MM, TABLE_ROW_MM = 5.2, 4.5

_REGULAR, _BOLD = "Roboto-Regular", "Roboto-Bold"
_ARROW, _ARROW_EM = "\N{RIGHTWARDS ARROW}", 1.3
"""The letters have no arrow: it is drawn, so wide."""

_SPOKEN = {"\N{GREATER-THAN OR EQUAL TO}": ">=", "\N{LESS-THAN OR EQUAL TO}": "<="}


@dataclass(frozen=True)
class Pen:
    """How text looks: size in points, weight, colour."""

    size: float
    bold: bool = False
    colour: str = INK

    @property
    def font(self) -> str:
        """Name under which the letters are registered."""
        _register()
        return _BOLD if self.bold else _REGULAR

    @property
    def leading_mm(self) -> float:
        """From one line to the next."""
        return float(self.size * 1.3 / mm)

    def width_mm(self, text: str) -> float:
        """Return how wide a line is."""
        words = printable(text)
        letters = pdfmetrics.stringWidth(words.replace(_ARROW, ""), self.font, self.size)
        return float((letters + words.count(_ARROW) * _ARROW_EM * self.size) / mm)


@dataclass(frozen=True)
class Column:
    """A column of a table: heading, width in mm, and whether it holds numbers, which stand on the right."""

    title: str
    width_mm: float
    number: bool = True


@cache
def _register() -> frozenset[int]:
    """Make the letters known and return the characters that they have."""
    known: set[int] = set()
    for name in (_REGULAR, _BOLD):
        data = (files("spinemri.report") / "assets" / f"{name}.ttf").read_bytes()
        font = TTFont(name, io.BytesIO(data))
        pdfmetrics.registerFont(font)
        known = set(font.face.charToGlyph) if not known else known & set(font.face.charToGlyph)
    return frozenset(known)


def printable(text: str) -> str:
    """Return a text in letters that the page has: others lose their marks, or become a question mark."""
    known = _register() | {ord(_ARROW)}
    for sign, words in _SPOKEN.items():
        text = text.replace(sign, words)
    if all(ord(letter) in known for letter in text):
        return text
    plain = (letter if ord(letter) in known else unicodedata.normalize("NFKD", letter)[:1] for letter in text)
    return "".join(letter if ord(letter) in known else "?" for letter in plain)


def text_height(text: str, pen: Pen, width_mm: float, lines: int) -> float:
    """Return the height of a text broken into lines, in mm."""
    return len(wrapped(text, pen, width_mm, lines)) * pen.leading_mm


def wrapped(text: str, pen: Pen, width_mm: float, lines: int) -> list[str]:
    """Break a text at its spaces into at most so many lines; what does not fit ends in an ellipsis."""
    made = [""]
    for word in printable(text).split(" "):
        longer = f"{made[-1]} {word}".lstrip()
        if not made[-1] or pen.width_mm(longer) <= width_mm:
            made[-1] = longer
        else:
            made.append(word)
    cut = made[:lines]
    if len(made) > lines:
        cut[-1] += "\N{HORIZONTAL ELLIPSIS}"
    return [fitted(line, pen, width_mm) for line in cut]


def fitted(words: str, pen: Pen, width_mm: float) -> str:
    """Return one line, shortened with an ellipsis where it is wider than allowed."""
    line = printable(words)
    if pen.width_mm(line) <= width_mm:
        return line
    line = line.rstrip("\N{HORIZONTAL ELLIPSIS}")
    while line and pen.width_mm(line + "\N{HORIZONTAL ELLIPSIS}") > width_mm:
        line = line[:-1]
    return line.rstrip() + "\N{HORIZONTAL ELLIPSIS}"


class Sheet:
    """Pages of A4. Places are mm from the left and the top edge; a text stands with its first line's top there."""

    def __init__(self, title: str, subject: str) -> None:
        _register()
        self._out = io.BytesIO()
        # The same content gives the same bytes: no time, no random identifier.
        self._canvas = Canvas(self._out, pagesize=A4, invariant=1, pageCompression=1, lang="en")
        self._canvas.setTitle(title)
        self._canvas.setSubject(subject)
        self._canvas.setAuthor("spinemri")
        self._canvas.setCreator("spinemri")

    def next_page(self) -> None:
        """Close the page."""
        self._canvas.showPage()

    def finish(self) -> bytes:
        """Return the file."""
        self._canvas.save()
        return self._out.getvalue()

    def text(self, x: float, y: float, words: str, pen: Pen, *, align: str = "left") -> None:
        """Write one line; `x` is its left end, its middle or its right end."""
        words = printable(words)
        x -= pen.width_mm(words) * {"left": 0.0, "middle": 0.5, "right": 1.0}[align]
        for number, piece in enumerate(words.split(_ARROW)):
            if number:
                self._arrow(x, y, pen)
                x += _ARROW_EM * pen.size / mm
            self._canvas.setFont(pen.font, pen.size)
            self._canvas.setFillColor(_colour(pen.colour))
            self._canvas.drawString(x * mm, self._up(y) - 0.78 * pen.size, piece)
            x += pen.width_mm(piece)

    def _arrow(self, x: float, y: float, pen: Pen) -> None:
        """Draw an arrow to the right in the place of a letter."""
        left, right = x * mm + 0.22 * pen.size, x * mm + 1.08 * pen.size
        up, barb = self._up(y) - 0.53 * pen.size, 0.18 * pen.size
        self._canvas.setStrokeColor(_colour(SOFT))
        self._canvas.setLineWidth(0.055 * pen.size)
        self._canvas.line(left, up, right, up)
        for side in (-barb, barb):
            self._canvas.line(right, up, right - barb, up + side)

    def line(self, x: float, y: float, width: float, parts: list[tuple[str, Pen]]) -> None:
        """Write several pieces of text in one line, as far as they fit."""
        end, largest = x + width, max(pen.size for _, pen in parts)
        for words, pen in parts:
            fits = fitted(words, pen, end - x) if end - x > 4 else ""
            # All stand on the base line of the largest.
            self.text(x, y + 0.78 * (largest - pen.size) / mm, fits, pen)
            x += pen.width_mm(fits) + 1.6

    def paragraph(self, x: float, y: float, width: float, words: str, pen: Pen, lines: int = 99) -> float:
        """Write a text in lines; return its height in mm."""
        made = wrapped(words, pen, width, lines)
        for number, line in enumerate(made):
            self.text(x, y + number * pen.leading_mm, line, pen)
        return len(made) * pen.leading_mm

    def box(self, x: float, y: float, width: float, height: float, *, fill: str, line: str = "") -> None:
        """Draw a rectangle with round corners."""
        self._canvas.setFillColor(_colour(fill))
        self._canvas.setStrokeColor(_colour(line or fill))
        self._canvas.setLineWidth(0.6)
        self._canvas.roundRect(x * mm, self._up(y + height), width * mm, height * mm, 1.2 * mm, fill=1)

    def bar(self, x: float, y: float, height: float, *, colour: str, width: float = 1.4) -> None:
        """Draw a coloured bar that marks what stands beside it."""
        self._canvas.setFillColor(_colour(colour))
        self._canvas.rect(x * mm, self._up(y + height), width * mm, height * mm, stroke=0, fill=1)

    def rule(self, x: float, y: float, width: float, *, colour: str = LINE, points: float = 0.6) -> None:
        """Draw a horizontal line."""
        self._canvas.setStrokeColor(_colour(colour))
        self._canvas.setLineWidth(points)
        self._canvas.line(x * mm, self._up(y), (x + width) * mm, self._up(y))

    def picture(self, x: float, y: float, width: float, height: float, picture: Picture) -> None:
        """Draw a picture; a JPEG goes into the file as it is."""
        image = ImageReader(io.BytesIO(picture.data))
        self._canvas.drawImage(image, x * mm, self._up(y + height), width * mm, height * mm)

    def table(
        self, x: float, y: float, columns: tuple[Column, ...], rows: list[list[str]], *, strong: int = -1
    ) -> float:
        """Draw a table; return its height in mm. The row numbered `strong` is set in bold."""
        head = Pen(7, colour=SOFT)
        width = sum(column.width_mm for column in columns)
        self._row(x, y, columns, [column.title for column in columns], head)
        self.rule(x, y + 4.1, width, colour="#94a3b8")
        for number, row in enumerate(rows):
            top = y + TABLE_HEAD_MM + number * TABLE_ROW_MM
            self._row(x, top, columns, row, Pen(8, bold=number == strong))
            self.rule(x, top + TABLE_ROW_MM - 0.8, width)
        return TABLE_HEAD_MM + len(rows) * TABLE_ROW_MM

    def _row(self, x: float, y: float, columns: tuple[Column, ...], cells: list[str], pen: Pen) -> None:
        for column, cell in zip(columns, cells, strict=True):
            fits = fitted(cell, pen, column.width_mm - 1.5)
            if column.number:
                self.text(x + column.width_mm - 1, y, fits, pen, align="right")
            else:
                self.text(x, y, fits, pen)
            x += column.width_mm

    @staticmethod
    def _up(y: float) -> float:
        return float((HEIGHT_MM - y) * mm)


def _colour(name: str) -> Color:
    return HexColor(name)
