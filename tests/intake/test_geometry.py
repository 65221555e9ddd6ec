"""Geometry against dcm2niix in world space, and DICOM against NIfTI."""

import tarfile

import nibabel as nib
import numpy as np
import pytest
from dicom_writer import write_axial_series, write_enhanced_sagittal, write_sagittal_series

from spinemri.intake import Plane, list_studies, read_study
from spinemri.volume import Volume, canonical

# The promised accuracy at the outermost voxels. Two readers differ by what decimal strings in headers were rounded to:
# dcm2niix takes the slice step from the normal of the (rounded) orientation, we from the (rounded) positions.
WORLD_MM = 1e-3
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def corners_mm(volume: Volume) -> np.ndarray:
    index = np.array(np.meshgrid(*[(0, n - 1) for n in volume.shape]), dtype=float)
    return volume.grid.to_lps(index.reshape(3, -1).T)


def assert_same_places(ours: Volume, theirs: Volume) -> None:
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(corners_mm(ours), corners_mm(theirs), rtol=0, atol=WORLD_MM)
    # Only the rescaling of 12-bit values in single precision may differ.
    np.testing.assert_allclose(ours.array, theirs.array, rtol=0, atol=1e-3)


@pytest.mark.parametrize("angles", [(0, 0, 0), (6, -9, 4), (14, 3, -17)])
def test_sagittal_series_comes_back_unchanged_and_agrees_with_dcm2niix(tmp_path, make_volume, dcm2niix, angles):
    volume = make_volume(angles=angles)
    write_sagittal_series(volume, tmp_path / "dicom")
    (stack,) = read_study(tmp_path / "dicom").stacks
    assert stack.plane is Plane.SAGITTAL
    loaded = stack.load()
    assert loaded.array.dtype == np.float32
    assert loaded.grid.same_as(stack.grid, tolerance_mm=1e-9)
    assert_same_places(loaded, volume)
    (converted,) = dcm2niix(tmp_path / "dicom", tmp_path / "nifti")
    assert_same_places(loaded, converted)


def test_axial_series_agrees_with_dcm2niix(tmp_path, make_volume, dcm2niix):
    volume = make_volume(shape=(24, 30, 6), spacing=(0.55, 0.7, 4.4), angles=(13, -4, 2))
    write_axial_series(volume, tmp_path / "dicom")
    ((stack,),) = (study.stacks for study in list_studies(tmp_path / "dicom"))
    assert stack.plane is Plane.AXIAL
    assert_same_places(stack.load(), volume)
    (converted,) = dcm2niix(tmp_path / "dicom", tmp_path / "nifti")
    assert_same_places(stack.load(), converted)


def test_enhanced_file_agrees_with_classic_files(tmp_path, make_volume):
    volume = make_volume()
    write_sagittal_series(volume, tmp_path / "classic")
    write_enhanced_sagittal(volume, tmp_path / "enhanced" / "one.dcm")
    (classic,), (enhanced,) = (read_study(tmp_path / name).stacks for name in ("classic", "enhanced"))
    assert_same_places(enhanced.load(), classic.load())
    assert (enhanced.weighting, enhanced.role, enhanced.fat_suppressed) == (classic.weighting, classic.role, False)


def test_slice_spacing_comes_from_positions_not_from_slice_thickness(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path, tags={"SliceThickness": "3", "SpacingBetweenSlices": "9"})
    (stack,) = read_study(tmp_path).stacks
    assert stack.grid.spacing == pytest.approx((3.7, 0.65, 0.8), abs=1e-6)


def test_four_angled_blocks_of_a_real_series_become_four_stacks(real_data, tmp_path, dcm2niix):
    folder = real_data / "dicom" / "ge_lspine_axial_t2_four_angled_blocks"
    (study,) = list_studies(folder)
    assert [stack.grid.shape[2] for stack in study.stacks] == [3, 3, 3, 3]
    converted = dcm2niix(folder, tmp_path / "nifti")
    assert len(converted) == 4
    ours = sorted((stack.load() for stack in study.stacks), key=lambda v: v.affine[2, 3])
    for mine, theirs in zip(ours, sorted(converted, key=lambda v: v.affine[2, 3]), strict=True):
        assert_same_places(mine, theirs)


@pytest.mark.parametrize("kind", ["siemens_brain_sag_t1_classic", "siemens_xa30_enhanced"])
def test_real_siemens_series_agree_with_dcm2niix(real_data, tmp_path, dcm2niix, kind):
    with tarfile.open(real_data / "dicom" / "siemens_real_headers.tar.xz") as archive:
        archive.extractall(tmp_path, [m for m in archive.getmembers() if kind in m.name], filter="data")
    (study,) = list_studies(tmp_path / kind)
    assert {stack.code for stack in study.stacks} == {"NOT_SPINE"}
    converted = dcm2niix(tmp_path / kind, tmp_path / "nifti")
    ours = sorted((stack.load() for stack in study.stacks), key=lambda v: v.affine[2, 3])
    for mine, theirs in zip(ours, sorted(converted, key=lambda v: v.affine[2, 3]), strict=True):
        assert_same_places(mine, theirs)


@pytest.mark.parametrize("scan", ["007", "022", "069"])
def test_real_scan_is_the_same_as_dicom_and_as_nifti(real_data, tmp_path, read_nifti, scan):
    path = real_data / "spider_t2" / f"{scan}_T2w.nii.gz"
    write_sagittal_series(read_nifti(path), tmp_path)
    from_dicom, from_nifti = read_study(tmp_path).stacks[0], read_study(path).stacks[0]
    assert from_dicom.role is from_nifti.role
    one, other = from_dicom.load(), from_nifti.load()
    # To the last bit, so that no threshold can fall the other way.
    np.testing.assert_array_equal(one.affine, other.affine)
    np.testing.assert_array_equal(one.array, other.array)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_nifti_in_any_axis_order_gives_the_same_canonical_volume(tmp_path, make_volume, axes):
    volume = make_volume()
    array, affine = np.transpose(volume.array, axes), volume.affine.copy()
    affine[:, :3] = volume.affine[:, list(axes)]
    affine[:3, 3] += affine[:3, 0] * (array.shape[0] - 1)
    affine[:3, 0] *= -1
    nib.save(nib.Nifti1Image(np.flip(array, 0), RAS_TO_LPS @ affine), tmp_path / "a_T2w.nii.gz")
    (stack,) = read_study(tmp_path).stacks
    assert stack.plane is Plane.SAGITTAL
    loaded = stack.load()
    assert loaded.grid.same_as(canonical(volume).grid, tolerance_mm=1e-3)
    np.testing.assert_array_equal(loaded.array, volume.array)
