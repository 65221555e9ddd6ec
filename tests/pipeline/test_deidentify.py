"""De-identified runs: nothing that identifies the patient gets out, and geometry and intervals stay as they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from canary import AGE, BIRTH_DATE, CANARY, TIME, UID, leaks, plant
from dicom_writer import SeriesHeader, write_enhanced_sagittal, write_sagittal_series
from synthetic_spine import Spine, sagittal_grid
from typer.testing import CliRunner, Result
from written_study import WrittenStudy, image_of, write_spine

from spinemri.cli import app
from spinemri.intake.model import Weighting
from spinemri.volume import Volume

THINNER = Spine(6.6, tilt_deg=3.0, shift_mm=(-1.0, -14.0, 28.0))
DATES = ("20240301", "20240320")
DAYS_BETWEEN = 19
RT_END = "2024-03-08"
TREATMENT = ["--rt-start", "2024-03-04", "--rt-end", RT_END, "--rt-levels", "T4-T9", "--rt-dose-gy", "20"]


@dataclass(frozen=True)
class Visits:
    """Two visits with the canary in them, and what must not be known of them afterwards."""

    inputs: tuple[WrittenStudy, WrittenStudy]
    folders: tuple[Path, Path]
    secrets: set[str]

    @property
    def run_arguments(self) -> list[str]:
        first = self.inputs[0]
        return [str(self.folders[0]), "--labels", str(first.labels), "--level", first.level]

    @property
    def compare_arguments(self) -> list[str]:
        first, second = self.inputs
        labels = ["--labels", str(first.labels), "--labels", str(second.labels)]
        return [*map(str, self.folders), *labels, "--level", first.level, *TREATMENT]


def uids_of(folder: Path) -> set[str]:
    """Every UID of the images that identifies one of them."""
    keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in folder.rglob("*.dcm")]
    return {str(header[keyword].value) for header in headers for keyword in keywords}


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Visits:
    folder = tmp_path_factory.mktemp("visits")
    first = write_spine(folder / "first", contrast=False, axial=False)
    second = write_spine(folder / "second", THINNER, study="study-2", date=DATES[1], contrast=False, axial=False)
    # Left out for its name, which is quoted as the reason.
    scout = SeriesHeader(description="localizer", number=9, study="study-1", study_date=DATES[0])
    write_sagittal_series(Volume(np.ones((3, 40, 48)), np.diag([5.0, 1, 1, 1])), first.folder / "scout", scout)
    planted = plant(first.folder, folder / "a"), plant(second.folder, folder / "b")
    damaged = next(path for path in sorted(planted[0].rglob("*.dcm")) if path.parent.name == "a")
    damaged.with_name(f"{CANARY}_damaged.dcm").write_bytes(damaged.read_bytes()[:180])
    iso = {f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in (*DATES, BIRTH_DATE)}
    unsalted = {hashlib.sha256(text.encode()).hexdigest() for text in (CANARY, f"{CANARY}\n{CANARY}")}
    secrets = {CANARY, *DATES, BIRTH_DATE, TIME, AGE, UID, RT_END, *iso, *unsalted}
    return Visits((first, second), planted, secrets | uids_of(first.folder) | uids_of(second.folder))


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "key.txt"
    path.write_text("a secret that nobody will guess\n")
    return path


def command(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code in {0, 1}, result.output
    return result


def said(result: Result) -> str:
    return (result.stdout + result.stderr).lower()


@pytest.fixture(scope="module")
def clean(visits: Visits, key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("clean") / "out"
    return out, command("compare", *visits.compare_arguments, "-o", out, "--deidentify-key", key_file, "--json-log")


@pytest.fixture(scope="module")
def plain(visits: Visits, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("plain") / "out"
    return out, command("compare", *visits.compare_arguments, "-o", out, "--json-log")


@pytest.fixture(scope="module")
def single(visits: Visits, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("single") / "out"
    return out, command("run", *visits.run_arguments, "-o", out, "--deidentify", "--json-log")


def record(out: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / name).read_text(encoding="utf-8"))
    return content


def without(content: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in names}


class TestNothingGetsOut:
    def test_of_a_comparison(self, visits: Visits, clean: tuple[Path, Result]) -> None:
        assert leaks(clean[0], visits.secrets) == set()
        assert {secret for secret in visits.secrets if secret.lower() in said(clean[1])} == set()

    def test_of_a_run(self, visits: Visits, single: tuple[Path, Result]) -> None:
        assert leaks(single[0], visits.secrets) == set()
        assert {secret for secret in visits.secrets if secret.lower() in said(single[1])} == set()

    def test_of_a_measurement_of_its_results(self, visits: Visits, single: tuple[Path, Result], tmp_path: Path) -> None:
        again = command("measure", single[0], "--json-log")
        assert leaks(single[0], visits.secrets) == set()
        assert CANARY.lower() not in said(again)

    def test_the_search_finds_what_is_there(self, visits: Visits, plain: tuple[Path, Result]) -> None:
        found = {secret for _, secret in leaks(plain[0], visits.secrets)}
        assert {CANARY, *DATES, RT_END} <= found
        files = {name.rsplit("/", 1)[-1] for name, _ in leaks(plain[0], visits.secrets)}
        assert {"sources.json", "measurements_sr.dcm", "mass_seg.dcm", "measurements.json", "report.html"} <= files

    def test_of_the_key(self, clean: tuple[Path, Result]) -> None:
        secret = "a secret that nobody will guess"
        assert leaks(clean[0], {secret, hashlib.sha256(secret.encode()).hexdigest()}) == set()
        assert secret not in said(clean[1])


class TestWhatStays:
    def test_intervals_and_numbers(self, clean: tuple[Path, Result], plain: tuple[Path, Result]) -> None:
        ours, theirs = record(clean[0], "comparison.json"), record(plain[0], "comparison.json")
        assert [point["days_from_baseline"] for point in ours["timepoints"]] == [0, DAYS_BETWEEN]
        for mine, other in zip(ours["timepoints"], theirs["timepoints"], strict=True):
            assert mine["study_date"] < other["study_date"]
            assert without(mine, "study_date", "study_instance_uid") == without(
                other, "study_date", "study_instance_uid"
            )
        assert ours["radiotherapy"] is not None
        assert without(ours["radiotherapy"], "start", "end") == without(theirs["radiotherapy"], "start", "end")

    def test_measurements(self, clean: tuple[Path, Result], plain: tuple[Path, Result]) -> None:
        for visit in ("timepoint_1", "timepoint_2"):
            ours, theirs = (record(out / visit, "measurements.json") for out, _ in (clean, plain))
            for group in ("software", "levels", "mass", "compromise"):
                assert ours[group] == theirs[group]
            assert [series["role"] for series in ours["series"]] == [series["role"] for series in theirs["series"]]

    def test_geometry(self, clean: tuple[Path, Result], plain: tuple[Path, Result]) -> None:
        names = sorted(path.relative_to(plain[0]) for path in plain[0].rglob("*.nii.gz"))
        assert len(names) >= 12
        for name in names:
            ours, theirs = nib.load(clean[0] / name), nib.load(plain[0] / name)
            assert np.array_equal(ours.affine, theirs.affine)
            assert np.array_equal(np.asanyarray(ours.dataobj), np.asanyarray(theirs.dataobj))

    def test_segmentations(self, clean: tuple[Path, Result], plain: tuple[Path, Result]) -> None:
        name = Path("timepoint_2") / "dicom" / "mass_seg.dcm"
        ours, theirs = pydicom.dcmread(clean[0] / name), pydicom.dcmread(plain[0] / name)
        assert ours.PixelData == theirs.PixelData
        assert positions(ours) == positions(theirs)
        assert ours.FrameOfReferenceUID != theirs.FrameOfReferenceUID

    def test_same_input_gives_the_same_bytes(
        self, visits: Visits, clean: tuple[Path, Result], key_file: Path, tmp_path: Path
    ) -> None:
        command("compare", *visits.compare_arguments, "-o", tmp_path / "out", "--deidentify-key", key_file)
        files = sorted(path.relative_to(clean[0]) for path in clean[0].rglob("*") if path.is_file())
        assert [
            name for name in files if (tmp_path / "out" / name).read_bytes() != (clean[0] / name).read_bytes()
        ] == []


def positions(segmentation: pydicom.Dataset) -> list[list[float]]:
    groups = segmentation.PerFrameFunctionalGroupsSequence
    return [list(group.PlanePositionSequence[0].ImagePositionPatient) for group in groups]


class TestObjects:
    def test_are_valid(self, clean: tuple[Path, Result], errors_of: Callable[[Path], list[str]]) -> None:
        found = {path.name: errors_of(path) for path in sorted(clean[0].rglob("*.dcm"))}
        assert len(found) >= 8
        assert {name: errors for name, errors in found.items() if errors} == {}

    def test_name_the_pseudonym_and_the_method(self, clean: tuple[Path, Result]) -> None:
        objects = [pydicom.dcmread(path) for path in clean[0].rglob("*.dcm")]
        assert len({made.PatientID for made in objects}) == 1
        for made in objects:
            assert made.PatientName == made.PatientID
            assert made.PatientIdentityRemoved == "YES"
            assert made.LongitudinalTemporalInformationModified == "MODIFIED"
            assert [code.CodeValue for code in made.DeidentificationMethodCodeSequence] == ["113100", "113107"]

    def test_keep_the_interval(self, clean: tuple[Path, Result]) -> None:
        dates = [
            record(clean[0] / visit, "measurements.json")["study"]["study_date"]
            for visit in ("timepoint_1", "timepoint_2")
        ]
        for visit, day in zip(("timepoint_1", "timepoint_2"), dates, strict=True):
            made = pydicom.dcmread(clean[0] / visit / "dicom" / "mass_seg.dcm")
            assert made.StudyDate == day.replace("-", "")


class TestPseudonyms:
    def test_the_same_key_gives_the_same_patient_in_another_run(
        self, visits: Visits, clean: tuple[Path, Result], key_file: Path, tmp_path: Path
    ) -> None:
        command("run", *visits.run_arguments, "-o", tmp_path / "out", "--deidentify-key", key_file)
        for keyword in ("PatientID", "StudyInstanceUID", "StudyDate"):
            one, other = (
                pydicom.dcmread(folder / "dicom" / "mass_seg.dcm")[keyword].value
                for folder in (tmp_path / "out", clean[0] / "timepoint_1")
            )
            assert one == other

    def test_without_a_key_they_belong_to_the_input_and_the_result_says_so(
        self, single: tuple[Path, Result], clean: tuple[Path, Result]
    ) -> None:
        own = pydicom.dcmread(single[0] / "dicom" / "mass_seg.dcm")
        keyed = pydicom.dcmread(clean[0] / "timepoint_1" / "dicom" / "mass_seg.dcm")
        assert own.PatientID != keyed.PatientID
        for out, words in ((single[0], "Without a key file"), (clean[0] / "timepoint_1", "With the same key")):
            flags = record(out, "measurements.json")["quality"]["flags"]
            assert [words in flag["message"] for flag in flags if flag["code"] == "DEIDENTIFIED"] == [True]

    @pytest.mark.parametrize("content", [None, "too short\n"])
    def test_a_key_that_is_none_is_refused_before_any_work(
        self, visits: Visits, tmp_path: Path, content: str | None
    ) -> None:
        path = tmp_path / "key"
        if content is not None:
            path.write_text(content)
        arguments = ["run", *visits.run_arguments, "-o", str(tmp_path / "out"), "--deidentify-key", str(path)]
        result = CliRunner().invoke(app, arguments)
        assert (result.exit_code, result.stderr.startswith("[BAD_KEY]")) == (2, True)
        assert not (tmp_path / "out").exists()


class TestOtherInput:
    def test_enhanced_images_give_valid_objects(
        self, visits: Visits, tmp_path: Path, errors_of: Callable[[Path], list[str]]
    ) -> None:
        image = image_of(Spine(), sagittal_grid(Spine()), Weighting.T2, "1.2.3.4")
        write_enhanced_sagittal(image, tmp_path / "study" / "one.dcm")
        planted = plant(tmp_path / "study", tmp_path / "planted")
        command("run", planted, *visits.run_arguments[1:], "-o", tmp_path / "out", "--deidentify")
        assert leaks(tmp_path / "out", visits.secrets) == set()
        assert errors_of(tmp_path / "out" / "dicom" / "mass_seg.dcm") == []
        assert errors_of(tmp_path / "out" / "dicom" / "measurements_sr.dcm") == []

    def test_nifti_loses_the_names_in_header_sidecar_and_file(
        self, visits: Visits, plain: tuple[Path, Result], tmp_path: Path
    ) -> None:
        image = nib.load(plain[0] / "timepoint_1" / "nifti" / "sagittal_t2.nii.gz")
        for name in ("descrip", "aux_file", "db_name", "intent_name"):
            image.header[name] = CANARY.encode()
        folder = tmp_path / f"sub-{CANARY}" / "ses-ANNA" / "anat"
        folder.mkdir(parents=True)
        nib.save(image, folder / f"sub-{CANARY}_ses-ANNA_T2w.nii.gz")
        words = ("SeriesDescription", "ProtocolName", "PatientID", "PatientName", "InstitutionName", "BodyPartExamined")
        sidecar = {
            **dict.fromkeys(words, f"{CANARY} spine"),
            "AcquisitionDateTime": f"2024-03-01T{TIME}",
            "StudyInstanceUID": UID,
            "SeriesInstanceUID": UID,
        }
        (folder / f"sub-{CANARY}_ses-ANNA_T2w.json").write_text(json.dumps(sidecar))
        given = [tmp_path / f"sub-{CANARY}", *visits.run_arguments[1:]]
        done = command("run", *given, "-o", tmp_path / "out", "--deidentify")
        assert leaks(tmp_path / "out", visits.secrets) == set()
        assert CANARY.lower() not in said(done)


class TestErrors:
    def test_quote_nothing(self, visits: Visits, tmp_path: Path) -> None:
        both = visits.folders[0].parent
        (both / CANARY).mkdir(exist_ok=True)
        for arguments in (
            [visits.folders[0] / "scout"],
            [both / CANARY],
            [both / f"{CANARY}.zip"],
            [*visits.run_arguments[:1], "--labels", both / f"{CANARY}.nii"],
        ):
            for more in ([], ["--json-log"]):
                given = ["run", *arguments, "-o", tmp_path / "out", "--deidentify", *more]
                result = CliRunner().invoke(app, [str(argument) for argument in given])
                assert result.exit_code in {2, 3}
                assert CANARY.lower() not in said(result)

    def test_a_visit_that_is_left_out_is_not_named(self, visits: Visits, tmp_path: Path) -> None:
        more = [str(visits.folders[0] / "scout"), "-o", str(tmp_path / "out"), "--deidentify"]
        command("compare", *visits.compare_arguments, *more)
        assert leaks(tmp_path / "out", {CANARY}) == set()
        codes = [flag["code"] for flag in record(tmp_path / "out", "comparison.json")["quality"]["flags"]]
        assert "STUDY_NOT_USED" in codes


class TestByDefault:
    def test_logs_identify_nobody(self, visits: Visits, plain: tuple[Path, Result]) -> None:
        log = (plain[0] / "log.jsonl").read_text(encoding="utf-8").lower()
        progress = plain[1].stderr.lower()
        assert "measure" in log
        assert "measure" in progress
        for text in (log, progress):
            assert {secret for secret in visits.secrets if secret.lower() in text} == set()

    def test_neither_does_what_is_printed(self, visits: Visits, plain: tuple[Path, Result]) -> None:
        hidden = visits.secrets - {"2024-03-01", "2024-03-20"}
        assert {secret for secret in hidden if secret.lower() in said(plain[1])} == set()

    def test_nor_an_error(self, visits: Visits, tmp_path: Path) -> None:
        for more in ([], ["--json-log"]):
            arguments = ["run", str(visits.folders[0] / "scout"), "-o", str(tmp_path / "out"), *more]
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 3
            assert {secret for secret in visits.secrets if secret.lower() in said(result)} == set()
