"""NIfTI files, folders and BIDS."""

import gzip
import json
import zipfile

import nibabel as nib
import numpy as np
import pytest
from dicom_writer import write_sagittal_series

from spinemri.errors import InputError, UsageError
from spinemri.intake import Plane, Role, Weighting, list_studies, read_pixels, read_studies, read_study
from spinemri.intake.appearance import bright_column_ratio

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def save(tmp_path, make_volume):
    """Write a NIfTI, with a sidecar if one is given."""

    def write(name, volume=None, sidecar=None, **shape):
        volume = volume if volume is not None else make_volume(**shape)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(volume.array, RAS_TO_LPS @ volume.affine), path)
        if sidecar is not None:
            (path.parent / path.name.replace(".nii.gz", ".json")).write_text(json.dumps(sidecar))
        return path

    return write


def test_single_file(save, make_volume):
    study = read_study(save("x_T2w.nii.gz"))
    (stack,) = study.stacks
    assert (stack.role, stack.weighting) == (Role.SAGITTAL_T2, Weighting.T2)
    assert "file name says 't2w'" in stack.evidence[1]
    assert study.study_instance_uid.startswith("2.25.")
    assert (study.study_date, study.patient_key) == ("", "")
    loaded, flags = read_pixels(stack)
    assert flags == ()
    assert loaded.grid.same_as(stack.grid, tolerance_mm=1e-9)
    np.testing.assert_array_equal(loaded.array, make_volume().array)


def test_bids_session_with_sidecars(tmp_path, save):
    anat = "sub-01/ses-a/anat/sub-01_ses-a"
    save(f"{anat}_acq-sag_T2w.nii.gz", sidecar={"AcquisitionDateTime": "2020-01-02T10:00:00.0"})
    save(f"{anat}_acq-sag_T1w.nii.gz", sidecar={"AcquisitionDateTime": "2020-01-02T10:10:00.0"})
    post = {"RepetitionTime": 0.6, "EchoTime": 0.011, "ScanningSequence": "SE", "ScanOptions": "FS"}
    save(f"{anat}_acq-sag_ce-gadolinium_T1w.nii.gz", sidecar=post)
    save(f"{anat}_acq-ax_T2w.nii.gz", shape=(40, 48, 6), spacing=(0.6, 0.6, 4.0))
    save(f"{anat}_T2w_dseg.nii.gz")
    study = read_study(tmp_path)
    roles = {stack.role: stack for stack in study.stacks}
    assert set(roles) == {Role.SAGITTAL_T2, Role.SAGITTAL_T1, Role.SAGITTAL_T1_POST_FS, Role.AXIAL_T2}
    assert roles[Role.SAGITTAL_T1_POST_FS].fat_suppressed is True
    assert "TR 600 ms, TE 11 ms" in roles[Role.SAGITTAL_T1_POST_FS].evidence[1]
    assert study.study_date == "2020-01-02"
    assert len(study.patient_key) == 64
    assert [item.code for item in study.rejected] == ["MASK"]
    assert len({stack.frame_of_reference_uid for stack in study.stacks}) == 1


def test_sessions_become_studies_and_subjects_are_never_mixed(tmp_path, save):
    save("sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz")
    save("sub-01/ses-2/anat/sub-01_ses-2_T2w.nii.gz", seed=2)
    first, second = read_studies(tmp_path)
    assert first.patient_key == second.patient_key
    assert first.study_instance_uid != second.study_instance_uid
    save("sub-02/anat/sub-02_T2w.nii.gz", seed=3)
    with pytest.raises(InputError, match="2 BIDS subjects") as caught:
        read_studies(tmp_path)
    assert caught.value.code == "SEVERAL_PATIENTS"


def test_folders_become_studies(tmp_path, save):
    save("before/T2_sag.nii.gz")
    save("after/T2_sag.nii.gz", seed=1)
    assert len(read_studies(tmp_path)) == 2


def test_numbered_names_in_one_folder_are_kept_apart(tmp_path, save):
    save("p07_T2w.nii.gz")
    save("p07_T1w.nii.gz", seed=1)
    save("p09_T2w.nii.gz", seed=2)
    assert sorted(len(study.stacks) for study in read_studies(tmp_path)) == [1, 2]


def test_study_uid_depends_on_contents_alone(tmp_path, save):
    one = read_study(save("a/one_T2w.nii.gz")).study_instance_uid
    other = read_study(save("b/two_T2w.nii.gz")).study_instance_uid
    third = read_study(save("c/two_T2w.nii.gz", seed=4)).study_instance_uid
    assert one == other != third


@pytest.mark.parametrize(
    ("shape", "spacing", "name", "plane"),
    [
        ((9, 40, 48), (3.3, 0.7, 0.7), "x_T2w", Plane.SAGITTAL),
        ((40, 48, 9), (0.7, 0.7, 4.0), "acq-sag_T2w", Plane.AXIAL),
        ((20, 40, 48), (1.0, 1.0, 1.0), "x_T2w", Plane.SAGITTAL),
        ((48, 40, 20), (1.0, 1.0, 1.1), "x_T2w", Plane.AXIAL),
        ((48, 40, 20), (1.0, 1.0, 1.0), "acq-sag_T2w", Plane.SAGITTAL),
        ((20, 40, 48), (1.0, 1.0, 1.0), "acq-ax_T2w", Plane.AXIAL),
        ((40, 40, 48), (1.0, 1.0, 1.0), "x_T2w", Plane.SAGITTAL),
    ],
)
def test_plane_is_across_the_coarsest_axis_or_the_fewest_voxels(save, shape, spacing, name, plane):
    ((stack,),) = (s.stacks for s in list_studies(save(f"{name}.nii.gz", shape=shape, spacing=spacing)))
    assert stack.plane is plane


