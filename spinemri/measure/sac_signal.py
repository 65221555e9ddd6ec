"""What fills the dural sac on a T2 section: fluid, rootlets, or neither to be told apart; and the fat behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.measure.mass import END_AREA_MM2
from spinemri.measure.planes import BoolMap, FloatMap
from spinemri.measure.sac_view import SacViews

__all__ = ["PureSignals", "SacContent", "posterior_fat_mm2", "reference_signals", "sac_content"]

FREE_LENGTH_MM = 20.0
"""Free fluid is read from sections without mass that span at least this much of the canal: a vertebral body's height,
behind which the sac is wide even where the discs narrow it."""
BRIGHT_PERCENTILE, DARK_PERCENTILE = 90.0, 5.0
SLOPE_LENGTH_MM = 50.0
"""Over less than a segment and a half a narrow place would be taken for the coil's gain."""
ENVELOPE_ROUNDS, ENVELOPE_WEIGHT_BELOW = 12, 0.05
LEAST_CONTRAST = 1.5
"""Fluid has at least twice the signal of nerve on T2; less than this, and they were not both in view."""
FEWEST_PIXELS = 40
POOL_LEVEL, POOL_RADIUS_MM = 0.6, 0.75
"""A pool is fluid at least 1.5 mm wide; between rootlets, which are about 1 mm thick, there is less."""
FAT_DEPTH_MM, FAT_HALF_WIDTH_MM = 8.0, 7.0
"""The fat pad lies in the midline, between the ligamenta flava and on the dura."""
FAT_LEVEL = 0.5
"""Of the patient's own epidural fat; ligament and cortical bone have next to no signal."""
LEAST_FAT = 0.25
"""Of fluid; epidural fat had 0.55 to 0.9 of it in four T2 scans, ligament and suppressed fat have about a tenth."""
EPIDURAL_FRACTION, EPIDURAL_SEED = 0.75, 0.5


@dataclass(frozen=True)
class PureSignals:
    """Signals of pure tissue near one place in one series; NaN where unknown.

    Attributes
    ----------
    fluid, nerve, fat : float
        Cerebrospinal fluid where nothing presses on the sac, the darkest of what is inside the dura, epidural fat.
    """

    fluid: float
    nerve: float
    fat: float

    @property
    def usable(self) -> bool:
        """Fluid and nerve can be told apart."""
        return self.nerve > 0 and self.fluid >= LEAST_CONTRAST * self.nerve

    @property
    def fat_shows(self) -> bool:
        """Fat has signal: it is neither suppressed nor unknown."""
        return self.fat >= LEAST_FAT * self.fluid


@dataclass(frozen=True)
class SacContent:
    """Signal inside the dura on one section, on a scale from nerve (0) to free fluid (1).

    Attributes
    ----------
    csf_share : float
        Mean of it, clipped to 0..1: the share of fluid, whatever part of it voxels can tell from rootlets.
    pool_share : float
        Share of the section that is fluid in patches at least 1.5 mm wide.
    signal_spread : float
        From the 10th to the 90th percentile.
    voxels : float
        Area that was read, in voxels of the series.
    """

    csf_share: float
    pool_share: float
    signal_spread: float
    voxels: float


def reference_signals(views: SacViews) -> PureSignals:
    """Read the patient's own fluid, nerve and fat near one place.

    Fluid is bright behind every body where nothing presses on the sac: of sections without mass the upper envelope of
    their 90th percentiles, a line along the canal in logarithms, since coils receive less from either end of the image.
    Signals of all sections are brought to the gain of the place before rootlets or cord, the darkest 5 % inside the
    dura, and fat, the median of the epidural space behind the sac, are read.

    Parameters
    ----------
    views : SacViews

    Returns
    -------
    PureSignals
        No fluid where less than 20 mm of canal is free of mass.
    """
    core, pixel_mm2 = views.core(), views.stack.pixel_mm**2
    seen = core.sum((1, 2)) >= FEWEST_PIXELS
    free = np.flatnonzero(seen & (views.stack.mass.sum((1, 2)) * pixel_mm2 < END_AREA_MM2))
    along = views.along_mm
    if not len(free) or np.ptp(along[free]) < FREE_LENGTH_MM:
        return PureSignals(float("nan"), float("nan"), float("nan"))
    bright = np.array([np.percentile(views.signal[n][core[n]], BRIGHT_PERCENTILE) for n in free])
    slope, level = _upper_line(along[free], np.log(np.maximum(bright, 1e-6)))
    even = views.signal / np.exp(slope * along)[:, None, None]
    inside, fat = even[core], even[_epidural_behind(views)]
    return PureSignals(
        fluid=float(np.exp(level)),
        nerve=float(np.percentile(inside, DARK_PERCENTILE)),
        fat=float(np.median(fat)) if len(fat) >= FEWEST_PIXELS else float("nan"),
    )


