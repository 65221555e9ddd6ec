"""Tissue coverages as a file, so that a later `spinemri measure` starts from fractions and not from hard labels."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from spinemri.anatomy.model import TissueMap
from spinemri.errors import InputError
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume

__all__ = ["quantised", "read_coverage", "write_coverage"]

_STEPS = 255
_NAME = "anatomy_probseg.nii.gz"
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SCANNER_ANATOMICAL = 1
# Most voxels are one tissue alone: the fastest level is within a fifth of the best.
_COMPRESSION = 1


def quantised(tissues: TissueMap) -> TissueMap:
    """Round coverages to 1/255, so that what is measured is what can be stored.

    Parameters
    ----------
    tissues : TissueMap

    Returns
    -------
    TissueMap
        Every fraction is a multiple of 1/255; they still sum to one.
    """
    steps = np.rint(tissues.coverage[1:] * np.float32(_STEPS)).astype(np.int16)
    # Rounding up several tissues may give more than the whole: the largest can spare it.
    excess = np.maximum(steps.sum(0, dtype=np.int16) - _STEPS, 0)
    largest = steps.argmax(0)[None]
    np.put_along_axis(steps, largest, np.take_along_axis(steps, largest, 0) - excess, 0)
    background = _STEPS - steps.sum(0, dtype=np.int16)
    return replace(tissues, coverage=_fractions(np.concatenate([background[None], steps]).astype(np.uint8)))


def _fractions(steps: NDArray[np.uint8]) -> NDArray[np.float32]:
    return steps.astype(np.float32) / np.float32(_STEPS)


def write_coverage(tissues: TissueMap, nifti: Path) -> None:
    """Write quantised coverages as ``anatomy_probseg.nii.gz``: one volume per tissue, in 255ths.

    Parameters
    ----------
    tissues : TissueMap
        From `quantised`.
    nifti : Path
        Folder of the other masks.
    """
    steps = np.rint(np.moveaxis(tissues.coverage, 0, -1) * np.float32(_STEPS)).astype(np.uint8)
    image = nib.Nifti1Image(steps, _LPS_TO_RAS @ tissues.affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(image.affine, code=_SCANNER_ANATOMICAL)
    image.set_sform(image.affine, code=_SCANNER_ANATOMICAL)
    (nifti / _NAME).write_bytes(gzip.compress(image.to_bytes(), compresslevel=_COMPRESSION, mtime=0))
    facts = {"Units": "255ths of the voxel", "Volumes": [tissue.name.lower() for tissue in Tissue]}
    sidecar = nifti / _NAME.replace(".nii.gz", ".json")
    sidecar.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8", newline="\n")


def read_coverage(nifti: Path, like: Volume) -> TissueMap:
    """Read what `write_coverage` wrote.

    Parameters
    ----------
    nifti : Path
    like : Volume
        A mask of the same run: the coverages lie on its grid.

    Returns
    -------
    TissueMap

    Raises
    ------
    InputError
        MASK_MISSING, NIFTI_UNREADABLE, or GRID_MISMATCH.
    """
    try:
        steps = np.asanyarray(nib.load(nifti / _NAME).dataobj)
    except FileNotFoundError:
        raise InputError("MASK_MISSING", f"{_NAME} is not in the folder.", "Run the study again.") from None
    except (ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError("NIFTI_UNREADABLE", f"{_NAME} is damaged.", "Run the study again.") from error
    if steps.shape != (*like.shape, len(Tissue)) or steps.dtype != np.uint8:
        raise InputError("GRID_MISMATCH", f"{_NAME} and the masks differ in shape.", "Edit the masks on their grid.")
    return TissueMap(_fractions(np.moveaxis(steps, -1, 0)), like.affine, like.frame_of_reference_uid)
