"""What is found in a tree, in BIDS and in a list, and what of it belongs together."""

import hashlib
import json
import zipfile
from dataclasses import replace
from datetime import date

import nibabel as nib
import numpy as np
import pytest
from dicom_writer import write_sagittal_series

from spinemri.batch import dicom_tree
from spinemri.batch.discovery import find_cohort
from spinemri.batch.stamp import content_sha256, stamp
from spinemri.batch.work import _only_its_files, _prefix, _sweep
from spinemri.errors import InputError
from spinemri.intake.pseudonyms import Deidentification, pseudonyms_for
from spinemri.intake.studies import read_study
from spinemri.volume import Volume

SLICES, ROWS, COLUMNS = 5, 12, 16


def volume(seed: int = 0) -> Volume:
    affine = np.diag([3.9, 0.7, 0.9, 1.0])
    affine[:3, 3] = (-8.1, 20.3, -40.7)
    values = np.random.default_rng(seed).integers(0, 900, (SLICES, COLUMNS, ROWS))
    return Volume(values.astype(np.float32), affine, "1.2.3")


def write(folder, patient="PAT-1", study="study-1", day="20240301", **changes):
    return write_sagittal_series(volume(), folder, patient_id=patient, study=study, study_date=day, **changes)


def named(cohort) -> dict[str, list[str]]:
    return {subject.name: [visit.name for visit in subject.visits] for subject in cohort.subjects}