def _upper_line(along: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and intercept of a line through the upper values: least squares that weigh what lies below it less."""
    degree = 1 if np.ptp(along) >= SLOPE_LENGTH_MM else 0
    design = np.vander(along, degree + 1)
    weight = np.ones_like(values)
    for _ in range(ENVELOPE_ROUNDS):
        root = np.sqrt(weight)
        found = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
        weight = np.where(values >= design @ found, 1.0, ENVELOPE_WEIGHT_BELOW)
    return (float(found[0]) if degree else 0.0), float(found[-1])


def _epidural_behind(views: SacViews) -> BoolMap:
    """Pixels of pure epidural space behind the sac's centre."""
    stack = views.stack
    outside = stack.canal - np.maximum(stack.sac, 0.0) - np.maximum(stack.mass, 0.0)
    behind = np.zeros(stack.sac.shape, bool)
    for number, sac in enumerate(stack.sac):
        centre = _centre(sac, stack.offsets_mm)
        if centre is not None:
            behind[number] = (stack.offsets_mm > centre[0])[:, None]
    out: BoolMap = behind & (outside >= EPIDURAL_FRACTION) & np.isfinite(views.signal)
    return out


def _centre(sac: FloatMap, offsets: NDArray[np.float64]) -> tuple[float, float] | None:
    """Posterior and left offset of the sac's centre in mm."""
    filled = np.maximum(sac, 0.0).astype(np.float64)
    total = float(filled.sum())
    if total <= 0:
        return None
    return float(filled.sum(1) @ offsets / total), float(filled.sum(0) @ offsets / total)


def sac_content(views: SacViews, pure: PureSignals) -> SacContent:
    """Measure what fills the sac on the graded section.

    Sections that were resampled along the slices are averaged over their two neighbours, 3 mm of canal: rootlets run
    along it, noise does not.

    Parameters
    ----------
    views : SacViews
    pure : PureSignals

    Returns
    -------
    SacContent
        NaN shares where no pixel is purely inside the dura.
    """
    at, core = views.graded, views.core()[views.graded]
    near = slice(max(0, at - 1), at + 2) if views.reformatted else slice(at, at + 1)
    signal = np.mean(views.signal[near], axis=0)
    core &= np.isfinite(signal)
    voxels = float(core.sum()) * views.stack.pixel_mm**2 / float(np.prod(views.voxel_mm))
    if not core.any():
        return SacContent(float("nan"), float("nan"), float("nan"), 0.0)
    scaled = (signal - pure.nerve) / (pure.fluid - pure.nerve)
    low, high = np.percentile(scaled[core], [10.0, 90.0])
    # Fluid reaches up to the dura: a pool may lie along it, where the core leaves it out.
    sac = views.stack.sac[at] >= 0.5
    pools = ndimage.binary_opening((scaled >= POOL_LEVEL) & sac, _disc(POOL_RADIUS_MM, views.stack.pixel_mm))
    return SacContent(
        csf_share=float(np.clip(scaled[core], 0.0, 1.0).mean()),
        pool_share=float(pools.sum() / sac.sum()),
        signal_spread=float(high - low),
        voxels=voxels,
    )


def _disc(radius_mm: float, pixel_mm: float) -> BoolMap:
    reach = round(radius_mm / pixel_mm)
    at = np.arange(-reach, reach + 1) * pixel_mm
    out: BoolMap = np.hypot(at[:, None], at) <= radius_mm + 1e-6
    return out


def posterior_fat_mm2(views: SacViews, pure: PureSignals) -> float:
    """Return the area of fat behind the sac, or behind a mass there, near the midline.

    What has at least half the signal of the patient's epidural fat counts, up to 8 mm behind the dura, as far as it
    hangs together with outlined epidural space: marrow of the arches is bright, too, but lies behind a dark border.

    Parameters
    ----------
    views : SacViews
    pure : PureSignals

    Returns
    -------
    float
        NaN where fat has no signal of its own in this series.
    """
    if not pure.fat_shows:
        return float("nan")
    stack, at = views.stack, views.graded
    inside = np.maximum(stack.sac[at], 0.0) + np.maximum(stack.mass[at], 0.0)
    centre = _centre(inside, stack.offsets_mm)
    if centre is None:
        return float("nan")
    filled = inside >= 0.5
    # A pixel lies behind where something of its own column lies in front of it.
    behind = np.maximum.accumulate(filled, axis=0) & ~filled & (stack.offsets_mm > centre[0])[:, None]
    behind &= (np.abs(stack.offsets_mm - centre[1]) <= FAT_HALF_WIDTH_MM)[None]
    behind &= ndimage.distance_transform_edt(~filled) * stack.pixel_mm <= FAT_DEPTH_MM
    parts, _ = ndimage.label(behind & (np.nan_to_num(views.signal[at]) >= FAT_LEVEL * pure.fat))
    epidural = stack.canal[at] - inside >= EPIDURAL_SEED
    kept = np.setdiff1d(parts[epidural], [0])
    return float(np.isin(parts, kept).sum()) * stack.pixel_mm**2
