"""Signal of the mass relative to normal tissue. It describes the mass; it decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.model import Anatomy, Centreline
from spinemri.errors import Flag, Severity
from spinemri.intake.model import Role, Stack, Weighting
from spinemri.mass.model import Mass
from spinemri.measure.mass import Extent
from spinemri.measure.record import SignalRecord
from spinemri.measure.references import MARGIN_VERTEBRAE
from spinemri.nomenclature import Tissue
from spinemri.volume import Grid, Volume, resample

__all__ = ["Regions", "find_regions", "measure_signal", "without_stand_in"]

BoolMap = NDArray[np.bool_]

NEIGHBOURS = 2
"""Vertebrae used on either side: nearer ones share the mass's place in the coil's sensitivity."""
BODY_RADIUS_MM = 25.0
CORD_MARGIN_MM = 20.0
CORD_REACH_MM = 100.0
FEWEST_VOXELS = 20


@dataclass(frozen=True, eq=False)
class Regions:
    """Where signal is read on the primary grid; boolean arrays, possibly empty.

    Attributes
    ----------
    mass : ndarray
        Core of the mass.
    marrow : ndarray
        Posterior halves of the cores of vertebral bodies beyond the mass and a margin of one vertebra.
    cord : ndarray
        Core of the cord beyond the mass and a margin of 20 mm.
    """

    mass: BoolMap
    marrow: BoolMap
    cord: BoolMap


def find_regions(anatomy: Anatomy, mass: Mass, centreline: Centreline, extent: Extent) -> Regions:
    """Find where the signal of mass, marrow and cord can be read without partial volume.

    Parameters
    ----------
    anatomy : Anatomy
    mass : Mass
    centreline : Centreline
    extent : Extent

    Returns
    -------
    Regions
    """
    coverage = anatomy.tissues.coverage
    return Regions(
        mass=_core(mass.probability.array >= 0.75),
        marrow=_unaffected_marrow(anatomy, _core(coverage[Tissue.BODY] >= 0.9), centreline, extent),
        cord=_unaffected_cord(anatomy.tissues.grid, coverage[Tissue.CORD] >= 0.9, centreline, extent),
    )


def measure_signal(
    images: Mapping[Role, Volume], primary: Role, grid: Grid, regions: Regions
) -> tuple[SignalRecord, tuple[Flag, ...]]:
    """Return signal ratios of the mass.

    `t1_to_marrow` and `t2_to_marrow` are ratios of medians, mass over unaffected vertebral marrow.
    `enhancement_ratio` is (mass / cord) after contrast over (mass / cord) before it. Gains differ between the two
    stacks, hence the reference: the cord, whose barrier keeps it from enhancing and which holds no fat; marrow does
    enhance and loses its fat signal with fat suppression, and muscle is not outlined. Fat within the mass itself
    still lowers the ratio where only the later stack is fat-suppressed.

    Parameters
    ----------
    images : mapping of Role to Volume
    primary : Role
        The stack whose frame of reference the regions are in.
    grid : Grid
        Of the regions.
    regions : Regions

    Returns
    -------
    record : SignalRecord
        None for each ratio whose image or region is missing.
    flags : tuple of Flag
        For images that cannot be overlaid.
    """
    wanted = (Role.SAGITTAL_T1, Role.SAGITTAL_T2, Role.SAGITTAL_T1_POST_FS)
    aligned = {role: _on_grid(images, role, primary, grid) for role in wanted if role in images}
    apart = [role for role, image in aligned.items() if image is None]

    def ratio(role: Role, to: BoolMap) -> float | None:
        """Divide the median signals of mass and reference; None without this series."""
        image = aligned.get(role)
        if image is None:
            return None
        return _divide(_median(image, regions.mass), _median(image, to))

    post, pre = ratio(Role.SAGITTAL_T1_POST_FS, regions.cord), ratio(Role.SAGITTAL_T1, regions.cord)
    record = SignalRecord(
        t1_to_marrow=ratio(Role.SAGITTAL_T1, regions.marrow),
        t2_to_marrow=ratio(Role.SAGITTAL_T2, regions.marrow),
        enhancement_ratio=_divide(post, pre),
    )
    return record, tuple(_not_aligned(role) for role in apart)


def without_stand_in(signal: SignalRecord, t1: Stack | None, t2: Stack | None) -> SignalRecord:
    """Drop a ratio to marrow where another series stands in for the plain T1 or T2.

    On STIR and with fat suppression marrow is dark, and the ratio another.

    Parameters
    ----------
    signal : SignalRecord
    t1, t2 : Stack or None
        What has the role of the sagittal T1 before contrast, and of the sagittal T2.

    Returns
    -------
    SignalRecord
    """
    shown = {"t1_to_marrow": _is_plain(t1, Weighting.T1), "t2_to_marrow": _is_plain(t2, Weighting.T2)}
    return signal.model_copy(update={name: None for name, plain in shown.items() if not plain})


def _is_plain(stack: Stack | None, weighting: Weighting) -> bool:
    # Where nothing tells of fat suppression there is none, as in choosing the series.
    return stack is not None and stack.weighting is weighting and not stack.fat_suppressed


def _core(region: BoolMap) -> BoolMap:
    """Peel one voxel off a region within its slices; the region itself if nothing worth measuring remains."""
    inner: BoolMap = ndimage.binary_erosion(region, np.ones((1, 3, 3), bool))
    return inner if inner.sum() >= FEWEST_VOXELS else region


def _unaffected_marrow(anatomy: Anatomy, bodies: BoolMap, centreline: Centreline, extent: Extent) -> BoolMap:
    """Keep the nearest unaffected bodies, of each the half next to the canal: surface coils fade with depth."""
    first, last = extent.vertebrae
    out = np.zeros_like(bodies)
    centres = np.array([v.centre_lps_mm for v in anatomy.levels.vertebrae]).reshape(-1, 3)
    gap = MARGIN_VERTEBRAE + 1
    above = range(first - gap, first - gap - NEIGHBOURS, -1) if first >= 0 else range(0)
    below = range(last + gap, last + gap + NEIGHBOURS) if last >= 0 else range(0)
    chosen = [i for i in (*above, *below) if 0 <= i < len(centres)]
    if not chosen or not bodies.any():
        return out
    voxels = np.argwhere(bodies)
    points = anatomy.tissues.grid.to_lps(voxels.astype(float))
    distance = np.linalg.norm(points[:, None] - centres[None], axis=-1)
    keep = np.isin(distance.argmin(1), chosen) & (distance.min(1) <= BODY_RADIUS_MM)
    voxels, points = voxels[keep], points[keep]
    if len(voxels):
        depth = np.linalg.norm(points - centreline.points_lps[centreline.nearest(points)], axis=-1)
        out[tuple(voxels[depth <= np.median(depth)].T)] = True
    return out


def _unaffected_cord(grid: Grid, cord: BoolMap, centreline: Centreline, extent: Extent) -> BoolMap:
    """Keep the cord beyond the mass's ends and a margin, within reach."""
    out = np.zeros_like(cord)
    voxels = np.argwhere(cord)
    if not len(voxels):
        return out
    index = centreline.nearest(grid.to_lps(voxels.astype(float)))
    beyond = np.maximum(extent.first - index, index - extent.last) * centreline.step_mm
    keep = (beyond >= CORD_MARGIN_MM) & (beyond <= CORD_REACH_MM)
    out[tuple(voxels[keep].T)] = True
    return out


def _on_grid(images: Mapping[Role, Volume], role: Role, primary: Role, grid: Grid) -> Volume | None:
    """Return an image on the primary grid, NaN outside; None if it is in another frame of reference."""
    image, frame = images[role], images[primary].frame_of_reference_uid
    if role is primary and image.grid.same_as(grid):
        return image
    if role is not primary and (not frame or image.frame_of_reference_uid != frame):
        return None
    return resample(image, grid, outside=float("nan"))


def _median(image: Volume, region: BoolMap) -> float | None:
    """Median signal of a region; None where too little of it lies in the image."""
    values = image.array[region]
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) >= FEWEST_VOXELS else None


def _divide(top: float | None, bottom: float | None) -> float | None:
    """Divide where both numbers are known and the lower one is positive."""
    return top / bottom if top is not None and bottom is not None and bottom > 0 else None


def _not_aligned(role: Role) -> Flag:
    """Return the flag for an image whose signal cannot be read at the mass."""
    return Flag(
        "SIGNAL_NOT_ALIGNED",
        f"The {role.value} stack shares no frame of reference with the primary stack: its signal is not read.",
        Severity.INFO,
    )
