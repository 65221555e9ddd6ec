"""Coverages and signals of two visits, voxel for voxel, in the midpoint space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.followup.meeting import Meeting, Visit
from spinemri.followup.midpoint import grid_points, level_positions
from spinemri.intake.model import Role
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume, sample_at

__all__ = ["AROUND", "CLASSES", "MASS", "SampledPair", "blurred_across", "sample_pair", "volumes_on_grid"]

Field = NDArray[np.float32]

CLASSES = (Tissue.CORD, Tissue.DURAL_SAC, Tissue.EPIDURAL, Tissue.MASS_CANAL)
"""What the canal holds, the mass last."""

MASS = len(CLASSES) - 1
AROUND = tuple(tissue for tissue in Tissue if tissue not in {*CLASSES, Tissue.MASS_OUTSIDE})
"""What surrounds the canal."""

_NEAR_MM = 5.0
_MASS_SEEN = 0.3
_CANAL = 0.3
_NO_MORE_LOST = 0.02
_OUTLINED = 0.999
_BOX_AND_LINE = 1 / 12 + 1 / 6
"""Variance, in squared slice distances, that a slice adds (a box) and linear interpolation between slices (a triangle's
on average)."""
_NO_BLUR = 0.02
"""Below this variance slices count as alike: their distances differ by less than 4 %."""


@dataclass(frozen=True, eq=False)
class SampledPair:
    """Two visits on one grid.

    Attributes
    ----------
    spacing : tuple of float
        Of the grid, mm.
    coverage : (2, 4, i, j, k) ndarray of float32
        By visit and by `CLASSES`.
    outside : (2, i, j, k) ndarray of float32
        Coverage by mass outside the canal, by visit.
    signal : (2, s, i, j, k) ndarray of float32
        By visit and sequence, illumination flattened; 0 where not seen.
    around : (2, 5, i, j, k) ndarray of float32
        Coverage by visit and by `AROUND`.
    seen : (i, j, k) ndarray of bool
        In all fields of view, that of the outlines included.
    near : (i, j, k) ndarray of bool
        Within 5 mm of the mass of either visit, and seen.
    canal : (i, j, k) ndarray of bool
        Filled by three tenths or more with `CLASSES` in the mean of both visits, and seen.
    lost_share : float
        Share of the mass of either visit, 0..1, that lies outside one of the fields of view.
    margin_lost_share : float
        The same of all within 5 mm of it.
    roles : tuple of Role
        The sequences, in the order of `signal`.
    jointly : bool
        Whether both visits were outlined with both in view (`spinemri.followup.joint_look`).
    """

    spacing: tuple[float, float, float]
    coverage: Field
    outside: Field
    signal: Field
    around: Field
    seen: NDArray[np.bool_]
    near: NDArray[np.bool_]
    canal: NDArray[np.bool_]
    lost_share: float
    margin_lost_share: float = 0.0
    roles: tuple[Role, ...] = ()
    jointly: bool = False

    @property
    def voxel_ml(self) -> float:
        """Volume of a grid voxel in ml."""
        return float(np.prod(self.spacing)) / 1000.0

    @property
    def content(self) -> Field:
        """Mean of both visits' coverage by all of `CLASSES`: the bony canal is the same at both."""
        mean: Field = self.coverage.sum(1).mean(0)
        return mean


