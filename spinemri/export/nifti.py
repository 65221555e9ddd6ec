"""NIfTI with a JSON sidecar: LPS becomes RAS on the way out, and LPS again on the way in."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from spinemri.errors import InputError
from spinemri.export.jsonfile import Json, write_json
from spinemri.volume import Volume, canonical

__all__ = ["image_type", "read_nifti", "sidecar_of", "write_nifti"]

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SCANNER_ANATOMICAL = 1
# Level 4 is within a few per cent of level 9 on MR images and several times faster.
_COMPRESSION = 4


def sidecar_of(path: Path) -> Path:
    """Return the path of the JSON sidecar of a ``.nii.gz`` or ``.nii`` file."""
    name = path.name.removesuffix(".gz").removesuffix(".nii")
    return path.with_name(f"{name}.json")


def image_type(array: NDArray[Any]) -> type[np.int16 | np.float32]:
    """Choose int16 for whole numbers that fit, as scanners write them, else float32."""
    if not array.size or float(array.min()) < -32768 or float(array.max()) > 32767:
        return np.float32
    return np.int16 if bool((array == np.rint(array)).all()) else np.float32


def write_nifti(volume: Volume, path: Path, *, dtype: type[np.generic], sidecar: dict[str, Json]) -> None:
    """Write a volume as gzipped NIfTI-1 with qform, sform and a JSON sidecar.

    The same volume gives the same bytes: the gzip header holds no time and no name.

    Parameters
    ----------
    volume : Volume
        LPS affine.
    path : Path
        Ends in ``.nii.gz``.
    dtype : numpy type
        Stored type; values are not rescaled.
    sidecar : dict
        Written next to it with the ending ``.json``.
    """
    image = nib.Nifti1Image(volume.array.astype(dtype), _LPS_TO_RAS @ volume.affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(image.affine, code=_SCANNER_ANATOMICAL)
    image.set_sform(image.affine, code=_SCANNER_ANATOMICAL)
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=_COMPRESSION, mtime=0))
    write_json({**sidecar, "FrameOfReferenceUID": volume.frame_of_reference_uid}, sidecar_of(path))


def read_nifti(path: Path, *, frame_of_reference_uid: str = "") -> Volume:
    """Read a NIfTI file as a canonical volume in LPS mm, whatever its axis order.

    Parameters
    ----------
    path : Path
    frame_of_reference_uid : str
        NIfTI has no place for it.

    Returns
    -------
    Volume
        In the file's own number type, or float where the file rescales.

    Raises
    ------
    InputError
        If there is no such file, or it is not a NIfTI volume of three dimensions.
    """
    try:
        image = nib.load(path)
        array = np.asanyarray(image.dataobj)
    except FileNotFoundError:
        raise InputError("MASK_MISSING", f"{path.name} is not in the folder.", "Give the folder of a run.") from None
    except (ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError("NIFTI_UNREADABLE", f"{path.name} is not a readable NIfTI file.", "Save it again.") from error
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.dtype.kind not in "biuf":
        raise InputError("NIFTI_UNREADABLE", f"{path.name} holds colours or complex numbers.", "Save whole numbers.")
    if array.ndim != 3:
        raise InputError("NIFTI_SHAPE", f"{path.name} has shape {array.shape}.", "Save one volume of 3 dimensions.")
    return canonical(Volume(array, _LPS_TO_RAS @ image.affine, frame_of_reference_uid))
