"""Radiotherapy from DICOM: prescription of an RTPLAN, dose of an RTDOSE, target of an RTSTRUCT, dates of delivery.

Nothing that names the patient is kept but the hashes by which studies are told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from spinemri.errors import Flag, InputError
from spinemri.intake.fields import identity, text
from spinemri.intake.model import count_patients
from spinemri.intake.sources import find_sources
from spinemri.volume import Volume

__all__ = ["Course", "FrameLink", "Target", "read_course"]

_TARGETS = ("PTV", "CTV", "GTV")
_UNEVEN_MM = 0.05
_MOST_FILES = 100_000


@dataclass(frozen=True, eq=False)
class Target:
    """What was to be irradiated.

    Attributes
    ----------
    kind : str
        ``"PTV"``, ``"CTV"`` or ``"GTV"``.
    points_lps : (n, 3) ndarray
        Vertices of all its contours in LPS mm.
    frame_of_reference_uid : str
    """

    kind: str
    points_lps: NDArray[np.float64]
    frame_of_reference_uid: str


@dataclass(frozen=True, eq=False)
class FrameLink:
    """A rigid motion from one frame of reference to another, from a DICOM spatial registration.

    Attributes
    ----------
    source_uid, target_uid : str
    matrix : (4, 4) ndarray
        LPS mm of the source to LPS mm of the target.
    """

    source_uid: str
    target_uid: str
    matrix: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Course:
    """What DICOM objects say of one course of radiotherapy; what they do not say is None.

    Attributes
    ----------
    prescribed_gy : float or None
        Total dose prescribed to the target.
    fractions : int or None
    delivered : tuple of date
        Days of treatment records, in order.
    dose : Volume or None
        Gy, in the frame of reference of the planning images.
    target : Target or None
    links : tuple of FrameLink
    patient_key, issuer_key : str
        As of a study.
    flags : tuple of Flag
    """

    prescribed_gy: float | None = None
    fractions: int | None = None
    delivered: tuple[date, ...] = ()
    dose: Volume | None = None
    target: Target | None = None
    links: tuple[FrameLink, ...] = ()
    patient_key: str = ""
    issuer_key: str = ""
    flags: tuple[Flag, ...] = ()


def read_course(folder: Path) -> Course:
    """Read every radiotherapy object of a folder; images beside them are passed over.

    Parameters
    ----------
    folder : Path
        Folder, file or zip archive.

    Returns
    -------
    Course

    Raises
    ------
    InputError
        NO_RADIOTHERAPY without any plan, dose or structure set, RT_SEVERAL_PLANS with more than one plan or
        summed dose, SEVERAL_PATIENTS, or RT_DOSE_UNREADABLE.
    """
    found = _by_modality(folder)
    plans, doses = found.get("RTPLAN", []), _plan_doses(found.get("RTDOSE", []))
    structures = found.get("RTSTRUCT", [])
    if not (plans or doses or structures):
        raise InputError(
            "NO_RADIOTHERAPY",
            "No RTPLAN, RTDOSE or RTSTRUCT was found for --radiotherapy.",
            "Give the folder that the planning system exported.",
        )
    if len(plans) > 1 or len(doses) > 1:
        raise InputError(
            "RT_SEVERAL_PLANS",
            f"{len(plans)} plans and {len(doses)} plan doses were found: which one was delivered cannot be told.",
            "Give a folder with one plan and its dose, or their sum.",
        )
    patient_key, issuer_key = _patient([*plans, *doses, *structures])
    prescribed, flags = _prescription(plans[0]) if plans else (None, ())
    return Course(
        prescribed_gy=prescribed,
        fractions=_fractions(plans[0]) if plans else None,
        delivered=tuple(sorted(set(_delivery(found.get("RTRECORD", []))))),
        dose=_dose(doses[0]) if doses else None,
        target=_target(structures),
        links=tuple(_links(found.get("REG", []))),
        patient_key=patient_key,
        issuer_key=issuer_key,
        flags=flags,
    )


def _by_modality(folder: Path) -> dict[str, list[Dataset]]:
    """Read the objects of radiotherapy, by modality, in an order that does not depend on names."""
    found: dict[str, list[Dataset]] = {}
    sources, _ = find_sources(folder)
    for source in sources[:_MOST_FILES]:
        try:
            with source.open() as stream:
                header = pydicom.dcmread(stream, specific_tags=["Modality", "SOPClassUID"])
        except (InvalidDicomError, OSError, ValueError):
            continue
        modality = text(header, "Modality")
        if modality in {"RTPLAN", "RTDOSE", "RTSTRUCT", "RTRECORD", "REG"}:
            with source.open() as stream:
                found.setdefault(modality, []).append(pydicom.dcmread(stream))
    return {name: sorted(objects, key=lambda d: text(d, "SOPInstanceUID")) for name, objects in found.items()}


def _items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    return dataset.get(keyword) or ()


def _patient(objects: Sequence[Dataset]) -> tuple[str, str]:
    """Return the keys of patient and issuer."""
    owners = [identity(dataset) for dataset in objects]
    count = count_patients(owners)
    if count > 1:
        raise InputError("SEVERAL_PATIENTS", f"The radiotherapy belongs to {count} patients by their patient ids.")
    return max(owner.patient_key for owner in owners), max(owner.issuer_key for owner in owners)


def _prescription(plan: Dataset) -> tuple[float | None, tuple[Flag, ...]]:
    """Return the dose to the target; without one the dose of the beams at their specification points."""
    wanted = {
        round(float(item.TargetPrescriptionDose), 4)
        for item in _items(plan, "DoseReferenceSequence")
        if text(item, "DoseReferenceType") == "TARGET" and item.get("TargetPrescriptionDose") is not None
    }
    if len(wanted) > 1:
        doses = ", ".join(f"{dose:g}" for dose in sorted(wanted))
        message = (
            f"The plan prescribes several doses ({doses} Gy); the highest is taken. Give --rt-dose-gy if another is."
        )
        return max(wanted), (Flag("RT_SEVERAL_PRESCRIPTIONS", message),)
    if wanted:
        return wanted.pop(), ()
    total = 0.0
    for group in _items(plan, "FractionGroupSequence"):
        beams = [float(beam.BeamDose) for beam in _items(group, "ReferencedBeamSequence") if beam.get("BeamDose")]
        total += sum(beams) * int(group.get("NumberOfFractionsPlanned") or 0)
    return (total, ()) if total > 0 else (None, ())


def _fractions(plan: Dataset) -> int | None:
    counts = [int(group.get("NumberOfFractionsPlanned") or 0) for group in _items(plan, "FractionGroupSequence")]
    return sum(counts) or None


def _delivery(records: Iterable[Dataset]) -> Iterable[date]:
    """Yield the days of treatment records."""
    for record in records:
        value = text(record, "TreatmentDate").replace("-", "")
        try:
            yield date.fromisoformat(value)
        except ValueError:
            continue


def _plan_doses(doses: Iterable[Dataset]) -> list[Dataset]:
    """Keep doses of whole plans, in Gy; those of single beams say nothing of the course."""
    return [
        dose
        for dose in doses
        if text(dose, "DoseSummationType") in {"PLAN", "MULTI_PLAN"} and text(dose, "DoseUnits").upper() == "GY"
    ]


def _dose(dataset: Dataset) -> Volume:
    """Read a dose grid; index order column, row, frame."""
    try:
        frames = dataset.pixel_array
        offsets = np.asarray(dataset.get("GridFrameOffsetVector", [0.0]), dtype=np.float64)
        row, column = np.asarray(dataset.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
        spacing = np.asarray(dataset.PixelSpacing, dtype=np.float64)
        origin = np.asarray(dataset.ImagePositionPatient, dtype=np.float64)
        scale = float(dataset.DoseGridScaling)
    except (AttributeError, ValueError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            "RT_DOSE_UNREADABLE", f"The dose grid cannot be read: {error}", "Export the dose again."
        ) from error
    steps = np.diff(offsets)
    if frames.ndim != 3 or len(offsets) != len(frames) or np.ptp(steps) > _UNEVEN_MM or abs(steps[0]) < _UNEVEN_MM:
        raise InputError(
            "RT_DOSE_UNREADABLE",
            f"The dose grid of shape {frames.shape} has {len(offsets)} offsets of planes; at least two are needed, "
            "evenly spaced.",
            "Export the dose again.",
        )
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * spacing[1], column * spacing[0]
    affine[:3, 2], affine[:3, 3] = np.cross(row, column) * steps[0], origin
    array = np.ascontiguousarray(frames.transpose(2, 1, 0), dtype=np.float32) * np.float32(scale)
    return Volume(array, affine, text(dataset, "FrameOfReferenceUID"))


def _target(structures: Sequence[Dataset]) -> Target | None:
    """Return the planning target, else the clinical or the gross one; contours of all of its kind together."""
    kinds: dict[str, list[tuple[NDArray[np.float64], str]]] = {}
    for dataset in structures:
        regions = _items(dataset, "StructureSetROISequence")
        frames = {int(region.ROINumber): text(region, "ReferencedFrameOfReferenceUID") for region in regions}
        contours = {int(r.ReferencedROINumber): r for r in _items(dataset, "ROIContourSequence")}
        for seen in _items(dataset, "RTROIObservationsSequence"):
            number, kind = int(seen.ReferencedROINumber), text(seen, "RTROIInterpretedType").upper()
            if kind in _TARGETS and number in contours:
                kinds.setdefault(kind, []).append((_vertices(contours[number]), frames.get(number, "")))
    for kind in _TARGETS:
        parts = [(points, frame) for points, frame in kinds.get(kind, []) if len(points)]
        if parts and len({frame for _, frame in parts}) == 1:
            return Target(kind, np.concatenate([points for points, _ in parts]), parts[0][1])
    return None


def _vertices(roi: Dataset) -> NDArray[np.float64]:
    parts = [np.asarray(c.ContourData, dtype=np.float64).reshape(-1, 3) for c in _items(roi, "ContourSequence")]
    return np.concatenate(parts) if parts else np.zeros((0, 3))


def _links(registrations: Iterable[Dataset]) -> Iterable[FrameLink]:
    """Yield the rigid motions of spatial registrations."""
    for dataset in registrations:
        own = text(dataset, "FrameOfReferenceUID")
        for item in _items(dataset, "RegistrationSequence"):
            matrix = np.eye(4)
            for part in _items(item, "MatrixRegistrationSequence"):
                for step in _items(part, "MatrixSequence"):
                    if text(step, "FrameOfReferenceTransformationMatrixType") == "RIGID":
                        values = np.asarray(step.FrameOfReferenceTransformationMatrix, dtype=np.float64)
                        matrix = values.reshape(4, 4) @ matrix
                    else:
                        matrix = np.full((4, 4), np.nan)
            other = text(item, "FrameOfReferenceUID")
            if other and other != own and np.isfinite(matrix).all():
                yield FrameLink(other, own, matrix)
