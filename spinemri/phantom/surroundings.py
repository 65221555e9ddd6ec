"""Muscle, fat, vessels, organs, lungs, skin and air around the spine: plausible, and no part of the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemri.phantom.geometry import Geometry
from spinemri.phantom.shapes import Section, step

__all__ = ["TRAITS", "surroundings"]

Array = NDArray[Any]
SOFT_MM = 1.5
TRAITS = 8
"""Number of patient-specific random numbers that shape the surroundings."""


def _blend(image: Array, cover: Array, value: Array | float) -> Array:
    return np.asarray(image + cover * (value - image))


def surroundings(
    geometry: Geometry, points: Section, fields: tuple[Array, Array], signals: dict[str, float], traits: Array
) -> Array:
    """Signal of everything that no layer covers, (n,).

    Parameters
    ----------
    geometry : Geometry
    points : Section
        All points of one slice.
    fields : two (n,) ndarrays
        Unit-variance fields fixed in the patient: isotropic, and streaky like muscle.
    signals : dict
        Material to signal.
    traits : (8,) ndarray
        Standard normal numbers of this patient.
    """
    column, canal = geometry.column, geometry.canal
    depth = points.table(np.interp(canal.arc_mm, column.centre, column.depth + 0.5)).astype(points.s.dtype)
    front = -(points.table(canal.floor).astype(points.s.dtype) + depth)
    coarse, bundles = fields
    fat = geometry.recipe.spine.muscle_fat
    septa = 0.75 * step(1.5 - 1.8 * fat - bundles, 0.9)
    # Between the muscles of both sides, and under the fascia, fat prevails.
    septa = np.maximum(septa, 0.5 * step(np.abs(points.l) - 3.0 - 1.5 * bundles, 3.0))
    image = signals["muscle"] * (1.0 - 0.06 * bundles) * (1.0 - septa) + signals["fat"] * septa
    image = _blend(image, step(points.p - front, 6.0), _viscera(geometry, points, coarse, signals, front, traits))
    image = _lungs_beside(geometry, points, coarse, signals, image, traits)
    image = _vessels(geometry, points, signals, front, image)
    image = _head(points, coarse, signals, image)
    return _skin(geometry, points, signals, image, traits)


def _viscera(
    geometry: Geometry, points: Section, coarse: Array, signals: dict[str, float], front: Array, traits: Array
) -> Array:
    """In front of and beside the column: neck, chest or abdomen."""
    column = geometry.column
    t1, diaphragm = column.position_mm("T1"), column.position_mm("T11") + 6.0 * traits[0]
    side = np.abs(points.l + 4.0)
    depth = front - points.p
    abdomen = signals["organ"] * (1.0 + 0.15 * coarse)
    abdomen = _blend(abdomen, step(0.35 + 0.2 * traits[1] - coarse, 0.5), signals["fat"])
    abdomen = _blend(abdomen, step(1.0 + coarse - 0.01 * depth, 0.4), 0.05)
    chest = signals["organ"] * (0.6 + 0.12 * coarse)
    chest = _blend(chest, step(0.9 - coarse, 0.4), signals["fat"])
    lung = np.maximum(
        step(24.0 + 4.0 * traits[2] + 5.0 * coarse - side, 4.0), step(55.0 + 9.0 * coarse - depth, 6.0) * 0.85
    )
    chest = _blend(chest, lung, signals["lung"] * (1.0 + 0.3 * coarse))
    neck = _blend(signals["muscle"] * (1.0 + 0.1 * coarse), step(0.8 - coarse, 0.4), signals["fat"])
    airway = np.hypot(points.l, depth - 20.0 - 2.0 * traits[3]) - 8.0
    neck = _blend(neck, step(airway, SOFT_MM), 0.0)
    out = _blend(abdomen, step(points.s - diaphragm + 0.25 * depth, 5.0), chest)
    return _blend(out, step(points.s - t1, 12.0), neck)


def _lungs_beside(
    geometry: Geometry, points: Section, coarse: Array, signals: dict[str, float], image: Array, traits: Array
) -> Array:
    """Lay the lungs' posterior recesses on both sides of the thoracic spine."""
    column = geometry.column
    top, bottom = column.position_mm("T2") - 8.0, column.position_mm("T11") + 10.0 + 6.0 * traits[5]
    side = np.abs(points.l)
    behind = points.p - 16.0 + (side - 55.0) ** 2 / 90.0
    recess = np.maximum(np.maximum(behind, 25.0 + coarse - side), np.maximum(top - points.s, points.s - bottom))
    image = _blend(image, step(recess - 2.5, 2.0), signals["fat"] * 0.8)
    return _blend(image, step(recess, 2.0), signals["lung"] * (1.0 + 0.3 * coarse))


