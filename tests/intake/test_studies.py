"""From messy folders to studies, and what is said about unusable input."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_writer import T1_HEADER, SeriesHeader, write_axial_series, write_sagittal_series

from spinemri.errors import InputError, SpineMRIError
from spinemri.intake import Role, list_studies, read_studies, read_study
from spinemri.intake.fields import iso_date
from spinemri.intake.model import count_patients

FOLLOW_UP = SeriesHeader(study="study-2", study_date="20200301")


def error_of(call, *arguments) -> SpineMRIError:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert caught.value.remedy
    assert caught.value.exit_status == 3
    return caught.value


def test_stray_files_are_named_and_do_no_harm(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path / "a" / "b")
    (tmp_path / "readme.txt").write_text("not an image")
    (tmp_path / "a" / "empty.dcm").touch()
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    study = read_study(tmp_path)
    assert study.by_role(Role.SAGITTAL_T2) is not None
    ((what, code),) = {(item.what, item.code) for item in study.rejected}
    assert (what, code) == ("2 files, e.g. a/empty.dcm", "NOT_DICOM")


def test_zip_archives_are_read_without_unpacking(tmp_path, make_volume):
    volume = make_volume()
    paths = write_sagittal_series(volume, tmp_path / "files")
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as archive:
        for path in paths[:3]:
            archive.write(path, f"../../{path.name}")
    with zipfile.ZipFile(tmp_path / "in" / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths[3:]:
            archive.write(path, f"deep/{path.name}")
        archive.write(tmp_path / "inner.zip", "inner.zip")
    plain = read_study(tmp_path / "files")
    for given in (tmp_path / "in", tmp_path / "in" / "export.zip"):
        study = read_study(given)
        np.testing.assert_array_equal(study.stacks[0].load().array, volume.array)
        assert study.inputs_sha256 == plain.inputs_sha256
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["export.zip"]


def test_broken_archive_among_good_files_is_rejected(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path)
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and then nothing")
    assert [(item.what, item.code) for item in read_study(tmp_path).rejected] == [("broken.zip", "CORRUPT_FILE")]


def test_files_without_preamble_are_read(tmp_path, make_volume):
    volume = make_volume()
    for path in write_sagittal_series(volume, tmp_path, transfer_syntax="1.2.840.10008.1.2"):
        dataset = pydicom.dcmread(path)
        path.unlink()
        pydicom.dcmwrite(path, pydicom.Dataset(dataset), implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(read_study(tmp_path).stacks[0].load().array, volume.array)


def test_dicomdir_is_no_limit(tmp_path, make_volume):
    volume = make_volume()
    write_sagittal_series(volume, tmp_path)
    directory = pydicom.Dataset()
    directory.file_meta = pydicom.dataset.FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    directory.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    directory.FileSetID = "MEDIUM"
    record = pydicom.Dataset()
    record.DirectoryRecordType = "IMAGE"
    record.ReferencedFileID = "ELSEWHERE"
    directory.DirectoryRecordSequence = [record]
    directory.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)
    for given in (tmp_path, tmp_path / "DICOMDIR"):
        study = read_study(given)
        assert study.stacks[0].grid.shape == volume.shape
        assert [item.code for item in study.rejected] == ["DICOMDIR"]


def test_studies_of_one_patient_are_split_and_ordered_by_date(tmp_path, make_volume):
    write_sagittal_series(make_volume(seed=2), tmp_path / "a", FOLLOW_UP)
    write_sagittal_series(make_volume(seed=1), tmp_path / "b")
    first, second = read_studies(tmp_path)
    assert (first.study_date, second.study_date) == ("2020-01-02", "2020-03-01")
    assert first.patient_key == second.patient_key != ""
    assert first.inputs_sha256 != second.inputs_sha256
    assert error_of(read_study, tmp_path).code == "SEVERAL_STUDIES"


def test_patients_are_never_mixed(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path / "a")
    write_sagittal_series(make_volume(), tmp_path / "b", FOLLOW_UP, patient_id="PAT-2")
    error = error_of(read_studies, tmp_path)
    assert error.code == "SEVERAL_PATIENTS"
    assert "2 patients" in error.message
    assert "PAT-" not in str(error)


def test_patients_without_id_are_told_apart_by_name(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path / "a", patient_id="")
    write_sagittal_series(make_volume(), tmp_path / "b", FOLLOW_UP, patient_id="", tags={"PatientName": "Other"})
    assert error_of(read_studies, tmp_path).code == "SEVERAL_PATIENTS"


def test_an_issuer_that_only_one_visit_names_does_not_make_two_patients(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path / "a")
    write_sagittal_series(make_volume(), tmp_path / "b", FOLLOW_UP, tags={"IssuerOfPatientID": "CLINIC"})
    first, second = read_studies(tmp_path)
    assert first.patient_key == second.patient_key
    assert (first.issuer_key, len(second.issuer_key)) == ("", 64)
    assert count_patients([first, second]) == 1


def test_one_id_of_two_issuers_is_that_of_two_patients(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path / "a", tags={"IssuerOfPatientID": "HOSPITAL"})
    write_sagittal_series(make_volume(), tmp_path / "b", FOLLOW_UP, tags={"IssuerOfPatientID": "CLINIC"})
    assert error_of(read_studies, tmp_path).code == "SEVERAL_PATIENTS"
    assert count_patients([read_study(tmp_path / "a"), read_study(tmp_path / "b")]) == 2


def test_nobody_is_counted_where_no_header_says_who_it_is():
    assert count_patients([]) == 0


def test_an_issuer_in_some_files_is_no_missing_patient_id(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path / "a")
    write_sagittal_series(make_volume(), tmp_path / "b", T1_HEADER, tags={"IssuerOfPatientID": "CLINIC"})
    assert "PATIENT_ID_MISSING" not in {flag.code for flag in read_study(tmp_path).flags}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("20240229", "2024-02-29"),
        ("2024.02.29", "2024-02-29"),
        ("20240229101500", "2024-02-29"),
        ("00000000", ""),
        ("20240230", ""),
        ("2024", ""),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_what_the_calendar_does_not_have_is_no_date(value, wanted):
    assert iso_date(value) == wanted


@pytest.mark.filterwarnings("ignore:Invalid value for VR DA")
def test_a_study_date_that_is_none_gives_way_to_that_of_the_series(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path / "a", study_date="20240230")
    write_sagittal_series(make_volume(), tmp_path / "b", study_date="00000000", tags={"SeriesDate": "20240301"})
    assert read_study(tmp_path / "a").study_date == ""
    assert read_study(tmp_path / "b").study_date == "2024-03-01"


def test_hash_depends_on_contents_not_on_names(tmp_path, make_volume):
    paths = write_sagittal_series(make_volume(), tmp_path / "a")
    before = read_study(tmp_path).inputs_sha256
    for index, path in enumerate(reversed(paths)):
        path.rename(tmp_path / f"x{index}")
    assert read_study(tmp_path).inputs_sha256 == before
    (tmp_path / "x3").unlink()
    assert read_study(tmp_path).inputs_sha256 != before


def test_missing_path():
    assert error_of(read_studies, Path("/nowhere/at-all")).code == "NOT_FOUND"


def test_empty_folder(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    assert error_of(read_studies, tmp_path).code == "EMPTY_FOLDER"


def test_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    error = error_of(read_studies, tmp_path)
    assert error.code == "NO_DICOM"
    assert "not a DICOM file" in error.message
    assert "notes" not in error.message


def test_other_modality(tmp_path, make_volume):
    ct = {"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}
    write_sagittal_series(make_volume(), tmp_path, tags=ct)
    error = error_of(read_studies, tmp_path)
    assert error.code == "NOT_MR"
    assert "modality CT" in error.message


def test_other_modality_beside_mr_is_listed(tmp_path, make_volume):
    ct = {"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}
    write_sagittal_series(make_volume(), tmp_path)
    write_sagittal_series(make_volume(), tmp_path, number=5, tags=ct)
    ((item),) = read_study(tmp_path).rejected
    assert (item.code, item.what, item.reason) == ("NOT_MR", "7 files", "modality CT")


def test_secondary_capture_is_listed(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path)
    capture = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}
    write_sagittal_series(make_volume(shape=(1, 40, 48)), tmp_path, number=5, tags=capture)
    assert [item.code for item in read_study(tmp_path).rejected] == ["SECONDARY_CAPTURE"]


def test_no_sagittal_stack(tmp_path, make_volume):
    write_axial_series(make_volume(shape=(40, 48, 6), spacing=(0.7, 0.7, 4)), tmp_path)
    error = error_of(read_studies, tmp_path)
    assert error.code == "NO_SPINE_SERIES"
    assert "s003_1, axial T2" in error.message
    assert "t2_tse_tra" not in error.message


def test_single_slice(tmp_path, make_volume):
    write_sagittal_series(make_volume(shape=(1, 40, 48)), tmp_path)
    error = error_of(read_studies, tmp_path)
    assert error.code == "TOO_FEW_SLICES"
    assert "1 of at least 5" in error.message


def test_corrupt_header_among_good_ones_is_flagged_and_the_rest_used(tmp_path, make_volume):
    paths = write_sagittal_series(make_volume(shape=(12, 40, 48)), tmp_path)
    paths[5].write_bytes(paths[5].read_bytes()[:400])
    study = read_study(tmp_path)
    assert [(item.what, item.code) for item in study.rejected] == [(paths[5].name, "CORRUPT_FILE")]
    assert [flag.code for flag in study.flags] == ["CORRUPT_FILE"]
    assert [flag.code for flag in study.stacks[0].flags] == ["MISSING_SLICES"]
    assert study.stacks[0].grid.shape[0] == 12


def test_all_headers_corrupt(tmp_path, make_volume):
    for path in write_sagittal_series(make_volume(), tmp_path):
        path.write_bytes(path.read_bytes()[:400])
    error = error_of(read_studies, tmp_path)
    assert error.code == "NO_DICOM"
    assert "7 times" in error.message


def test_images_without_position_are_rejected(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path)
    write_sagittal_series(make_volume(shape=(2, 40, 48)), tmp_path, number=5, tags={"ImagePositionPatient": None})
    assert {item.code for item in read_study(tmp_path).rejected} == {"NO_GEOMETRY"}


def test_study_that_cannot_be_measured_is_left_out_with_a_flag(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path / "a")
    write_axial_series(make_volume(), tmp_path / "b", FOLLOW_UP)
    assert len(list_studies(tmp_path)) == 2
    (study,) = read_studies(tmp_path)
    assert [flag.code for flag in study.flags] == ["STUDY_LEFT_OUT"]


def test_contrast_option_does_not_override_dicom_headers(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path)
    study = read_study(tmp_path, contrast="T1")
    assert study.by_role(Role.SAGITTAL_T2) is not None
    assert [flag.code for flag in study.flags] == ["CONTRAST_OPTION_IGNORED"]


def test_nothing_identifying_is_said_anywhere(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path)
    write_sagittal_series(make_volume(shape=(2, 40, 48)), tmp_path, replace(T1_HEADER, number=5))
    study = read_study(tmp_path)
    said = [*(s.reason for s in study.stacks), *(e for s in study.stacks for e in s.evidence)]
    said += [text for item in study.rejected for text in (item.what, item.reason)]
    said += [flag.message for flag in (*study.flags, *(f for s in study.stacks for f in s.flags))]
    for secret in ("Test", "Person", "PAT-1", "2000", "20200102", str(tmp_path)):
        assert not any(secret in text for text in said)
