"""From files to frames: only the tags that are needed, never the pixels."""

from __future__ import annotations

import struct
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

import pydicom
from pydicom.dataset import Dataset

from spinemri.intake.enhanced import enhanced_frames
from spinemri.intake.fields import FRAME_TAGS, classic_frame, has_geometry
from spinemri.intake.model import Rejected
from spinemri.intake.sources import Source
from spinemri.intake.tags import Frame

__all__ = ["Headers", "read_headers"]

_MR_IMAGES = {"1.2.840.10008.5.1.4.1.1.4", ""}
_ENHANCED_MR = {"1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4"}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_DIRECTORY = "1.2.840.10008.1.3.10"


@dataclass(frozen=True)
class Headers:
    """Everything that was learned from the headers.

    Attributes
    ----------
    frames : tuple of Frame
        MR images with a place in the patient.
    rejected : tuple of Rejected
    modalities : tuple of str
        Of all DICOM objects that are no MR images, sorted.
    dicom_files : int
        DICOM files read, whatever they hold.
    """

    frames: tuple[Frame, ...]
    rejected: tuple[Rejected, ...]
    modalities: tuple[str, ...]
    dicom_files: int


def read_headers(sources: Iterable[Source]) -> Headers:
    """Read the headers of all DICOM files among the sources.

    Parameters
    ----------
    sources : iterable of Source

    Returns
    -------
    Headers
    """
    frames: list[Frame] = []
    rejected: list[Rejected] = []
    foreign: Counter[str] = Counter()
    strangers: list[str] = []
    count = 0
    with warnings.catch_warnings():
        # Real headers break rules all the time; what matters is checked value by value.
        warnings.simplefilter("ignore")
        for source in sources:
            outcome = _read_one(source)
            if outcome is None:
                strangers.append(source.name)
            elif isinstance(outcome, Rejected):
                rejected.append(outcome)
                count += outcome.code not in {"CORRUPT_FILE", "DICOMDIR"}
            elif isinstance(outcome, _Foreign):
                foreign[outcome.modality] += 1
                count += 1
            else:
                frames.extend(outcome)
                count += 1
    rejected += [Rejected(f"{n} files", "NOT_MR", f"modality {modality}") for modality, n in sorted(foreign.items())]
    if strangers:
        what = strangers[0] if len(strangers) == 1 else f"{len(strangers)} files, e.g. {strangers[0]}"
        rejected.append(Rejected(what, "NOT_DICOM", "not a DICOM file"))
    return Headers(tuple(frames), tuple(rejected), tuple(sorted(foreign)), count)


@dataclass(frozen=True)
class _Foreign:
    """A DICOM object of another modality."""

    modality: str


def _read_one(source: Source) -> list[Frame] | Rejected | _Foreign | None:
    """Return the frames, why there are none, or None for a file that is not DICOM."""
    try:
        with source.open() as stream:
            if not _looks_like_dicom(stream):
                return None
            dataset = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=FRAME_TAGS, force=True)
        return _frames(dataset, source)
    except Exception as error:  # noqa: BLE001 - a broken file may raise anything, and must not end the run
        return Rejected(source.name, "CORRUPT_FILE", f"the header cannot be read ({type(error).__name__})")


def _looks_like_dicom(stream: BinaryIO) -> bool:
    """Tell DICOM by its magic word or, in files without preamble, by a first element of group 0002 or 0008."""
    start = stream.read(132)
    stream.seek(0)
    if start[128:132] == b"DICM":
        return True
    if len(start) < 16:
        return False
    return any(
        group in {0x0002, 0x0008} and element <= 0x0100
        for group, element in (struct.unpack("<HH", start[:4]), struct.unpack(">HH", start[:4]))
    )


def _frames(dataset: Dataset, source: Source) -> list[Frame] | Rejected | _Foreign:
    sop_class = str(dataset.get("SOPClassUID", "")) or _meta_class(dataset)
    modality = str(dataset.get("Modality", "") or "")
    problem = _no_image(sop_class, blank=not modality and "Rows" not in dataset)
    if problem is not None:
        return Rejected(source.name, *problem)
    if modality and modality != "MR":
        return _Foreign(modality)
    if sop_class in _ENHANCED_MR:
        return _enhanced(dataset, source)
    if sop_class not in _MR_IMAGES:
        return Rejected(source.name, "NOT_AN_IMAGE", "an MR object that is not an image")
    return _classic(dataset, source)


def _no_image(sop_class: str, *, blank: bool) -> tuple[str, str] | None:
    """Return code and reason of an object that is no cross-sectional image of any modality."""
    if sop_class == _DIRECTORY:
        return "DICOMDIR", "a directory; files are read whether or not it lists them"
    if blank:
        return "CORRUPT_FILE", "the header ends before it says what the file is"
    if sop_class.startswith(_SECONDARY_CAPTURE):
        return "SECONDARY_CAPTURE", "a screenshot, not an image with a place in the patient"
    return None


def _meta_class(dataset: Any) -> str:  # noqa: ANN401 - pydicom is untyped here
    meta = getattr(dataset, "file_meta", None)
    return str(meta.get("MediaStorageSOPClassUID", "")) if meta is not None else ""


def _classic(dataset: Dataset, source: Source) -> list[Frame] | Rejected:
    if not dataset.get("Rows") or not dataset.get("Columns"):
        return Rejected(source.name, "CORRUPT_FILE", "the header ends before the size of the image")
    if int(dataset.get("NumberOfFrames", 1) or 1) > 1 or "MOSAIC" in (dataset.get("ImageType") or ()):
        return Rejected(source.name, "UNSUPPORTED_LAYOUT", "several images in one without a place for each")
    if not has_geometry(dataset):
        return Rejected(source.name, "NO_GEOMETRY", "no usable image position, orientation or pixel spacing")
    return [classic_frame(dataset, source)]


def _enhanced(dataset: Dataset, source: Source) -> list[Frame] | Rejected:
    frames = enhanced_frames(dataset, source)
    if not frames:
        return Rejected(source.name, "NO_GEOMETRY", "no frame has a usable position, orientation and pixel spacing")
    return frames
