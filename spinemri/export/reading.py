"""Read back what a run wrote, also after masks were corrected in an editor."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from spinemri.errors import InputError
from spinemri.export.nifti import read_nifti, sidecar_of
from spinemri.intake.model import Role
from spinemri.measure.record import Measurements
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume

__all__ = ["Masks", "read_images", "read_masks", "read_measurements"]


@dataclass(frozen=True, eq=False)
class Masks:
    """Masks of one study on the primary stack's grid, canonical LPS.

    Attributes
    ----------
    anatomy : Volume
        uint8 tissue ids.
    levels : Volume
        uint8 ids of vertebrae and discs.
    mass : Volume
        uint8: 8 in the canal, 9 outside it.
    mass_probability : Volume
        float32, fraction of the voxel that is mass.
    """

    anatomy: Volume
    levels: Volume
    mass: Volume
    mass_probability: Volume


def _frame_of_reference(path: Path) -> str:
    """Take the frame of reference from the sidecar; editors keep the sidecar but not the header."""
    try:
        content = json.loads(sidecar_of(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(content.get("FrameOfReferenceUID", "")) if isinstance(content, dict) else ""


def _read(path: Path) -> Volume:
    return read_nifti(path, frame_of_reference_uid=_frame_of_reference(path))


def _labels(path: Path, largest: int) -> Volume:
    volume = _read(path)
    values = np.unique(volume.array)
    strange = [float(v) for v in values if v < 0 or v > largest or v != np.rint(v)]
    if strange:
        raise InputError(
            "UNKNOWN_LABEL", f"{path.name} holds the value {strange[0]:g}.", f"Use whole numbers from 0 to {largest}."
        )
    return volume.with_array(volume.array.astype(np.uint8))


def read_masks(folder: Path) -> Masks:
    """Read the four masks of a run.

    Parameters
    ----------
    folder : Path
        The folder that `write_study` wrote.

    Returns
    -------
    Masks

    Raises
    ------
    InputError
        If a file is missing or unreadable, holds unknown labels, or lies on another grid than the anatomy.
    """
    nifti = folder / "nifti"
    masks = Masks(
        anatomy=_labels(nifti / "anatomy_dseg.nii.gz", max(Tissue)),
        levels=_labels(nifti / "levels_dseg.nii.gz", 128),
        mass=_labels(nifti / "mass_dseg.nii.gz", max(Tissue)),
        mass_probability=_read(nifti / "mass_probseg.nii.gz"),
    )
    for name in ("levels", "mass", "mass_probability"):
        if not getattr(masks, name).grid.same_as(masks.anatomy.grid, tolerance_mm=0.01):
            raise InputError(
                "GRID_MISMATCH", f"The {name} mask and anatomy_dseg differ in shape or position.", "Edit on one grid."
            )
    return masks


def read_images(folder: Path) -> dict[Role, Volume]:
    """Read the images of a run by role, canonical float32.

    Raises
    ------
    InputError
        If none is there, or one cannot be read.
    """
    paths = {role: folder / "nifti" / f"{role.value}.nii.gz" for role in Role}
    found = {role: _read(path) for role, path in paths.items() if path.is_file()}
    if not found:
        raise InputError("NO_IMAGES", "The folder's nifti/ holds no image of a run.", "Give the folder of a run.")
    return {role: image.with_array(image.array.astype(np.float32)) for role, image in found.items()}


def read_measurements(folder: Path) -> Measurements:
    """Read ``measurements.json``.

    Raises
    ------
    InputError
        If it is missing or is not ours.
    """
    path = folder / "measurements.json"
    try:
        return Measurements.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError("NO_MEASUREMENTS", "The folder has no measurements.json.", "Give a run's folder.") from None
    except ValidationError as error:
        raise InputError(
            "BAD_MEASUREMENTS",
            f"measurements.json does not follow the schema ({error.error_count()} errors).",
            "Run the study again.",
        ) from error