@pytest.mark.parametrize(
    ("option", "weighting", "enhanced"),
    [
        ("T1", Weighting.T1, None),
        ("T2", Weighting.T2, None),
        ("STIR", Weighting.STIR, None),
        ("T1c", Weighting.T1, True),
    ],
)
def test_contrast_option_is_used_where_nothing_else_tells(save, option, weighting, enhanced):
    (stack,) = read_study(save("scan.nii.gz"), contrast=option).stacks
    assert (stack.weighting, stack.contrast_enhanced) == (weighting, enhanced)
    assert "given by the user" in stack.evidence[1]


def test_dixon_images_are_told_apart_by_their_names(tmp_path, save):
    for number, name in enumerate(("in", "opp", "F", "W")):
        save(f"scan/t2_tse_dixon_sag_{name}.nii.gz", seed=number)
    found = {stack.series_description[-3:]: stack for stack in read_study(tmp_path).stacks}
    assert {name: stack.code for name, stack in found.items()} == {
        "_in": "CHOSEN",
        "opp": "NO_ROLE",
        "g_F": "NO_ROLE",
        "g_W": "WORSE_THAN_CHOSEN",
    }
    assert found["g_W"].fat_suppressed is True


def test_name_comes_before_the_option(save):
    (stack,) = read_study(save("scan_T2w.nii.gz"), contrast="T1").stacks
    assert stack.weighting is Weighting.T2


def test_unknown_option_is_a_usage_error(save):
    with pytest.raises(UsageError, match="'FLAIR'") as caught:
        read_study(save("scan.nii.gz"), contrast="FLAIR")
    assert caught.value.code == "BAD_CONTRAST"


def bright_sac(volume, sac, tissue=400.0):
    array = np.full(volume.shape, tissue, dtype=np.float32)
    array[:, 60:70, :] = sac
    return volume.with_array(array)


@pytest.mark.parametrize(("sac", "weighting"), [(1600.0, Weighting.T2), (150.0, Weighting.T1)])
def test_weighting_is_guessed_from_the_image_at_last_and_flagged(save, make_volume, sac, weighting):
    volume = bright_sac(make_volume(shape=(9, 130, 100), spacing=(3.5, 1.3, 1.6)), sac)
    (stack,) = read_study(save("scan.nii.gz", volume)).stacks
    assert stack.weighting is weighting
    assert "guessed from the image" in stack.evidence[1]
    assert [flag.code for flag in stack.flags] == ["WEIGHTING_GUESSED"]


def test_bright_column_ratio_of_an_empty_image_is_zero(make_volume):
    volume = make_volume()
    assert bright_column_ratio(volume.with_array(np.zeros(volume.shape))) == 0.0


def test_real_t2_scans_have_a_bright_column(real_data, read_nifti):
    ratios = [bright_column_ratio(read_nifti(real_data / "spider_t2" / f"{n}_T2w.nii.gz")) for n in ("007", "127")]
    t1 = bright_column_ratio(read_nifti(real_data / "thoracolumbar_t1_t2_bodies" / "VB1_10_DzZ_T1.nii.gz"))
    assert min(ratios) > 1.0 > t1


def test_four_dimensional_image_and_mask_alone_are_refused(tmp_path, save):
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 8, 3), np.float32), np.eye(4)), tmp_path / "dwi.nii.gz")
    save("a_dseg.nii.gz")
    with pytest.raises(InputError, match="8x8x8x3") as caught:
        read_studies(tmp_path)
    assert caught.value.code == "NO_DICOM"


def test_image_without_orientation_codes_is_flagged(tmp_path):
    image = nib.Nifti1Image(np.ones((6, 40, 48), np.float32), None)
    image.header.set_zooms((4, 0.7, 0.7))
    image.header["qform_code"] = image.header["sform_code"] = 0
    nib.save(image, tmp_path / "a_T2w.nii")
    (stack,) = read_study(tmp_path).stacks
    assert [flag.code for flag in stack.flags] == ["NO_ORIENTATION"]


def test_truncated_file_is_refused_on_loading(save):
    path = save("a_T2w.nii.gz")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:5000]))
    (stack,) = read_study(path).stacks
    with pytest.raises(InputError, match="cannot be read to its end") as caught:
        stack.load()
    assert caught.value.code == "PIXELS_UNREADABLE"


def test_corrupt_file_among_good_ones_is_rejected(tmp_path, save):
    save("a_T2w.nii.gz")
    (tmp_path / "b_T1w.nii.gz").write_bytes(b"rubbish")
    assert [(item.what, item.code) for item in read_study(tmp_path).rejected] == [("b_T1w.nii.gz", "CORRUPT_FILE")]


def test_nifti_in_an_archive(tmp_path, save, make_volume):
    path = save("a_T2w.nii.gz")
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.write(path, "x/a_T2w.nii.gz")
    (stack,) = read_study(tmp_path / "in.zip").stacks
    np.testing.assert_array_equal(stack.load().array, make_volume().array)


def test_dicom_comes_before_nifti_beside_it(tmp_path, save, make_volume):
    save("a_T2w.nii.gz")
    write_sagittal_series(make_volume(), tmp_path)
    study = read_study(tmp_path)
    assert study.stacks[0].series_description == "t2_tse_sag"
    assert [item.code for item in study.rejected] == ["NIFTI_BESIDE_DICOM"]
