"""The spine unbent: image samples in coordinates that neither repositioning nor bending changes.

Coordinates
-----------
level
    Position along the canal, a whole number at the centre of each vertebral body, linear in arc length between.
posterior, left
    Distance in mm from the canal's centre, in a frame that turns with the patient: posterior points from the
    vertebral bodies to the canal, so that a patient who lies turned on the table gives the same samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.model import Anatomy
from spinemri.volume import Volume, sample_at

__all__ = ["Straightened", "VertebraFrames", "straighten", "vertebra_frames"]

Array = NDArray[np.float64]

SAMPLES_PER_LEVEL = 10
POSTERIOR_MM = np.arange(-54.0, 49.0, 3.0)
LEFT_MM = np.arange(-16.0, 17.0, 4.0)
_BLUR_MM = 1.5
_ROLL_SMOOTHING_LEVELS = 2.0
_BEYOND_CANAL_MM = 12.0


@dataclass(frozen=True, eq=False)
class VertebraFrames:
    """Where each vertebra lies along the canal and which way it faces.

    Attributes
    ----------
    centres : (n, 3) ndarray
        Centres of the vertebral bodies in LPS mm.
    arc_mm : (n,) ndarray
        Arc length of the canal point nearest to each vertebral body's centre, increasing.
    points, tangent, posterior, left : (n, 3) ndarray
        That canal point in LPS mm, and the orthonormal frame there.
    """

    centres: Array
    arc_mm: Array
    points: Array
    tangent: Array
    posterior: Array
    left: Array


@dataclass(frozen=True, eq=False)
class Straightened:
    """Image samples around each vertebra.

    Attributes
    ----------
    blocks : (n, nu, np, nl) ndarray of float32
        One block per vertebra: along the canal (a level from -1/2 to +1/2), posterior, left; NaN outside the image.
    """

    blocks: NDArray[np.float32]


def vertebra_frames(anatomy: Anatomy) -> VertebraFrames | None:
    """Attach a frame to every vertebra of a study.

    Parameters
    ----------
    anatomy : Anatomy

    Returns
    -------
    VertebraFrames or None
        None without a centreline, with fewer than two vertebrae, or where they are not in order along the canal.
    """
    line, vertebrae = anatomy.centreline, anatomy.levels.vertebrae
    if line is None or len(vertebrae) < 2:
        return None
    centres = np.array([v.centre_lps_mm for v in vertebrae])
    nearest = line.nearest(centres)
    if (np.diff(nearest) <= 0).any():
        return None
    tangent = line.tangent[nearest]
    facing = _perpendicular(line.points_lps[nearest] - centres, tangent)
    # One body's centre lies off the midline by up to a slice: neighbours face nearly the same way.
    facing = _perpendicular(ndimage.gaussian_filter1d(facing, _ROLL_SMOOTHING_LEVELS, axis=0, mode="nearest"), tangent)
    arc = line.arc_length_mm[nearest]
    return VertebraFrames(centres, arc, line.points_lps[nearest], tangent, facing, np.cross(tangent, facing))


def _perpendicular(vectors: Array, tangent: Array) -> Array:
    """Remove the component along the tangent, and scale to unit length."""
    across = vectors - np.einsum("ij,ij->i", vectors, tangent)[:, None] * tangent
    unit: Array = across / np.linalg.norm(across, axis=1, keepdims=True)
    return unit


def straighten(image: Volume, anatomy: Anatomy, frames: VertebraFrames, *, roll_degrees: float = 0.0) -> Straightened:
    """Sample an image around every vertebra.

    Parameters
    ----------
    image : Volume
    anatomy : Anatomy
        With a centreline.
    frames : VertebraFrames
        Of the same anatomy.
    roll_degrees : float
        Turn of all frames about the canal, positive from posterior to left.

    Returns
    -------
    Straightened
    """
    points = sampling_points(anatomy, frames, roll_degrees)
    smooth = _blurred(image)
    samples = sample_at(smooth, points, outside=np.nan)
    count = len(frames.arc_mm)
    return Straightened(samples.reshape(count, SAMPLES_PER_LEVEL, len(POSTERIOR_MM), len(LEFT_MM)))


def _blurred(image: Volume) -> Volume:
    """Smooth within slices; across thick slices the acquisition has done so already."""
    sigma = [_BLUR_MM / mm if mm < 2 * _BLUR_MM else 0.0 for mm in image.spacing]
    return image.with_array(ndimage.gaussian_filter(image.array.astype(np.float32), sigma, mode="nearest"))


def sampling_points(anatomy: Anatomy, frames: VertebraFrames, roll_degrees: float) -> Array:
    """Return sample positions (n * nu, np, nl, 3) in LPS mm; NaN beyond the ends of the canal."""
    line = anatomy.centreline
    if line is None:
        raise ValueError("the anatomy has no centreline")
    arc = _sample_arcs(frames.arc_mm)
    clipped = np.clip(arc, 0.0, line.arc_length_mm[-1])
    centre = _along(clipped, line.arc_length_mm, line.points_lps)
    tangent = _along(clipped, line.arc_length_mm, line.tangent)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    centre += (arc - clipped)[:, None] * tangent
    centre[np.abs(arc - clipped) > _BEYOND_CANAL_MM] = np.nan
    posterior = _perpendicular(_along(arc, frames.arc_mm, frames.posterior), tangent)
    left = np.cross(tangent, posterior)
    roll = np.deg2rad(roll_degrees)
    back, side = np.cos(roll) * posterior + np.sin(roll) * left, np.cos(roll) * left - np.sin(roll) * posterior
    offsets = POSTERIOR_MM[None, :, None, None] * back[:, None, None] + LEFT_MM[:, None] * side[:, None, None]
    points: Array = centre[:, None, None] + offsets
    return points


def _sample_arcs(vertebra_arcs: Array) -> Array:
    """Arc lengths of all samples: between vertebrae by interpolation, beyond the last by the last distance."""
    steps = np.diff(vertebra_arcs)
    ends = vertebra_arcs[0] - steps[0], vertebra_arcs[-1] + steps[-1]
    nodes = np.concatenate([[ends[0]], vertebra_arcs, [ends[1]]])
    within = (np.arange(SAMPLES_PER_LEVEL) + 0.5) / SAMPLES_PER_LEVEL - 0.5
    levels = (np.arange(len(vertebra_arcs))[:, None] + within).ravel()
    arcs: Array = np.interp(levels, np.arange(-1, len(vertebra_arcs) + 1), nodes)
    return arcs


def _along(where: Array, at: Array, values: Array) -> Array:
    return np.stack([np.interp(where, at, values[:, axis]) for axis in range(values.shape[1])], axis=1)
