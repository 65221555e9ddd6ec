"""A section as a picture: grey values, outlines, level names, orientation letters and a scale bar."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from spinemri.report.sections import Section

__all__ = [
    "CANAL_COLOUR",
    "CORD_COLOUR",
    "MASS_COLOUR",
    "SAC_COLOUR",
    "Label",
    "Outline",
    "draw_section",
    "orientation_letters",
]

# Okabe and Ito's palette, told apart with any colour vision.
MASS_COLOUR = "#E69F00"
CANAL_COLOUR = "#56B4E9"
CORD_COLOUR = "#CC79A7"
SAC_COLOUR = "#009E73"

_DPI = 100
_USUAL_PIXELS = 400.0
_JPEG = {"quality": 90, "subsampling": 0}
_DIRECTIONS = (("L", "R"), ("P", "A"), ("S", "I"))


@dataclass(frozen=True, eq=False)
class Outline:
    """Where a fraction sampled on the section crosses one half."""

    fraction: NDArray[Any]
    colour: str


@dataclass(frozen=True)
class Label:
    """Text at a place of the section, in mm from its left and top edge."""

    text: str
    x_mm: float
    y_mm: float
    align: str = "right"
    colour: str = "white"


def orientation_letters(direction: NDArray[np.float64]) -> str:
    """Name the side of the patient that a direction in LPS points to: L, R, A, P, S or I.

    Examples
    --------
    >>> orientation_letters(np.array([0.9, -0.3, 0.1]))
    'L'
    """
    axis = int(np.abs(direction).argmax())
    positive, negative = _DIRECTIONS[axis]
    return positive if direction[axis] > 0 else negative


def draw_section(
    section: Section,
    window: tuple[float, float],
    *,
    outlines: tuple[Outline, ...] = (),
    labels: tuple[Label, ...] = (),
    pixels_per_mm: float,
) -> bytes:
    """Draw a section in its physical aspect as JPEG.

    Parameters
    ----------
    section : Section
    window : (float, float)
        Grey values shown as black and white.
    outlines : tuple of Outline
    labels : tuple of Label
    pixels_per_mm : float
        Of the picture.

    Returns
    -------
    bytes
        The same input gives the same bytes.
    """
    width, height = section.size_mm
    scale = pixels_per_mm / _DPI
    figure = Figure(figsize=(width * scale, height * scale), dpi=_DPI, facecolor="black")
    # Pictures share their width on the page: letters grow with the picture to stay readable there.
    zoom = float(np.clip(width * pixels_per_mm / _USUAL_PIXELS, 0.7, 2.5))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    low, high = window
    extent = (0, width, height, 0)
    axes.imshow(section.image, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="bicubic", aspect="equal")
    for outline in outlines:
        _draw_outline(axes, section, outline, zoom)
    _draw_orientation(axes, section, zoom)
    _draw_scale_bar(axes, section, zoom)
    for label in labels:
        _write(axes, label, ha=label.align, size=12 * zoom)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    out = io.BytesIO()
    FigureCanvasAgg(figure).print_jpg(out, pil_kwargs=dict(_JPEG))
    return out.getvalue()


def _write(axes: Axes, label: Label, **style: Any) -> None:  # noqa: ANN401 - handed through to matplotlib
    effects = [withStroke(linewidth=2.5, foreground="black")]
    place = {"ha": "center", "va": "center", "fontweight": "bold", **style}
    axes.text(label.x_mm, label.y_mm, label.text, color=label.colour, path_effects=effects, clip_on=True, **place)


def _draw_outline(axes: Axes, section: Section, outline: Outline, zoom: float) -> None:
    inside = outline.fraction >= 0.5
    if not inside.any() or inside.all():
        return
    dx, dy = section.pixel_mm
    rows, columns = outline.fraction.shape
    x, y = (np.arange(columns) + 0.5) * dx, (np.arange(rows) + 0.5) * dy
    axes.contour(x, y, outline.fraction, levels=[0.5], colors=[outline.colour], linewidths=1.9 * zoom)


def _draw_orientation(axes: Axes, section: Section, zoom: float) -> None:
    width, height = section.size_mm
    margin = 0.03 * min(width, height)
    right, down = section.right, section.down
    marks = (
        (margin, height / 2, -right, {"ha": "left"}),
        (width - margin, height / 2, right, {"ha": "right"}),
        (width / 2, margin, -down, {"va": "top"}),
        (width / 2, height - margin, down, {"va": "bottom"}),
    )
    for x, y, direction, place in marks:
        _write(axes, Label(orientation_letters(direction), x, y, colour="white"), size=13 * zoom, **place)


def _draw_scale_bar(axes: Axes, section: Section, zoom: float) -> None:
    width, height = section.size_mm
    length = 20.0 if min(width, height) > 50 else 10.0
    x0, y0 = 0.04 * width, height - 0.03 * height
    effects = [withStroke(linewidth=4.4 * zoom, foreground="black")]
    axes.plot([x0, x0 + length], [y0, y0], color="white", linewidth=2.4 * zoom, path_effects=effects)
    label = Label(f"{length:.0f} mm", x0, y0 - 0.012 * height)
    _write(axes, label, ha="left", va="bottom", size=10.5 * zoom, fontweight="normal")
