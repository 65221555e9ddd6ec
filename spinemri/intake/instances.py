"""The DICOM files behind a stack: what objects that are derived from it have to say of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import pydicom
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as DicomSequence
from pydicom.valuerep import format_number_as_ds, validate_value

from spinemri.intake.model import SourceInstance
from spinemri.intake.sources import Source
from spinemri.intake.tags import Frame

__all__ = ["read_instances"]

_EMPTY_IF_ABSENT = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Type 2: an object needs them, with or without a value (DICOM PS3.3 C.7.1.1, C.7.2.1)."""

_KEPT = (
    *_EMPTY_IF_ABSENT,
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID",
    "IssuerOfPatientID", "PatientAge", "PatientSize", "PatientWeight", "PatientIdentityRemoved",
    "DeidentificationMethod", "DeidentificationMethodCodeSequence", "LongitudinalTemporalInformationModified",
    "StudyDescription",
    "Modality", "SeriesNumber", "SeriesDate", "SeriesTime", "SeriesDescription", "BodyPartExamined", "PatientPosition",
    "PositionReferenceIndicator", "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions",
    "InstitutionName", "StationName", "InstanceNumber", "ImageType", "ContentDate", "ContentTime", "AcquisitionDate",
    "AcquisitionTime", "AcquisitionDateTime", "Rows", "Columns", "PixelSpacing", "SliceThickness",
    "SpacingBetweenSlices", "ImagePositionPatient", "ImageOrientationPatient", "NumberOfFrames",
)  # fmt: skip

_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_GROUP_ITEMS = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "FrameContentSequence")


def read_instances(frames: Iterable[Frame]) -> tuple[SourceInstance, ...]:
    """Read the headers of the files that the frames of a stack lie in, each file once.

    Parameters
    ----------
    frames : iterable of Frame
        Of one stack.

    Returns
    -------
    tuple of SourceInstance
        In the order in which the frames name their files.

    Raises
    ------
    OSError
        If a file has gone since its header was read.
    """
    wanted: dict[Source, list[int]] = {}
    for frame in frames:
        wanted.setdefault(frame.source, []).append(frame.index)
    return tuple(_read(source, indices) for source, indices in wanted.items())


def _read(source: Source, indices: list[int]) -> SourceInstance:
    keywords: list[int | str] = ["SpecificCharacterSet", *_KEPT, *_GROUPS]
    with warnings.catch_warnings(), config.disable_value_validation():
        # Values that break the rules are dropped one by one below.
        warnings.simplefilter("ignore")
        with source.open() as stream:
            dataset = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=keywords, force=True)
        dataset.decode()
        header = _clean(dataset)
    multi_frame = "PerFrameFunctionalGroupsSequence" in header
    return SourceInstance(header, tuple(sorted(index + 1 for index in indices)) if multi_frame else ())


def _clean(dataset: Dataset) -> Dataset:
    header = _copied(dataset, _KEPT)
    for keyword in _EMPTY_IF_ABSENT:
        if keyword not in header:
            setattr(header, keyword, "")
    for keyword in _GROUPS:
        groups = dataset.get(keyword)
        if groups:
            setattr(header, keyword, DicomSequence([_copied(group, _GROUP_ITEMS) for group in groups]))
    header.SpecificCharacterSet = "ISO_IR 192"
    return header


def _copied(dataset: Dataset, keywords: Iterable[str]) -> Dataset:
    out = Dataset()
    for keyword in keywords:
        if keyword in dataset:
            element = dataset[keyword]
            value = _storable(element)
            if _valid(element.VR, value):
                out.add_new(element.tag, element.VR, value)
    return out


def _storable(element: DataElement) -> Any:  # noqa: ANN401 - whatever the value representation holds
    """Return the value as plain Python, a decimal in the one form that survives JSON and fits 16 characters."""
    if element.VR == "PN":
        # A person's name remembers the character set it was read in; plain text does not.
        return str(element.value)
    if element.VR == "DS" and element.value not in (None, ""):
        values = element.value if element.VM > 1 else [element.value]
        decimals = [format_number_as_ds(float(value)) for value in values]
        return decimals if element.VM > 1 else decimals[0]
    return element.value


def _valid(vr: str, value: Any) -> bool:  # noqa: ANN401
    """Tell whether a value follows its value representation; an object with a broken one would be refused."""
    if vr == "SQ":
        return True
    values = value if isinstance(value, (list, MultiValue)) else [value]
    try:
        for single in values:
            validate_value(vr, str(single) if vr in {"DS", "IS", "UI"} else single, config.RAISE)
    except (TypeError, ValueError):
        return False
    return True
