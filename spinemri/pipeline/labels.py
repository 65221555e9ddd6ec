"""Masks from elsewhere in the place of the network's."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from spinemri.errors import UsageError
from spinemri.nomenclature import Tissue
from spinemri.volume import Grid, Volume, resample

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
    moved = resample(volume, grid, order=0)
    if not moved.array.any():
        raise UsageError(
            "BAD_LABELS", f"{path.name} does not overlap the sagittal series.", "Give a mask in the same patient space."
        )
    return Volume(moved.array.astype(np.uint8), grid.affine)


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