class TestTree:
    def test_visits_are_paired_by_patient_and_ordered_by_date_whatever_folders_are_called(self, tmp_path):
        write(tmp_path / "export_7" / "x", day="20240620", study="study-2")
        write(tmp_path / "a" / "b" / "t2")
        write(tmp_path / "a" / "b" / "t1", description="t1", echo_ms=11.0, repetition_ms=600.0)
        write(tmp_path / "other" / "z", patient="PAT-2", study="study-9", day="20231111")
        cohort = find_cohort(tmp_path)
        assert sorted(named(cohort).values()) == [["20231111"], ["20240301", "20240620"]]
        assert all(len(name) == 11 and name.startswith("P") for name in named(cohort))
        two = next(subject for subject in cohort.subjects if len(subject.visits) == 2)
        assert [visit.path.relative_to(tmp_path).as_posix() for visit in two.visits] == ["a/b", "export_7"]
        assert [visit.voxels for visit in two.visits] == [2 * SLICES * ROWS * COLUMNS, SLICES * ROWS * COLUMNS]
        assert [visit.date for visit in two.visits] == ["2024-03-01", "2024-06-20"]

    def test_names_hold_neither_patient_id_nor_folder(self, tmp_path):
        write(tmp_path / "Mustermann_Erika" / "1", patient="4711")
        (visit,) = find_cohort(tmp_path).visits
        assert "4711" not in visit.folder
        assert "uster" not in visit.folder

    def test_studies_in_one_folder_are_told_apart_by_their_files(self, tmp_path):
        first = write(tmp_path / "all")
        for file in first:
            file.rename(file.with_name(f"one_{file.name}"))
        write(tmp_path / "all", day="20240620", study="study-2")
        visits = find_cohort(tmp_path).visits
        assert [len(visit.files) for visit in visits] == [SLICES, SLICES]
        assert {file.name.startswith("one_") for file in visits[0].files} == {True}
        assert set(visits[0].files).isdisjoint(visits[1].files)

    def test_links_to_files_of_a_mixed_folder_measure_the_same_study(self, tmp_path):
        alone = tmp_path / "alone"
        write(alone)
        write(tmp_path / "all")
        files = sorted((tmp_path / "all").iterdir())
        for file in write(tmp_path / "second", day="20240620", study="study-2"):
            file.rename(tmp_path / "all" / f"two_{file.name}")
        (tmp_path / "second").rmdir()
        visit = next(v for v in find_cohort(tmp_path / "all").visits if v.date == "2024-03-01")
        assert sorted(visit.files) == files
        with _only_its_files(visit, tmp_path / "out") as folder:
            assert read_study(folder).inputs_sha256 == read_study(alone).inputs_sha256

    def test_two_studies_of_one_day_have_names_of_their_own(self, tmp_path):
        write(tmp_path / "a" / "1")
        write(tmp_path / "b" / "1", study="study-2")
        (names,) = named(find_cohort(tmp_path)).values()
        assert len(set(names)) == 2
        assert all(name.startswith("20240301") for name in names)

    def test_a_zip_is_a_study_as_any_folder(self, tmp_path):
        files = write(tmp_path / "loose")
        with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
            for file in files:
                archive.write(file, file.name)
                file.unlink()
        (tmp_path / "loose").rmdir()
        (visit,) = find_cohort(tmp_path).visits
        assert visit.path == tmp_path / "study.zip"
        assert visit.date == "2024-03-01"

    def test_studies_in_one_zip_are_measured_one_by_one(self, tmp_path):
        alone = {"20240301": tmp_path / "one", "20240620": tmp_path / "two"}
        (tmp_path / "source").mkdir()
        with zipfile.ZipFile(tmp_path / "source" / "export.ZIP", "w") as archive:
            for day, folder in alone.items():
                for file in write(folder, day=day, study=f"study {day}", patient=f"PAT {day}"):
                    archive.write(file, f"../{day}/{file.name}")
        out = tmp_path / "out"
        for visit in find_cohort(tmp_path / "source").visits:
            with _only_its_files(visit, out) as folder:
                assert read_study(folder).inputs_sha256 == read_study(alone[visit.name]).inputs_sha256
                assert {path.parent.parent for path in folder.rglob("*.dcm")} == {folder}
            assert not folder.exists()

    def test_images_that_a_killed_process_unpacked_are_removed_and_results_that_stood_aside_return(
        self, tmp_path, monkeypatch
    ):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
        out = tmp_path / "cohort" / "ses-1"
        aside = out.with_name(".ses-1.partial-ab12.replaced")
        rest = [tmp_path / "temporary" / f"{_prefix(out)}x1", out.with_name(".ses-1.partial-ab12")]
        for folder in (aside, *rest):
            folder.mkdir(parents=True)
        (aside / "notes.txt").write_text("mine")
        _sweep(out)
        assert (out / "notes.txt").read_text() == "mine"
        assert not any(folder.exists() for folder in (aside, *rest))

    def test_folders_of_subjects_are_no_bids_without_nifti(self, tmp_path):
        write(tmp_path / "sub-01" / "T2")
        write(tmp_path / "sub-02" / "T2", patient="PAT-2", study="study-2")
        assert {visit.name for visit in find_cohort(tmp_path).visits} == {"20240301"}

    def test_an_issuer_that_one_visit_names_makes_no_other_subject(self, tmp_path):
        write(tmp_path / "a" / "1")
        write(tmp_path / "b" / "1", day="20240620", study="study-2", tags={"IssuerOfPatientID": "CLINIC"})
        assert list(named(find_cohort(tmp_path)).values()) == [["20240301", "20240620"]]

    def test_one_id_of_two_issuers_makes_two_subjects(self, tmp_path):
        for number, issuer in enumerate(("CLINIC", "HOSPITAL")):
            write(tmp_path / issuer / "1", study=f"study-{number}", tags={"IssuerOfPatientID": issuer})
        assert len(find_cohort(tmp_path).subjects) == 2
        assert len(find_cohort(tmp_path, Deidentification(b"k" * 32)).subjects) == 2

    def test_a_study_without_a_date_that_exists_has_none(self, tmp_path):
        write(tmp_path / "a" / "1", day="20240230")
        (visit,) = find_cohort(tmp_path).visits
        assert visit.date == ""

    def test_a_folder_without_any_image_will_say_why_and_what_lies_beside_images_is_no_visit(self, tmp_path):
        write(tmp_path / "good" / "t2")
        (tmp_path / "good" / "report").mkdir()
        (tmp_path / "good" / "report" / "SR0001").write_bytes(b"not an image")
        (tmp_path / "bad" / "deep").mkdir(parents=True)
        (tmp_path / "bad" / "deep" / "IM1").write_bytes(b"broken")
        (tmp_path / "notes").mkdir()
        (tmp_path / "notes" / "readme.txt").write_text("Dear colleague,")
        found = {visit.path.relative_to(tmp_path).as_posix() for visit in find_cohort(tmp_path).visits}
        assert found == {"good", "bad"}

    def test_a_key_gives_the_same_pseudonym_as_a_run_and_no_date(self, tmp_path):
        write(tmp_path / "a" / "1")
        secret = Deidentification(b"k" * 32)
        (visit,) = find_cohort(tmp_path, secret).visits
        pseudonym = pseudonyms_for([read_study(tmp_path / "a")], secret).patient_id
        assert pseudonym.replace("-", "").startswith(visit.subject)
        assert len(visit.subject) == 11
        assert "2024" not in visit.name

    def test_with_a_key_no_name_can_be_guessed_from_a_uid_or_a_path(self, tmp_path):
        study = read_study(write(tmp_path / "a" / "1")[0].parent)
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "IM1").write_bytes(b"broken")
        names = [
            {
                name
                for visit in find_cohort(tmp_path, Deidentification(key)).visits
                for name in (visit.subject, visit.name)
            }
            for key in (b"k" * 32, b"l" * 32)
        ]
        assert names[0] & names[1] == {"1"}
        for guess in (study.study_instance_uid, "bad"):
            hashed = hashlib.sha256(guess.encode()).hexdigest()[:10]
            assert not any(hashed in name for name in names[0])

    def test_many_files_are_looked_at_with_all_cores_and_give_the_same(self, tmp_path, monkeypatch):
        for number in range(3):
            write(tmp_path / f"s{number}" / "t2", patient=f"PAT-{number}", study=f"study-{number}")
        one_by_one = find_cohort(tmp_path)
        monkeypatch.setattr(dicom_tree, "_MANY_FILES", 3)
        assert find_cohort(tmp_path) == one_by_one

    def test_nothing_is_said(self, tmp_path):
        with pytest.raises(InputError) as caught:
            find_cohort(tmp_path)
        assert caught.value.code == "NO_VISITS"
        with pytest.raises(InputError) as caught:
            find_cohort(tmp_path / "absent")
        assert caught.value.code == "NOT_FOUND"


