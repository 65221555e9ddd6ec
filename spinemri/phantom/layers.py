"""What covers what inside and around the canal, front to back.

Each function yields `Layer`s for the points of one thin section. A layer takes its coverage from what the layers
before it left over, so nested structures come inside first and borders share their voxels without gaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemri.nomenclature import Tissue
from spinemri.phantom.geometry import Geometry
from spinemri.phantom.shapes import Section, ellipse, step

__all__ = ["Layer", "canal_layers"]

Array = NDArray[Any]
CANAL_REACH_MM = 22.0
FORAMEN_MAGNUM_MM = -14.0
ROOT_COUNT = 16
ROOT_RADIUS_MM = 0.55


@dataclass(frozen=True, eq=False)
class Layer:
    """Coverage of some points by one material.

    Attributes
    ----------
    where : (m,) ndarray of int
        Flat indices into the section.
    tissue : Tissue or (m,) ndarray of int
        What the layer counts as.
    material : str
    coverage : (m,) ndarray
        0..1 of what is left.
    shade : (m,) ndarray or float
        Factor on the material's signal.
    """

    where: Array
    tissue: Tissue | Array
    material: str
    coverage: Array
    shade: Array | float = 1.0


def canal_layers(geometry: Geometry, points: Section, pitch: float) -> Iterator[Layer]:
    """Yield mass, cord, sac and epidural space of a section.

    Parameters
    ----------
    geometry : Geometry
    points : Section
        All points of the section.
    pitch : float
        In-plane sampling distance in mm.
    """
    reach = CANAL_REACH_MM
    if geometry.mass is not None and geometry.mass.necks:
        reach = max(float(np.abs(ends[:, 2]).max()) + e.bulb_mm + 2.0
                    for ends, e in zip(geometry.mass.necks, geometry.mass.recipe.foramina, strict=True))  # fmt: skip
    near = (np.abs(points.p) < CANAL_REACH_MM) & (np.abs(points.l) < max(reach, CANAL_REACH_MM))
    where = np.flatnonzero(near)
    if where.size == 0:
        return
    own = points.subset(where)
    canal = own.canal_distance(geometry.canal)
    mass = None if geometry.mass is None else geometry.mass.distance(own, canal)
    sac, cord = geometry.sac.distances(own, canal, mass)
    end = geometry.column.centre[-1]
    open_ends = np.maximum(FORAMEN_MAGNUM_MM - own.s, own.s - end)
    if mass is not None:
        tissue = np.where(canal < 0.0, int(Tissue.MASS_CANAL), int(Tissue.MASS_OUTSIDE))
        yield Layer(where, tissue, "mass", step(mass, pitch))
        sac, canal = np.minimum(sac, np.maximum(mass, sac - 1.0)), np.minimum(canal, mass + 0.5 * pitch)
    yield from _inside_dura(geometry, own, where, (sac, cord, open_ends), pitch)
    yield from _epidural(geometry, own, where, np.maximum(canal, open_ends), pitch)


def _inside_dura(
    geometry: Geometry, own: Section, where: Array, distances: tuple[Array, Array, Array], pitch: float
) -> Iterator[Layer]:
    sac, cord, open_ends = distances
    # Above the foramen magnum cord and fluid go on, but are no longer the spine's.
    inside = np.where(open_ends < 0.0, 1, 0)
    yield Layer(where, inside * int(Tissue.CORD), "cord", step(cord, pitch))
    roots = _root_coverage(geometry, own, pitch)
    lumen = step(sac + 0.3, pitch)
    sac_tissue = inside * int(Tissue.DURAL_SAC)
    yield Layer(where, sac_tissue, "root", lumen * roots)
    flow = geometry.recipe.spine.csf_flow
    behind = np.clip(0.5 + 0.25 * own.p, 0.0, 1.0)
    pulsation = 1.0 - flow * behind * (0.5 + 0.5 * np.sin(own.s / 19.0)) * (own.s < geometry.sac.conus_mm)
    yield Layer(where, sac_tissue, "csf", lumen, pulsation)
    yield Layer(where, sac_tissue, "dura", step(sac, pitch))


def _root_coverage(geometry: Geometry, own: Section, pitch: float) -> Array:
    """Fraction of the sac taken by the cauda equina: strands that settle at the back of the sac."""
    conus, end = geometry.sac.conus_mm, geometry.column.position_mm("S2")
    lumbar = (own.s > conus - 25.0) & (own.s < end + 10.0)
    out: Array = np.zeros_like(own.s)
    if not lumbar.any():
        return out
    part = own.subset(np.flatnonzero(lumbar))
    sac = geometry.sac.sac
    half_l, half_p = part.table(sac.half_width), part.table(sac.half_ap)
    u, v = part.l / half_l, (part.p - part.table(sac.centre)) / half_p
    total = np.zeros_like(part.s)
    for k in range(ROOT_COUNT):
        phase = 2.4 * k
        x = 0.78 * np.sin(phase) * (0.45 + 0.5 * ((k * 7) % ROOT_COUNT) / ROOT_COUNT)
        y = 0.62 - 0.75 * ((k * 5) % ROOT_COUNT) / ROOT_COUNT + 0.1 * np.sin(part.s / 31.0 + phase)
        # Each pair of strands leaves the sac at its own level.
        leaves = np.clip((conus + (0.25 + 0.75 * k / ROOT_COUNT) * (end - conus) - part.s) / 8.0, 0.0, 1.0)
        gap = np.hypot((u - x) * half_l, (v - y) * half_p) - ROOT_RADIUS_MM
        total += leaves * step(gap, pitch)
    out[lumbar] = np.clip(total, 0.0, 0.85)
    return out


def _epidural(geometry: Geometry, own: Section, where: Array, canal: Array, pitch: float) -> Iterator[Layer]:
    """Fat behind and beside the sac, veins in front of it."""
    cover = step(canal, pitch)
    front = np.clip(0.5 - (own.p - 0.3 * own.table(geometry.canal.roof)) / 3.0, 0.0, 1.0)
    sacral = np.clip((own.s - geometry.column.last_lumbar_mm) / 20.0, 0.0, 1.0)
    yield Layer(where, Tissue.EPIDURAL, "veins", cover * front * (1.0 - 0.8 * sacral))
    yield Layer(where, Tissue.EPIDURAL, "fat", cover)


def basivertebral(own: Section, middle: Array, back: Array, pitch: float) -> Array:
    """Coverage by the vein that leaves the back of a vertebral body in its middle."""
    reach = ellipse(own.s - middle, own.p - back, 1.3, 5.0)
    return step(np.maximum(reach, np.abs(own.l) - 3.0), pitch)
