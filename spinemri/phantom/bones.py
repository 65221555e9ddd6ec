"""Vertebrae, discs, sacrum, ribs and ligaments of a section, front to back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemri.nomenclature import Tissue
from spinemri.phantom.geometry import Geometry
from spinemri.phantom.layers import Layer, basivertebral
from spinemri.phantom.shapes import Section, ellipse, rounded_max, smooth_max, step

__all__ = ["bone_layers"]

Array = NDArray[Any]
CORTEX_MM = 0.9
POSTERIOR_CORTEX_MM = 1.2
ENDPLATE_ROUNDING_MM = 1.8
LAMINA_MM = 5.0
BACK_REACH_MM = 75.0
FRONT_REACH_MM = 14.0
SIDE_REACH_MM = 52.0


@dataclass(frozen=True, eq=False)
class Nearest:
    """Values of the vertebra that each point is nearest to, and of the disc nearest to it."""

    index: Array
    disc: Array
    middle: Array
    height: Array
    depth: Array
    half_width: Array
    disc_middle: Array
    gap: Array
    floor: Array
    roof: Array
    side: Array


def _nearest(geometry: Geometry, own: Section) -> Nearest:
    column, dtype = geometry.column, own.s.dtype
    index = np.searchsorted(column.disc_centre[:-1].astype(dtype), own.s)
    disc = np.searchsorted(column.centre[1:].astype(dtype), own.s).clip(0, len(column.names) - 1)

    def pick(values: Array, at: Array) -> Array:
        """Look values up by index."""
        return values.astype(dtype)[at]

    canal = geometry.canal
    return Nearest(
        index, disc, pick(column.centre, index), pick(column.height, index), pick(column.depth, index),
        0.5 * pick(column.width, index), pick(column.disc_centre, disc), pick(column.disc_gap, disc),
        own.table(_plain_floor(geometry)).astype(dtype),
        own.table(canal.roof).astype(dtype), own.table(canal.half_width).astype(dtype),
    )  # fmt: skip


def _plain_floor(geometry: Geometry) -> Array:
    """Front wall of the canal without the discs' bulge: where the bodies end."""
    column, canal = geometry.column, geometry.canal
    at_bodies = np.interp(column.centre, canal.arc_mm, canal.floor)
    return np.interp(canal.arc_mm, column.centre, at_bodies)


def bone_layers(geometry: Geometry, points: Section, pitch: float) -> Iterator[Layer]:
    """Yield posterior elements, bodies, discs and ribs of a section.

    Parameters
    ----------
    geometry : Geometry
    points : Section
        All points of the section.
    pitch : float
        In-plane sampling distance in mm.
    """
    deep = float(geometry.column.depth.max() + geometry.canal.floor.max()) + FRONT_REACH_MM
    near = (points.p > -deep) & (points.p < BACK_REACH_MM) & (np.abs(points.l) < SIDE_REACH_MM)
    where = np.flatnonzero(near & (points.s > -30.0) & (points.s < geometry.column.centre[-1] + 15.0))
    if where.size == 0:
        return
    own = points.subset(where)
    at = _nearest(geometry, own)
    yield from _posterior_layers(geometry, own, where, at, pitch)
    yield from _body_layers(geometry, own, where, at, pitch)
    yield from _around(geometry, own, where, at, pitch)


def _posterior_layers(geometry: Geometry, own: Section, where: Array, at: Nearest, pitch: float) -> Iterator[Layer]:
    part = np.flatnonzero(own.p > -at.floor - 12.0)
    own, where = own.subset(part), where[part]
    at = Nearest(**{name: value[part] for name, value in vars(at).items()})
    canal = own.canal_distance(geometry.canal)
    own = _wavy(own)
    sacral = at.index >= geometry.column.index("S1")
    bone = _posterior_distance(geometry, own, at, canal)
    tissue = np.where(sacral, int(Tissue.SACRUM), int(Tissue.POSTERIOR_ELEMENTS))
    shade = geometry.column.marrow.astype(own.s.dtype)[at.index]
    yield Layer(where, tissue, "posterior_marrow", step(bone + POSTERIOR_CORTEX_MM, pitch), shade)
    yield Layer(where, tissue, "cortex", step(bone, pitch))
    flavum = np.maximum(np.maximum(canal - 3.2, -own.p), np.abs(own.l) - 0.9 * at.side)
    yield Layer(where, Tissue.BACKGROUND, "ligament", step(flavum, pitch))


def _wavy(own: Section) -> Section:
    """Bend the posterior elements a little, since no process is a plane."""
    s, p, l = own.s, own.p, own.l  # noqa: E741
    away = np.clip((p - 2.0) / 8.0, 0.2, 1.0)
    shift_s = 1.3 * np.sin(p / 3.9 + s / 17.0) + 0.9 * np.sin(l / 2.6 - s / 11.0)
    shift_p = 1.0 * np.sin(s / 4.3 + l / 3.1) + 0.8 * np.sin(s / 9.0)
    return Section(
        s + away * shift_s, p + away * shift_p, l + 0.7 * np.sin(s / 6.1 + p / 5.0), own.start_mm, own.step_mm
    )


