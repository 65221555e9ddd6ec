"""Areas and diameters of canal, sac, cord and mass on every section of the canal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.model import Centreline
from spinemri.measure.planes import FloatMap, SectionStack, reaches_edge

__all__ = ["MeasuredCanal", "Sections", "Structure", "measure_sections", "seen_only", "smooth_along"]

SMOOTHING_MM = 3.0
SMALLEST_AREA_MM2 = 4.0
"""Below this area a structure has no meaningful diameter: less than one thick voxel's face of 0.65 x 3.6 mm twice."""
CORD_LINE_SHARE = 0.5
MOST_TILT = 0.97
LEFT_BLUR = 0.2
"""Variance that slices and resampling add from side to side, in squared slice distances: 0.16 to 0.23 for ellipses of
2 to 12 mm in slices of 3.3 to 4.4 mm, averaged over where the slices lie."""
LEAST_OWN_SHARE = 0.15


@dataclass(frozen=True, eq=False)
class Structure:
    """Size of one structure on every section; NaN where it cannot be measured.

    Attributes
    ----------
    area_mm2 : (n,) ndarray
    ap_mm, transverse_mm : (n,) ndarray
        Length inside the structure of the lines through its centroid, antero-posterior and to the sides.
    centroid_mm : (n, 2) ndarray
        Posterior and left offset from the centreline.
    """

    area_mm2: NDArray[np.float64]
    ap_mm: NDArray[np.float64]
    transverse_mm: NDArray[np.float64]
    centroid_mm: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sections:
    """The profile along the canal, cranial to caudal; every array has one entry per centreline point.

    Attributes
    ----------
    canal, sac, cord, mass : Structure
        `mass` is the part in the bony canal.
    step_mm : float
        Arc length between neighbouring sections.
    """

    canal: Structure
    sac: Structure
    cord: Structure
    mass: Structure
    step_mm: float

    def __len__(self) -> int:
        return len(self.canal.area_mm2)

    def known(self, name: Literal["sac", "cord"]) -> Structure:
        """Sac or cord as they may be averaged along the canal: a sac may be pressed to 0, a cord is then not seen."""
        return seen_only(self.cord) if name == "cord" else self.sac

    @property
    def occupancy_percent(self) -> NDArray[np.float64]:
        """Mass area over bony canal area per section in percent, (n,), clipped to 0..100."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(self.canal.area_mm2 > 0, self.mass.area_mm2 / self.canal.area_mm2, np.nan)
        out: NDArray[np.float64] = np.clip(100.0 * share, 0.0, 100.0)
        return out


@dataclass(frozen=True, eq=False)
class MeasuredCanal:
    """One canal with its sections: what all further measures are taken from.

    Attributes
    ----------
    centreline : Centreline
    stack : SectionStack
    sections : Sections
    names : tuple of str or None
        Level of each section.
    bony : bool
        The bony canal is outlined; False where only sac and mass are, so that its size and occupancy are unknown.
    """

    centreline: Centreline
    stack: SectionStack
    sections: Sections
    names: tuple[str | None, ...]
    bony: bool


def measure_sections(stack: SectionStack, *, step_mm: float) -> Sections:
    """Measure all structures on all sections.

    Areas are sums of fractions times pixel area; nothing is thresholded. Diameters are integrals of the fraction
    along the line through the structure's own centroid, so that they are finer than a pixel. Where a structure is only
    a few slices wide its AP diameter along one line depends on where the slices happen to lie, and less than a slice
    wide it is diluted, whereas its area and transverse diameter suffer neither (see `finer_across_slices`). For sac and
    cord the length along the line therefore gives way to the antero-posterior chord of the ellipse with the same
    area, transverse chord and tilt, ``4 * area * sqrt(1 - r^2) / (pi * transverse)``, r being the correlation of the
    two offsets over the structure: by nothing from a width of three slices on, by all at one slice. For the cord, which
    is close to an ellipse, the chord counts half at least.

    Parameters
    ----------
    stack : SectionStack
    step_mm : float
        Arc length between sections.

    Returns
    -------
    Sections
        NaN on all sections without a canal, and for each structure where it leaves the field of view: its area then,
        and a diameter if the structure is cut on the very line. A stack too narrow for the whole canal still shows
        its AP diameter.
    """
    canal, sac, cord, mass = (
        _structure(fractions, stack) for fractions in (stack.canal, stack.sac, stack.cord, stack.mass)
    )
    sac = _steadied(sac, stack.sac, stack, most_line=1.0)
    cord = _steadied(cord, stack.cord, stack, most_line=CORD_LINE_SHARE)
    return Sections(canal, sac, cord, mass, step_mm)


def _structure(fractions: FloatMap, stack: SectionStack) -> Structure:
    """Measure one structure on all sections; a diameter needs its own line in view, the area all of the structure."""
    pixel = stack.pixel_mm
    by_left = fractions.sum(1, dtype=np.float64) * pixel
    by_back = fractions.sum(2, dtype=np.float64) * pixel
    edge = reaches_edge(fractions, stack.beyond)
    cut = stack.missing | edge.any((1, 2))
    visible = np.maximum(by_left.sum(1) * pixel, 0.0)
    known = ~stack.missing & (visible >= SMALLEST_AREA_MM2)
    weight = np.where(known, visible, 1.0)
    centroid = np.stack([by_back @ stack.offsets_mm, by_left @ stack.offsets_mm], axis=1) * pixel / weight[:, None]
    centroid[~known] = np.nan
    ap = _at_offset(np.where(edge.any(1), np.nan, by_left), centroid[:, 1], stack.offsets_mm)
    transverse = _at_offset(np.where(edge.any(2), np.nan, by_back), centroid[:, 0], stack.offsets_mm)
    centroid[cut] = np.nan
    return Structure(np.where(cut, np.nan, visible), ap, transverse, centroid)


def _steadied(structure: Structure, fractions: FloatMap, stack: SectionStack, *, most_line: float) -> Structure:
    """Let the AP diameter of a structure of few slices rest on its equivalent ellipse."""
    upright = np.sqrt(1.0 - _tilt(fractions, stack) ** 2)
    width = np.where(structure.transverse_mm > 0, structure.transverse_mm, np.nan)
    chord = 4.0 * structure.area_mm2 * upright / (np.pi * width)
    # An ellipse reaches as far to the sides as its chord would if it stood upright.
    slices = width / upright / stack.slice_mm
    line = np.clip((slices - 1.0) / 2.0, 0.0, most_line)
    mixed = line * structure.ap_mm + (1.0 - line) * chord
    return replace(structure, ap_mm=np.where(np.isfinite(chord), mixed, structure.ap_mm))


def _tilt(fractions: FloatMap, stack: SectionStack) -> NDArray[np.float64]:
    """Correlation of posterior and left offset over a structure, (n,): not 0 where it lies obliquely.

    Slices widen it to the sides, and that is taken off.
    """
    at, filled = stack.offsets_mm, np.maximum(fractions, 0.0).astype(np.float64)
    total = np.maximum(filled.sum((1, 2)), 1e-9)
    back, left = (filled.sum(axis) @ at / total for axis in (2, 1))
    back_square, left_square = (filled.sum(axis) @ at**2 / total for axis in (2, 1))
    product = np.einsum("nij,i,j->n", filled, at, at, optimize=True) / total
    back_variance = np.maximum(back_square - back**2, 1e-9)
    left_variance = np.maximum(left_square - left**2, 1e-9)
    left_variance = np.maximum(left_variance - LEFT_BLUR * stack.slice_mm**2, LEAST_OWN_SHARE * left_variance)
    correlation = (product - back * left) / np.sqrt(back_variance * left_variance)
    return np.asarray(np.clip(correlation, -MOST_TILT, MOST_TILT))


def _at_offset(
    lengths: NDArray[np.float64], offset: NDArray[np.float64], offsets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolate one value per row of (n, m) lengths at the offsets (n,) in mm; NaN stays NaN."""
    position = (np.nan_to_num(offset) - offsets[0]) / (offsets[1] - offsets[0])
    low = np.clip(np.floor(position).astype(int), 0, len(offsets) - 2)
    part = np.clip(position - low, 0.0, 1.0)
    every = np.arange(len(lengths))
    value = (1 - part) * lengths[every, low] + part * lengths[every, low + 1]
    out: NDArray[np.float64] = np.where(np.isnan(offset), np.nan, np.maximum(value, 0.0))
    return out


