"""Studies without anything that identifies the patient: DICOM PS3.15 Annex E, Basic Profile, with modified dates.

Everything here is built from a list of what may stay; whatever is not on it is gone, known or not. What comes after the
intake never sees an original header, date, name or UID, so that nothing downstream can leak one.

No times of day stay: only whole days are kept apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from spinemri import __version__
from spinemri.errors import Flag, InputError, Severity
from spinemri.intake.model import SourceInstance, Stack, Study, no_instances
from spinemri.intake.pixels import read_pixels
from spinemri.intake.pseudonyms import Pseudonyms
from spinemri.volume import Volume

__all__ = ["deidentified", "deidentified_header"]

_WITHHELD = "Details are left out of de-identified results; 'spinemri inspect' shows them."

_PLAIN_FLAGS = {
    "CONTRAST_INFERRED", "DIFFERENT_FRAME_OF_REFERENCE", "MISSING_SLICES", "NO_ORIENTATION", "PATIENT_ID_MISSING",
    "SPINE_NOT_ALL_MEASURED", "STUDY_LEFT_OUT", "UNEVEN_SPACING", "WEIGHTING_GUESSED",
}  # fmt: skip
"""Findings whose messages are made of stack ids and numbers alone."""

_PLAIN_REASONS = {
    "CHOSEN", "DERIVED", "NO_OVERLAP", "NO_ROLE", "TOO_FEW_SLICES", "UNEVEN_SPACING", "WORSE_THAN_CHOSEN",
}  # fmt: skip
"""Likewise for the reasons of roles."""

_UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
_NUMBERS = (
    "SeriesNumber", "InstanceNumber", "Rows", "Columns", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices",
    "ImagePositionPatient", "ImageOrientationPatient", "NumberOfFrames",
)  # fmt: skip
_CHOICES = {
    "SOPClassUID": {
        "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4",
    },
    "Modality": {"MR"},
    "PatientPosition": {"HFP", "HFS", "HFDR", "HFDL", "FFDR", "FFDL", "FFP", "FFS"},
}  # fmt: skip
"""Attributes that stay if their value is one of these: the MR images of DICOM, and positions on the table."""

_EMPTY = (
    "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
    "PositionReferenceIndicator",
)  # fmt: skip
"""Type 2 of the objects that are derived: there, but without a value unless it is kept."""

_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_NUMERIC_VRS = {"DS", "FD", "FL", "IS", "SL", "SS", "UL", "US"}
_METHODS = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
)
"""Of DICOM PS3.16 CID 7050."""


def deidentified(study: Study, pseudonyms: Pseudonyms) -> Study:
    """Return a study without anything that identifies the patient, pixels excepted.

    Parameters
    ----------
    study : Study
    pseudonyms : Pseudonyms
        The same for all studies that are read together.

    Returns
    -------
    Study
        Same geometry, same roles, dates moved by the patient's offset; first among its flags is DEIDENTIFIED.
    """
    return Study(
        study_instance_uid=pseudonyms.uid(study.study_instance_uid),
        study_date=pseudonyms.iso_date(study.study_date),
        patient_key=pseudonyms.patient_key if study.patient_key else "",
        stacks=tuple(_stack(stack, pseudonyms) for stack in study.stacks),
        rejected=(),
        inputs_sha256=pseudonyms.digest("inputs", study.inputs_sha256),
        flags=(_note(pseudonyms), *_plain(study.flags)),
    )


def _note(pseudonyms: Pseudonyms) -> Flag:
    scope = (
        "With the same key, the patient has the same pseudonym in other runs."
        if pseudonyms.keyed
        else "Without a key file the pseudonym holds for this input only; who has the images can derive it again."
    )
    message = f"De-identified: headers replaced, all dates moved by one offset. Pixels are as they were. {scope}"
    return Flag("DEIDENTIFIED", message, Severity.INFO)


def _plain(flags: Iterable[Flag]) -> tuple[Flag, ...]:
    """Keep every finding, but only those words of it that cannot quote a header or a file name."""
    return tuple(flag if flag.code in _PLAIN_FLAGS else replace(flag, message=_WITHHELD) for flag in flags)


def _stack(stack: Stack, pseudonyms: Pseudonyms) -> Stack:
    no_source = stack.instances is no_instances
    return Stack(
        stack_id=stack.stack_id,
        series_instance_uid=pseudonyms.uid(stack.series_instance_uid),
        series_description="",
        plane=stack.plane,
        weighting=stack.weighting,
        fat_suppressed=stack.fat_suppressed,
        contrast_enhanced=stack.contrast_enhanced,
        region=stack.region,
        grid=stack.grid,
        frame_of_reference_uid=pseudonyms.uid(stack.frame_of_reference_uid),
        acquired="",
        reader=_Reader(stack, pseudonyms),
        role=stack.role,
        reason=stack.reason if stack.code in _PLAIN_REASONS else _WITHHELD,
        code=stack.code,
        flags=_plain(stack.flags),
        instances=no_instances if no_source else partial(_instances, stack.instances, pseudonyms),
    )


@dataclass(frozen=True, eq=False)
class _Reader:
    """Reads the pixels of a stack and says nothing of their origin."""

    stack: Stack
    pseudonyms: Pseudonyms

    def __call__(self) -> Volume:
        """Return the canonical volume."""
        return self.read()[0]

    def read(self) -> tuple[Volume, tuple[Flag, ...]]:
        """Return the canonical volume and what had to be repaired."""
        try:
            volume, flags = read_pixels(self.stack)
        except InputError as error:
            raise InputError(error.code, _WITHHELD) from None
        frame = self.pseudonyms.uid(volume.frame_of_reference_uid)
        return replace(volume, frame_of_reference_uid=frame), _plain(flags)


def _instances(read: Callable[[], tuple[SourceInstance, ...]], pseudonyms: Pseudonyms) -> tuple[SourceInstance, ...]:
    return tuple(SourceInstance(deidentified_header(one.header, pseudonyms), one.frames) for one in read())


def deidentified_header(header: Dataset, pseudonyms: Pseudonyms) -> Dataset:
    """Return what a header may still say: numbers, geometry, replaced UIDs, moved dates.

    Parameters
    ----------
    header : Dataset
        As `Stack.instances` gives it.
    pseudonyms : Pseudonyms

    Returns
    -------
    Dataset
        With Patient Identity Removed and the method (DICOM PS3.15 E.1.1, PS3.3 C.7.1.1).
    """
    out = Dataset()
    for keyword in _EMPTY:
        setattr(out, keyword, "")
    out.SpecificCharacterSet = "ISO_IR 192"
    for keyword, allowed in _CHOICES.items():
        if header.get(keyword) in allowed:
            setattr(out, keyword, header[keyword].value)
    for keyword in _UIDS:
        if header.get(keyword):
            setattr(out, keyword, pseudonyms.uid(str(header[keyword].value)))
    for keyword in _DATES:
        day = pseudonyms.iso_date(str(header.get(keyword) or ""))
        if day:
            setattr(out, keyword, day.replace("-", ""))
    out.update(_numbers(header, _NUMBERS))
    for keyword in _GROUPS:
        if header.get(keyword):
            setattr(out, keyword, DicomSequence([_numeric(group) for group in header[keyword].value]))
    return _declared(out, pseudonyms)


def _numbers(dataset: Dataset, keywords: Iterable[str]) -> Dataset:
    out = Dataset()
    for keyword in keywords:
        if keyword in dataset and dataset[keyword].VR in _NUMERIC_VRS:
            out[keyword] = dataset[keyword]
    return out


def _numeric(dataset: Dataset) -> Dataset:
    """Return the numbers of an item, at any depth."""
    out = Dataset()
    for element in dataset:
        if element.VR == "SQ":
            items: list[Any] = [_numeric(item) for item in element.value]
            out.add_new(element.tag, "SQ", DicomSequence(items))
        elif element.VR in _NUMERIC_VRS and not element.tag.is_private:
            out[element.tag] = element
    return out


def _declared(header: Dataset, pseudonyms: Pseudonyms) -> Dataset:
    """Name the pseudonym and the method."""
    header.PatientID = header.PatientName = pseudonyms.patient_id
    header.PatientIdentityRemoved = "YES"
    header.DeidentificationMethod = f"spinemri {__version__}, DICOM PS3.15 Basic Profile, dates moved"
    codes = []
    for value, meaning in _METHODS:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
        codes.append(item)
    header.DeidentificationMethodCodeSequence = DicomSequence(codes)
    header.LongitudinalTemporalInformationModified = "MODIFIED"
    return header
