"""A course of radiotherapy as DICOM objects: plan, dose, target, treatment records and a registration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CLASSES = {
    "RTPLAN": "1.2.840.10008.5.1.4.1.1.481.5",
    "RTDOSE": "1.2.840.10008.5.1.4.1.1.481.2",
    "RTSTRUCT": "1.2.840.10008.5.1.4.1.1.481.3",
    "RTRECORD": "1.2.840.10008.5.1.4.1.1.481.4",
    "REG": "1.2.840.10008.5.1.4.1.1.66.1",
}


def write_object(folder: Path, modality: str, name: str = "", patient: str = "P1", **content) -> Path:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CLASSES[modality]
    uid = generate_uid(entropy_srcs=[modality, name])
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid
    dataset.Modality, dataset.PatientID = modality, patient
    for keyword, value in content.items():
        setattr(dataset, keyword, value)
    path = folder / f"{modality.lower()}{name}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def item(**content) -> Dataset:
    dataset = Dataset()
    for keyword, value in content.items():
        setattr(dataset, keyword, value)
    return dataset


def write_plan(folder: Path, doses=(20.0,), fractions: int = 10, **more) -> Path:
    references = [item(DoseReferenceType="TARGET", TargetPrescriptionDose=dose) for dose in doses]
    group = item(NumberOfFractionsPlanned=fractions, ReferencedBeamSequence=[item(BeamDose=1.5), item(BeamDose=0.5)])
    content = {"DoseReferenceSequence": references, "FractionGroupSequence": [group]} | more
    return write_object(folder, "RTPLAN", **content)


def write_dose(folder: Path, array: np.ndarray, affine: np.ndarray, frame: str, name: str = "", **more) -> Path:
    """Write a dose grid indexed (column, row, plane); `affine` maps that to LPS mm."""
    scale = 0.001
    stored = np.rint(array.transpose(2, 1, 0) / scale).astype(np.uint32)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    axes = affine[:3, :3] / spacing
    step = spacing[2] * np.sign(np.cross(axes[:, 0], axes[:, 1]) @ axes[:, 2])
    content = {
        "DoseUnits": "GY", "DoseType": "PHYSICAL", "DoseSummationType": "PLAN", "DoseGridScaling": scale,
        "FrameOfReferenceUID": frame, "ImagePositionPatient": [round(float(v), 6) for v in affine[:3, 3]],
        "ImageOrientationPatient": [round(float(v), 9) for v in axes[:, :2].T.ravel()],
        "PixelSpacing": [float(spacing[1]), float(spacing[0])],
        "GridFrameOffsetVector": [round(float(step * k), 6) for k in range(array.shape[2])],
        "NumberOfFrames": array.shape[2], "Rows": array.shape[1], "Columns": array.shape[0], "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 32, "BitsStored": 32, "HighBit": 31,
        "PixelRepresentation": 0, "PixelData": stored.tobytes(),
    } | more  # fmt: skip
    return write_object(folder, "RTDOSE", name, **content)


def write_target(folder: Path, points: np.ndarray, frame: str, kind: str = "PTV") -> Path:
    contour = item(ContourGeometricType="CLOSED_PLANAR", ContourData=[round(float(v), 3) for v in points.ravel()])
    return write_object(
        folder,
        "RTSTRUCT",
        StructureSetROISequence=[item(ROINumber=1, ReferencedFrameOfReferenceUID=frame)],
        ROIContourSequence=[item(ReferencedROINumber=1, ContourSequence=[contour])],
        RTROIObservationsSequence=[item(ReferencedROINumber=1, RTROIInterpretedType=kind)],
    )


def write_registration(folder: Path, own: str, other: str, matrix: np.ndarray) -> Path:
    step = item(
        FrameOfReferenceTransformationMatrixType="RIGID",
        FrameOfReferenceTransformationMatrix=[round(float(v), 9) for v in matrix.ravel()],
    )
    moved = item(FrameOfReferenceUID=other, MatrixRegistrationSequence=[item(MatrixSequence=[step])])
    return write_object(folder, "REG", FrameOfReferenceUID=own, RegistrationSequence=[moved])
