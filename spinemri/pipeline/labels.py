"""Masks from elsewhere in the place of the network's."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from spinemri.errors import UsageError
from spinemri.nomenclature import Tissue
from spinemri.volume import Grid, Volume, apply_affine

__all__ = ["read_labels"]

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_CANAL = (Tissue.CORD, Tissue.DURAL_SAC, Tissue.EPIDURAL, Tissue.MASS_CANAL)
_COLUMN = (Tissue.BODY, Tissue.DISC)
_REMEDY = (
    "Use the ids 1 cord, 2 dural sac, 3 epidural space, 4 vertebral body, 5 posterior elements, 6 disc, 7 sacrum, "
    "8 mass in the canal, 9 mass outside it."
)


def read_labels(path: Path, grid: Grid) -> Volume:
    """Read a mask of tissue ids and bring it onto the grid of the primary stack.

    Parameters
    ----------
    path : Path
        NIfTI on any grid of the same patient space.
    grid : Grid
        Of the primary sagittal stack, LPS mm.

    Returns
    -------
    Volume
        uint8 tissue ids on `grid`, nearest neighbour.

    Raises
    ------
    UsageError
        BAD_LABELS if the file is no mask, uses other ids, lacks the canal or the vertebral column, or lies
        elsewhere in the patient.
    """
    volume = _read(path)
    _check_ids(path, volume)
    moved = _nearest(volume, grid)
    if not moved.any():
        raise UsageError(
            "BAD_LABELS", f"{path.name} does not overlap the sagittal series.", "Give a mask in the same patient space."
        )
    return Volume(moved, grid.affine)


def _nearest(volume: Volume, grid: Grid) -> NDArray[np.uint8]:
    """Take the nearest voxel's id; half a voxel beyond the outermost centres still belongs to the mask."""
    inverse = np.linalg.inv(volume.affine) @ grid.affine
    out = np.zeros(grid.shape, dtype=np.uint8)
    _, nj, nk = grid.shape
    plane = np.stack(np.meshgrid(np.arange(nj), np.arange(nk), indexing="ij"), -1)
    for i in range(grid.shape[0]):
        index = np.concatenate([np.full((nj, nk, 1), i), plane], -1)
        source = np.rint(apply_affine(inverse, index.astype(float))).astype(int)
        inside = ((source >= 0) & (source < volume.shape)).all(-1)
        out[i][inside] = volume.array[tuple(source[inside].T)]
    return out


def _read(path: Path) -> Volume:
    try:
        image = nib.load(path)
        array = np.asanyarray(image.dataobj)
    except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError) as error:
        raise UsageError(
            "BAD_LABELS", f"{path.name} cannot be read as NIfTI ({type(error).__name__}).", "Give a .nii or .nii.gz."
        ) from None
    array = array.reshape(array.shape[:3]) if array.ndim > 3 and array.size == np.prod(array.shape[:3]) else array
    if array.ndim != 3:
        raise UsageError("BAD_LABELS", f"{path.name} has the shape {array.shape}.", "Give a mask of three dimensions.")
    if not np.array_equal(array, np.round(array)):
        raise UsageError("BAD_LABELS", f"{path.name} holds fractions.", "Give whole tissue ids.")
    return Volume(array, _LPS_FROM_RAS @ image.affine)


def _check_ids(path: Path, volume: Volume) -> None:
    found = [int(value) for value in np.unique(volume.array) if value != 0]
    known = {int(tissue) for tissue in Tissue}
    listed = ", ".join(str(value) for value in found[:20]) or "none"
    if not set(found) <= known:
        raise UsageError("BAD_LABELS", f"{path.name} holds the ids {listed}, of another numbering.", _REMEDY)
    for needed, what in ((_CANAL, "canal (1, 2, 3 or 8)"), (_COLUMN, "vertebral body or disc (4 or 6)")):
        if not set(found) & {int(tissue) for tissue in needed}:
            raise UsageError("BAD_LABELS", f"{path.name} holds the ids {listed}: no {what}.", _REMEDY)
