"""Two visits brought together: from their anatomies to one fitted midpoint with a grid around the mass."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.model import Anatomy
from spinemri.anatomy.preparation import flatten_illumination
from spinemri.followup.midpoint import Bend, Midpoint, half_transform
from spinemri.followup.registration import Registration, register_visits
from spinemri.followup.straighten import vertebra_frames
from spinemri.followup.vertebra_fit import fit_bend
from spinemri.intake.model import SAGITTAL_ROLES, Role
from spinemri.mass.model import Mass
from spinemri.volume import Grid, Volume, apply_affine

__all__ = ["Meeting", "Visit", "meet", "shared_roles"]

Array = NDArray[np.float64]

MIN_SIMILARITY = 0.6
"""Least correlation of the two visits' images around the canal; generated pairs reach 0.85 and more."""
_MAX_SHIFT_MM = 8.0
_FIT_MARGIN_MM = (12.0, 40.0, 25.0)
_FIT_STEP_MM = (2.2, 1.8, 1.8)
_MASS_MARGIN_MM = (7.0, 12.0, 15.0)
_MASS_STEP_MM = (1.65, 0.8, 0.8)
_NODE_MARGIN_MM = 12.0


class Visit(Protocol):
    """What is read of a visit; `spinemri.measure.result.StudyResult` is one."""

    @property
    def images(self) -> Mapping[Role, Volume]:
        """Canonical images by role."""
        ...

    @property
    def primary(self) -> Role:
        """The sagittal stack on whose grid anatomy and mass lie."""
        ...

    @property
    def anatomy(self) -> Anatomy:
        """Tissues, centreline and levels."""
        ...

    @property
    def mass(self) -> Mass:
        """The mass."""
        ...


@dataclass(frozen=True, eq=False)
class Meeting:
    """Two visits in one space.

    Attributes
    ----------
    midpoint : Midpoint
        Fitted to the vertebrae around the mass.
    grid : Grid
        Around the mass of both visits, midpoint mm.
    roles : tuple of Role
        Sagittal sequences that both visits have.
    images : tuple of (Volume, Volume)
        Those of `roles`, illumination flattened.
    similarity, moved_mm : float
        See `BendFit`.
    """

    midpoint: Midpoint
    grid: Grid
    roles: tuple[Role, ...]
    images: tuple[tuple[Volume, Volume], ...]
    similarity: float
    moved_mm: float


def shared_roles(earlier: Visit, later: Visit, unlike: Collection[Role] = ()) -> tuple[Role, ...]:
    """List the sagittal sequences that both visits have, each in its visit's primary frame of reference.

    Those in `unlike` are left out.
    """
    shared = (role for role in SAGITTAL_ROLES if _usable(earlier, role) and _usable(later, role))
    return tuple(role for role in shared if role not in unlike)


def _usable(visit: Visit, role: Role) -> bool:
    if role not in visit.images:
        return False
    frame = visit.images[visit.primary].frame_of_reference_uid
    return role is visit.primary or (bool(frame) and visit.images[role].frame_of_reference_uid == frame)


def meet(earlier: Visit, later: Visit, unlike: Collection[Role] = ()) -> Meeting | str:
    """Register two visits around the mass that was measured at both or one of them.

    Parameters
    ----------
    earlier, later : Visit
    unlike : collection of Role
        Sequences that differ in weighting between the visits: they are not compared.

    Returns
    -------
    Meeting or str
        A clause that says why they cannot be brought together.
    """
    roles = shared_roles(earlier, later, unlike)
    if not roles:
        return "no sagittal sequence was taken at both visits"
    registration = register_visits(earlier.anatomy, earlier.images[roles[0]], later.anatomy, later.images[roles[0]])
    if registration is None:
        return "too few vertebrae along a visible canal are common to both visits"
    start = _start(earlier, later, registration)
    fit_grid, mass_grid = (
        _grid(start, earlier, later, m, s)
        for m, s in ((_FIT_MARGIN_MM, _FIT_STEP_MM), (_MASS_MARGIN_MM, _MASS_STEP_MM))
    )
    start = _near(start, fit_grid)
    if len(start.bend.nodes) < 2:
        return "fewer than two common vertebrae lie at the mass"
    images = tuple(
        (flatten_illumination(earlier.images[role]), flatten_illumination(later.images[role])) for role in roles
    )
    fit = fit_bend(start, fit_grid, (earlier.anatomy.tissues, later.anatomy.tissues), images)
    if fit.similarity < MIN_SIMILARITY:
        return f"the images around the canal do not agree (correlation {fit.similarity:.2f}, {MIN_SIMILARITY} needed)"
    if fit.moved_mm > _MAX_SHIFT_MM:
        return f"a vertebra would have moved by {fit.moved_mm:.0f} mm against the others"
    return Meeting(fit.midpoint, mass_grid, roles, images, fit.similarity, fit.moved_mm)


def _start(earlier: Visit, later: Visit, registration: Registration) -> Midpoint:
    """Rigid motion of the paired vertebrae, with a node at each of them."""
    half = half_transform(_inverse(registration.to_baseline))
    frames = vertebra_frames(earlier.anatomy), vertebra_frames(later.anatomy)
    if frames[0] is None or frames[1] is None:
        raise ValueError("registered visits have vertebra frames")
    first, second = registration.paired(len(frames[0].centres), len(frames[1].centres))
    nodes = 0.5 * (apply_affine(half, frames[0].points[first]) + apply_affine(_inverse(half), frames[1].points[second]))
    return Midpoint((_inverse(half), half), Bend.none(nodes))


def _inverse(transform: Array) -> Array:
    return np.asarray(np.linalg.inv(transform), np.float64)


def _grid(
    start: Midpoint, earlier: Visit, later: Visit, margin_mm: tuple[float, ...], step_mm: tuple[float, ...]
) -> Grid:
    """Box around both masses, along the mean of the two visits' slice axes."""
    inverse = [_inverse(to) for to in start.to_visits]
    voxels = [_mass_points(visit) for visit in (earlier, later)]
    points = np.concatenate([apply_affine(back, found) for back, found in zip(inverse, voxels, strict=True)])
    axes = sum(back[:3, :3] @ _axes(visit) for back, visit in zip(inverse, (earlier, later), strict=True))
    left, _, right = np.linalg.svd(axes)
    turn = left @ right
    inside = points @ turn
    low, high = inside.min(0) - margin_mm, inside.max(0) + margin_mm
    shape = np.ceil((high - low) / step_mm).astype(int) + 1
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * step_mm, turn @ low
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _mass_points(visit: Visit) -> Array:
    mask = visit.mass.mask
    return mask.grid.to_lps(np.argwhere(mask.array > 0).astype(float))


def _axes(visit: Visit) -> Array:
    grid = visit.mass.mask.grid
    return np.asarray(grid.affine[:3, :3] / np.array(grid.spacing))


def _near(start: Midpoint, grid: Grid) -> Midpoint:
    """Keep the nodes within the grid's length, and a little beyond."""
    along = grid.to_index(start.bend.nodes)[:, 2]
    room = _NODE_MARGIN_MM / grid.spacing[2]
    nodes = start.bend.nodes[(along > -room) & (along < grid.shape[2] - 1 + room)]
    return Midpoint(start.to_visits, Bend.none(nodes))
