"""Points in canal coordinates and signed distances to simple shapes there (mm, negative inside)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from spinemri.phantom.column import Canal

__all__ = ["Section", "capsule", "ellipse", "rounded_max", "smooth_max", "step"]

Array = NDArray[Any]
TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Section:
    """Points in canal coordinates with fast look-up in tables over s.

    Attributes
    ----------
    s, p, l : (n,) ndarray
        Canal coordinates in mm.
    start_mm, step_mm : float
        Of the tables.
    """

    s: Array
    p: Array
    l: Array  # noqa: E741 - the coordinate's name
    start_mm: float
    step_mm: float
    _index: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        index = ((self.s - self.start_mm) * (1.0 / self.step_mm) + 0.5).astype(np.int32)
        object.__setattr__(self, "_index", index)

    def table(self, values: Array) -> Array:
        """Nearest entry of a table over s for every point."""
        return np.asarray(np.take(values, self._index, mode="clip"))

    def subset(self, where: Array) -> Section:
        """Return the points at some flat indices."""
        return Section(self.s[where], self.p[where], self.l[where], self.start_mm, self.step_mm)

    def canal_distance(self, canal: Canal) -> Array:
        """Signed distance to the bony canal: flat floor, narrower vaulted roof."""
        behind = self.p > 0.0
        half = np.where(behind, self.table(canal.roof), self.table(canal.floor))
        width = self.table(canal.half_width)
        power = np.where(behind, self.p.dtype.type(1.7), self.p.dtype.type(2.6))
        u, v = np.abs(self.l) / width + TINY, np.abs(self.p) / half + TINY
        up, vp = u ** (power - 1.0), v ** (power - 1.0)
        k = (u * up + v * vp) ** (1.0 / power)
        gradient = np.hypot(up / width, vp / half) / k ** (power - 1.0)
        return np.asarray((k - 1.0) / gradient)


def step(distance: Array, width: float) -> Array:
    """Fraction of a box of `width` mm inside a surface at a signed distance."""
    return np.clip(0.5 - distance * (1.0 / width), 0.0, 1.0)


def smooth_max(a: Array, b: Array, radius: float) -> Array:
    """Maximum of two distances with a corner rounded over about `radius` mm."""
    return np.asarray(0.5 * (a + b + np.sqrt((a - b) ** 2 + radius**2)))


def rounded_max(a: Array, b: Array, radius: float) -> Array:
    """Distance to the intersection of two shapes with outer corners rounded at `radius` mm."""
    x, y = a + radius, b + radius
    outside = np.sqrt(np.maximum(x, 0.0) ** 2 + np.maximum(y, 0.0) ** 2)
    return np.asarray(outside + np.minimum(np.maximum(x, y), 0.0) - radius)


def ellipse(x: Array, y: Array, half_x: Array | float, half_y: Array | float) -> Array:
    """First-order signed distance to an axis-parallel ellipse."""
    u, v = x / half_x, y / half_y
    k = np.sqrt(u * u + v * v) + TINY
    return np.asarray((k - 1.0) * k / (np.hypot(u / half_x, v / half_y) + TINY))


def capsule(points: Section, ends: Array, radius: float) -> Array:
    """Signed distance to a capsule between two (s, p, l) points."""
    axis = ends[1] - ends[0]
    offset = (points.s - ends[0][0], points.p - ends[0][1], points.l - ends[0][2])
    length = float(axis @ axis)
    along = sum(o * a for o, a in zip(offset, axis, strict=True)) / max(length, TINY)
    t = np.clip(along, 0.0, 1.0)
    parts = [(o - t * a) ** 2 for o, a in zip(offset, axis, strict=True)]
    return np.asarray(np.sqrt(sum(parts)) - radius)
