"""Masks read back from the objects by highdicom, voxel for voxel those of ``nifti/``."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_objects import Compared
from pydicom.dataset import Dataset
from skimage.draw import polygon2mask

from spinemri.export.dicom.write import write_study_objects
from spinemri.intake.model import Role
from spinemri.nomenclature import Tissue, disc_id, vertebra_id

RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def sources(compared: Compared, visit: int) -> list[Dataset]:
    """Images of the primary series, as they were given."""
    series = compared.results.results[visit - 1].study.by_role(Role.SAGITTAL_T2).series_instance_uid
    folder = compared.inputs[visit - 1].folder
    read = (pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(folder.rglob("*.dcm")))
    return [dataset for dataset in read if dataset.SeriesInstanceUID == series]


def to_lps(image: Dataset) -> np.ndarray:
    """Column, row -> LPS mm of one image (DICOM PS3.3 C.7.6.2.1.1)."""
    orientation = np.array(image.ImageOrientationPatient, dtype=float).reshape(2, 3)
    between_rows, between_columns = (float(mm) for mm in image.PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = orientation[0] * between_columns, orientation[1] * between_rows
    affine[:3, 2] = np.cross(*orientation)
    affine[:3, 3] = np.array(image.ImagePositionPatient, dtype=float)
    return affine


def nifti_on(image: Dataset, mask: nib.Nifti1Image) -> np.ndarray:
    """Look every pixel of an image up in a NIfTI, by its place in the patient alone."""
    row, column = np.meshgrid(np.arange(image.Rows), np.arange(image.Columns), indexing="ij")
    pixels = np.stack([column, row, np.zeros_like(row), np.ones_like(row)], axis=-1).astype(float)
    index = pixels @ (np.linalg.inv(RAS @ mask.affine) @ to_lps(image)).T
    nearest = np.rint(index[..., :3]).astype(int)
    # Pixel centres are voxel centres: nothing is resampled.
    assert np.abs(index[..., :3] - nearest).max() < 0.01
    return np.asanyarray(mask.dataobj)[tuple(np.moveaxis(nearest, -1, 0))]


def read_back(path: Path, images: list[Dataset]) -> tuple[list[Dataset], np.ndarray]:
    """Segments, and their frames (images, rows, columns, segments)."""
    made = highdicom.seg.segread(path)
    uids = [image.SOPInstanceUID for image in images]
    return list(made.SegmentSequence), made.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)


def label_of(segment: Dataset) -> int:
    """Id in ``levels_dseg`` of a segment named after its level."""
    name = segment.SegmentLabel.rstrip("?")
    return disc_id(name.split("/")[0]) if "/" in name else vertebra_id(name)


TISSUES = {
    "Spinal cord": Tissue.CORD,
    "Dural sac outside the cord": Tissue.DURAL_SAC,
    "Epidural space": Tissue.EPIDURAL,
    "Vertebral bodies": Tissue.BODY,
    "Posterior elements": Tissue.POSTERIOR_ELEMENTS,
    "Intervertebral discs": Tissue.DISC,
    "Mass in the canal": Tissue.MASS_CANAL,
}


@pytest.mark.parametrize("visit", [1, 2])
@pytest.mark.parametrize(
    ("name", "id_of"),
    [("anatomy", lambda segment: TISSUES[segment.SegmentLabel]), ("levels", label_of)],
)
def test_labels_are_voxel_identical(compared: Compared, visit: int, name: str, id_of) -> None:
    images = sources(compared, visit)
    segments, frames = read_back(compared.dicom(visit) / f"{name}_seg.dcm", images)
    ids = np.array([id_of(segment) for segment in segments])
    # Segments of one label map do not overlap, so the sum is the label.
    assert frames.sum(axis=-1).max() == 1
    mask = nib.load(compared.nifti(visit) / f"{name}_dseg.nii.gz")
    wanted = np.stack([nifti_on(image, mask) for image in images])
    np.testing.assert_array_equal((frames * ids).sum(axis=-1), wanted)
    # All of the mask is on the images: none lies on a slice without one.
    assert np.count_nonzero(wanted) == np.count_nonzero(mask.dataobj)


@pytest.mark.parametrize("visit", [1, 2])
def test_the_first_segment_is_the_whole_mass(compared: Compared, visit: int) -> None:
    images = sources(compared, visit)
    segments, frames = read_back(compared.dicom(visit) / "mass_seg.dcm", images)
    assert [segment.SegmentLabel for segment in segments] == ["Epidural mass", "Mass in the canal"]
    mask = nib.load(compared.nifti(visit) / "mass_dseg.nii.gz")
    wanted = np.stack([nifti_on(image, mask) for image in images])
    np.testing.assert_array_equal(frames[..., 0], wanted > 0)
    np.testing.assert_array_equal(frames[..., 1], wanted == Tissue.MASS_CANAL)


def converted(path: Path, folder: Path) -> list[nib.Nifti1Image]:
    """Let dcmqi turn a segmentation into NIfTI, one file for each segment in turn."""
    program = shutil.which("segimage2itkimage")
    if program is None:
        pytest.skip("segimage2itkimage is absent: install dcmqi")
    command = [program, "--inputDICOM", str(path), "--outputDirectory", str(folder), "-t", "nii"]
    subprocess.run(command, check=True, capture_output=True)
    return [nib.load(folder / f"{number}.nii.gz") for number in range(1, len(list(folder.glob("*.nii.gz"))) + 1)]


def same_places(one: nib.Nifti1Image, labels: nib.Nifti1Image, wanted: np.ndarray) -> None:
    """Check that a converted segment fills exactly the voxels of a mask, by their places in the patient."""
    voxels = np.argwhere(np.asanyarray(one.dataobj) > 0)
    places = np.c_[voxels, np.ones(len(voxels))] @ (np.linalg.inv(labels.affine) @ one.affine).T
    found = np.rint(places[:, :3]).astype(int)
    assert np.abs(places[:, :3] - found).max() < 0.01
    assert {tuple(index) for index in found} == {tuple(index) for index in np.argwhere(wanted)}


def test_dcmqi_reads_the_same_voxels(compared: Compared, tmp_path: Path) -> None:
    for name in ("anatomy", "levels", "mass"):
        (tmp_path / name).mkdir()
        path = compared.dicom(1) / f"{name}_seg.dcm"
        images = converted(path, tmp_path / name)
        labels = nib.load(compared.nifti(1) / f"{name}_dseg.nii.gz")
        array = np.asanyarray(labels.dataobj)
        segments = pydicom.dcmread(path, stop_before_pixels=True).SegmentSequence
        assert len(images) == len(segments)
        for one, segment in zip(images, segments, strict=True):
            if name == "mass":
                same_places(one, labels, array > 0)
            else:
                number = label_of(segment) if name == "levels" else TISSUES[segment.SegmentLabel]
                same_places(one, labels, array == number)


def test_parts_outside_the_canal_are_a_segment_of_their_own(compared: Compared, tmp_path: Path) -> None:
    result = compared.results.results[0]
    mask = result.mass.mask.array.copy()
    beside = np.zeros(mask.shape, dtype=bool)
    beside[: mask.shape[0] // 2] = True
    mask[beside & (mask > 0)] = Tissue.MASS_OUTSIDE
    moved = replace(result, mass=replace(result.mass, mask=result.mass.mask.with_array(mask)))
    assert not write_study_objects(moved, tmp_path)
    images = sources(compared, 1)
    segments, frames = read_back(tmp_path / "dicom" / "mass_seg.dcm", images)
    assert [segment.SegmentLabel for segment in segments[1:]] == ["Mass in the canal", "Mass outside the canal"]
    np.testing.assert_array_equal(frames[..., 1] + frames[..., 2], frames[..., 0])
    assert frames[..., 2].sum() == (mask == Tissue.MASS_OUTSIDE).sum()


def test_segments_carry_standard_codes(compared: Compared) -> None:
    levels = highdicom.seg.segread(compared.dicom(1) / "levels_seg.dcm").SegmentSequence
    codes = {segment.SegmentLabel: segment.SegmentedPropertyTypeCodeSequence[0].CodeValue for segment in levels}
    # SNOMED CT: T6 vertebra, T7 vertebra, T6/T7 disc.
    assert (codes["T6"], codes["T7"], codes["T6/7"]) == ("45296009", "62487009", "74401007")
    mass = highdicom.seg.segread(compared.dicom(1) / "mass_seg.dcm").SegmentSequence[0]
    assert mass.SegmentedPropertyTypeCodeSequence[0].CodeValue == "4147007"
    assert mass.AnatomicRegionSequence[0].CodeValue == "61853006"
    assert mass.SegmentAlgorithmType == "SEMIAUTOMATIC"  # the masks were given, not found by the network


def rasterised(structures: Dataset, images: list[Dataset]) -> np.ndarray:
    """Fill the contours on the images that they name, by the even-odd rule."""
    number = {image.SOPInstanceUID: index for index, image in enumerate(images)}
    out = np.zeros((len(images), images[0].Rows, images[0].Columns), dtype=bool)
    for contour in structures.ROIContourSequence[0].ContourSequence:
        index = number[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
        points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
        assert len(points) == contour.NumberOfContourPoints
        lps = np.c_[points, np.ones(len(points))]
        column, row, off = (lps @ np.linalg.inv(to_lps(images[index])).T)[:, :3].T
        assert np.abs(off).max() < 0.001  # in the plane, to a micrometre
        out[index] ^= polygon2mask(out.shape[1:], np.c_[row, column])
    return out


@pytest.mark.parametrize("visit", [1, 2])
def test_the_structure_set_fills_to_the_mask(compared: Compared, visit: int) -> None:
    images = sources(compared, visit)
    structures = pydicom.dcmread(compared.dicom(visit) / "mass_rtstruct.dcm")
    assert structures.FrameOfReferenceUID == images[0].FrameOfReferenceUID
    filled = rasterised(structures, images)
    mask = nib.load(compared.nifti(visit) / "mass_dseg.nii.gz")
    wanted = np.stack([nifti_on(image, mask) for image in images]) > 0
    dice = 2 * np.count_nonzero(filled & wanted) / (filled.sum() + wanted.sum())
    assert dice >= 0.98
    # Contours pass half a pixel outside the outermost centres, so that nothing is lost at all.
    assert dice == 1.0
