"""What dose the mass received, and which vertebrae the treated volume holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.model import Levels
from spinemri.errors import Flag, Severity
from spinemri.intake.treatment import Course, FrameLink
from spinemri.mass.model import Mass
from spinemri.volume import Volume, apply_affine, sample_at

__all__ = ["MassDose", "dose_to_mass", "to_frame", "treated_levels"]

Array = NDArray[np.float64]

COVERING_SHARE = 0.95
"""A voxel or a vertebra is treated from 95 % of the prescribed dose on (ICRU Report 62, 1999)."""
MOST_UNSEEN = 0.02


@dataclass(frozen=True)
class MassDose:
    """Dose to the mass, weighted by how much of each voxel is mass.

    Attributes
    ----------
    mean_gy : float
    d95_gy : float
        The dose that 95 % of the mass receives at least.
    v95_percent : float or None
        Part of the mass that receives 95 % of the prescribed dose or more; None where that is not known.
    """

    mean_gy: float
    d95_gy: float
    v95_percent: float | None


def to_frame(course: Course, frame_uid: str) -> tuple[Array | None, tuple[Flag, ...]]:
    """Find the motion from a visit's frame of reference to that of the treatment.

    Parameters
    ----------
    course : Course
    frame_uid : str
        Of the visit's images.

    Returns
    -------
    matrix : (4, 4) ndarray or None
        LPS mm of the visit to LPS mm of the treatment; None where nothing relates the two.
    flags : tuple of Flag
    """
    frames = {part.frame_of_reference_uid for part in (course.dose, course.target) if part is not None}
    planned = next(iter(frames)) if len(frames) == 1 else ""
    if planned and planned == frame_uid:
        return np.eye(4), ()
    matrix = _linked(course.links, frame_uid, planned) if planned and frame_uid else None
    if matrix is not None:
        message = "Dose and target come from other images: a spatial registration of the planning system relates them."
        return matrix, (Flag("RT_REGISTERED", message, Severity.INFO),)
    if not frames:
        return None, ()
    message = (
        "Dose or target lie in another frame of reference than the baseline's images, and no spatial registration "
        "(REG) relates them: dose to the mass and treated levels are not given. Export the registration of the "
        "planning images to the MRI, too."
    )
    return None, (Flag("RT_FRAME_DIFFERS", message),)


def _linked(links: Sequence[FrameLink], source_uid: str, target_uid: str) -> Array | None:
    for link in links:
        if (link.source_uid, link.target_uid) == (source_uid, target_uid):
            return link.matrix
        if (link.source_uid, link.target_uid) == (target_uid, source_uid):
            return np.asarray(np.linalg.inv(link.matrix), np.float64)
    return None


def dose_to_mass(
    dose: Volume, mass: Mass, matrix: Array, prescribed_gy: float | None
) -> tuple[MassDose | None, tuple[Flag, ...]]:
    """Read the dose at every voxel of a mass, by linear interpolation.

    Parameters
    ----------
    dose : Volume
        Gy.
    mass : Mass
    matrix : (4, 4) ndarray
        LPS mm of the mass to LPS mm of the dose.
    prescribed_gy : float or None

    Returns
    -------
    dose : MassDose or None
        None where more than 2 % of the mass lies beyond the dose grid.
    flags : tuple of Flag
    """
    share = mass.probability.array
    where = np.argwhere(share > 0)
    weight = share[tuple(where.T)].astype(np.float64)
    points = apply_affine(matrix, mass.probability.grid.to_lps(where.astype(np.float64)))
    values = sample_at(dose, points, outside=np.nan).astype(np.float64)
    seen = np.isfinite(values)
    beyond = float(weight[~seen].sum() / weight.sum()) if len(weight) else 1.0
    if beyond > MOST_UNSEEN:
        message = f"{100 * beyond:.0f} % of the mass lies beyond the dose grid: no dose to the mass is given."
        return None, (Flag("RT_DOSE_GRID_SMALL", message),)
    values, weight = values[seen], weight[seen]
    order = np.argsort(values)
    lower = np.cumsum(weight[order]) / weight.sum()
    d95 = float(values[order][np.searchsorted(lower, 0.05)])
    v95 = None
    if prescribed_gy is not None:
        v95 = 100 * float(weight[values >= COVERING_SHARE * prescribed_gy].sum() / weight.sum())
    return MassDose(float(values @ weight / weight.sum()), d95, v95), ()


def treated_levels(course: Course, levels: Levels, matrix: Array, prescribed_gy: float | None) -> str | None:
    """Name the vertebrae that were treated, from cranial to caudal.

    Those whose centre receives 95 % of the prescribed dose; without dose or prescription those whose centre lies
    between the highest and the lowest contour of the target.

    Parameters
    ----------
    course : Course
    levels : Levels
        With names.
    matrix : (4, 4) ndarray
        LPS mm of the levels to LPS mm of the treatment.
    prescribed_gy : float or None

    Returns
    -------
    str or None
        For example ``"T3-T9"``; None where no vertebra, or no unbroken row of them, was treated.
    """
    centres = np.array([v.centre_lps_mm for v in levels.vertebrae], dtype=np.float64).reshape(-1, 3)
    points = apply_affine(matrix, centres)
    if course.dose is not None and prescribed_gy is not None:
        inside = sample_at(course.dose, points) >= COVERING_SHARE * prescribed_gy
    elif course.target is not None:
        inside = _between(points, course.target.points_lps)
    else:
        return None
    treated = np.flatnonzero(inside)
    if not len(treated) or any(b - a > 1 for a, b in pairwise(treated)):
        return None
    first, last = (levels.vertebrae[int(k)].name for k in (treated[0], treated[-1]))
    return f"{first}-{last}" if first and last else None


def _between(points: Array, contours: Array) -> NDArray[np.bool_]:
    """Whether points lie between the highest and the lowest contour."""
    heights = contours[:, 2]
    return np.asarray((points[:, 2] >= heights.min()) & (points[:, 2] <= heights.max()))
