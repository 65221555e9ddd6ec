"""What a later `spinemri measure` has to know: which masks were ours, and what was found before measuring."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from spinemri.errors import InputError
from spinemri.export.reading import Masks, read_masks
from spinemri.intake.model import Role
from spinemri.measure.record import FlagRecord
from spinemri.measure.result import StudyResult
from spinemri.pipeline.coverage import write_coverage
from spinemri.pipeline.measured import flag_records, flags_before_measuring
from spinemri.volume import Volume

__all__ = ["Manifest", "edited_masks", "read_manifest", "write_manifest"]

_NAME = "manifest.json"


class Manifest(BaseModel):
    """Content of ``nifti/manifest.json``.

    Attributes
    ----------
    primary : Role
        The stack on whose grid the masks lie.
    patient_key, issuer_key : str
        See `spinemri.intake.model.Study`.
    masks_sha256 : dict
        Of the voxels of each mask as the run wrote it.
    flags : tuple of FlagRecord
        Findings of the stages before measuring, which a new measurement does not find again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    primary: Role
    patient_key: str
    issuer_key: str = ""
    masks_sha256: dict[str, str]
    flags: tuple[FlagRecord, ...]


def write_manifest(result: StudyResult, folder: Path) -> None:
    """Note the state of the masks that a run has just written, and keep the coverages that they came from.

    Parameters
    ----------
    result : StudyResult
    folder : Path
        The folder that `write_study` wrote.
    """
    manifest = Manifest(
        primary=result.primary,
        patient_key=result.study.patient_key,
        issuer_key=result.study.issuer_key,
        masks_sha256=_hashes(read_masks(folder)),
        flags=flag_records(flags_before_measuring(result.study, result.images, result.anatomy)),
    )
    write_coverage(result.anatomy.tissues, folder / "nifti")
    path = folder / "nifti" / _NAME
    path.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8", newline="\n")


def read_manifest(folder: Path) -> Manifest:
    """Read ``nifti/manifest.json``.

    Raises
    ------
    InputError
        BAD_MANIFEST if it is missing or not ours.
    """
    try:
        return Manifest.model_validate_json((folder / "nifti" / _NAME).read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise InputError(
            "BAD_MANIFEST", f"nifti/{_NAME} is missing or damaged ({type(error).__name__}).", "Run the study again."
        ) from None


def edited_masks(manifest: Manifest, masks: Masks) -> tuple[str, ...]:
    """Name the masks whose voxels differ from those that the run wrote: ``"anatomy"``, ``"levels"``, ``"mass"``."""
    return tuple(name for name, sha256 in _hashes(masks).items() if manifest.masks_sha256.get(name) != sha256)


def _hashes(masks: Masks) -> dict[str, str]:
    named = {"anatomy": masks.anatomy, "levels": masks.levels, "mass": masks.mass}
    return {name: _voxel_sha256(volume) for name, volume in named.items()}


def _voxel_sha256(volume: Volume) -> str:
    """Hash of the voxels alone: an editor may rewrite header and compression without changing a mask."""
    array = np.ascontiguousarray(volume.array, dtype=np.uint8)
    return hashlib.sha256(repr(array.shape).encode() + array.tobytes()).hexdigest()
