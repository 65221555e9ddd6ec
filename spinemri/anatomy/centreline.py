"""The centre of the bony canal: the axis along which everything in the canal is measured."""

from __future__ import annotations

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.graph import MCP_Geometric

from spinemri.anatomy.curve import Curve, SectionShape, recentre, resample_evenly, smooth
from spinemri.anatomy.model import Centreline, TissueMap
from spinemri.volume import Volume

__all__ = ["find_centreline"]

MIN_LENGTH_MM = 30.0
"""A shorter piece of canal gives neither a direction nor levels to count."""

_WAVELENGTH_MM = 30.0
"""Undulations shorter than a vertebra with its disc are noise of the outline, not course of the canal."""

_MIN_AREA_MM2 = 20.0
_MIN_STEEPNESS = 0.42
"""Cosine of the steepest angle from the vertical, 65 degrees, that a canal above the sacrum takes."""
_COARSE_MM = 2.0
_BRIDGE_MM = 5.0
_BRIDGE_ELONGATION = 3.0
_CORE_DEPTH_MM = 2.5
_END_ZONE_MM = 8.0
_SECTION = SectionShape.box((-18.0, 18.0), (-20.0, 20.0))


def find_centreline(tissues: TissueMap) -> Centreline | None:
    """Find the centre of the bony canal.

    The canal's largest piece, with pieces in line with it across gaps of up to about 30 mm, is traversed from its
    upper to its lower end inside the mask, then the path moves to the centroids of the sections perpendicular to it.
    A mass in the canal belongs to the bony canal and so does not displace the line.

    Parameters
    ----------
    tissues : TissueMap

    Returns
    -------
    Centreline or None
        None where less than 30 mm of canal is visible.
    """
    canal = tissues.canal
    coarse = _coarsen(canal)
    mask = coarse.array >= 0.4
    if not mask.any():
        return None
    domain = _main_piece(mask, coarse.spacing)
    points = _traverse(mask & domain, domain, coarse)
    if len(points) < MIN_LENGTH_MM / 2:
        return None
    main = canal.with_array(np.where(_refine(domain, canal), canal.array, np.float32(0.0)))
    for _ in range(5):
        points = recentre(points, main, _SECTION, wavelength_mm=_WAVELENGTH_MM, min_area_mm2=_MIN_AREA_MM2)
        # The ends grow into whatever is connected, so the direction is checked every time.
        points = _main_descent(points) if len(points) >= MIN_LENGTH_MM else points
        if len(points) < MIN_LENGTH_MM:
            return None
    curve = Curve.through(points)
    return Centreline(curve.points, curve.tangent, curve.posterior, curve.left)


def _factors(volume: Volume) -> tuple[int, int, int]:
    fi, fj, fk = (max(1, round(_COARSE_MM / mm)) for mm in volume.spacing)
    return fi, fj, fk


def _coarsen(volume: Volume) -> Volume:
    """Average blocks of voxels to about 2 mm: enough to find the way, and fast."""
    factors = _factors(volume)
    padding = [(0, -n % f) for n, f in zip(volume.shape, factors, strict=True)]
    padded = np.pad(volume.array, padding)
    ni, nj, nk = (n // f for n, f in zip(padded.shape, factors, strict=True))
    array = padded.reshape(ni, factors[0], nj, factors[1], nk, factors[2]).mean((1, 3, 5))
    affine = volume.affine.copy()
    affine[:3, 3] = volume.grid.to_lps((np.array(factors, dtype=float) - 1) / 2)
    affine[:3, :3] *= factors
    return Volume(array, affine, volume.frame_of_reference_uid)


def _refine(domain: NDArray[np.bool_], volume: Volume) -> NDArray[np.bool_]:
    """Bring a mask on the coarse grid back to the volume's own grid."""
    for axis, factor in enumerate(_factors(volume)):
        domain = np.repeat(domain, factor, axis)
    ni, nj, nk = volume.shape
    return domain[:ni, :nj, :nk]


def _main_piece(mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Neighbourhood of the largest piece of canal after bridging gaps, wider ones cranio-caudally."""
    di, dj, dk = spacing
    away = ndimage.distance_transform_edt(~mask, sampling=(di, dj, dk / _BRIDGE_ELONGATION))
    pieces = cc3d.connected_components(away <= _BRIDGE_MM, connectivity=26)
    sizes = np.bincount(pieces[mask], minlength=2)
    sizes[0] = 0
    return np.asarray(pieces == sizes.argmax())


def _traverse(mask: NDArray[np.bool_], domain: NDArray[np.bool_], coarse: Volume) -> NDArray[np.float64]:
    """Walk through the canal from its highest to its lowest place, as far as that leads caudally."""
    depth_mm = ndimage.distance_transform_edt(mask, sampling=coarse.spacing)
    cost = np.where(mask, 1.0 + 3.0 * np.exp(-depth_mm / 3.0), 6.0)
    cost[~domain] = -1.0
    # Specks and spikes at the surface are no ends of the canal.
    core = np.argwhere(depth_mm >= min(_CORE_DEPTH_MM, float(depth_mm.max())))
    height = coarse.grid.to_lps(core.astype(float))[:, 2]
    walk = MCP_Geometric(cost, sampling=coarse.spacing)
    depth = depth_mm[tuple(core.T)]
    walk.find_costs([tuple(_deepest(core, depth, height.max() - height))])
    path = np.array(walk.traceback(tuple(_deepest(core, depth, height - height.min()))), dtype=float)
    points = resample_evenly(coarse.grid.to_lps(path))
    return _main_descent(smooth(points, np.ones(len(points)), _WAVELENGTH_MM))


def _deepest(
    voxels: NDArray[np.intp], depth_mm: NDArray[np.float64], from_end_mm: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Return the voxel farthest from the wall near an end: the outermost ones lie in a corner."""
    near = from_end_mm <= _END_ZONE_MM
    return np.asarray(voxels[near][depth_mm[near].argmax()])


def _main_descent(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep the longest stretch that runs caudally, and what follows it backwards into the sacrum.

    False canal beside the true one, as in the face, is only reached by a detour across or upwards.
    """
    if len(points) < 2:
        return points[:0]
    tangent = np.gradient(points, axis=0)
    steepness = -tangent[:, 2] / np.maximum(np.linalg.norm(tangent, axis=1), 1e-9)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (steepness > _MIN_STEEPNESS).astype(int), [0]])))
    if not len(edges):
        return points[:0]
    first, stop = max(zip(edges[::2], edges[1::2], strict=True), key=lambda run: run[1] - run[0])
    while stop < len(points) and tangent[stop, 1] > 0 and steepness[stop] > 0:
        stop += 1
    return points[first:stop]
