"""Dural sac and cord: where they lie, and how they give way to a mass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemri.phantom.column import Canal
from spinemri.phantom.mass import MassForm, support
from spinemri.phantom.shapes import TINY, Section, smooth_max

__all__ = ["SacForm", "build_sac"]

Array = NDArray[np.float64]
FILM_MM = 0.25
THINNEST_SAC_MM = 0.7
SHARE_OF_SHIFT = 0.6
CORD_SPREAD = 0.5
WIDEST_CORD = 1.35
PIA_MM = 0.25


@dataclass(frozen=True, eq=False)
class Squeeze:
    """How one ellipse is moved and squeezed along the mass's direction; tables over s in mm.

    The ellipse at rest has half axes `half_ap`, `half_width` along p and l. Along the mass's direction it is centred on
    `centre` and scaled by `squeeze`, across it is scaled by `spread`.
    """

    half_ap: Array
    half_width: Array
    centre: Array
    squeeze: Array
    spread: Array

    def distance(self, points: Section, cosine: float, sine: float) -> Array:
        """First-order signed distance in mm to the squeezed ellipse."""
        w, v = points.p * cosine + points.l * sine, points.l * cosine - points.p * sine
        squeeze, spread = points.table(self.squeeze), points.table(self.spread)
        # Walk back to the ellipse at rest.
        w0 = (w - points.table(self.centre)) / squeeze
        v0 = v / spread
        p0 = (w0 * cosine - v0 * sine) / points.table(self.half_ap)
        l0 = (w0 * sine + v0 * cosine) / points.table(self.half_width)
        k = np.sqrt(p0 * p0 + l0 * l0) + TINY
        gp, gl = p0 / points.table(self.half_ap), l0 / points.table(self.half_width)
        gw, gv = (gp * cosine + gl * sine) / squeeze, (gl * cosine - gp * sine) / spread
        return np.asarray((k - 1.0) * k / (np.hypot(gw, gv) + TINY))


@dataclass(frozen=True, eq=False)
class SacForm:
    """Dural sac and cord of one visit.

    Attributes
    ----------
    sac, cord : Squeeze
    direction : tuple of float
        Cosine and sine of the mass's direction; (1, 0) without a mass.
    conus_mm : float
        s below which there is no cord.
    mass : MassForm or None
    """

    sac: Squeeze
    cord: Squeeze
    direction: tuple[float, float]
    conus_mm: float
    mass: MassForm | None

    def distances(self, points: Section, canal_distance: Array, mass_distance: Array | None) -> tuple[Array, Array]:
        """Signed distances in mm to the dural sac and to the cord."""
        sac = np.maximum(self.sac.distance(points, *self.direction), canal_distance + 0.3)
        if mass_distance is not None:
            sac = smooth_max(sac, FILM_MM - mass_distance, 0.4)
        cord = np.maximum(self.cord.distance(points, *self.direction), sac + PIA_MM)
        return sac, np.maximum(cord, points.s - self.conus_mm)


def build_sac(canal: Canal, mass: MassForm | None, conus_mm: float) -> SacForm:
    """Squeeze sac and cord out of the way of a mass, or leave them as they are."""
    cosine, sine = (1.0, 0.0) if mass is None else mass.direction
    lower, upper, side = _room(canal, mass, cosine, sine)
    half = support(canal.sac_half_ap, canal.sac_half_width, cosine, sine)
    rest = canal.sac_centre * cosine
    top = np.minimum(rest + half, upper)
    lost = np.maximum(rest + half - upper, 0.0)
    slack = np.maximum(rest - half - lower, 0.0)
    bottom = np.maximum(rest - half - np.minimum(SHARE_OF_SHIFT * lost, slack), lower)
    bottom = np.minimum(bottom, top - 2.0 * THINNEST_SAC_MM)
    new_half, new_centre = 0.5 * (top - bottom), 0.5 * (top + bottom)
    across = support(canal.sac_half_ap, canal.sac_half_width, -sine, cosine)
    widening = np.minimum(1.0 + 0.3 * (1.0 - new_half / half), 1.25)
    new_across = np.minimum(across * widening, side)
    sac = Squeeze(canal.sac_half_ap, canal.sac_half_width, new_centre, new_half / half, new_across / across)
    cord = _squeeze_cord(canal, (cosine, sine), new_centre, new_half, new_across)
    return SacForm(sac, cord, (cosine, sine), conus_mm, mass)


def _room(canal: Canal, mass: MassForm | None, cosine: float, sine: float) -> tuple[Array, Array, Array]:
    """Return what is left for the sac: lower and upper w offset, half width across; mm."""
    ahead, behind = (canal.roof, canal.floor) if cosine > -1e-9 else (canal.floor, canal.roof)
    upper = support(ahead, canal.half_width, cosine, sine) - 0.3
    lower = -support(behind, canal.half_width, cosine, sine) + 0.4
    side = support(np.minimum(canal.roof, canal.floor), canal.half_width, -sine, cosine) - 0.4
    if mass is None:
        return lower, upper, side
    if mass.circumferential:
        layer = np.maximum(mass.thickness - mass.retreat_mm, 0.0)
        return lower + layer, upper - layer, np.maximum(side - layer, THINNEST_SAC_MM)
    return lower, np.minimum(upper, mass.edge + mass.retreat_mm - FILM_MM), side


def _squeeze_cord(
    canal: Canal, direction: tuple[float, float], sac_centre: Array, sac_half: Array, sac_across: Array
) -> Squeeze:
    """Keep the cord inside the sac: it shifts first, then flattens, widens a little and loses area."""
    cosine, sine = direction
    half = support(canal.cord_half_ap, canal.cord_half_width, cosine, sine)
    across = support(canal.cord_half_ap, canal.cord_half_width, -sine, cosine)
    new_half = np.minimum(half, np.maximum(sac_half - PIA_MM, 0.4 * THINNEST_SAC_MM))
    slack = np.maximum(sac_half - PIA_MM - new_half, 0.0)
    centre = np.clip(canal.cord_centre * cosine, sac_centre - slack, sac_centre + slack)
    spread = np.minimum((half / new_half) ** CORD_SPREAD, WIDEST_CORD)
    spread = np.minimum(spread, np.maximum(sac_across - PIA_MM, 0.3) / across)
    return Squeeze(canal.cord_half_ap, canal.cord_half_width, centre, new_half / half, spread)
