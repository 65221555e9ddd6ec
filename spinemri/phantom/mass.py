"""The mass as an implicit function in canal coordinates, and how far it leaves sac and cord room."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import brentq

from spinemri.phantom.column import TABLE_STEP_MM, Canal, Column
from spinemri.phantom.curve import Curve
from spinemri.phantom.recipe import ForaminalExtension, MassRecipe
from spinemri.phantom.shapes import Section, capsule, smooth_max, step

__all__ = ["MassForm", "MassGrid", "build_mass", "mass_volumes_mm3", "shrink"]

Array = NDArray[np.float64]
WALL_FILM_MM = 0.25
CORNER_MM = 0.8
END_REACH = 0.46
FURROW_FREE_MM = 9.0
WALL_SMOOTHING_MM = 12.0
STEEPEST_END = 0.9
GRID_MM = 0.4
ANGLES = {
    "posterior": 0.0, "left": 90.0, "anterior": 180.0, "right": -90.0,
    "posterolateral_left": 45.0, "posterolateral_right": -45.0, "circumferential": 0.0,
}  # fmt: skip
"""Direction in which the mass lies from the canal's centre, degrees from posterior towards the patient's left."""


@dataclass(frozen=True, eq=False)
class MassForm:
    """A mass laid into one canal.

    Attributes
    ----------
    recipe : MassRecipe
    direction : (2,) tuple of float
        Cosine and sine: w = p cos + l sin points at the mass, v = l cos - p sin runs across.
    edge, thickness, wrap : (n,) ndarray
        Tables over s: free border as w offset (mm), thickness (mm, negative beyond the ends), curvature (1/mm).
    worst_mm, start_mm, stop_mm : float
        s of the thickest place and of the planned ends.
    retreat_mm : float
        By how much the free border has moved away from the sac, from shrinkage.
    necks : tuple of ndarray
        (2, 3) ends in (s, p, l) of each foraminal neck.
    waves : (4,) ndarray
        Phases of the lobulation.
    """

    recipe: MassRecipe
    direction: tuple[float, float]
    edge: Array
    thickness: Array
    wrap: Array
    worst_mm: float
    start_mm: float
    stop_mm: float
    retreat_mm: float
    necks: tuple[Array, ...]
    waves: Array

    @property
    def circumferential(self) -> bool:
        """Whether the mass surrounds the sac."""
        return self.recipe.shape == "circumferential"

    def distance(self, points: Section, canal_distance: Array) -> Array:
        """Approximate signed distance in mm to the mass's surface, negative inside.

        Parameters
        ----------
        points : Section
            Where, in canal coordinates.
        canal_distance : ndarray
            Signed distance to the bony canal at the same points.
        """
        free = self._free_border(points, canal_distance)
        out = smooth_max(free, canal_distance + WALL_FILM_MM, CORNER_MM)
        for extension, ends in zip(self.recipe.foramina, self.necks, strict=True):
            neck = capsule(points, ends, extension.neck_mm - self.retreat_mm)
            far = np.repeat(ends[1:], 2, axis=0)
            bulb = capsule(points, far, extension.bulb_mm - self.retreat_mm)
            out = np.minimum(out, np.minimum(neck, bulb))
        return out

    def _free_border(self, points: Section, canal_distance: Array) -> Array:
        thickness = points.table(self.thickness)
        cosine, sine = self.direction
        across = points.l * cosine - points.p * sine
        relief = self.recipe.lobulation * np.maximum(thickness, 0.0) * self._furrows(points.s, across)
        if self.circumferential:
            return np.asarray(-canal_distance - thickness + self.retreat_mm + relief)
        depth = points.p * cosine + points.l * sine - points.table(self.edge) - self.retreat_mm
        wrap = points.table(self.wrap)
        slope = np.sqrt(1.0 + (2.0 * wrap * across) ** 2 + 0.12)
        return np.asarray(-(depth + wrap * across**2 - relief) / slope)

    def _furrows(self, s: Array, across: Array) -> Array:
        """Depth of the furrows between lobules, 0..1; none at the worst level, so that it stays the worst."""
        a, b, c, d = self.waves
        waves = np.sin(s / 2.4 + a) * np.cos(across / 3.5 + b) + np.sin(s / 5.1 + c) + 0.5 * np.sin(across / 2.2 + d)
        away = np.clip(np.abs(s - self.worst_mm) / FURROW_FREE_MM, 0.0, 1.0)
        return np.asarray(away * (0.5 - 0.2 * waves))


def support(canal_posterior: Array, half_width: Array, cosine: float, sine: float) -> Array:
    """Half extent along a direction of an ellipse with the given half axes, mm."""
    return np.sqrt((canal_posterior * cosine) ** 2 + (half_width * sine) ** 2)


def build_mass(recipe: MassRecipe, column: Column, canal: Canal, rng: np.random.Generator) -> MassForm:
    """Lay a mass into a canal, from inside its first to inside its last vertebra.

    Raises
    ------
    ValueError
        If its levels are unknown or not in order from cranial to caudal.
    """
    start, worst, stop = (column.position_mm(x) for x in (recipe.from_level, recipe.worst_level, recipe.to_level))
    reach = END_REACH if recipe.from_level != recipe.to_level else 2.0 * END_REACH
    start -= reach * column.height[column.index(recipe.from_level)]
    stop += reach * column.height[column.index(recipe.to_level)]
    if not start < worst < stop:
        raise ValueError(
            f"mass from {recipe.from_level} to {recipe.to_level} is worst at {recipe.worst_level}: "
            "give levels from cranial to caudal with the worst one between"
        )
    angle = np.deg2rad(ANGLES[recipe.shape])
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    arc = canal.arc_mm
    flank = np.where(arc < worst, worst - start, stop - worst)
    towards, away = (canal.roof, canal.floor) if cosine > -1e-9 else (canal.floor, canal.roof)
    wall = support(towards, canal.half_width, cosine, sine)
    diameter = float(np.interp(worst, arc, wall + support(away, canal.half_width, cosine, sine)))
    half = 0.5 if recipe.shape == "circumferential" else 1.0
    greatest = half * recipe.compression * diameter
    fullness = np.minimum(recipe.fullness, np.maximum(STEEPEST_END * flank / greatest, 1.2))
    spindle = np.maximum(1.0 - (np.abs(arc - worst) / flank) ** fullness, -1.0)
    thickness = greatest * spindle
    return MassForm(
        recipe=recipe,
        direction=(cosine, sine),
        edge=_even(wall, worst, arc) - thickness,
        thickness=thickness,
        wrap=recipe.wrap_per_mm * np.clip(3.0 * spindle, 0.0, 1.0),
        worst_mm=worst,
        start_mm=start,
        stop_mm=stop,
        retreat_mm=0.0,
        necks=tuple(_neck(extension, column, canal) for extension in recipe.foramina),
        waves=rng.uniform(0.0, 2.0 * np.pi, 4),
    )


def _even(wall: Array, worst_mm: float, arc: Array) -> Array:
    """Smooth the wall's segmental recesses away, so that the free border does not repeat them."""
    smooth = gaussian_filter1d(wall, WALL_SMOOTHING_MM / TABLE_STEP_MM, mode="nearest")
    return np.asarray(smooth + np.interp(worst_mm, arc, wall) - np.interp(worst_mm, arc, smooth))