class TestBids:
    @pytest.fixture
    def dataset(self, tmp_path):
        (tmp_path / "dataset_description.json").write_text(json.dumps({"Name": "x", "BIDSVersion": "1.9.0"}))
        for place in ("sub-01/ses-pre", "sub-01/ses-post", "sub-02"):
            anat = tmp_path / place / "anat"
            anat.mkdir(parents=True)
            stem = "_".join(place.split("/"))
            image = nib.Nifti1Image(np.zeros((6, 9, 4), np.uint8), np.eye(4))
            nib.save(image, anat / f"{stem}_T2w.nii.gz")
        (tmp_path / "sub-01" / "sub-01_sessions.tsv").write_text(
            "session_id\tacq_time\nses-post\t2024-05-01T10:00:00\nses-pre\t2024-02-01\n"
        )
        (tmp_path / "participants.tsv").write_text(
            "participant_id\tsex\trt_end\trt_levels\nsub-01\tF\t2024-02-20\tT3-T9\nsub-02\tn/a\tn/a\tn/a\n"
        )
        return tmp_path

    def test_sessions_are_visits_in_order_of_their_dates(self, dataset):
        cohort = find_cohort(dataset)
        assert named(cohort) == {"01": ["pre", "post"], "02": ["1"]}
        assert [visit.path.name for visit in cohort.visits] == ["ses-pre", "ses-post", "sub-02"]
        assert {visit.voxels for visit in cohort.visits} == {6 * 9 * 4}
        assert cohort.visits[0].folder == "sub-01/ses-pre"

    def test_images_in_folders_of_subjects_are_enough_and_a_date_is_one_that_exists(self, dataset):
        (dataset / "dataset_description.json").unlink()
        table = dataset / "sub-01" / "sub-01_sessions.tsv"
        table.write_text(table.read_text().replace("2024-02-01", "2024-02-30"))
        dates = {visit.folder: visit.date for visit in find_cohort(dataset).visits}
        assert dates == {"sub-01/ses-pre": "", "sub-01/ses-post": "2024-05-01", "sub-02/ses-1": ""}

    def test_radiotherapy_comes_from_the_participants(self, dataset):
        one, two = find_cohort(dataset).subjects
        assert one.radiotherapy.end == date(2024, 2, 20)
        assert one.radiotherapy.levels == "T3-T9"
        assert two.radiotherapy is None


