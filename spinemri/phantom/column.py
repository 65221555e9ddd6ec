"""Sizes along the column of one patient, before any mass: vertebrae, discs, bony canal, sac and cord."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from spinemri.nomenclature import disc_name
from spinemri.phantom.norms import NORMS, column_of
from spinemri.phantom.recipe import SpineRecipe

__all__ = ["TABLE_STEP_MM", "Canal", "Column", "build_canal", "build_column"]

Array = NDArray[np.float64]
TABLE_STEP_MM = 0.25
TABLE_MARGIN_MM = 80.0
CONUS = "L1"
SAC_END = "S2"


@dataclass(frozen=True, eq=False)
class Column:
    """Vertebrae from cranial to caudal; every array has one entry per vertebra, in mm.

    `disc_centre` and `disc_gap` describe the disc below each vertebra; `hydration` (0..1) and `bulge` too.
    """

    names: tuple[str, ...]
    centre: Array
    height: Array
    depth: Array
    width: Array
    disc_centre: Array
    disc_gap: Array
    hydration: Array
    bulge: Array
    marrow: Array
    spinous_slope: Array
    spinous_length: Array

    def index(self, vertebra: str) -> int:
        """Return the position of a vertebra in the arrays."""
        return self.names.index(vertebra)

    @property
    def last_lumbar_mm(self) -> float:
        """Return s of the centre of the lowest vertebra above the sacrum, in mm."""
        return float(self.centre[self.index("S1") - 1])

    def disc_names(self) -> tuple[str, ...]:
        """Name the disc below each vertebra but the last."""
        return tuple(disc_name(a, b) for a, b in zip(self.names[:-1], self.names[1:], strict=True))

    def position_mm(self, level: str) -> float:
        """Return s of a vertebra's (``"T7"``) or disc's (``"T6/7"``) centre in mm.

        Raises
        ------
        ValueError
            If the phantom has no such level.
        """
        if level in self.names:
            return float(self.centre[self.index(level)])
        discs = self.disc_names()
        if level in discs:
            return float(self.disc_centre[discs.index(level)])
        raise ValueError(f"{level!r} is no level of the phantom; expected a name such as 'T7' or 'T6/7'")


@dataclass(frozen=True, eq=False)
class Canal:
    """The undisturbed canal, tabulated every `TABLE_STEP_MM` along s; offsets in mm from the centreline.

    Attributes
    ----------
    start_mm : float
        s of the first entry.
    roof, floor, half_width : (n,) ndarray
        Distance of the bony canal's back, front and side walls.
    sac_centre, sac_half_ap, sac_half_width, cord_centre, cord_half_ap, cord_half_width : (n,) ndarray
        Ellipses of dural sac and cord; centres are p offsets.
    """

    start_mm: float
    roof: Array
    floor: Array
    half_width: Array
    sac_centre: Array
    sac_half_ap: Array
    sac_half_width: Array
    cord_centre: Array
    cord_half_ap: Array
    cord_half_width: Array

    @property
    def arc_mm(self) -> Array:
        """The tables' s, (n,) mm."""
        return np.asarray(self.start_mm + TABLE_STEP_MM * np.arange(len(self.roof)), dtype=np.float64)


def build_column(spine: SpineRecipe, rng: np.random.Generator) -> Column:
    """Draw one patient's vertebrae and discs around the norms."""
    names = column_of(spine.variant)
    norms = np.array([NORMS[name] for name in names])
    jitter = 1.0 + spine.size_jitter * rng.standard_normal((len(names), 4)).clip(-2.0, 2.0)
    height, depth, width = (norms[:, :3] * spine.body_size * jitter[:, :3]).T
    degeneration = np.clip(spine.disc_degeneration + 0.25 * rng.standard_normal(len(names)), 0.0, 1.0)
    gap = norms[:, 3] * spine.disc_height * jitter[:, 3] * (1.0 - 0.35 * degeneration)
    top = np.concatenate([[0.0], np.cumsum(height + gap)[:-1]])
    worn = degeneration * (0.4 + rng.random(len(names)))
    bulge = spine.disc_bulge_mm * worn + 0.2
    marrow = np.exp(0.04 * rng.standard_normal(len(names)))
    for level, factor in spine.marrow_signal:
        marrow[names.index(level)] *= factor
    sacral = np.array([name.startswith("S") for name in names])
    return Column(
        names=names,
        centre=top + height / 2.0,
        height=height,
        depth=depth,
        width=width,
        disc_centre=top + height + gap / 2.0,
        disc_gap=gap,
        hydration=1.0 - degeneration,
        bulge=np.where(sacral, 0.0, bulge),
        marrow=marrow,
        spinous_slope=norms[:, 10] * (1.0 + 0.1 * rng.standard_normal(len(names))),
        spinous_length=norms[:, 11] * spine.body_size,
    )


