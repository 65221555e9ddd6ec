"""Wrap pixels in honest DICOM MR headers, for tests of everything that starts from a folder.

Import it as ``from dicom_writer import write_sagittal_series`` (``tests`` is on the path of pytest).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from spinemri.volume import Volume

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4.1"


@dataclass(frozen=True)
class SeriesHeader:
    """What a test may want to say about a series; the defaults make a sagittal T2 of one made-up person.

    `tags` sets any further attribute by keyword; a value of None deletes it.
    """

    description: str = "t2_tse_sag"
    repetition_ms: float = 3500.0
    echo_ms: float = 100.0
    inversion_ms: float | None = None
    scanning_sequence: str = "SE"
    scan_options: str = "PFP"
    contrast_agent: str = ""
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "M", "NORM")
    body_part: str = "SPINE"
    patient_id: str = "PAT-1"
    study: str = "study-1"
    study_date: str = "20200102"
    time: str = "101500"
    number: int = 1
    transfer_syntax: str = ExplicitVRLittleEndian
    tags: Mapping[str, Any] = field(default_factory=dict)


T1_HEADER = SeriesHeader(description="t1_tse_sag", repetition_ms=600.0, echo_ms=11.0, number=2, time="102000")
T1_POST_FS_HEADER = replace(
    T1_HEADER, description="t1_tse_fs_sag+gd", scan_options="FS", contrast_agent="GADOTERATE", number=6, time="104000"
)


def uid(*parts: object) -> str:
    """Return a UID that depends on nothing but the parts."""
    digest = hashlib.sha256("\n".join(str(part) for part in parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def write_sagittal_series(
    volume: Volume, folder: Path, header: SeriesHeader | None = None, **changes: Any
) -> list[Path]:
    """Write a canonical volume as one sagittal slice per file along its axis 0 and return the files.

    Rows run cranial to caudal and columns anterior to posterior, as scanners write them. Integer values from 0 to
    65535 come back unchanged; others are scaled to 16 bits with a rescale slope and intercept.

    Parameters
    ----------
    volume : Volume
        Canonical: axes near L, P, S.
    folder : Path
        Made if missing.
    header : SeriesHeader, optional
    **changes
        Fields of `SeriesHeader` to change, e.g. ``description="STIR sag", inversion_ms=150``.
    """
    return _write(_sagittal_frames(volume), volume, folder, replace(header or SeriesHeader(), **changes))


def write_axial_series(volume: Volume, folder: Path, header: SeriesHeader | None = None, **changes: Any) -> list[Path]:
    """Write a canonical volume as axial slices along its axis 2, rows anterior to posterior."""
    default = SeriesHeader(description="t2_tse_tra", number=3, time="103000")
    return _write(_axial_frames(volume), volume, folder, replace(header or default, **changes))


def write_enhanced_sagittal(
    volume: Volume, path: Path, header: SeriesHeader | None = None, **changes: Any
) -> list[Path]:
    """Write a canonical volume as one Enhanced MR file with per-frame functional groups."""
    chosen = replace(header or SeriesHeader(), **changes)
    dataset = _enhanced(_sagittal_frames(volume), volume, chosen)
    path.parent.mkdir(parents=True, exist_ok=True)
    _save(dataset, path, chosen.transfer_syntax)
    return [path]


@dataclass(frozen=True)
class _Frames:
    """Images (n, rows, columns) with the directions along a row, down a column, and the first pixels' places."""

    images: NDArray[Any]
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    column_step_mm: float
    row_step_mm: float
    positions: NDArray[np.float64]


def _sagittal_frames(volume: Volume) -> _Frames:
    spacing = np.asarray(volume.spacing)
    axes = volume.affine[:3, :3] / spacing
    nk = volume.shape[2]
    corners = np.array([[i, 0, nk - 1] for i in range(volume.shape[0])], dtype=float)
    images = np.flip(np.transpose(volume.array, (0, 2, 1)), axis=1)
    return _Frames(images, axes[:, 1], -axes[:, 2], spacing[1], spacing[2], volume.grid.to_lps(corners))