class TestList:
    def cohort(self, tmp_path, text, name="cohort.csv"):
        for patient in ("a", "b"):
            (tmp_path / patient).mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        return find_cohort(tmp_path / name)

    def test_rows_are_visits_with_all_that_is_said_of_them(self, tmp_path):
        text = (
            "subject;visit;path;date;rt_start;rt_end;rt_dose_gy;rt_fractions;level;mass_seed;reference_volume_ml;ward\n"
            "S-1;late;b;2024-06-01;2024-03-04;2024-03-15;20;10;;;7.5;9\n"
            "S-1;early;a;2024-02-01;;;;;T7@1,2,3;4,5,6;;9\n"
        )
        (subject,) = self.cohort(tmp_path, text).subjects
        early, late = subject.visits
        assert (early.name, late.name, early.folder) == ("early", "late", "sub-S1/ses-early")
        assert early.levels == (("T7", (1.0, 2.0, 3.0)),)
        assert early.mass_seed_lps_mm == (4.0, 5.0, 6.0)
        assert late.reference_volume_ml == 7.5
        assert (subject.radiotherapy.dose_gy, subject.radiotherapy.fractions) == (20.0, 10)
        assert subject.radiotherapy.end == date(2024, 3, 15)

    def test_visits_without_name_are_numbered_and_a_missing_path_waits_for_its_run(self, tmp_path):
        cohort = self.cohort(tmp_path, "subject\tpath\nS1\ta\nS1\tabsent\n", "cohort.tsv")
        assert named(cohort) == {"S1": ["1", "2"]}

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("patient,path\nS1,a\n", "no column subject"),
            ("subject,path\n", "or no row"),
            ("subject,path\nS/1,a\n", "Row 2: 'S/1'"),
            ("subject,path\nS1,\n", "Row 2 has no path"),
            ("subject,path,date\nS1,a,1.2.2024\n", "'1.2.2024' is not a date"),
            ("subject,path,level\nS1,a,T7\n", "Row 2"),
            ("subject,path,rt_end\nS1,a,2024-01-01\nS1,b,2024-01-02\n", "two values for rt_end"),
            ("subject,path,rt_dose_gy\nS1,a,twenty\n", "'twenty' is not a number"),
        ],
    )
    def test_what_is_wrong_is_named(self, tmp_path, text, said):
        with pytest.raises(InputError) as caught:
            self.cohort(tmp_path, text)
        assert caught.value.code == "BAD_COHORT_LIST"
        assert said in caught.value.message

    def test_names_that_would_share_a_folder_are_refused(self, tmp_path):
        with pytest.raises(InputError) as caught:
            self.cohort(tmp_path, "subject,visit,path\nS-1,x,a\ns1,X,b\n")
        assert caught.value.code == "DUPLICATE_VISIT"


def test_content_does_not_depend_on_names_and_times_but_on_masks(tmp_path):
    files = write(tmp_path / "a" / "1")
    (visit,) = find_cohort(tmp_path).visits
    before, first = content_sha256([visit]), stamp([visit])
    files[0].rename(files[0].with_name("zzz"))
    assert content_sha256([visit]) == before
    assert stamp([visit]) != first
    (tmp_path / "mask.nii").write_bytes(b"1")
    masked = replace(visit, labels=tmp_path / "mask.nii")
    assert content_sha256([masked]) != before