def _posterior_distance(geometry: Geometry, own: Section, at: Nearest, canal: Array) -> Array:
    """Signed distance to pedicles, laminae, articular, transverse and spinous processes."""
    column, dtype = geometry.column, own.s.dtype
    slope_table = np.interp(geometry.canal.arc_mm, column.centre, column.spinous_slope)
    slope = own.table(slope_table).astype(dtype)
    side = np.abs(own.l)
    # A spinous process lies below its own vertebra: look the vertebra up after sliding back along the slope.
    back = own.s - slope * np.maximum(own.p - at.roof, 0.0)
    owner = np.searchsorted((column.disc_centre[:-1] + 0.12 * column.height[:-1]).astype(dtype), back - 1.0)
    height, middle = column.height.astype(dtype)[owner], column.centre.astype(dtype)[owner]
    length = column.spinous_length.astype(dtype)[owner]
    steep = 1.0 / np.sqrt(1.0 + slope**2)
    across = np.abs(back - middle - 0.30 * height) * steep
    tip = at.roof + length
    spinous = np.maximum(across - (0.16 + 0.22 * (1.0 - np.minimum(slope, 1.2) / 1.2)) * height - 1.0, side - 3.2)
    spinous = np.maximum(np.maximum(spinous, own.p - tip), at.roof + 1.5 - own.p)
    lamina_along = np.abs(back - middle - 0.22 * height) - 0.50 * height
    thick = np.where(middle < column.centre[2], 3.5, LAMINA_MM).astype(dtype)
    lamina = np.maximum(np.maximum(np.abs(canal - 0.5 * thick - 0.3) - 0.5 * thick, lamina_along), -own.p - 2.0)
    return _union(lamina, spinous, _side_parts(geometry, own, at, canal))


def _side_parts(geometry: Geometry, own: Section, at: Nearest, canal: Array) -> Array:
    """Pedicles, articular and transverse processes, one distance."""
    side = np.abs(own.l)
    along = own.s - at.middle
    stout = 0.13 * at.depth
    pedicle = rounded_max(
        np.abs(along + 0.17 * at.height) - 0.28 * at.height, np.abs(side - at.side - stout) - stout, 2.0
    )
    pedicle = smooth_max(smooth_max(pedicle, np.abs(own.p + 0.4 * at.floor) - 0.75 * at.floor - 2.0, 2.0), -canal, 1.5)
    offsets = (
        (own.s - at.disc_middle - 1.0) / (0.46 * at.height),
        (own.p - 0.55 * at.roof) / 5.0,
        (side - at.side - 4.0) / 5.2,
    )
    facet = 4.0 * (np.sqrt(sum(x * x for x in offsets)) - 1.0)
    facet = np.maximum(facet, 0.5 - canal)
    joint = np.abs(own.s - at.disc_middle - 1.0 + 0.8 * (own.p - 0.55 * at.roof)) - 0.7
    facet = np.maximum(facet, -joint)
    cervical = at.index < geometry.column.index("C7")
    reach = np.where(cervical, 4.0, 20.0).astype(own.s.dtype)
    rise = 0.35 * (side - at.side)
    bar = np.hypot(along + 0.1 * at.height, own.p - 0.7 * at.roof - rise) - 3.6
    transverse = np.maximum(np.maximum(bar, side - at.side - reach), at.side + 2.0 - side)
    return _union(pedicle, facet, transverse)


def _union(*distances: Array) -> Array:
    out = distances[0]
    for distance in distances[1:]:
        out = np.minimum(out, distance)
    return out


def _body_layers(geometry: Geometry, own: Section, where: Array, at: Nearest, pitch: float) -> Iterator[Layer]:
    column, dtype = geometry.column, own.s.dtype
    sacral = at.index >= column.index("S1")
    front = own.p + at.floor + 0.5 * at.depth
    stretch = _stretch(geometry, own)
    along = np.abs(own.s - at.middle) / (0.5 * at.height)
    waist = np.where(sacral, 0.0, 1.1).astype(dtype) * (1.0 - np.minimum(along, 1.2) ** 2)
    flare = dtype.type(geometry.recipe.spine.osteophyte_mm) * np.minimum(along, 1.3) ** 6 * (front < 0.0)
    oval = _oval(own.l, front, at.half_width, 0.5 * at.depth)
    wall = oval + waist - flare
    hollow = 1.0 * np.clip(1.0 + oval / (0.4 * at.depth), -1.0, 1.0) ** 2
    plates = (np.abs(own.s - at.middle) - 0.5 * at.height) * stretch + 0.9 * (1.0 - hollow)
    body = rounded_max(wall, plates, ENDPLATE_ROUNDING_MM)
    body = np.where(at.index == 0, 9.0, body).astype(dtype)
    body = np.minimum(body, _dens(geometry, own, at))
    tissue = np.where(sacral, int(Tissue.SACRUM), int(Tissue.BODY))
    shade = column.marrow.astype(dtype)[at.index]
    vein = basivertebral(own, at.middle, -at.floor, pitch) * step(body + CORTEX_MM, pitch) * ~sacral
    yield Layer(where, tissue, "veins", vein)
    yield Layer(where, tissue, "marrow", step(body + CORTEX_MM, pitch), shade)
    yield Layer(where, tissue, "cortex", step(body, pitch))
    yield from _disc_layers(geometry, own, where, at, pitch)


