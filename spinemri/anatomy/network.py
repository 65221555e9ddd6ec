"""Tissues from a sagittal stack by the network that ships with the package (onnxruntime; no torch)."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.model import TissueMap
from spinemri.anatomy.preparation import (
    IN_PLANE_MM,
    condition_planes,
    context_offset,
    flatten_illumination,
    interpolated,
)
from spinemri.anatomy.weights import session, sha256
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume

__all__ = ["MODEL_NAME", "model_sha256", "segment"]

MODEL_NAME = "tissues.onnx"
_STRIDE = 16
_MAXIMUM_THREADS = 2
_GLANCES = (0.4, 0.6)
_BEFORE_CANAL_MM, _BEHIND_CANAL_MM = 54.0, 50.0
_MINIMUM_CANAL_MM2 = 300.0
_NEARER_MM = 20.0
_CRUMBS = 0.002
_MANY_CRUMBS = 0.02
_CANAL = tuple(int(tissue) for tissue in (Tissue.CORD, Tissue.DURAL_SAC, Tissue.EPIDURAL, Tissue.MASS_CANAL))


def model_sha256() -> str:
    """Return the SHA-256 of the network's file."""
    return sha256(MODEL_NAME)


def segment(
    volume: Volume, weighting: str, *, fat_suppressed: bool | None = None, contrast_enhanced: bool | None = None
) -> TissueMap:
    """Segment a sagittal stack slice by slice.

    The network cannot tell a slice's two neighbours apart: a mirrored patient gets exactly the mirrored result. Two
    slices are seen whole; where they show the canal, all others are seen from 54 mm or more before it to 50 mm behind
    it, and what lies beyond is background. Where the others show the canal more than 20 mm nearer to what was left out,
    all are seen again, with more around it.

    Parameters
    ----------
    volume : Volume
        Canonical sagittal stack, any intensity scale.
    weighting : str
        ``"T1"``, ``"T2"``, ``"STIR"``; anything else is taken as unknown.
    fat_suppressed, contrast_enhanced : bool or None
        None where unknown.

    Returns
    -------
    TissueMap
        Coverage of each voxel of `volume` by each tissue.

    Raises
    ------
    InternalError
        MODEL_MISSING if the installation is incomplete.
    """
    slices = _to_working_grid(flatten_illumination(volume))
    condition = condition_planes(weighting, fat_suppressed=fat_suppressed, contrast_enhanced=contrast_enhanced)
    offset, last = round(context_offset(volume.spacing[0])), len(slices) - 1
    coverage = np.zeros((len(Tissue), *volume.shape), dtype=np.float32)
    coverage[int(Tissue.BACKGROUND)] = 1.0

    def look(index: int, depth: slice) -> NDArray[np.float32]:
        """Show the network a slice with its two neighbours, at these rows."""
        rows = np.clip([index - offset, index, index + offset], 0, last)
        return _infer(slices[rows, depth], condition)

    with ThreadPoolExecutor(min(_MAXIMUM_THREADS, os.cpu_count() or 1)) as workers:
        glances = sorted({round(share * last) for share in _GLANCES})
        whole = dict(zip(glances, workers.map(lambda index: look(index, slice(None)), glances), strict=True))

        def finish(index: int, depth: slice) -> NDArray[np.float64]:
            """Keep the coverages of a slice; return how much of each row is canal."""
            seen = whole[index][:, depth] if index in whole else look(index, depth)
            rows, values = _from_working_grid(seen, depth.start, volume)
            coverage[:, index, rows] = values
            return np.pad(_canal_by_depth(seen), (depth.start, slices.shape[1] - depth.stop))

        depth = _depth_of_spine(np.sum([_canal_by_depth(seen) for seen in whole.values()], axis=0))
        canal = list(workers.map(lambda index: finish(index, depth), range(len(slices))))
        needed = _depth_of_spine(np.sum(canal, axis=0), _MANY_CRUMBS)
        if _leaves_out(depth, needed):
            wider = slice(min(depth.start, needed.start), max(depth.stop, needed.stop))
            list(workers.map(lambda index: finish(index, wider), range(len(slices))))
    return TissueMap(coverage, volume.affine, volume.frame_of_reference_uid)