def _smooth(column: Column, values: Array, arc: Array) -> Array:
    table = PchipInterpolator(column.centre, values)(np.clip(arc, column.centre[0], column.centre[-1]))
    return np.asarray(gaussian_filter1d(table, 4.0 / TABLE_STEP_MM, mode="nearest"))


def _bumps(arc: Array, centres: Array, heights: Array, half_widths: Array) -> Array:
    """Sum of one smooth bump of compact support per level."""
    x = (arc[:, None] - centres[None]) / half_widths[None]
    return np.asarray((heights * np.clip(1.0 - x**2, 0.0, None) ** 2).sum(1))


def build_canal(spine: SpineRecipe, column: Column, rng: np.random.Generator) -> Canal:
    """Tabulate the undisturbed canal: discs narrow its floor, fat pads widen the gap behind the sac."""
    norms = np.array([NORMS[name] for name in column.names])
    start = -TABLE_MARGIN_MM
    arc = np.arange(start, column.centre[-1] + TABLE_MARGIN_MM, TABLE_STEP_MM)
    ap, width = (_smooth(column, norms[:, k] * spine.canal_size, arc) for k in (4, 5))
    pitch = column.height + column.disc_gap
    recess = _bumps(arc, column.disc_centre - 1.0, 0.11 * norms[:, 4], 0.42 * pitch)
    bulge = _bumps(arc, column.disc_centre, column.bulge, 0.9 * column.disc_gap + 2.0)
    floor, roof = 0.5 * ap - bulge, 0.44 * ap + recess
    front, back = _sac_borders(spine, column, arc, floor, roof, rng)
    sac_scale = spine.sac_size * spine.canal_size**0.5
    half_sac = np.minimum(0.5 * (back - front), 0.5 * _smooth(column, norms[:, 6], arc) * sac_scale)
    half_width = np.minimum(0.5 * _smooth(column, norms[:, 7], arc) * sac_scale, 0.5 * width - 0.7)
    half_cord = 0.5 * _smooth(column, norms[:, 8], arc) * spine.cord_size
    cord_width = 0.5 * _smooth(column, norms[:, 9], arc) * spine.cord_size
    taper = np.clip((column.position_mm(CONUS) + 8.0 - arc) / 34.0, 0.0, 1.0) ** 0.6
    half_cord = np.minimum(half_cord * np.maximum(taper, 1e-3), half_sac - 0.8)
    centre = front + half_sac
    slack = np.maximum(half_sac - half_cord - 0.9, 0.0)
    lean = _smooth(column, np.array([_lean(name) for name in column.names]), arc)
    return Canal(
        start, roof, floor, 0.5 * width, centre, half_sac, half_width,
        centre + lean * slack, half_cord, np.minimum(cord_width * np.maximum(taper, 1e-3), half_width - 1.0),
    )  # fmt: skip


def _lean(name: str) -> float:
    """Where the cord lies in the sac, -1 front to 1 back: it takes the short way round each curve."""
    if name.startswith("T"):
        return -0.6 if 3 <= int(name[1:]) <= 9 else -0.25
    return 0.1 if name.startswith("C") else 0.4


def _sac_borders(
    spine: SpineRecipe, column: Column, arc: Array, floor: Array, roof: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Front and back border of the sac as p offsets: what epidural fat and veins leave free."""
    fat = spine.epidural_fat * np.exp(0.25 * rng.standard_normal(len(column.names)))
    amount = np.array([_pad_mm(name) for name in column.names]) * fat
    pitch = column.height + column.disc_gap
    pads = _bumps(arc, column.disc_centre - 2.0, amount, 0.48 * pitch)
    plain = 0.5 + 0.35 * _smooth(column, amount, arc)
    front_fat = _smooth(column, np.array([_front_gap_mm(name) for name in column.names]), arc)
    front = -floor + 0.6 + front_fat * min(spine.epidural_fat, 2.0)
    back = np.maximum(roof - plain - pads, front + 4.0)
    end = column.position_mm(SAC_END)
    closing = np.clip((end + 6.0 - arc) / 45.0, 0.02, 1.0) ** 0.5
    middle = 0.5 * (front + back)
    return middle + (front - middle) * closing, middle + (back - middle) * closing


def _pad_mm(name: str) -> float:
    """Thickness of the fat pad behind the sac, mm: thin in the neck, segmental in the chest, thick below."""
    pads = {"C": 0.4, "T": 2.0, "L": 4.2, "S": 4.0}
    return pads[name[0]]


def _front_gap_mm(name: str) -> float:
    gaps = {"C": 0.1, "T": 0.2, "L": 0.4, "S": 2.5}
    return 3.0 if name in {"L5", "L6"} else gaps[name[0]]