def _axial_frames(volume: Volume) -> _Frames:
    spacing = np.asarray(volume.spacing)
    axes = volume.affine[:3, :3] / spacing
    corners = np.array([[0, 0, k] for k in range(volume.shape[2])], dtype=float)
    images = np.transpose(volume.array, (2, 1, 0))
    return _Frames(images, axes[:, 0], axes[:, 1], spacing[0], spacing[1], volume.grid.to_lps(corners))


def stored_values(array: NDArray[Any]) -> tuple[NDArray[np.uint16], float, float]:
    """Return 16-bit values with slope and intercept; slope 1 and intercept 0 where nothing needs scaling."""
    values = np.asarray(array, dtype=np.float64)
    exact = bool(np.all(values == np.round(values))) and values.min() >= 0 and values.max() <= 65535
    if exact:
        return values.astype(np.uint16), 1.0, 0.0
    low, high = float(values.min()), float(values.max())
    slope = float(f"{max(high - low, 1e-6) / 65535:.9g}")
    intercept = float(f"{low:.9g}")
    return np.clip(np.round((values - intercept) / slope), 0, 65535).astype(np.uint16), slope, intercept


def decimal(values: Any) -> list[str]:
    """Format numbers as DICOM decimal strings of at most 16 characters."""
    return [f"{float(value):.10g}"[:16] for value in np.ravel(values)]


def _write(frames: _Frames, volume: Volume, folder: Path, header: SeriesHeader) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    pixels, slope, intercept = stored_values(frames.images)
    paths = []
    for index, image in enumerate(pixels):
        dataset = _series(volume, header, MR_IMAGE)
        _classic_contrast(dataset, header)
        dataset.SOPInstanceUID = uid("instance", header, frames.positions[index], index)
        dataset.InstanceNumber = index + 1
        dataset.ImagePositionPatient = decimal(frames.positions[index])
        dataset.ImageOrientationPatient = decimal([frames.row, frames.column])
        dataset.PixelSpacing = decimal([frames.row_step_mm, frames.column_step_mm])
        dataset.SliceThickness = decimal([_slice_step(frames)])[0]
        dataset.RescaleSlope, dataset.RescaleIntercept = decimal([slope, intercept])
        _pixels(dataset, image)
        _override(dataset, header.tags)
        paths.append(folder / f"IM{header.number:03d}_{index:04d}.dcm")
        _save(dataset, paths[-1], header.transfer_syntax)
    return paths


def _slice_step(frames: _Frames) -> float:
    if len(frames.positions) < 2:
        return 4.0
    return float(np.linalg.norm(frames.positions[1] - frames.positions[0]))


def _series(volume: Volume, header: SeriesHeader, sop_class: str) -> Dataset:
    """Everything that all images of a series share."""
    dataset = Dataset()
    dataset.SOPClassUID = sop_class
    dataset.Modality = "MR"
    dataset.ImageType = list(header.image_type)
    dataset.PatientName = "Test^Person"
    dataset.PatientID = header.patient_id
    dataset.PatientBirthDate = "20000101"
    dataset.PatientSex = "O"
    dataset.PatientPosition = "HFS"
    dataset.StudyInstanceUID = uid("study", header.study)
    dataset.SeriesInstanceUID = uid("series", header.study, header.number, header.description)
    dataset.FrameOfReferenceUID = volume.frame_of_reference_uid or uid("frame", header.study)
    dataset.PositionReferenceIndicator = ""
    dataset.StudyID = "1"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = header.study_date
    dataset.StudyTime = "100000"
    dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = header.time
    dataset.StudyDescription = "MR spine"
    dataset.SeriesDescription = header.description
    dataset.SeriesNumber = header.number
    dataset.AcquisitionNumber = 1
    dataset.BodyPartExamined = header.body_part
    dataset.Manufacturer = "generated"
    return dataset


