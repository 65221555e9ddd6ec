"""Tissues from a sagittal stack by the network that ships with the package (onnxruntime; no torch)."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from importlib import resources

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.model import TissueMap
from spinemri.anatomy.preparation import IN_PLANE_MM, condition_planes, context_offset, flatten_illumination
from spinemri.errors import InternalError
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume

__all__ = ["MODEL_NAME", "model_sha256", "segment"]

MODEL_NAME = "tissues.onnx"
_STRIDE = 16
_MAXIMUM_THREADS = 2


@lru_cache(maxsize=1)
def _model_bytes() -> bytes:
    file = resources.files("spinemri").joinpath("models", MODEL_NAME)
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise InternalError(
            "MODEL_MISSING", f"The network {MODEL_NAME} is not in this installation.", "Install spinemri again."
        ) from None


@lru_cache(maxsize=1)
def _session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(_MAXIMUM_THREADS, os.cpu_count() or 1)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(_model_bytes(), options, providers=["CPUExecutionProvider"])


def model_sha256() -> str:
    """Return the SHA-256 of the network's file."""
    return hashlib.sha256(_model_bytes()).hexdigest()


def segment(
    volume: Volume, weighting: str, *, fat_suppressed: bool | None = None, contrast_enhanced: bool | None = None
) -> TissueMap:
    """Segment a sagittal stack slice by slice.

    The network cannot tell a slice's two neighbours apart: a mirrored patient gets exactly the mirrored result.

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
    flat = flatten_illumination(volume)
    slices = _to_working_grid(flat)
    condition = condition_planes(weighting, fat_suppressed=fat_suppressed, contrast_enhanced=contrast_enhanced)
    planes = np.broadcast_to(condition[:, None, None], (len(condition), *slices.shape[1:]))
    offset = round(context_offset(volume.spacing[0]))
    coverage = np.empty((len(Tissue), *volume.shape), dtype=np.float32)
    last = len(slices) - 1
    for index in range(len(slices)):
        rows = np.clip([index - offset, index, index + offset], 0, last)
        image = np.concatenate([slices[rows], planes])[None]
        coverage[:, index] = _from_working_grid(_infer(image)[0], volume)
    return TissueMap(coverage, volume.affine, volume.frame_of_reference_uid)


def _infer(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run the network on (n, 7, h, w), padded to its stride, and return probabilities (n, tissues, h, w)."""
    height, width = batch.shape[2:]
    padding = [(0, 0), (0, 0), (0, -height % _STRIDE), (0, -width % _STRIDE)]
    # Only the image is padded with zeros; the planes that tell the weighting stay constant over the slice.
    padded = np.pad(batch, padding)
    padded[:, 3:] = batch[:, 3:, :1, :1]
    (probability,) = _session().run(None, {"image": padded})
    out: NDArray[np.float32] = probability[:, :, :height, :width]
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


def _from_working_grid(probability: NDArray[np.float32], volume: Volume) -> NDArray[np.float32]:
    """Resample (tissues, h, w) back to the slices' own pixels and let it sum to one again."""
    scale = tuple(1.0 / s for s in _working_scale(volume))
    out: NDArray[np.float32] = ndimage.affine_transform(
        probability,
        (1.0, *scale),
        output_shape=(len(probability), *volume.shape[1:]),
        order=1,
        mode="nearest",
        output=np.float32,
    )
    out /= out.sum(0, keepdims=True)
    return out
