"""The way in: from a path to studies."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from spinemri.errors import Flag, InputError, Severity
from spinemri.intake.assembly import dicom_studies
from spinemri.intake.headers import Headers, read_headers
from spinemri.intake.model import SAGITTAL_ROLES, Plane, Rejected, Stack, Study
from spinemri.intake.nifti import is_nifti, nifti_studies
from spinemri.intake.rules import load_rules
from spinemri.intake.sources import find_sources

__all__ = ["list_studies", "read_studies", "read_study"]

_SPINE_REMEDY = "Give a study with a sagittal T2 or T1 series of the spine of at least 5 slices."


def list_studies(path: Path, *, contrast: str | None = None) -> tuple[Study, ...]:
    """Find every study below a path, whether or not it can be measured.

    Parameters
    ----------
    path : Path
        A folder of any nesting, a file, a zip archive, a DICOMDIR, a NIfTI file or a BIDS folder.
    contrast : str, optional
        ``"T1"``, ``"T2"``, ``"STIR"`` or ``"T1c"``: what NIfTI images show; DICOM headers say it themselves.

    Returns
    -------
    tuple of Study
        Ordered by date.

    Raises
    ------
    InputError
        NOT_FOUND, EMPTY_FOLDER, NO_DICOM, NOT_MR or SEVERAL_PATIENTS.
    """
    sources, rejected = find_sources(path)
    images = [source for source in sources if is_nifti(source)]
    others = [source for source in sources if not is_nifti(source)]
    headers = read_headers(others)
    if headers.frames:
        beside = [Rejected(source.name, "NIFTI_BESIDE_DICOM", "DICOM files come first") for source in images]
        return _with_ignored_option(dicom_studies(headers, (*rejected, *beside), load_rules()), contrast)
    if images:
        return nifti_studies(images, sources, rejected, load_rules(), contrast)
    raise _nothing_usable(headers, rejected)


def read_studies(path: Path, *, contrast: str | None = None) -> tuple[Study, ...]:
    """Find the studies below a path that can be measured.

    Parameters
    ----------
    path : Path
        See `list_studies`.
    contrast : str, optional
        See `list_studies`.

    Returns
    -------
    tuple of Study
        Ordered by date; each has a sagittal stack with a role. A study without one is left out, and the others
        say so in `Study.flags`.

    Raises
    ------
    InputError
        As `list_studies`; NO_SPINE_SERIES or TOO_FEW_SLICES if no study can be measured.
    """
    studies = list_studies(path, contrast=contrast)
    usable = [study for study in studies if _measurable(study)]
    if not usable:
        raise _no_spine_series(studies)
    left_out = [index + 1 for index, study in enumerate(studies) if not _measurable(study)]
    if not left_out:
        return studies
    which = ", ".join(str(number) for number in left_out)
    message = f"Study {which} of {len(studies)} (by date) has no usable sagittal stack and was left out."
    flag = Flag("STUDY_LEFT_OUT", message)
    return tuple(replace(study, flags=(*study.flags, flag)) for study in usable)


def read_study(path: Path, *, contrast: str | None = None) -> Study:
    """Read the one study below a path.

    Parameters
    ----------
    path : Path
        See `list_studies`.
    contrast : str, optional
        See `list_studies`.

    Returns
    -------
    Study

    Raises
    ------
    InputError
        As `read_studies`; SEVERAL_STUDIES if there is more than one.
    """
    studies = read_studies(path, contrast=contrast)
    if len(studies) > 1:
        raise InputError(
            "SEVERAL_STUDIES",
            f"The input holds {len(studies)} studies.",
            "Give the folder of one study, or compare them with 'spinemri compare'.",
        )
    return studies[0]


def _measurable(study: Study) -> bool:
    return any(study.by_role(role) is not None for role in SAGITTAL_ROLES)


def _with_ignored_option(studies: tuple[Study, ...], contrast: str | None) -> tuple[Study, ...]:
    if contrast is None:
        return studies
    message = f"The contrast option {contrast!r} is for NIfTI images; DICOM headers say what they show."
    flag = Flag("CONTRAST_OPTION_IGNORED", message, Severity.INFO)
    return tuple(replace(study, flags=(*study.flags, flag)) for study in studies)


def _nothing_usable(headers: Headers, rejected: tuple[Rejected, ...]) -> InputError:
    """Say why no image was found."""
    if headers.modalities:
        found = ", ".join(headers.modalities)
        return InputError("NOT_MR", f"The DICOM files are no MR images: modality {found}.", "Give an MR study.")
    everything = (*rejected, *headers.rejected)
    counts = Counter(item.code for item in everything if item.code != "DICOMDIR")
    found = "; ".join(_counted(code, everything) for code in counts) or "only a DICOMDIR"
    if headers.dicom_files:
        return InputError("NO_SPINE_SERIES", f"No usable MR image was found: {found}.", _SPINE_REMEDY)
    return InputError("NO_DICOM", f"The input holds no readable image: {found}.", "Give DICOM or NIfTI images.")


def _counted(code: str, rejected: tuple[Rejected, ...]) -> str:
    """Say what was wrong how often, without names of files, which often hold the patient's."""
    items = [item for item in rejected if item.code == code]
    return f"{items[0].reason} ({len(items)} times)" if len(items) > 1 else items[0].reason


def _no_spine_series(studies: tuple[Study, ...]) -> InputError:
    """List what was found instead of a usable sagittal stack."""
    stacks = [stack for study in studies for stack in study.stacks]
    short = [s for s in stacks if s.plane is Plane.SAGITTAL and s.code == "TOO_FEW_SLICES"]
    listed = "; ".join(_described(stack) for stack in stacks[:8])
    more = f"; and {len(stacks) - 8} more" if len(stacks) > 8 else ""
    if short:
        message = f"The only sagittal stacks have too few slices: {listed}{more}."
        return InputError("TOO_FEW_SLICES", message, _SPINE_REMEDY)
    return InputError("NO_SPINE_SERIES", f"No usable sagittal stack was found, but: {listed}{more}.", _SPINE_REMEDY)


def _described(stack: Stack) -> str:
    return f"{stack.stack_id}, {stack.plane.value} {stack.weighting.value} ({stack.code}: {stack.reason})"
