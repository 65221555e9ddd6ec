"""Which files of a folder hold the masks of another tool, and how a mask is read."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from spinemri.errors import UsageError
from spinemri.volume import Grid, Volume, apply_affine, canonical

__all__ = ["LabelFiles", "find_label_files", "nearest_ids", "read_fractions", "read_ids"]

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_LARGEST_ID = 32767
_HALF = 0.5

# What the tools call their files, the best first; a name ends so before .nii or .nii.gz.
_WHOLE = (r"_totalspineseg_all", r"_step2_output")
_SEMANTIC = (r"_seg-(spine|subreg)(_label-\d+)?_msk",)
_CANAL = (r"_canal_seg", r"_canal", r"_step1_canal")
_CORD = (r"(?<!_canal)_seg", r"_label-SC_seg", r"_step1_cord")
_DISCS = (r"_labeled_discs", r"_totalspineseg_discs", r"_step1_levels", r"_labels-disc")
_LABELLED_CORD = (r"_labeled",)


@dataclass(frozen=True)
class LabelFiles:
    """The masks of one study.

    Attributes
    ----------
    tissues : Path or None
        One mask of all tissues; None where canal and cord lie in files of their own.
    instances : Path or None
        SPINEPS: vertebrae by number, beside `tissues`.
    canal, cord, discs, labelled_cord : Path or None
        Spinal Cord Toolbox.
    """

    tissues: Path | None = None
    instances: Path | None = None
    canal: Path | None = None
    cord: Path | None = None
    discs: Path | None = None
    labelled_cord: Path | None = None


def find_label_files(path: Path) -> LabelFiles:
    """Find the masks that a file or folder stands for.

    Parameters
    ----------
    path : Path
        A mask, or a folder that TotalSpineSeg, SPINEPS or the Spinal Cord Toolbox wrote for one image.

    Returns
    -------
    LabelFiles

    Raises
    ------
    UsageError
        BAD_LABELS if the folder holds no known mask, or several of one kind.
    """
    if not path.is_dir():
        return LabelFiles(tissues=path, instances=_beside(path))
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name.endswith((".nii", ".nii.gz")))
    final = [file for file in files if file.parent.name == "step2_output"]
    tissues = _one(path, files, _SEMANTIC) or _one(path, files, _WHOLE) or _only(path, final)
    if tissues is not None:
        return LabelFiles(tissues=tissues, instances=_beside(tissues))
    canal = _one(path, files, _CANAL)
    if canal is None:
        raise UsageError(
            "BAD_LABELS",
            f"The folder {path.name} holds {len(files)} NIfTI files, none by a name of TotalSpineSeg, SPINEPS or the "
            "Spinal Cord Toolbox.",
            "Give the mask itself, or keep the names that the tool gave.",
        )
    return LabelFiles(
        canal=canal,
        cord=_one(path, files, _CORD),
        discs=_one(path, files, _DISCS),
        labelled_cord=_one(path, files, _LABELLED_CORD),
    )


def _beside(tissues: Path) -> Path | None:
    """Return the instances that SPINEPS writes beside its tissue mask."""
    other = tissues.with_name(re.sub(r"_seg-(spine|subreg)", "_seg-vert", tissues.name))
    return other if other != tissues and other.is_file() else None


def _one(folder: Path, files: Iterable[Path], endings: Iterable[str]) -> Path | None:
    """Return the file with the best ending."""
    for ending in endings:
        pattern = re.compile(rf"{ending}\.nii(\.gz)?$")
        found = _only(folder, [file for file in files if pattern.search(file.name)])
        if found is not None:
            return found
    return None


def _only(folder: Path, files: list[Path]) -> Path | None:
    if len(files) > 1:
        raise UsageError(
            "BAD_LABELS",
            f"The folder {folder.name} holds {len(files)} masks of one kind, such as {files[0].name}.",
            "Give the mask of this study alone.",
        )
    return files[0] if files else None


def read_ids(path: Path) -> Volume:
    """Read a mask of whole numbers.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Volume
        int16, canonical, LPS mm.

    Raises
    ------
    UsageError
        BAD_LABELS if the file is no mask.
    """
    volume = _read(path)
    if not np.array_equal(volume.array, np.round(volume.array)):
        raise UsageError("BAD_LABELS", f"{path.name} holds fractions.", "Give whole tissue ids.")
    if volume.array.min() < 0 or volume.array.max() > _LARGEST_ID:
        raise UsageError("BAD_LABELS", f"{path.name} holds ids below 0 or above {_LARGEST_ID}.", "Give tissue ids.")
    return volume.with_array(volume.array.astype(np.int16))


def read_fractions(path: Path) -> Volume:
    """Read a mask of one structure, soft or hard, as bool: half a voxel or more is in.

    Raises
    ------
    UsageError
        BAD_LABELS if the file is no mask.
    """
    volume = _read(path)
    return volume.with_array(volume.array >= _HALF)


def _read(path: Path) -> Volume:
    try:
        image = nib.load(path)
        array = np.asanyarray(image.dataobj)
    except (OSError, EOFError, ValueError, zlib.error, nib.filebasedimages.ImageFileError) as error:
        raise UsageError(
            "BAD_LABELS", f"{path.name} cannot be read as NIfTI ({type(error).__name__}).", "Give a .nii or .nii.gz."
        ) from None
    array = array.reshape(array.shape[:3]) if array.ndim > 3 and array.size == np.prod(array.shape[:3]) else array
    if array.ndim != 3 or not array.size:
        raise UsageError("BAD_LABELS", f"{path.name} has the shape {array.shape}.", "Give a mask of three dimensions.")
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise UsageError("BAD_LABELS", f"{path.name} holds values that are no numbers.", "Give whole tissue ids.")
    try:
        return canonical(Volume(array, _LPS_FROM_RAS @ image.affine))
    except ValueError:
        raise UsageError("BAD_LABELS", f"{path.name} has no usable geometry.", "Save it again.") from None


def nearest_ids(volume: Volume, grid: Grid) -> Volume:
    """Bring a mask onto another grid; half a voxel beyond the outermost centres still belongs to it.

    Parameters
    ----------
    volume : Volume
        Ids, any grid of the same patient space.
    grid : Grid

    Returns
    -------
    Volume
        The nearest voxel's id, 0 outside.
    """
    inverse = np.linalg.inv(volume.affine) @ grid.affine
    out: NDArray[np.int16] = np.zeros(grid.shape, dtype=np.int16)
    _, nj, nk = grid.shape
    plane = np.stack(np.meshgrid(np.arange(nj), np.arange(nk), indexing="ij"), -1)
    for i in range(grid.shape[0]):
        index = np.concatenate([np.full((nj, nk, 1), i), plane], -1)
        source = np.rint(apply_affine(inverse, index.astype(float))).astype(int)
        inside = ((source >= 0) & (source < volume.shape)).all(-1)
        out[i][inside] = volume.array[tuple(source[inside].T)]
    return Volume(out, grid.affine)
