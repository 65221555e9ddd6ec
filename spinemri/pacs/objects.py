"""The objects of a result that an archive shall get."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from spinemri.errors import InputError

__all__ = ["Outgoing", "outgoing_objects"]


@dataclass(frozen=True)
class Outgoing:
    """One object on disk.

    Attributes
    ----------
    path : Path
    name : str
        Of the file within the results, with slashes.
    sop_class_uid, sop_instance_uid, transfer_syntax_uid, study_instance_uid : str
    sha256 : str
        Of the file.
    """

    path: Path
    name: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    study_instance_uid: str
    sha256: str


def outgoing_objects(out: Path) -> tuple[Outgoing, ...]:
    """List the objects of a run or a comparison, those of earlier visits first.

    Parameters
    ----------
    out : Path
        Results; the objects lie in ``dicom/`` and ``timepoint_<n>/dicom/``.

    Returns
    -------
    tuple of Outgoing

    Raises
    ------
    InputError
        NOTHING_TO_SEND if there is none, BAD_OBJECT if one cannot be read.
    """
    paths = [*sorted(out.glob("timepoint_*/dicom/*.dcm")), *sorted(out.glob("dicom/*.dcm"))]
    if not paths:
        raise InputError(
            "NOTHING_TO_SEND",
            f"{out} holds no DICOM objects.",
            "Give the output folder of a run on DICOM images, made without --no-dicom.",
        )
    return tuple(_outgoing(path, path.relative_to(out).as_posix()) for path in paths)


def _outgoing(path: Path, name: str) -> Outgoing:
    try:
        header = dcmread(path, stop_before_pixels=True)
        return Outgoing(
            path,
            name,
            str(header.SOPClassUID),
            str(header.SOPInstanceUID),
            str(header.file_meta.TransferSyntaxUID),
            str(header.StudyInstanceUID),
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
    except (OSError, AttributeError, InvalidDicomError) as error:
        what = f"{name} is no complete DICOM object ({type(error).__name__})."
        raise InputError("BAD_OBJECT", what, "Run 'spinemri measure' to write it again.") from None
