"""Files of one measured study and of a comparison."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spinemri import __version__
from spinemri.export.columns import COMPARISON_COLUMNS, MEASUREMENT_COLUMNS, PROFILE_COLUMNS
from spinemri.export.jsonfile import Json, as_json, write_json
from spinemri.export.nifti import image_type, write_nifti
from spinemri.export.tables import write_csv
from spinemri.followup.record import Comparison
from spinemri.intake.model import Role
from spinemri.measure.result import StudyResult
from spinemri.nomenclature import REGULAR_COLUMN, Tissue, disc_id, vertebra_id

__all__ = ["write_comparison", "write_study"]

_TISSUE_NAMES = {
    Tissue.CORD: "spinal cord",
    Tissue.DURAL_SAC: "dural sac outside the cord",
    Tissue.EPIDURAL: "epidural space outside sac and mass",
    Tissue.BODY: "vertebral body",
    Tissue.POSTERIOR_ELEMENTS: "posterior elements",
    Tissue.DISC: "intervertebral disc",
    Tissue.SACRUM: "sacrum",
    Tissue.MASS_CANAL: "mass in the canal",
    Tissue.MASS_OUTSIDE: "mass outside the canal",
}
_LEVELS = (*REGULAR_COLUMN, "L6", "T13")


def _tissue_labels(*tissues: Tissue) -> dict[str, Json]:
    return {str(int(tissue)): _TISSUE_NAMES[tissue] for tissue in tissues}


def _level_labels() -> dict[str, Json]:
    bodies: dict[str, Json] = {str(vertebra_id(name)): name for name in _LEVELS}
    discs: dict[str, Json] = {str(disc_id(name)): f"disc below {name}" for name in _LEVELS}
    return bodies | discs


def _series_uid(result: StudyResult, role: Role) -> str:
    stack = result.study.by_role(role)
    return stack.series_instance_uid if stack else ""


def _sidecar(result: StudyResult, role: Role, **more: Json) -> dict[str, Json]:
    return {
        **more,
        "SourceRole": role.value,
        "SourceSeriesInstanceUID": _series_uid(result, role),
        "GeneratedBy": {"Name": "spinemri", "Version": __version__},
    }


def _write_images(result: StudyResult, folder: Path) -> None:
    for role in sorted(result.images):
        image = result.images[role]
        stack = result.study.by_role(role)
        facts: dict[str, Json] = {"Units": "arbitrary"}
        if stack is not None:
            facts |= {
                "Plane": stack.plane.value,
                "Weighting": stack.weighting.value,
                "FatSuppressed": stack.fat_suppressed,
                "ContrastEnhanced": stack.contrast_enhanced,
            }
        sidecar = _sidecar(result, role, **facts)
        write_nifti(image, folder / f"{role.value}.nii.gz", dtype=image_type(image.array), sidecar=sidecar)


def _write_masks(result: StudyResult, folder: Path) -> None:
    anatomy, mass = result.anatomy, result.mass
    tissues = _tissue_labels(*list(Tissue)[1:])
    masses = _tissue_labels(Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)
    label_maps = {
        "anatomy_dseg": (anatomy.tissues.labels, tissues),
        "levels_dseg": (anatomy.level_map, _level_labels()),
        "mass_dseg": (mass.mask, masses),
    }
    for name, (volume, labels) in label_maps.items():
        sidecar = _sidecar(result, result.primary, Units="label", Labels=labels)
        write_nifti(volume, folder / f"{name}.nii.gz", dtype=np.uint8, sidecar=sidecar)
    sidecar = _sidecar(result, result.primary, Units="fraction of the voxel that is mass, 0 to 1")
    write_nifti(mass.probability, folder / "mass_probseg.nii.gz", dtype=np.float32, sidecar=sidecar)


def write_study(result: StudyResult, folder: Path) -> None:
    """Write the numbers, the profile and the masks of one study.

    Parameters
    ----------
    result : StudyResult
    folder : Path
        Made if it does not exist. Gets ``measurements.json``, ``measurements.csv``, ``profile.csv`` and ``nifti/``.

    Raises
    ------
    InternalError
        If a number is not finite.
    OSError
        If the folder cannot be written.
    """
    nifti = folder / "nifti"
    nifti.mkdir(parents=True, exist_ok=True)
    write_json(as_json(result.measurements), folder / "measurements.json")
    write_csv(MEASUREMENT_COLUMNS, [result.measurements], folder / "measurements.csv")
    write_csv(PROFILE_COLUMNS, result.profile, folder / "profile.csv")
    _write_images(result, nifti)
    _write_masks(result, nifti)


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write ``comparison.json`` and ``comparison.csv``, one row per visit.

    Parameters
    ----------
    comparison : Comparison
    folder : Path
        Made if it does not exist.

    Raises
    ------
    InternalError
        If a number is not finite.
    OSError
        If the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(as_json(comparison), folder / "comparison.json")
    write_csv(COMPARISON_COLUMNS, comparison.timepoints, folder / "comparison.csv")
