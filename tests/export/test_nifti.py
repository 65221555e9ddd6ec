import gzip
import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from damaged import damage_after
from synthetic_result import make_result

from spinemri.errors import InputError
from spinemri.export import read_images, read_masks, read_measurements, write_study
from spinemri.export.nifti import image_type
from spinemri.intake.model import Role


@pytest.fixture(scope="module")
def result():
    return make_result()


@pytest.fixture
def folder(result, tmp_path):
    write_study(result, tmp_path)
    return tmp_path


def test_every_image_and_mask_is_there_with_a_sidecar(folder):
    stems = {path.name.removesuffix(".nii.gz") for path in (folder / "nifti").glob("*.nii.gz")}
    assert stems == {
        "sagittal_t2", "sagittal_t1", "sagittal_t1_post_fs", "axial_t2",
        "anatomy_dseg", "levels_dseg", "mass_dseg", "mass_probseg",
    }  # fmt: skip
    assert {path.stem for path in (folder / "nifti").glob("*.json")} == stems


def test_a_voxel_lies_at_the_same_place_in_ras(result, folder):
    image = nib.load(folder / "nifti" / "axial_t2.nii.gz")
    index = np.array([5.0, 40.0, 9.0])
    lps = result.images[Role.AXIAL_T2].grid.to_lps(index)
    # The header stores float32: a few 1e-6 mm at these distances.
    assert nib.affines.apply_affine(image.affine, index) == pytest.approx(lps * [-1, -1, 1], abs=1e-4)
    assert int(image.header["qform_code"]) == int(image.header["sform_code"]) == 1
    # The qform is a quaternion in float32.
    assert image.get_qform() == pytest.approx(image.get_sform(), abs=1e-3)


def test_types_are_small_and_values_unchanged(result, folder):
    image = nib.load(folder / "nifti" / "sagittal_t2.nii.gz")
    assert image.get_data_dtype() == np.int16
    assert (np.asarray(image.dataobj) == result.primary_image.array).all()
    assert nib.load(folder / "nifti" / "mass_dseg.nii.gz").get_data_dtype() == np.uint8
    assert image_type(np.array([0.5])) is np.float32
    assert image_type(np.array([40000.0])) is np.float32


def test_sidecars_say_what_the_numbers_are(folder):
    anatomy = json.loads((folder / "nifti" / "anatomy_dseg.json").read_text(encoding="utf-8"))
    assert anatomy["Labels"]["1"] == "spinal cord"
    assert set(anatomy["Labels"]) == {str(i) for i in range(1, 10)}
    assert anatomy["SourceSeriesInstanceUID"] == "1.2.3.1"
    assert anatomy["GeneratedBy"]["Name"] == "spinemri"
    levels = json.loads((folder / "nifti" / "levels_dseg.json").read_text(encoding="utf-8"))
    assert levels["Labels"]["14"] == "T7"
    assert levels["Labels"]["113"] == "disc below T6"


def test_writing_twice_gives_the_same_bytes(result, folder, tmp_path_factory):
    again = tmp_path_factory.mktemp("again")
    write_study(result, again)
    first = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    second = {p.relative_to(again): p.read_bytes() for p in again.rglob("*") if p.is_file()}
    assert first == second


def test_masks_and_images_read_back_on_the_same_grid(result, folder):
    masks = read_masks(folder)
    assert (masks.anatomy.array == result.anatomy.tissues.labels.array).all()
    assert (masks.levels.array == result.anatomy.level_map.array).all()
    assert (masks.mass.array == result.mass.mask.array).all()
    assert (masks.mass_probability.array == result.mass.probability.array).all()
    # float32 in the header.
    assert masks.mass.grid.same_as(result.primary_image.grid, tolerance_mm=1e-3)
    assert masks.mass.frame_of_reference_uid == result.primary_image.frame_of_reference_uid
    images = read_images(folder)
    assert set(images) == set(result.images)
    assert (images[Role.AXIAL_T2].array == result.images[Role.AXIAL_T2].array).all()
    assert read_measurements(folder).mass.extent == result.measurements.mass.extent


def test_a_mask_that_an_editor_turned_round_reads_the_same(result, folder):
    path = folder / "nifti" / "mass_dseg.nii.gz"
    image = nib.load(path)
    turned = image.as_reoriented(np.array([[1, -1], [2, 1], [0, -1]]))
    moved = nib.Nifti1Image(np.asarray(turned.dataobj, np.float32), turned.affine)
    assert moved.shape != image.shape
    nib.save(moved, path)
    masks = read_masks(folder)
    assert (masks.mass.array == result.mass.mask.array).all()
    assert masks.mass.array.dtype == np.uint8


def test_a_mask_on_another_grid_is_refused(result, folder):
    path = folder / "nifti" / "mass_dseg.nii.gz"
    nib.save(nib.load(path).slicer[:, 1:, :], path)
    with pytest.raises(InputError, match="GRID_MISMATCH"):
        read_masks(folder)


def test_an_unknown_label_is_refused(result, folder):
    path = folder / "nifti" / "mass_dseg.nii.gz"
    image = nib.load(path)
    array = np.asarray(image.dataobj).copy()
    array[0, 0, 0] = 77
    nib.save(nib.Nifti1Image(array, image.affine), path)
    with pytest.raises(InputError, match="77"):
        read_masks(folder)


def test_what_is_missing_or_broken_is_named_without_its_folder(folder):
    path = folder / "nifti" / "levels_dseg.nii.gz"
    path.write_bytes(b"not a gzip file")
    with pytest.raises(InputError, match="levels_dseg") as broken:
        read_masks(folder)
    assert str(folder) not in str(broken.value)
    path.unlink()
    with pytest.raises(InputError, match="MASK_MISSING"):
        read_masks(folder)
    with pytest.raises(InputError, match="NO_IMAGES"):
        read_images(folder / "nowhere")
    (folder / "measurements.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="BAD_MEASUREMENTS"):
        read_measurements(folder)


def test_an_image_of_fractions_stays_float(result, tmp_path):
    image = result.primary_image
    half = replace(result, images={Role.SAGITTAL_T2: image.with_array(image.array + np.float32(0.5))})
    write_study(half, tmp_path)
    assert (read_images(tmp_path)[Role.SAGITTAL_T2].array == image.array + np.float32(0.5)).all()


def test_a_mask_damaged_in_its_compressed_data_is_an_error(folder):
    path = folder / "nifti" / "mass_dseg.nii.gz"
    whole = path.with_name("whole.nii")
    whole.write_bytes(gzip.decompress(path.read_bytes()))
    damage_after(1000, whole, path)
    with pytest.raises(InputError) as caught:
        read_masks(folder)
    assert caught.value.code == "NIFTI_UNREADABLE"