def seen_only(structure: Structure) -> Structure:
    """Return a structure that is not known where it is not seen, in place of being 0.

    Where an outline ends, averaging over neighbours would otherwise make what is left of it look narrow.
    """
    seen = np.nan_to_num(structure.area_mm2) >= SMALLEST_AREA_MM2
    area, ap, transverse = (
        np.where(seen, values, np.nan) for values in (structure.area_mm2, structure.ap_mm, structure.transverse_mm)
    )
    return replace(structure, area_mm2=area, ap_mm=ap, transverse_mm=transverse)


def smooth_along(values: NDArray[np.float64], *, step_mm: float, width_mm: float = SMOOTHING_MM) -> NDArray[np.float64]:
    """Average a profile over neighbouring sections, leaving out NaN; what was NaN stays NaN.

    Parameters
    ----------
    values : (n,) ndarray
    step_mm : float
        Distance between sections.
    width_mm : float
        Length averaged over; rounded to an odd number of sections.

    Returns
    -------
    (n,) ndarray
    """
    half = max(0, round((width_mm / step_mm - 1) / 2))
    kernel = np.ones(2 * half + 1)
    known = np.isfinite(values)
    total = np.convolve(np.where(known, values, 0.0), kernel)[half : half + len(values)]
    count = np.convolve(known.astype(float), kernel)[half : half + len(values)]
    out: NDArray[np.float64] = np.where(known, total / np.maximum(count, 1.0), np.nan)
    return out
