"""Write a rendered stack as classic MR Image Storage: honest geometry and timing, plainly marked as generated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless

from spinemri.phantom.recipe import PhantomRecipe, SequenceParameters, SeriesRecipe, VisitRecipe
from spinemri.uids import IMPLEMENTATION_UID, derived_uid
from spinemri.volume import Volume

__all__ = ["GENERATED_NAME", "StackHeader", "write_stack"]

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
GENERATED_NAME = "Generated^Phantom"
STORED_PER_UNIT = 0.3
GREATEST_STORED = 4095
PROTON_MHZ_PER_TESLA = 42.577


@dataclass(frozen=True)
class StackHeader:
    """What all files of one stack say.

    Attributes
    ----------
    recipe, visit, series : PhantomRecipe, VisitRecipe, SeriesRecipe
    root : str
        The recipe's hash, from which every identifier derives.
    number : int
        Series number, from 1 in the order of acquisition.
    """

    recipe: PhantomRecipe
    visit: VisitRecipe
    series: SeriesRecipe
    root: str
    number: int


def write_stack(image: Volume, header: StackHeader, folder: Path) -> None:
    """Write one file per slice, losslessly compressed as JPEG-LS.

    Parameters
    ----------
    image : Volume
        Canonical; sagittal stacks are cut along axis 0, axial ones along axis 2.
    header : StackHeader
    folder : Path
        Made here; files are ``IM0001.dcm`` and so on.
    """
    folder.mkdir(parents=True)
    for index in range(image.shape[0 if header.series.plane == "sagittal" else 2]):
        pixels, place = _slice(image, header.series.plane, index)
        dataset = _dataset(header, index)
        dataset.update(place)
        _set_pixels(dataset, pixels)
        dataset.save_as(folder / f"IM{index + 1:04d}.dcm", enforce_file_format=True)


def _decimals(values: NDArray[np.float64] | list[float]) -> list[str]:
    """Decimal strings of at most 16 characters, exact to better than 1e-6 mm."""
    return [f"{0.0 if abs(float(v)) < 1e-9 else float(v):.9g}"[:16] for v in np.ravel(values)]


def _slice(image: Volume, plane: str, index: int) -> tuple[NDArray[np.uint16], Dataset]:
    """Rows run caudally in sagittal images and backwards in axial ones, as scanners show them."""
    spacing = np.array(image.spacing)
    axes = image.affine[:3, :3] / spacing
    if plane == "sagittal":
        values = image.array[index].T[::-1]
        row, column, steps = axes[:, 1], -axes[:, 2], (spacing[2], spacing[1])
        corner, pitch = np.array([index, 0.0, image.shape[2] - 1.0]), spacing[0]
    else:
        values = image.array[:, :, index].T
        row, column, steps = axes[:, 0], axes[:, 1], (spacing[1], spacing[0])
        corner, pitch = np.array([0.0, 0.0, index]), spacing[2]
    place = Dataset()
    position = image.grid.to_lps(corner)
    place.ImagePositionPatient = _decimals(position)
    place.ImageOrientationPatient = _decimals(np.concatenate([row, column]))
    place.PixelSpacing = _decimals(list(steps))
    place.SpacingBetweenSlices = _decimals([pitch])[0]
    place.SliceLocation = _decimals([float(np.cross(row, column) @ position)])[0]
    stored = np.clip(np.round(values * STORED_PER_UNIT), 0, GREATEST_STORED).astype(np.uint16)
    return np.ascontiguousarray(stored), place


def _set_pixels(dataset: Dataset, pixels: NDArray[np.uint16]) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.SmallestImagePixelValue, dataset.LargestImagePixelValue = int(pixels.min()), int(pixels.max())
    top = max(2.0, float(np.percentile(pixels, 99.5)))
    dataset.WindowCenter, dataset.WindowWidth = f"{top / 2:.0f}", f"{top:.0f}"
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.compress(JPEGLSLossless, generate_instance_uid=False)


def _dataset(header: StackHeader, index: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = IMPLEMENTATION_UID
    dataset.file_meta.ImplementationVersionName = "SPINEMRI_PHANTOM"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MR_IMAGE_STORAGE
    uid = derived_uid(header.root, header.visit.name, header.series.name, index)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.InstanceNumber = index + 1
    _identify(dataset, header)
    _describe(dataset, header)
    return dataset


def _identify(dataset: Dataset, header: StackHeader) -> None:
    """Patient, study and series."""
    recipe, visit, root = header.recipe, header.visit, header.root
    date = visit.date.strftime("%Y%m%d")
    time = f"{10 + header.number // 10:02d}{6 * (header.number % 10):02d}00"
    dataset.PatientName = GENERATED_NAME
    dataset.PatientID = f"PHANTOM-{root[:12].upper()}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = recipe.sex
    dataset.PatientAge = f"{recipe.age_years:03d}Y"
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "No patient: all content is generated"
    dataset.StudyInstanceUID = derived_uid(root, visit.name)
    dataset.SeriesInstanceUID = derived_uid(root, visit.name, header.series.name)
    dataset.FrameOfReferenceUID = derived_uid(root, visit.name, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = date
    dataset.StudyTime = "100000"
    dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = time
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = visit.name[:16].upper()
    dataset.StudyDescription = "MR spine, generated phantom"
    dataset.SeriesNumber = dataset.AcquisitionNumber = header.number
    dataset.Modality = "MR"
    dataset.Manufacturer = "spinemri"
    dataset.ManufacturerModelName = "generated phantom"
    dataset.ImageComments = "Generated phantom, not a patient"
    dataset.PatientPosition = "HFS"


def _describe(dataset: Dataset, header: StackHeader) -> None:
    """State what was acquired and how."""
    series, sequence, tesla = header.series, header.series.sequence, header.recipe.field_strength_tesla
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "SE"]
    dataset.BodyPartExamined = "SPINE" if series.localizer else _region(series.centre)
    dataset.SeriesDescription = dataset.ProtocolName = _description(series)
    dataset.ScanningSequence = ["SE", "IR"] if sequence.inversion_time_ms else "SE"
    dataset.SequenceVariant = "SK"
    selective = sequence.fat_suppressed and not sequence.inversion_time_ms
    dataset.ScanOptions = "FS" if selective else ""
    dataset.MRAcquisitionType = "2D"
    dataset.RepetitionTime, dataset.EchoTime = _decimals([sequence.repetition_time_ms, sequence.echo_time_ms])
    if sequence.inversion_time_ms:
        dataset.InversionTime = _decimals([sequence.inversion_time_ms])[0]
    dataset.EchoTrainLength = sequence.echo_train_length
    dataset.FlipAngle = "150"
    dataset.NumberOfAverages = "2"
    dataset.MagneticFieldStrength = _decimals([tesla])[0]
    dataset.ImagingFrequency = _decimals([PROTON_MHZ_PER_TESLA * tesla])[0]
    dataset.ImagedNucleus = "1H"
    thickness = sequence.slice_thickness_mm or series.slice_pitch_mm
    dataset.SliceThickness = _decimals([thickness])[0]
    if sequence.contrast_enhanced:
        dataset.ContrastBolusAgent = "Gadolinium (simulated)"
        dataset.ContrastBolusRoute = "IV"


def _description(series: SeriesRecipe) -> str:
    sequence: SequenceParameters = series.sequence
    if series.localizer:
        return f"localizer {sequence.weighting.lower()} sag counting"
    words: list[Any] = [sequence.weighting.lower() if sequence.weighting != "STIR" else "stir", "tse"]
    words += ["fs"] if sequence.fat_suppressed and sequence.weighting != "STIR" else []
    words += ["sag" if series.plane == "sagittal" else "tra"]
    words += ["+gd"] if sequence.contrast_enhanced else []
    return " ".join(words)


def _region(level: str) -> str:
    return {"C": "CSPINE", "T": "TSPINE", "L": "LSPINE", "S": "LSPINE"}[level[0]]
