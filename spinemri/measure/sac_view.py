"""Sections of the dural sac with the signal of one series on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.model import Anatomy, Centreline
from spinemri.intake.model import Role
from spinemri.mass.model import Mass
from spinemri.measure.planes import BoolMap, FloatMap, SectionStack, sample_sections
from spinemri.measure.sections import MeasuredCanal
from spinemri.volume import Grid, Volume

__all__ = ["REACH_MM", "SacViews", "axial_views", "sagittal_views"]

REACH_MM = 60.0
"""Sections at most this far along the canal serve as reference: a segment and a half of the lumbar spine. Further away
the coil receives another signal from the same fluid."""
RIM_MM = 1.0
"""Left out along the dura, where voxels hold dura, fat or mass, too."""
PURE_FRACTION = 0.9
MOST_OBLIQUE_DEGREES = 25.0
"""An axial slice that lies more obliquely to the canal shows no cross-section of the sac."""
SAME_PLACE_MM = 3.0


@dataclass(frozen=True, eq=False)
class SacViews:
    """Sections across the canal near one place, and the signal of one T2 series there.

    Attributes
    ----------
    role : Role
        The series.
    stack : SectionStack
        Tissue fractions, (n, m, m).
    signal : (n, m, m) ndarray of float32
        NaN beyond the series.
    along_mm : (n,) ndarray
        Distance of each section from the place along the canal, in mm; negative towards the head.
    graded : int
        The section nearest to the place.
    voxel_mm : (2,) tuple of float
        Distance between voxels in the section, from front to back and from side to side.
    slice_mm : float
        Distance between the slices of the series.
    """

    role: Role
    stack: SectionStack
    signal: FloatMap
    along_mm: NDArray[np.float64]
    graded: int
    voxel_mm: tuple[float, float]
    slice_mm: float

    @property
    def reformatted(self) -> bool:
        """The sections are no slices of the series, but were resampled across them."""
        return self.role is not Role.AXIAL_T2

    def core(self) -> BoolMap:
        """Pixels that hold nothing but what is inside the dura, (n, m, m)."""
        steps = round(RIM_MM / self.stack.pixel_mm)
        disc = ndimage.iterate_structure(ndimage.generate_binary_structure(2, 1), steps)
        inner: BoolMap = ndimage.binary_erosion(self.stack.sac >= 0.5, disc[None])
        out: BoolMap = inner & (self.stack.sac >= PURE_FRACTION) & np.isfinite(self.signal)
        return out


def sagittal_views(images: Mapping[Role, Volume], primary: Role, canal: MeasuredCanal, index: int) -> SacViews | None:
    """Return the sections near one, with the signal of the sagittal T2 series.

    Parameters
    ----------
    images : mapping of Role to Volume
    primary : Role
    canal : MeasuredCanal
    index : int
        Section.

    Returns
    -------
    SacViews or None
        None unless the primary series is the sagittal T2 one.
    """
    if primary is not Role.SAGITTAL_T2:
        return None
    image, reach = images[primary], round(REACH_MM / canal.sections.step_mm)
    near = slice(max(0, index - reach), index + reach + 1)
    line, stack = _part_of_line(canal.centreline, near), _part_of_stack(canal.stack, near)
    across, deep, _ = image.spacing
    return SacViews(
        role=primary,
        stack=stack,
        signal=_signal(image, line, stack.offsets_mm),
        along_mm=np.arange(near.start - index, near.start - index + len(line), dtype=np.float64) * line.step_mm,
        graded=index - near.start,
        voxel_mm=(deep, across),
        slice_mm=across,
    )


def axial_views(
    images: Mapping[Role, Volume], primary: Role, anatomy: Anatomy, mass: Mass, canal: MeasuredCanal, index: int
) -> SacViews | None:
    """Return the slices of the axial T2 series near a section, in their own planes.

    Parameters
    ----------
    images : mapping of Role to Volume
    primary : Role
        The series on whose grid anatomy and mass lie.
    anatomy : Anatomy
    mass : Mass
    canal : MeasuredCanal
    index : int
        Section.

    Returns
    -------
    SacViews or None
        None where no slice of such a series crosses the canal within 3 mm of the section (or half the distance between
        slices), at most 25 degrees off perpendicular, or where it is not known to lie in the same space.
    """
    image = images.get(Role.AXIAL_T2)
    frame = images[primary].frame_of_reference_uid
    if image is None or not frame or image.frame_of_reference_uid != frame:
        return None
    line, along = _slice_planes(image.grid, canal.centreline, index)
    slice_mm = image.spacing[2]
    if not len(line) or np.abs(along).min() > max(SAME_PLACE_MM, 0.5 * slice_mm):
        return None
    stack = sample_sections(anatomy, mass, line)
    return SacViews(
        role=Role.AXIAL_T2,
        stack=stack,
        signal=_signal(image, line, stack.offsets_mm),
        along_mm=along,
        graded=int(np.abs(along).argmin()),
        voxel_mm=(image.spacing[1], image.spacing[0]),
        slice_mm=slice_mm,
    )


def _slice_planes(grid: Grid, line: Centreline, index: int) -> tuple[Centreline, NDArray[np.float64]]:
    """Where axial slices cross the canal within reach: a point and frame for each, and its distance along the canal."""
    left, back = (grid.affine[:3, axis] / grid.spacing[axis] for axis in (0, 1))
    normal = np.cross(left, back)
    pitch_mm = float(grid.affine[:3, 2] @ normal)
    reach = round(REACH_MM / line.step_mm)
    first, stop = max(0, index - reach), min(len(line), index + reach + 1)
    upright = np.abs(line.tangent[first:stop] @ normal) >= np.cos(np.radians(MOST_OBLIQUE_DEGREES))
    place = grid.to_index(line.points_lps[first:stop])[:, 2]
    points, along = [], []
    for number in range(grid.shape[2]):
        nearest = int(np.abs(place - number).argmin())
        off_mm = (place[nearest] - number) * pitch_mm
        if abs(off_mm) > line.step_mm or not upright[nearest]:
            continue
        # Down the canal to the slice itself, so that only pixels of one slice are read.
        tangent = line.tangent[first + nearest]
        step = -off_mm / float(tangent @ normal)
        points.append(line.points_lps[first + nearest] + step * tangent)
        along.append((first + nearest - index) * line.step_mm + step)
    down, to_back, to_left = (np.tile(axis, (len(points), 1)) for axis in (-normal, back, left))
    at = np.reshape(np.array(points, dtype=np.float64), (-1, 3))
    return Centreline(at, down, to_back, to_left, line.step_mm), np.array(along, dtype=np.float64)


def _signal(image: Volume, line: Centreline, offsets: NDArray[np.float64]) -> FloatMap:
    """Signal on all sections of a line, NaN beyond the image."""
    points = (
        line.points_lps[:, None, None]
        + line.posterior[:, None, None] * offsets[None, :, None, None]
        + line.left[:, None, None] * offsets[None, None, :, None]
    )
    # Rounded, so that a point in the outermost slice does not fall out of it by the last digit.
    index = np.moveaxis(np.round(image.grid.to_index(points), 4), -1, 0)
    out: FloatMap = ndimage.map_coordinates(
        image.array.astype(np.float32), index, order=1, mode="constant", cval=np.nan, output=np.float32
    )
    return out


def _part_of_line(line: Centreline, part: slice) -> Centreline:
    return replace(
        line,
        points_lps=line.points_lps[part],
        tangent=line.tangent[part],
        posterior=line.posterior[part],
        left=line.left[part],
    )


def _part_of_stack(stack: SectionStack, part: slice) -> SectionStack:
    return replace(
        stack,
        canal=stack.canal[part],
        sac=stack.sac[part],
        cord=stack.cord[part],
        mass=stack.mass[part],
        cut=stack.cut[part],
        missing=stack.missing[part],
        beyond=stack.beyond[part],
    )
