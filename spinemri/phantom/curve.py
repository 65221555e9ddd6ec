"""The canal's centreline and the coordinates that follow it.

Canal coordinates
-----------------
s
    Arc length along the canal in mm, growing caudally, 0 at the cranial border of C1.
p
    Offset to the back in mm, perpendicular to the canal.
l
    Offset to the patient's left in mm, perpendicular to both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from spinemri.phantom.recipe import SpineRecipe

__all__ = ["Curve", "build_curve"]

Array = NDArray[np.float64]
STEP_MM = 0.5
MARGIN_MM = 90.0
SMOOTHING_MM = 9.0
NEWTON_STEPS = 4
SMALLEST_STRETCH = 0.25


@dataclass(frozen=True, eq=False)
class Curve:
    """The canal's centreline in the patient's rest space, sampled every `STEP_MM`.

    Attributes
    ----------
    arc_mm : (n,) ndarray
        s of each sample.
    points, tangent, posterior, left : (n, 3) ndarray
        LPS mm and orthonormal frame (tangent caudal).
    speed, bend_posterior, bend_left : (n,) ndarray
        Length of the derivative of the position by s, and curvature (1/mm) towards the back and to the left.
    """

    arc_mm: Array
    points: Array
    tangent: Array
    posterior: Array
    left: Array
    speed: Array
    bend_posterior: Array
    bend_left: Array

    def _at(self, table: Array, s: Array) -> Array:
        if table.ndim == 1:
            return np.interp(s, self.arc_mm, table)
        return np.stack([np.interp(s, self.arc_mm, column) for column in table.T], axis=-1)

    def volume_element(self, s: Array, p: Array, l: Array) -> Array:  # noqa: E741 - the module's own coordinate
        """Volume in mm3 of a unit cell of canal coordinates: above 1 on the outside of a bend."""
        bend = self._at(self.bend_posterior, s) * p + self._at(self.bend_left, s) * l
        return np.maximum(self._at(self.speed, s) - bend, SMALLEST_STRETCH)

    def to_lps(self, s: Array, p: Array, l: Array) -> Array:  # noqa: E741
        """Map canal coordinates (mm, one shape) to rest-space LPS mm (..., 3)."""
        s, p, l = np.broadcast_arrays(s, p, l)  # noqa: E741
        out: Array = (
            self._at(self.points, s)
            + p[..., None] * self._at(self.posterior, s)
            + l[..., None] * self._at(self.left, s)
        )
        return out

    def to_canal(self, lps: Array) -> tuple[Array, Array, Array]:
        """Map rest-space LPS mm (..., 3) to canal coordinates by Newton's method.

        Exact within about 1e-4 mm closer to the canal than its radius of curvature; beyond that only continuous.
        """
        z = self.points[:, 2]
        s = np.interp(-lps[..., 2], -z, self.arc_mm)
        for _ in range(NEWTON_STEPS):
            p, left, along = self._components(lps, s)
            s = s + np.clip(along / self.volume_element(s, p, left), -25.0, 25.0)
        p, left, _ = self._components(lps, s)
        return s, p, left

    def _components(self, lps: Array, s: Array) -> tuple[Array, Array, Array]:
        inside = np.clip(s, self.arc_mm[0], self.arc_mm[-1])
        offset = lps - self._at(self.points, inside)
        axes = (self.posterior, self.left, self.tangent)
        p, left, along = ((offset * self._at(axis, inside)).sum(-1) for axis in axes)
        return p, left, along - (s - inside)


def _angles(spine: SpineRecipe, bending_degrees: float) -> dict[str, float]:
    """Tilt of the canal to the back in degrees by level, from the curvatures that clinicians name."""
    kyphosis = spine.thoracic_kyphosis_degrees + bending_degrees
    upper = 0.55 * kyphosis
    lower = upper - kyphosis
    neck = upper - spine.cervical_lordosis_degrees
    sacral = lower + spine.lumbar_lordosis_degrees
    return {
        "C1": neck - 3.0,
        "C2": neck,
        "C5": 0.5 * (neck + upper) + 1.0,
        "T1": upper,
        "T6": 0.5 * (upper + lower) + 2.0,
        "T12": lower,
        "L3": lower + 0.3 * spine.lumbar_lordosis_degrees,
        "S1": sacral,
        "S3": sacral - 12.0,
        "S5": sacral - 50.0,
    }


def build_curve(spine: SpineRecipe, centres_mm: Mapping[str, float], *, bending_degrees: float = 0.0) -> Curve:
    """Lay the canal's centreline so that T8's level is the origin of the rest space.

    Parameters
    ----------
    spine : SpineRecipe
    centres_mm : mapping
        s of each vertebra's centre.
    bending_degrees : float
        Added to the thoracic kyphosis.
    """
    arc = np.arange(-MARGIN_MM, max(centres_mm.values()) + MARGIN_MM, STEP_MM)
    angles = _angles(spine, bending_degrees)
    knots = [centres_mm[name] for name in angles]
    curve = PchipInterpolator(knots, np.deg2rad(list(angles.values())))
    tilt = gaussian_filter1d(curve(np.clip(arc, knots[0], knots[-1])), SMOOTHING_MM / STEP_MM, mode="nearest")
    phase = (arc - centres_mm["T8"]) / 160.0
    side = spine.scoliosis_mm * (np.cos(phase) - 0.35 * np.sin(2.3 * phase))
    # Trapezium rule; the sagittal projection alone is walked at unit speed.
    steps = np.stack([np.sin(tilt), -np.cos(tilt)], axis=1) * STEP_MM
    sagittal = np.concatenate([[[0.0, 0.0]], np.cumsum(0.5 * (steps[1:] + steps[:-1]), axis=0)])
    points = np.column_stack([side, sagittal])
    points -= [np.interp(centres_mm["T8"], arc, column) for column in points.T]
    return _with_frame(arc, points, tilt)


def _with_frame(arc: Array, points: Array, tilt: Array) -> Curve:
    derivative = np.gradient(points, arc, axis=0)
    derivative[:, 1:] = np.stack([np.sin(tilt), -np.cos(tilt)], axis=1)
    speed = np.linalg.norm(derivative, axis=1)
    tangent = derivative / speed[:, None]
    posterior = np.stack([np.zeros_like(tilt), np.cos(tilt), np.sin(tilt)], axis=1)
    left = np.cross(tangent, posterior)
    turn = np.gradient(tangent, arc, axis=0)
    return Curve(arc, points, tangent, posterior, left, speed, (turn * posterior).sum(1), (turn * left).sum(1))
