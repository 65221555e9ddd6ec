"""Areas and diameters of canal, sac, cord and mass on every section of the canal."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.model import Centreline
from spinemri.measure.planes import FloatMap, SectionStack, reaches_edge

__all__ = ["MeasuredCanal", "Sections", "Structure", "measure_sections", "smooth_along"]

SMOOTHING_MM = 3.0
SMALLEST_AREA_MM2 = 4.0
"""Below this area a structure has no meaningful diameter: less than one thick voxel's face of 0.65 x 3.6 mm twice."""


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
    along the line through the structure's own centroid, so that they are finer than a pixel. The cord is only two or
    three slices wide, so that its AP diameter along one line depends on where the slices happen to lie (see
    `finer_across_slices`), whereas its area and transverse diameter do not: its AP diameter is the mean of the length
    along the line and of ``4 * area / (pi * transverse)``, that of the ellipse with the same area and width.

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
    return Sections(canal, sac, _steadied(cord), mass, step_mm)


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


def _steadied(cord: Structure) -> Structure:
    """Average the AP diameter of a narrow structure with that of its equivalent ellipse."""
    width = np.where(cord.transverse_mm > 0, cord.transverse_mm, np.nan)
    return replace(cord, ap_mm=(cord.ap_mm + 4.0 * cord.area_mm2 / (np.pi * width)) / 2)


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