def _neck(extension: ForaminalExtension, column: Column, canal: Canal) -> Array:
    s = column.position_mm(extension.disc) - 3.0
    wall = float(np.interp(s, canal.arc_mm, canal.half_width))
    sign = 1.0 if extension.side == "left" else -1.0
    far = wall + 8.0 + 0.7 * extension.bulb_mm
    return np.array([[s, 0.0, sign * (wall - 2.5)], [s + 1.0, -2.0, sign * far]])


@dataclass(frozen=True, eq=False)
class MassGrid:
    """A fine grid in canal coordinates around a mass, on which its volume is defined.

    Attributes
    ----------
    points : Section
        Flat samples every `GRID_MM`.
    canal_distance, weight_mm3 : ndarray
        Signed distance to the bony canal and volume of each sample's cell.
    """

    points: Section
    canal_distance: Array
    weight_mm3: Array

    @classmethod
    def around(cls, form: MassForm, canal: Canal, curve: Curve) -> MassGrid:
        """Cover a mass and its foraminal parts with room to grow."""
        margin = max([8.0, *(e.bulb_mm + 4.0 for e in form.recipe.foramina)])
        ends = np.concatenate([np.zeros((0, 3)), *form.necks])
        wide = max(float(canal.half_width.max()), float(np.abs(ends[:, 2]).max(initial=0.0)) + margin) + 1.0
        deep = max(float(canal.roof.max()), margin) + 1.0
        first = min(form.start_mm - 10.0, float(ends[:, 0].min(initial=np.inf)) - margin)
        last = max(form.stop_mm + 10.0, float(ends[:, 0].max(initial=-np.inf)) + margin)
        axes = [np.arange(lo, hi, GRID_MM) for lo, hi in ((first, last), (-deep, deep), (-wide, wide))]
        s, p, l = (x.ravel() for x in np.meshgrid(*axes, indexing="ij"))  # noqa: E741
        points = Section(s, p, l, canal.start_mm, TABLE_STEP_MM)
        weight = curve.volume_element(s, p, l) * GRID_MM**3
        return cls(points, points.canal_distance(canal), weight)


def mass_volumes_mm3(form: MassForm, grid: MassGrid) -> tuple[float, float]:
    """Return the mass's volume inside and outside the bony canal in mm3."""
    cover = step(form.distance(grid.points, grid.canal_distance), GRID_MM) * grid.weight_mm3
    inside = grid.canal_distance < 0.0
    return float(cover[inside].sum()), float(cover[~inside].sum())


def shrink(form: MassForm, grid: MassGrid, goal_mm3: float) -> MassForm:
    """Move the free border until the volume is `goal_mm3`, exact within 1e-4 of it.

    Raises
    ------
    ValueError
        If no border gives that volume, e.g. because the canal is full.
    """

    def excess(retreat_mm: float) -> float:
        """Say by how much of the wanted volume the retreating mass is too large."""
        return sum(mass_volumes_mm3(replace(form, retreat_mm=retreat_mm), grid)) / goal_mm3 - 1.0

    lowest, highest = -4.0, 15.0
    if excess(lowest) < 0.0 or excess(highest) > 0.0:
        raise ValueError(f"a volume of {goal_mm3:.0f} mm3 cannot be reached by moving the border of the mass")
    return replace(form, retreat_mm=float(brentq(excess, lowest, highest, xtol=1e-5, rtol=1e-8)))