def _canal_by_depth(probability: NDArray[np.float32]) -> NDArray[np.float64]:
    """Area of the canal in mm2 in each antero-posterior row of working pixels."""
    canal = probability[list(_CANAL)].sum(0) >= 0.5
    return np.asarray(canal.sum(1) * IN_PLANE_MM**2)


def _depth_of_spine(canal_mm2: NDArray[np.float64], crumbs: float = _CRUMBS) -> slice:
    """Antero-posterior range of working pixels that holds the spine; all of them where little canal is seen.

    `crumbs` is the share of the canal at either end that may be something else far away.
    """
    size = len(canal_mm2)
    if float(canal_mm2.sum()) < _MINIMUM_CANAL_MM2:
        return slice(0, size)
    share = np.cumsum(canal_mm2) / canal_mm2.sum()
    first, last = np.searchsorted(share, [crumbs, 1 - crumbs])
    start = first - round(_BEFORE_CANAL_MM / IN_PLANE_MM)
    stop = last + 1 + round(_BEHIND_CANAL_MM / IN_PLANE_MM)
    # The network pads to whole strides: image in place of padding costs nothing.
    start -= -int(stop - start) % _STRIDE
    return slice(max(0, int(start)), min(size, int(stop)))


def _leaves_out(depth: slice, needed: slice) -> bool:
    """Tell whether the spine reaches so near to the edge of what was seen that some of it may lie beyond."""
    slack = round(_NEARER_MM / IN_PLANE_MM)
    return bool(needed.start < depth.start - slack or needed.stop > depth.stop + slack)


def _infer(image: NDArray[np.float32], condition: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run the network on three slices (3, h, w), padded to its stride, and return probabilities (tissues, h, w)."""
    height, width = image.shape[1:]
    # Only the image is padded with zeros; the planes that tell the weighting stay constant over the slice.
    padded = np.pad(image, [(0, 0), (0, -height % _STRIDE), (0, -width % _STRIDE)])
    planes = np.broadcast_to(condition[:, None, None], (len(condition), *padded.shape[1:]))
    (probability,) = session(MODEL_NAME).run(None, {"image": np.concatenate([padded, planes])[None]})
    out: NDArray[np.float32] = probability[0, :, :height, :width]
    return out


def _working_scale(volume: Volume) -> tuple[float, float]:
    """Native pixels per working pixel along the two in-plane axes."""
    return IN_PLANE_MM / volume.spacing[1], IN_PLANE_MM / volume.spacing[2]


def _to_working_grid(volume: Volume) -> NDArray[np.float32]:
    """Resample every slice to the network's pixel size, the first pixel's centre kept."""
    scale = _working_scale(volume)
    shape = tuple(int((n - 1) / s) + 1 for n, s in zip(volume.shape[1:], scale, strict=True))
    out: NDArray[np.float32] = ndimage.affine_transform(
        volume.array, (1.0, *scale), output_shape=(volume.shape[0], *shape), order=1, output=np.float32
    )
    return out


def _from_working_grid(
    probability: NDArray[np.float32], start: int, volume: Volume
) -> tuple[slice, NDArray[np.float32]]:
    """Resample (tissues, h, w) back to the slices' own pixels; linear interpolation keeps the sum of one.

    `start` is the working pixel at which the first row lies; the rows that the result fills come with it. At the edges
    of the slice the outermost working pixels are continued.
    """
    scale = _working_scale(volume)
    size, stop = volume.shape[1], start + probability.shape[1]
    first = int(np.ceil(start * scale[0]))
    reaches_end = stop * scale[0] >= size - 1
    rows = slice(first, size if reaches_end else int((stop - 1) * scale[0]) + 1)
    across = interpolated(probability, np.arange(rows.start, rows.stop) / scale[0] - start, 1)
    return rows, interpolated(across, np.arange(volume.shape[2]) / scale[1], 2)
