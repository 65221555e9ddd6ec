"""A word that must not get out: planted wherever a study holds text, and searched for in everything written."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import re
import shutil
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pydicom
from PIL import Image
from pydicom.datadict import DicomDictionary, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

CANARY = "ZQXCANARY"
BIRTH_DATE, TIME, AGE, UID = "19871113", "071359.271828", "087Y", "1.2.826.0.1.3680043.9.987654321"

_VALUES = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT", "UR"), CANARY),
    "PN": f"{CANARY}^{CANARY}",
    "DA": BIRTH_DATE,
    "DT": BIRTH_DATE + TIME,
    "TM": TIME,
    "AS": AGE,
    "UI": UID,
}

_NEEDED = {
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality",
    "SpecificCharacterSet", "PhotometricInterpretation", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate",
    "ImageType", "ScanOptions", "ScanningSequence", "SpectrallySelectedSuppression", "AcquisitionContrast",
    "ComplexImageComponent", "TimezoneOffsetFromUTC", "PatientSex",
}  # fmt: skip
"""Without their own values this would be another study, or none."""


def plant(study: Path, target: Path, *, words: str = "spine") -> Path:
    """Copy a study with the canary in every text attribute of DICOM, at any depth, and in the names of all files."""
    attributes = _text_attributes()
    folder = target / f"{CANARY} ANNA"
    for number, path in enumerate(sorted(study.rglob("*.dcm"))):
        dataset = pydicom.dcmread(path)
        description = str(dataset.SeriesDescription)
        for tag, vr in attributes:
            dataset.add_new(tag, vr, _VALUES[vr])
        dataset.SeriesDescription = f"{description} {words} {CANARY}"
        dataset.ImageType = [*dataset.ImageType, CANARY]
        if "ScanningSequence" in dataset:
            dataset.ScanningSequence = [dataset.ScanningSequence, CANARY]
        _plant_nested(dataset)
        place = folder / path.parent.name / f"{CANARY}_{number}.dcm"
        place.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(place)
    (folder / f"{CANARY}.txt").write_text(CANARY)
    return folder


def _text_attributes() -> list[tuple[int, str]]:
    known = ((tag, vr, keyword_for_tag(tag)) for tag, (vr, *_) in DicomDictionary.items() if tag >> 16 > 2)
    return [(tag, vr) for tag, vr, keyword in known if vr in _VALUES and keyword and keyword not in _NEEDED]


def _plant_nested(dataset: Dataset) -> None:
    inner = Dataset()
    inner.PatientID = inner.AccessionNumber = CANARY
    inner.add_new(0x00091001, "LO", CANARY)
    item = Dataset()
    item.PatientComments = CANARY
    item.RequestedProcedureCodeSequence = DicomSequence([inner])
    dataset.RequestAttributesSequence = DicomSequence([item])
    dataset.OtherPatientIDsSequence = DicomSequence([inner])
    block = dataset.private_block(0x0009, CANARY, create=True)
    block.add_new(0x01, "LO", CANARY)
    block.add_new(0x02, "UN", CANARY.encode())
    block.add_new(0x03, "SQ", DicomSequence([item]))


def leaks(folder: Path, secrets: set[str]) -> set[tuple[str, str]]:
    """Find secrets in the names and contents of all files: (file, secret), whatever they are packed in."""
    found = set()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        contents = [name.encode(), *(unpacked(path.read_bytes()) if path.is_file() else ())]
        found |= {(name, secret) for secret in secrets for content in contents if secret.lower().encode() in content}
    return found


def unpacked(content: bytes) -> Iterator[bytes]:
    """Yield lower-case content as it is, and whatever it packs: gzip, zip, base64, image metadata, PDF streams."""
    yield content.lower()
    if content[:2] == b"\x1f\x8b":
        yield from unpacked(gzip.decompress(content))
    if content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield from unpacked(archive.read(name))
    if content[:8] == b"\x89PNG\r\n\x1a\n" or content[:2] == b"\xff\xd8":
        with Image.open(io.BytesIO(content)) as image:
            yield repr(image.info).lower().encode()
    for match in re.finditer(rb"[A-Za-z0-9+/]{64,}={0,2}", content):
        yield from _decoded(match.group(0))
    start = content.find(b"%PDF-")
    if start >= 0 and (start == 0 or content[128:132] == b"DICM") and shutil.which("pdftotext"):
        # Text in a PDF is drawn by numbers of glyphs: only a reader knows the letters.
        read = subprocess.run(["pdftotext", "-", "-"], input=content[start:], capture_output=True, check=True)
        yield read.stdout.lower()
    for match in re.finditer(rb"stream\r?\n(.*?)endstream", content, flags=re.DOTALL):
        yield from _inflated(match.group(1))


def _decoded(text: bytes) -> Iterator[bytes]:
    """What base64 holds, whether it is announced or not; long words of a script are none."""
    try:
        yield from unpacked(base64.b64decode(text))
    except (binascii.Error, gzip.BadGzipFile):
        return


def _inflated(content: bytes) -> Iterator[bytes]:
    try:
        yield zlib.decompressobj().decompress(content).lower()
    except zlib.error:
        return
