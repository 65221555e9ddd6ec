"""The key images, bare and outlined: sagittal through the worst point, axial and perpendicular at the worst level."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spinemri.intake.model import AXIAL_ROLES, SAGITTAL_ROLES, Role
from spinemri.report.drawing import CANAL_COLOUR, CORD_COLOUR, MASS_COLOUR, Label, Outline, draw_section
from spinemri.report.sections import Section, framed, native_axial, native_sagittal, perpendicular
from spinemri.report.visit import Visit, anterior_points, level_text
from spinemri.report.windows import spine_window
from spinemri.report.wording import series_title

__all__ = ["REFORMATTED", "Block", "Picture", "key_images"]

REFORMATTED = "Perpendicular to the canal (reformatted)"
_AXIAL_MM = 80.0
_SECTION_MM = 70.0
_MARGIN_MM = 55.0
_LONGEST_MM = 260.0
_SHORTEST_MM = 130.0
_ANTERIOR_MM, _POSTERIOR_MM = 58.0, 42.0


@dataclass(frozen=True)
class Picture:
    """One picture of the report.

    Attributes
    ----------
    name : str
        File name in ``figures/``.
    data : bytes
    mime : str
    alt, caption : str
    title : str
        What series it shows.
    """

    name: str
    data: bytes
    mime: str
    alt: str
    caption: str
    title: str = ""


@dataclass(frozen=True)
class Block:
    """Pictures that belong together: those of one role at every visit; `missing` names visits without it."""

    pictures: tuple[Picture, ...]
    missing: tuple[str, ...] = ()

    @property
    def titles(self) -> tuple[str, ...]:
        """What series are shown: several where another one stands in at some of the visits."""
        return tuple(dict.fromkeys(picture.title for picture in self.pictures))


@dataclass(frozen=True, eq=False)
class _Frame:
    """Which part of a sagittal slice is shown, in mm above, below, in front of and behind the place of interest."""

    above: float
    below: float
    front: float
    back: float

    @property
    def size(self) -> NDArray[np.float64]:
        """Front to back and top to bottom, mm."""
        return np.array([self.front + self.back, self.above + self.below])


def key_images(visits: Sequence[Visit]) -> tuple[Block, ...]:
    """Draw the key images of all visits, one block for each sequence that any of them has."""
    frame = _sagittal_frame(visits[0])
    blocks = [_block(role, visits, partial(_sagittal, role=role, frame=frame)) for role in SAGITTAL_ROLES]
    blocks += [_block(role, visits, partial(_axial, role=role)) for role in AXIAL_ROLES]
    return tuple(block for block in [*blocks, _reformatted(visits)] if block.pictures)


def _block(role: Role, visits: Sequence[Visit], draw: Callable[[Visit], Sequence[Picture]]) -> Block:
    pictures: list[Picture] = []
    missing: list[str] = []
    for visit in visits:
        drawn = draw(visit) if role in visit.result.images else ()
        pictures.extend(drawn)
        if not drawn:
            missing.append(visit.title)
    return Block(tuple(pictures), tuple(missing))


def _mass_points(visit: Visit) -> NDArray[np.float64]:
    rows = [row for row in visit.result.profile if row.mass_area_mm2]
    return np.array([(row.x_lps_mm, row.y_lps_mm, row.z_lps_mm) for row in rows]).reshape(-1, 3)


def _sagittal_frame(visit: Visit) -> _Frame:
    """Cover the mass with a margin and keep clear of the picture's being too small to read."""
    place = visit.place.point_lps
    section = native_sagittal(visit.result.primary_image, place)
    x, y = section.to_mm(place)
    height = section.size_mm[1]
    line, mass = visit.result.anatomy.centreline, _mass_points(visit)
    if line is None:
        return _Frame(y, height - y, x, section.size_mm[0] - x)
    if len(mass):
        heights = section.to_mm(mass)[:, 1]
        above, below = y - heights.min() + _MARGIN_MM, heights.max() - y + _MARGIN_MM
    else:
        above = below = _LONGEST_MM / 2
    short = max(0.0, _SHORTEST_MM - above - below) / 2
    above, below = min(above + short, y), min(below + short, height - y)
    canal = section.to_mm(line.points_lps)
    shown = canal[(canal[:, 1] > y - above) & (canal[:, 1] < y + below), 0]
    front = x - shown.min() + _ANTERIOR_MM if len(shown) else _ANTERIOR_MM
    back = shown.max() - x + _POSTERIOR_MM if len(shown) else _POSTERIOR_MM
    return _Frame(above, below, float(front), float(back))