def _classic_contrast(dataset: Dataset, header: SeriesHeader) -> None:
    dataset.ScanningSequence = header.scanning_sequence.split("\\")
    dataset.SequenceVariant = ["SK", "SP"]
    dataset.ScanOptions = header.scan_options.split("\\") if header.scan_options else ""
    dataset.MRAcquisitionType = "2D"
    dataset.RepetitionTime = decimal([header.repetition_ms])[0]
    dataset.EchoTime = decimal([header.echo_ms])[0]
    dataset.EchoTrainLength = 15
    dataset.EchoNumbers = 1
    dataset.FlipAngle = "150"
    dataset.MagneticFieldStrength = "1.5"
    if header.inversion_ms is not None:
        dataset.InversionTime = decimal([header.inversion_ms])[0]
    if header.contrast_agent:
        dataset.ContrastBolusAgent = header.contrast_agent


def _pixels(dataset: Dataset, images: NDArray[np.uint16]) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = images.shape[-2:]
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.PixelData = np.ascontiguousarray(images).astype("<u2").tobytes()


def _item(**values: Any) -> DicomSequence:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return DicomSequence([item])


def _enhanced(frames: _Frames, volume: Volume, header: SeriesHeader) -> Dataset:
    dataset = _series(volume, header, ENHANCED_MR_IMAGE)
    pixels, slope, intercept = stored_values(frames.images)
    dataset.SOPInstanceUID = uid("enhanced", header.study, header.number)
    dataset.InstanceNumber = 1
    dataset.NumberOfFrames = len(pixels)
    dataset.AcquisitionDateTime = header.study_date + header.time
    dataset.EchoPulseSequence = "SPIN"
    shared = Dataset()
    shared.PlaneOrientationSequence = _item(ImageOrientationPatient=decimal([frames.row, frames.column]))
    shared.PixelMeasuresSequence = _item(
        PixelSpacing=decimal([frames.row_step_mm, frames.column_step_mm]), SliceThickness="4"
    )
    shared.MRTimingAndRelatedParametersSequence = _item(RepetitionTime=decimal([header.repetition_ms])[0])
    shared.MREchoSequence = _item(EffectiveEchoTime=header.echo_ms)
    fat = "FAT" if header.scan_options == "FS" else "NONE"
    shared.MRModifierSequence = _item(InversionRecovery="NO", SpectrallySelectedSuppression=fat)
    dataset.SharedFunctionalGroupsSequence = DicomSequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = DicomSequence(
        [_frame_group(index, position, slope, intercept) for index, position in enumerate(frames.positions)]
    )
    _pixels(dataset, pixels)
    _override(dataset, header.tags)
    return dataset


def _frame_group(index: int, position: NDArray[np.float64], slope: float, intercept: float) -> Dataset:
    group = Dataset()
    group.PlanePositionSequence = _item(ImagePositionPatient=decimal(position))
    group.FrameContentSequence = _item(
        StackID="1", InStackPositionNumber=index + 1, DimensionIndexValues=[1, index + 1]
    )
    low, high = decimal([intercept, slope])
    group.PixelValueTransformationSequence = _item(RescaleIntercept=low, RescaleSlope=high, RescaleType="US")
    return group


def _override(dataset: Dataset, tags: Mapping[str, Any]) -> None:
    for name, value in tags.items():
        if value is not None:
            setattr(dataset, name, value)
        elif name in dataset:
            delattr(dataset, name)


def _save(dataset: Dataset, path: Path, transfer_syntax: str) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = uid("spinemri tests")
    file = FileDataset(str(path), dataset, file_meta=meta, preamble=b"\0" * 128)
    syntax = UID(transfer_syntax)
    if syntax.is_compressed and not syntax.is_deflated:
        # A new instance UID would make the file depend on the clock.
        file.compress(syntax, generate_instance_uid=False)
    else:
        meta.TransferSyntaxUID = syntax
    file.save_as(path, enforce_file_format=True)
