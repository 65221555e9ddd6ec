"""What every object of one study says of patient, study, equipment and purpose."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from highdicom import ContributingEquipment
from highdicom.base import SOPClass
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from spinemri import __version__
from spinemri.export.dicom.codes import PRIVATE_SCHEME
from spinemri.export.jsonfile import as_json, json_text
from spinemri.measure.record import SoftwareRecord
from spinemri.measure.result import StudyResult
from spinemri.uids import IMPLEMENTATION_UID, derived_uid

__all__ = [
    "MANUFACTURER",
    "RESEARCH",
    "Context",
    "Kind",
    "acquisition_equipment",
    "common_arguments",
    "content_key",
    "context_of",
    "new_object",
    "save",
]

RESEARCH = "For research use only. Not a medical device; not for diagnosis."
MANUFACTURER = "spinemri"

_NO_DATE, _NO_TIME = "19000101", "000000"

_DATES_AFTER = {"113106": "UNMODIFIED", "113107": "MODIFIED"}
"""What the methods of de-identification that keep intervals say of dates (DICOM PS3.16 CID 7050)."""


@dataclass(frozen=True)
class Kind:
    """One kind of object; each has a series of its own.

    Attributes
    ----------
    name : str
        File name without ending, and part of every UID.
    series_number : int
        Far above those that scanners use.
    description : str
        What the series shows; ``RESEARCH`` goes before it.
    """

    name: str
    series_number: int
    description: str


@dataclass(frozen=True, eq=False)
class Context:
    """Where new objects belong.

    Attributes
    ----------
    header : Dataset
        Of the first primary image: patient, study, scanner.
    key : str
        Hash of everything that the objects show; other content gets other UIDs.
    lesion_uid : str
        The mass, the same in every study of the patient.
    software : SoftwareRecord
    edited : bool
        A person drew or changed the masks.
    """

    header: Dataset
    key: str
    lesion_uid: str
    software: SoftwareRecord
    edited: bool

    def uid(self, *parts: object) -> str:
        """Return a UID that depends on the content and on the parts."""
        return derived_uid(self.key, *parts)

    @property
    def moment(self) -> tuple[str, str]:
        """Date and time of the images, ``YYYYMMDD`` and ``HHMMSS``: objects never carry the time of a run."""
        for name in ("Series", "Acquisition", "Content", "Study"):
            if self.header.get(f"{name}Date"):
                return str(self.header[f"{name}Date"].value), str(self.header.get(f"{name}Time") or _NO_TIME)
        return _NO_DATE, _NO_TIME


def content_key(result: StudyResult) -> str:
    """Return a hash of the numbers and masks of a study, from which the UIDs of its objects derive."""
    digest = hashlib.sha256(f"{__version__}\n{json_text(as_json(result.measurements))}".encode())
    for mask in (result.anatomy.tissues.labels, result.anatomy.level_map, result.mass.mask):
        digest.update(np.ascontiguousarray(mask.array, dtype=np.uint8).tobytes())
    return digest.hexdigest()


def context_of(result: StudyResult, header: Dataset, key: str) -> Context:
    """Return where the objects of a study belong.

    Parameters
    ----------
    result : StudyResult
    header : Dataset
        Of the first primary image.
    key : str
        See `content_key`.
    """
    measured = result.measurements
    patient = result.study.patient_key or result.study.study_instance_uid
    foreign = not measured.software.model_sha256
    return Context(
        header=header,
        key=key,
        lesion_uid=derived_uid(patient, "mass"),
        software=measured.software,
        edited=foreign or any(flag.code == "MASKS_EDITED" for flag in measured.quality.flags),
    )


def common_arguments(context: Context, kind: Kind, instance: int = 1, *, also: bytes = b"") -> dict[str, Any]:
    """Return what all objects of highdicom are told in the same words.

    Parameters
    ----------
    context : Context
    kind : Kind
    instance : int
        Number within the series, from 1.
    also : bytes
        Content that `Context.key` does not cover; other bytes give another UID.
    """
    date, time = context.moment
    digest = hashlib.sha256(also).hexdigest() if also else ""
    return {
        "series_instance_uid": context.uid(kind.name, "series"),
        "series_number": kind.series_number,
        "sop_instance_uid": context.uid(kind.name, instance, digest),
        "instance_number": instance,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MANUFACTURER,
        "software_versions": context.software.version,
        # There is no serial number of a program; the network is what may differ between two of the same version.
        "device_serial_number": context.software.model_sha256[:16] or "no network",
        "series_description": f"RESEARCH {kind.description}",
        "series_date": date,
        "series_time": time,
        "content_date": date,
        "content_time": time,
        "content_qualification": "RESEARCH",
        "coding_schemes": [
            CodingSchemeIdentificationItem(
                designator=PRIVATE_SCHEME,
                name="spinemri private codes",
                version=context.software.version,
                responsible_organization=MANUFACTURER,
            )
        ],
    }


def new_object(
    context: Context,
    kind: Kind,
    sop_class: str,
    modality: str,
    *,
    instance: int = 1,
    also: bytes = b"",
) -> SOPClass:
    """Begin an object that highdicom has no class for: patient, study, series, equipment, SOP Common.

    Parameters
    ----------
    context : Context
    kind : Kind
    sop_class : str
        SOP Class UID.
    modality : str
    instance : int
    also : bytes
        See `common_arguments`.

    Returns
    -------
    SOPClass
    """
    header = context.header
    arguments = common_arguments(context, kind, instance, also=also)
    # Not every kind of object has a date of its content; highdicom knows which, and would take today.
    date, time = arguments.pop("content_date"), arguments.pop("content_time")
    made = SOPClass(
        study_instance_uid=header.StudyInstanceUID,
        sop_class_uid=sop_class,
        modality=modality,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        patient_id=header.PatientID,
        patient_name=header.PatientName,
        patient_birth_date=header.PatientBirthDate,
        patient_sex=header.PatientSex,
        accession_number=header.AccessionNumber,
        study_id=header.StudyID,
        study_date=header.StudyDate,
        study_time=header.StudyTime,
        referring_physician_name=header.ReferringPhysicianName,
        specific_character_set="ISO_IR 192",
        **arguments,
    )
    if "ContentDate" in made:
        made.ContentDate, made.ContentTime = date, time
    made.copy_patient_and_study_information(header)
    scanner = acquisition_equipment(header)
    if scanner:
        made.ContributingEquipmentSequence = scanner
    return made


def acquisition_equipment(header: Dataset) -> list[ContributingEquipment]:
    """Return the scanner as contributing equipment; nothing if the images do not name its maker."""
    return [ContributingEquipment.for_image_acquisition(header)] if header.get("Manufacturer") else []


def save(dataset: Dataset, path: Path) -> None:
    """Write an object as a file, the same bytes every time.

    Parameters
    ----------
    dataset : Dataset
        With file meta information.
    path : Path
    """
    for keyword in ("InstanceCreationDate", "InstanceCreationTime"):
        if keyword in dataset:
            delattr(dataset, keyword)
    for equipment in dataset.get("ContributingEquipmentSequence", ()):
        equipment.pop("ContributionDateTime", None)
    for method in dataset.get("DeidentificationMethodCodeSequence", ()):
        # Part of SOP Common, which is not copied from the images.
        if method.CodeValue in _DATES_AFTER:
            dataset.LongitudinalTemporalInformationModified = _DATES_AFTER[method.CodeValue]
    dataset.file_meta.ImplementationClassUID = IMPLEMENTATION_UID
    dataset.file_meta.ImplementationVersionName = "SPINEMRI"
    dataset.save_as(path, enforce_file_format=True)