def _sagittal(visit: Visit, role: Role, frame: _Frame) -> tuple[Picture, ...]:
    volume = visit.result.images[role]
    whole = native_sagittal(volume, visit.place.point_lps)
    centre = whole.to_mm(visit.place.point_lps)
    section = framed(whole, centre - np.array([frame.front, frame.above]), frame.size)
    labels = (*_level_labels(visit, section), *_worst_mark(visit, section))
    outlines = _outlines(visit, section, role, cord=False)
    where, title = f"slice {section.number} of {section.count}", series_title(visit.result, role)
    return _pair(visit, role.value, title, where, section, _window(visit, role), outlines, labels, 4.0)


def _axial(visit: Visit, role: Role) -> tuple[Picture, ...]:
    whole = native_axial(visit.result.images[role], visit.place.point_lps)
    if whole is None:
        return ()
    half = np.array([_AXIAL_MM / 2, _AXIAL_MM / 2])
    section = framed(whole, whole.to_mm(visit.place.point_lps) - half, 2 * half)
    outlines = _outlines(visit, section, role, cord=True)
    where, title = f"{_place_name(visit)}, slice {section.number} of {section.count}", series_title(visit.result, role)
    return _pair(visit, role.value, title, where, section, _window(visit, role), outlines, (), 5.0)


def _reformatted(visits: Sequence[Visit]) -> Block:
    pictures: list[Picture] = []
    for visit in visits:
        if visit.result.anatomy.centreline is None:
            continue
        place, role = visit.place, visit.result.primary
        section = perpendicular(
            visit.result.primary_image,
            place.point_lps,
            left=place.left,
            posterior=place.posterior,
            size_mm=_SECTION_MM,
        )
        outlines = _outlines(visit, section, role, cord=True)
        what = f"Section perpendicular to the canal, reformatted from {_lower(series_title(visit.result, role))}"
        pictures += _pair(
            visit, "perpendicular", what, _place_name(visit), section, _window(visit, role), outlines, (), 6.0
        )
    return Block(tuple(replace(picture, title=REFORMATTED) for picture in pictures))


def _lower(name: str) -> str:
    return name[0].lower() + name[1:]


def _window(visit: Visit, role: Role) -> tuple[float, float]:
    return spine_window(visit.result.images[role], visit.result.anatomy.centreline)


def _outlines(visit: Visit, section: Section, role: Role, *, cord: bool) -> tuple[Outline, ...]:
    if not visit.can_outline(role):
        return ()
    shown = [(visit.canal, CANAL_COLOUR), *([(visit.cord, CORD_COLOUR)] if cord else []), (visit.mass, MASS_COLOUR)]
    return tuple(Outline(section.sample(volume), colour) for volume, colour in shown)


def _place_name(visit: Visit) -> str:
    """Name of the level at the visit's place, from its own profile."""
    rows = visit.result.profile
    if not rows:
        return "level unknown"
    points = np.array([(row.x_lps_mm, row.y_lps_mm, row.z_lps_mm) for row in rows])
    name = rows[int(np.linalg.norm(points - visit.place.point_lps, axis=1).argmin())].level
    return level_text(visit.result, name) if name else "level unknown"


def _level_labels(visit: Visit, section: Section) -> Iterable[Label]:
    width, height = section.size_mm
    for name, point in anterior_points(visit.result).items():
        x, y = (float(v) for v in section.to_mm(point))
        if 4 < y < height - 4 and x < width:
            yield Label(level_text(visit.result, name), max(x - 2.0, 12.0), y)


def _worst_mark(visit: Visit, section: Section) -> Iterable[Label]:
    if visit.marked:
        x, y = (float(v) for v in section.to_mm(visit.place.point_lps + 15.0 * visit.place.posterior))
        yield Label(f"\N{BLACK LEFT-POINTING SMALL TRIANGLE} {_place_name(visit)}", x, y, "left", "#F0E442")


def _pair(  # noqa: PLR0913, PLR0917 - one picture's facts, used once
    visit: Visit,
    key: str,
    what: str,
    where: str,
    section: Section,
    window: tuple[float, float],
    outlines: tuple[Outline, ...],
    labels: tuple[Label, ...],
    pixels_per_mm: float,
) -> tuple[Picture, ...]:
    """Draw a section bare and outlined."""
    bare = draw_section(section, window, pixels_per_mm=pixels_per_mm)
    drawn = draw_section(section, window, outlines=outlines, labels=labels, pixels_per_mm=pixels_per_mm)
    about = f"{what}, {where}, {visit.title}"
    note = "outlined" if outlines else "not outlined: another frame of reference than the masks"
    name = f"{key}_visit{visit.number}"
    return (
        Picture(f"{name}.jpg", bare, "image/jpeg", f"{about}, without outlines", visit.title, what),
        Picture(f"{name}_outlined.jpg", drawn, "image/jpeg", f"{about}, {note}", f"{where}, {note}", what),
    )