def _vessels(geometry: Geometry, points: Section, signals: dict[str, float], front: Array, image: Array) -> Array:
    column = geometry.column
    aorta = np.hypot(points.l - 9.0, points.p - front + 13.0) - 10.0
    aorta = np.maximum(aorta, np.maximum(column.position_mm("T4") - points.s, points.s - column.position_mm("L4")))
    cava = np.hypot(points.l + 15.0, points.p - front + 13.0) - 9.5
    cava = np.maximum(cava, column.position_mm("T12") - points.s)
    wall = step(np.minimum(aorta, cava) - 1.0, SOFT_MM)
    image = _blend(image, wall, signals["ligament"])
    return _blend(image, step(np.minimum(aorta, cava), SOFT_MM), signals["vessel"])


def _head(points: Section, coarse: Array, signals: dict[str, float], image: Array) -> Array:
    """Skull base and brain above the atlas."""
    base = points.s + 17.0 + 0.25 * np.abs(points.p)
    skull = np.maximum(base, np.abs(points.p - 5.0) - 62.0)
    brain = signals["cord"] * (0.92 + 0.06 * coarse)
    image = _blend(image, step(skull, SOFT_MM), signals["cortex"])
    image = _blend(image, step(skull + 4.0, SOFT_MM), signals["csf"])
    return _blend(image, step(skull + 7.0 + 2.0 * coarse, SOFT_MM), brain)


def _skin(geometry: Geometry, points: Section, signals: dict[str, float], image: Array, traits: Array) -> Array:
    """Subcutaneous fat and air behind, beside and in front."""
    column, canal, spine = geometry.column, geometry.canal, geometry.recipe.spine
    dtype = points.s.dtype
    reach = column.spinous_length * 0.85 + 15.0 * spine.body_size + np.interp(column.centre, canal.arc_mm, canal.roof)
    smooth = np.convolve(np.pad(reach, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    fascia = points.table(np.interp(canal.arc_mm, column.centre, smooth)).astype(dtype)
    side = np.abs(points.l)
    fascia = fascia + 5.0 * np.clip(side / 25.0, 0.0, 1.0) ** 2 - np.maximum(side - 30.0, 0.0) ** 2 / 220.0
    belly = {"C1": 70.0, "C5": 62.0, "T1": 85.0, "T6": 165.0, "L1": 150.0, "L4": 130.0, "S3": 150.0}
    places = [column.position_mm(name) for name in belly]
    deep = points.table(np.interp(canal.arc_mm, places, list(belly.values()))).astype(dtype) * (1.0 + 0.06 * traits[4])
    fat_mm = spine.subcutaneous_fat_mm
    body = np.maximum(points.p - fascia, -(points.p + deep) + side**2 / 260.0)
    image = _blend(image, step(np.abs(points.p - fascia) - 0.7, SOFT_MM), signals["ligament"])
    image = _blend(image, step(-body, SOFT_MM), signals["fat"])
    return _blend(image, step(fat_mm - body, SOFT_MM), 0.0)