def _oval(l: Array, front: Array, half_width: Array, half_depth: Array) -> Array:  # noqa: E741
    """Distance to a body's outline from above: an oval flattened at the back."""
    u, v = l / half_width, front / half_depth
    flat = np.where(front > 0.0, 4.0, 2.3).astype(l.dtype)
    k = (np.abs(u) ** flat + np.abs(v) ** flat + 1e-6) ** (1.0 / flat)
    return np.asarray((k - 1.0) * np.where(np.abs(u) > np.abs(v), half_width, half_depth))


def _stretch(geometry: Geometry, own: Section) -> Array:
    curve = geometry.curve
    bend = np.interp(geometry.canal.arc_mm, curve.arc_mm, curve.bend_posterior)
    return np.clip(1.0 - own.table(bend) * own.p, 0.3, 2.0).astype(own.s.dtype)


def _dens(geometry: Geometry, own: Section, at: Nearest) -> Array:
    column = geometry.column
    c1, c2 = float(column.centre[0]), float(column.centre[1])
    bottom = c2 - 0.2 * float(column.height[1])
    along = np.maximum(c1 - 5.0 - own.s, own.s - bottom)
    shaft = np.hypot(own.l, own.p + at.floor + 6.0) - 5.2
    return rounded_max(shaft, along, 3.0)


def _disc_layers(geometry: Geometry, own: Section, where: Array, at: Nearest, pitch: float) -> Iterator[Layer]:
    column, dtype = geometry.column, own.s.dtype
    depth = 0.5 * (column.depth[:-1] + column.depth[1:]).astype(dtype)
    width = 0.25 * (column.width[:-1] + column.width[1:]).astype(dtype)
    which = np.minimum(at.disc, len(depth) - 1)
    bulge = column.bulge.astype(dtype)[which]
    front = own.p + at.floor + 0.5 * depth[which]
    oval = _oval(own.l, front, width[which], 0.5 * depth[which])
    height = np.abs(own.s - at.disc_middle) * _stretch(geometry, own)
    disc = np.maximum(oval - bulge - 0.2, height - 0.5 * at.gap - 2.4)
    disc = np.where((which == 0), 9.0, disc).astype(dtype)
    sacral = which >= column.index("S1")
    tissue = np.where(sacral, int(Tissue.SACRUM), int(Tissue.DISC))
    core = np.maximum(oval, -0.5 * depth[which]) / (0.3 * depth[which]) + 1.0 + (height / (0.5 * at.gap)) ** 2
    core = (core - 0.55) * at.gap * 0.35
    hydration = column.hydration.astype(dtype)[which]
    yield Layer(where, tissue, "nucleus", step(core, 2.2) * step(disc, pitch) * hydration)
    yield Layer(where, tissue, "annulus", step(disc, pitch), 0.85 + 0.3 * hydration)


def _around(geometry: Geometry, own: Section, where: Array, at: Nearest, pitch: float) -> Iterator[Layer]:
    """Longitudinal ligaments, ribs, and the foramina's fat and nerves."""
    column = geometry.column
    side = np.abs(own.l)
    front = own.p + at.floor + 0.5 * at.depth
    cord = _oval(own.l, front, at.half_width + 0.6, 0.5 * at.depth + 0.8)
    spinal = (at.index > 0) & (at.index < column.index("S2"))
    yield Layer(where, Tissue.BACKGROUND, "ligament", step(cord, pitch) * spinal * (side < at.half_width))
    thoracic = (at.disc >= column.index("C7")) & (at.disc < column.index("T12"))
    run = side - at.half_width
    rib = np.hypot(own.s - at.disc_middle - 1.0 - 0.25 * run, own.p + at.floor + 3.0 - 0.95 * run) - 4.2
    rib = np.where(thoracic, np.maximum(rib, 0.5 - run), 9.0)
    yield Layer(where, Tissue.BACKGROUND, "posterior_marrow", step(rib + 1.0, pitch))
    yield Layer(where, Tissue.BACKGROUND, "cortex", step(rib, pitch))
    nerve = np.maximum(np.hypot(own.s - at.disc_middle + 4.0, own.p + 1.5) - 2.2, np.abs(side - at.side - 4.0) - 7.0)
    yield Layer(where, Tissue.BACKGROUND, "nerve", step(nerve, pitch))
    fat = ellipse(side - at.side - 1.0, own.p + 2.0, 8.0, 0.9 * at.floor)
    yield Layer(where, Tissue.BACKGROUND, "fat", step(fat, pitch))
    between = np.maximum(side - 2.2, np.abs(own.p - at.roof - 14.0) - 14.0)
    yield Layer(where, Tissue.BACKGROUND, "ligament", 0.55 * step(between, pitch))
