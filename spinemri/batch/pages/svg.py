"""Plots as SVG: few shapes, each with a text that shows under the mouse and is read aloud."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

__all__ = ["Axis", "Plot", "ticks"]

_INK, _GRID = "#334155", "#e2e8f0"
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 14.0, 12.0, 44.0


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Return round numbers from `low` to `high`.

    Examples
    --------
    >>> ticks(0, 10, 5)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    span = max(high - low, 1e-9)
    power = 10.0 ** math.floor(math.log10(span / about))
    step = next(factor * power for factor in (1, 2, 5, 10) if span / (factor * power) <= about)
    first = math.ceil(low / step - 1e-9)
    return [number * step + 0.0 for number in range(first, math.floor(high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Axis:
    """What an axis shows: its title and the values at its ends."""

    title: str
    low: float
    high: float
    marked: bool = True

    @staticmethod
    def around(title: str, values: Sequence[float], *, zero: bool = False, marked: bool = True) -> Axis:
        """Return an axis that holds all values, with a little room."""
        every = [*values, 0.0] if zero or not values else list(values)
        low, high = min(every), max(every)
        room = 0.05 * (high - low) or 1.0
        return Axis(title, low - room, high + room, marked)


@dataclass
class Plot:
    """A plot in the making; coordinates are those of its axes."""

    x: Axis
    y: Axis
    name: str
    width: float = 1080.0
    height: float = 340.0
    _shapes: list[str] = field(default_factory=list)

    def px(self, value: float) -> float:
        """Return the place of a value from the left."""
        share = (value - self.x.low) / (self.x.high - self.x.low)
        return round(_LEFT + share * (self.width - _LEFT - _RIGHT), 2)

    def py(self, value: float) -> float:
        """Return the place of a value from the top."""
        share = (value - self.y.low) / (self.y.high - self.y.low)
        return round(self.height - _BOTTOM - share * (self.height - _TOP - _BOTTOM), 2)

    def bar(self, x: float, half_width: float, value: float, colour: str, said: str, link: str = "") -> None:
        """Add a bar from zero."""
        left, right = self.px(x - half_width), self.px(x + half_width)
        top, foot = sorted((self.py(value), self.py(0.0)))
        shape = (
            f'<rect class="mark" x="{left}" y="{top}" width="{right - left:.2f}" height="{max(foot - top, 1):.2f}" '
            f'fill="{colour}"><title>{escape(said)}</title></rect>'
        )
        self._shapes.append(f'<a href="{escape(link)}">{shape}</a>' if link else shape)

    def dot(self, x: float, y: float, colour: str, said: str, link: str = "") -> None:
        """Add a point."""
        place = f'cx="{self.px(x)}" cy="{self.py(y)}"'
        shape = f'<circle class="mark" {place} r="4" fill="{colour}"><title>{escape(said)}</title></circle>'
        self._shapes.append(f'<a href="{escape(link)}">{shape}</a>' if link else shape)

    def line(self, points: Sequence[tuple[float, float]], colour: str, *, style: str = "", said: str = "") -> None:
        """Add a line through points; `style` is a pattern of dashes."""
        places = " ".join(f"{self.px(x)},{self.py(y)}" for x, y in points)
        dashes = f' stroke-dasharray="{style}"' if style else ""
        title = f"<title>{escape(said)}</title>" if said else ""
        kind = ' class="course"' if said else ""
        self._shapes.append(
            f'<polyline{kind} points="{places}" fill="none" stroke="{colour}" stroke-width="1.4"{dashes}>'
            f"{title}</polyline>"
        )

    def text(self, x: float, y: float, words: str) -> None:
        """Write words that end at a place."""
        self._shapes.append(
            f'<text x="{self.px(x)}" y="{self.py(y) - 4:.2f}" text-anchor="end" font-size="12">{escape(words)}</text>'
        )

    def svg(self) -> str:
        """Return the plot as an element of a page."""
        size = f'viewBox="0 0 {self.width:g} {self.height:g}"'
        parts = [f'<svg role="img" aria-label="{escape(self.name)}" {size} font-size="12" fill="{_INK}">']
        return "\n".join([*parts, *self._frame(), *self._shapes, "</svg>"])

    def _frame(self) -> list[str]:
        bottom, right = self.height - _BOTTOM, self.width - _RIGHT
        parts = []
        for value in ticks(self.y.low, self.y.high):
            at = self.py(value)
            parts.append(f'<line x1="{_LEFT}" x2="{right}" y1="{at}" y2="{at}" stroke="{_GRID}"/>')
            parts.append(f'<text x="{_LEFT - 8}" y="{at + 4:.2f}" text-anchor="end">{_number(value)}</text>')
        if self.x.marked:
            parts += [
                f'<text x="{self.px(value)}" y="{bottom + 18}" text-anchor="middle">{_number(value)}</text>'
                for value in ticks(self.x.low, self.x.high, 10)
            ]
        middle = (_TOP + bottom) / 2
        parts.append(
            f'<text x="{(_LEFT + right) / 2}" y="{self.height - 6}" text-anchor="middle">{escape(self.x.title)}</text>'
        )
        turned = f'transform="rotate(-90 14 {middle})"'
        parts.append(f'<text x="14" y="{middle}" text-anchor="middle" {turned}>{escape(self.y.title)}</text>')
        return parts


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")