def sample_pair(meeting: Meeting, earlier: Visit, later: Visit) -> SampledPair:
    """Resample both visits once, with the same kernel, to the space half way between them.

    Where one visit has thinner slices, it is first blurred across them as much as the other one is: what thick slices
    make of a mass then looks alike at both. A sequence that shows less of the mass than another one is left out: where
    the visits are compared, all are needed.

    Parameters
    ----------
    meeting : Meeting
    earlier, later : Visit

    Returns
    -------
    SampledPair
    """
    grid, at = meeting.grid, _places(meeting)
    tissues = [visit.anatomy.tissues for visit in (earlier, later)]

    def on_grid(volume: Volume, visit: int, outside: float) -> Field:
        """Sample a volume of a visit."""
        return sample_at(volume, at[visit], outside=outside).reshape(grid.shape)

    def outlined_on_grid(volume: Volume, visit: int) -> Field:
        """Sample what was outlined, as blurred as the other visit's."""
        return on_grid(blurred_across(volume, tissues[1 - visit].grid.spacing[0]), visit, 0.0)

    coverage, around = (
        np.stack([[outlined_on_grid(t.fraction(c), i) for c in classes] for i, t in enumerate(tissues)])
        for classes in (CLASSES, AROUND)
    )
    beyond = np.stack([outlined_on_grid(t.fraction(Tissue.MASS_OUTSIDE), i) for i, t in enumerate(tissues)])
    signal = np.stack(
        [[on_grid(blurred_across(p[i], p[1 - i].spacing[0]), i, np.nan) for p in meeting.images] for i in (0, 1)]
    )
    mass = np.maximum(*(outlined_on_grid(v.mass.probability, i) for i, v in enumerate((earlier, later)))) >= _MASS_SEEN
    lost = np.array([_lost(mass, one) for one in np.asarray(np.isfinite(signal).all(0))])
    kept = np.flatnonzero(lost <= lost.min() + _NO_MORE_LOST)
    signal = signal[:, kept]
    # Beyond the grid of the tissues nothing is outlined, whatever other sequences show there.
    ones = [Volume(np.ones(t.grid.shape, np.float32), t.grid.affine) for t in tissues]
    outlined = np.minimum(*(on_grid(one, visit, 0.0) for visit, one in enumerate(ones)))
    seen = np.isfinite(signal).all((0, 1)) & (outlined > _OUTLINED)
    near = ndimage.distance_transform_edt(~mass, sampling=grid.spacing) <= _NEAR_MM
    return SampledPair(
        spacing=grid.spacing,
        coverage=coverage,
        outside=beyond,
        signal=np.where(seen, signal, 0.0).astype(np.float32),
        around=around,
        seen=seen,
        near=near & seen,
        canal=(coverage.sum(1).mean(0) > _CANAL) & seen,
        lost_share=_lost(mass, seen),
        margin_lost_share=_lost(near, seen),
        roles=tuple(meeting.roles[index] for index in kept),
    )


def blurred_across(volume: Volume, pitch_mm: float) -> Volume:
    """Blur a stack across its slices as one with a larger slice distance is.

    A slice averages over a box, and linear interpolation adds a triangle: a variance of a quarter of the squared
    distance between slices in all. What the thicker stack has more of it is added by three-point kernels.

    Parameters
    ----------
    volume : Volume
        Canonical axes; slices along the first axis.
    pitch_mm : float
        Slice distance of the other stack.

    Returns
    -------
    Volume
        float32 on the same grid, sums kept but at the outermost slices; the volume itself where its slices are no
        thinner.
    """
    missing = _BOX_AND_LINE * ((pitch_mm / volume.spacing[0]) ** 2 - 1.0)
    if missing < _NO_BLUR:
        return volume
    passes = int(np.ceil(2.0 * missing))
    side = missing / (2.0 * passes)
    blurred = volume.array.astype(np.float32)
    for _ in range(passes):
        blurred = ndimage.convolve1d(blurred, [side, 1.0 - 2.0 * side, side], axis=0, mode="nearest")
    return volume.with_array(blurred)


def volumes_on_grid(meeting: Meeting, volumes: Sequence[Volume]) -> Field:
    """Sample a volume of either visit on the common grid, (2, i, j, k); 0 outside the volumes."""
    return np.stack(
        [
            sample_at(one, at, outside=0.0).reshape(meeting.grid.shape)
            for one, at in zip(volumes, _places(meeting), strict=True)
        ]
    )


def _places(meeting: Meeting) -> list[NDArray[np.float64]]:
    """Where the voxels of the common grid lie at either visit."""
    points = grid_points(meeting.grid)
    levels = level_positions(points, meeting.midpoint.bend.nodes)
    return [meeting.midpoint.points(visit, points, levels) for visit in (0, 1)]


def _lost(wanted: NDArray[np.bool_], seen: NDArray[np.bool_]) -> float:
    return float((wanted & ~seen).sum()) / max(int(wanted.sum()), 1)
