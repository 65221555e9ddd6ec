"""Single values out of a DICOM dataset, whatever is missing or malformed."""

from __future__ import annotations

import hashlib
import math
from datetime import date
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from spinemri.intake.sources import Source
from spinemri.intake.tags import Frame, Identity, SeriesTags

__all__ = [
    "FRAME_TAGS",
    "classic_frame",
    "date_time",
    "has_geometry",
    "identity",
    "iso_date",
    "number",
    "numbers",
    "series_tags",
    "text",
    "whole",
    "words",
]

FRAME_TAGS: list[Any] = [
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "Modality", "NumberOfFrames",
    "StudyDate", "SeriesDate", "SeriesTime", "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime",
    "ContentDate", "ContentTime", "StudyDescription", "SeriesDescription", "ProtocolName", "BodyPartExamined",
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate",
    "ScanningSequence", "ScanOptions", "SequenceName", "PulseSequenceName", "RepetitionTime", "EchoTime",
    "InversionTime", "FlipAngle", "EchoNumbers", "ContrastBolusAgent", "ContrastBolusAgentSequence",
    "ContrastBolusIngredient", "EchoPulseSequence", "SpectrallySelectedSuppression", "AcquisitionContrast",
    "ComplexImageComponent", "SliceThickness", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber",
    "InstanceNumber", "AcquisitionNumber", "TemporalPositionIdentifier", "FrameOfReferenceUID",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip
"""Keywords of everything that the intake looks at."""


def text(dataset: Dataset, keyword: str) -> str:
    """Return a value as stripped text; empty if absent."""
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()


def words(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Return a code string of any multiplicity as a tuple of capitals."""
    value = dataset.get(keyword)
    if value is None or value == "":
        return ()
    parts = [value] if isinstance(value, str) else list(value)
    return tuple(str(part).strip().upper() for part in parts if str(part).strip())


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """Return numeric values; empty if absent or if one is not finite."""
    value = dataset.get(keyword)
    if value is None or value == "":
        return ()
    try:
        parts = [float(part) for part in (value if hasattr(value, "__iter__") else [value])]
    except (TypeError, ValueError):
        return ()
    return tuple(parts) if all(math.isfinite(part) for part in parts) else ()


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return the first numeric value; None if absent or zero, which scanners write for "does not apply"."""
    values = numbers(dataset, keyword)
    return values[0] if values and values[0] != 0 else None


def whole(dataset: Dataset, keyword: str) -> int:
    """Return an integer; 0 if absent."""
    return int(number(dataset, keyword) or 0)


def iso_date(value: str) -> str:
    """Turn ``YYYYMMDD`` (or the retired ``YYYY.MM.DD``) into ``YYYY-MM-DD``; empty if the calendar has no such day."""
    digits = "".join(character for character in value if character.isdigit())[:8]
    try:
        return date.fromisoformat(f"{digits[:4]}-{digits[4:6]}-{digits[6:]}").isoformat()
    except ValueError:
        return ""


def date_time(dataset: Dataset) -> str:
    """Return when the image was acquired as ``YYYYMMDDHHMMSS.ffffff``, from the best of several tags."""
    stamp = text(dataset, "AcquisitionDateTime")
    if len(stamp) >= 8:
        return stamp.split("+")[0].split("-")[0]
    for event in ("Acquisition", "Series", "Content"):
        day = iso_date(text(dataset, f"{event}Date")) or iso_date(text(dataset, "StudyDate"))
        time = text(dataset, f"{event}Time").replace(":", "")
        if day and time:
            return day.replace("-", "") + time
    return ""


def identity(dataset: Dataset) -> Identity:
    """Return whose image it is, hashed."""
    patient, issuer = text(dataset, "PatientID"), text(dataset, "IssuerOfPatientID")
    name, birth = text(dataset, "PatientName"), text(dataset, "PatientBirthDate")
    return Identity(
        patient_key=_hash(patient) if patient else "",
        issuer_key=_hash(issuer) if issuer else "",
        person_key=_hash(name.casefold().rstrip("^"), birth) if name else "",
        study_uid=text(dataset, "StudyInstanceUID"),
        study_date=iso_date(text(dataset, "StudyDate")) or iso_date(text(dataset, "SeriesDate")),
    )


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _contrast_agent(dataset: Dataset) -> str:
    named = text(dataset, "ContrastBolusAgent") or text(dataset, "ContrastBolusIngredient")
    if named:
        return named
    sequence = dataset.get("ContrastBolusAgentSequence")
    return text(sequence[0], "CodeMeaning") or "agent" if sequence else ""


def series_tags(dataset: Dataset) -> SeriesTags:
    """Return what the top level of a header says about contrast and purpose."""
    return SeriesTags(
        description=text(dataset, "SeriesDescription"),
        protocol=text(dataset, "ProtocolName"),
        study_description=text(dataset, "StudyDescription"),
        body_part=text(dataset, "BodyPartExamined").upper(),
        image_type=words(dataset, "ImageType"),
        scanning_sequence=words(dataset, "ScanningSequence"),
        scan_options=words(dataset, "ScanOptions"),
        sequence_name=text(dataset, "SequenceName") or text(dataset, "PulseSequenceName"),
        repetition_ms=number(dataset, "RepetitionTime"),
        echo_ms=number(dataset, "EchoTime"),
        inversion_ms=number(dataset, "InversionTime"),
        flip_deg=number(dataset, "FlipAngle"),
        echo_number=whole(dataset, "EchoNumbers"),
        contrast_agent=_contrast_agent(dataset),
        fat_suppression=text(dataset, "SpectrallySelectedSuppression").upper(),
        acquisition_contrast=text(dataset, "AcquisitionContrast").upper(),
        complex_component=text(dataset, "ComplexImageComponent").upper(),
    )


def has_geometry(dataset: Dataset) -> bool:
    """Tell whether position, orthonormal orientation and pixel spacing are all there."""
    orientation = np.array(numbers(dataset, "ImageOrientationPatient"))
    spacing = numbers(dataset, "PixelSpacing")
    if len(numbers(dataset, "ImagePositionPatient")) != 3 or orientation.size != 6 or len(spacing) != 2:
        return False
    row, column = orientation[:3], orientation[3:]
    unit = abs(np.linalg.norm(row) - 1) < 0.01 and abs(np.linalg.norm(column) - 1) < 0.01
    return bool(unit and abs(row @ column) < 0.01 and min(spacing) > 0)


def classic_frame(dataset: Dataset, source: Source) -> Frame:
    """Return the one frame of a classic MR file whose geometry was checked."""
    x, y, z = numbers(dataset, "ImagePositionPatient")
    a, b, c, d, e, f = numbers(dataset, "ImageOrientationPatient")
    between_rows, between_columns = numbers(dataset, "PixelSpacing")
    return Frame(
        source=source,
        index=0,
        identity=identity(dataset),
        series_uid=text(dataset, "SeriesInstanceUID"),
        series_number=whole(dataset, "SeriesNumber"),
        sop_uid=text(dataset, "SOPInstanceUID"),
        instance_number=whole(dataset, "InstanceNumber"),
        frame_of_reference_uid=text(dataset, "FrameOfReferenceUID"),
        tags=series_tags(dataset),
        position=(x, y, z),
        orientation=(a, b, c, d, e, f),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        pixel_spacing=(between_rows, between_columns),
        slice_thickness_mm=number(dataset, "SliceThickness") or 0.0,
        acquired=date_time(dataset),
        repeat=(whole(dataset, "TemporalPositionIdentifier"), whole(dataset, "AcquisitionNumber")),
    )
