"""When DICOM objects are written, when not, and what is said then."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_writer import write_enhanced_sagittal
from synthetic_spine import Spine, sagittal_grid
from typer.testing import CliRunner
from written_study import WrittenStudy, image_of, write_spine

from spinemri.cli import app
from spinemri.cli.values import parse_level
from spinemri.config import Config, ReportSettings
from spinemri.errors import InputError
from spinemri.intake.model import Role, Weighting
from spinemri.pipeline import Options, Recorder, remeasure, run_study
from spinemri.pipeline.dicom import dicom_findings
from spinemri.pipeline.manifest import write_manifest

TABLES_ONLY = Config(report=ReportSettings(html=False))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> WrittenStudy:
    return write_spine(tmp_path_factory.mktemp("study"), contrast=False, axial=False)


@pytest.fixture(scope="module")
def options(written: WrittenStudy) -> Options:
    return Options(config=TABLES_ONLY, labels=(written.labels,), levels=(parse_level(written.level),))


@pytest.fixture
def out(written: WrittenStudy, options: Options, tmp_path: Path) -> Path:
    run_study(written.folder, tmp_path / "out", options)
    return tmp_path / "out"


def findings(recorder: Recorder) -> list[tuple[str, str]]:
    return [(flag.code, flag.severity) for flag in dicom_findings(recorder.events)]


def logged(out: Path) -> list[str]:
    events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [event["code"] or event["event"] for event in events if event["stage"] == "dicom"]


def edit(written: WrittenStudy, folder: Path, **values: str | None) -> Path:
    """Copy the study with other header values; None deletes one."""
    for path in written.folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        for keyword, value in values.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)
        target = folder / path.relative_to(written.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(target)
    return folder


def test_objects_are_written_by_default(out: Path) -> None:
    assert (out / "dicom" / "mass_seg.dcm").is_file()
    assert logged(out) == ["start", "done"]


def test_no_object_shows_a_mass_that_was_not_asked_for(written: WrittenStudy, options: Options, tmp_path: Path) -> None:
    result = run_study(written.folder, tmp_path / "out", replace(options, with_mass=False))
    assert result.measurements.mass.status == "not_assessable"
    assert not (tmp_path / "out" / "dicom" / "mass_seg.dcm").exists()
    anatomy = pydicom.dcmread(tmp_path / "out" / "dicom" / "anatomy_seg.dcm", stop_before_pixels=True)
    labels = {segment.SegmentLabel for segment in anatomy.SegmentSequence}
    assert "Epidural space" in labels
    assert not any("Mass" in label for label in labels)


def test_not_if_not_wanted(written: WrittenStudy, options: Options, tmp_path: Path) -> None:
    run_study(written.folder, tmp_path / "out", replace(options, dicom=False))
    assert not (tmp_path / "out" / "dicom").exists()
    assert logged(tmp_path / "out") == []


def test_key_images_are_of_the_primary_frame_of_reference_only(
    written: WrittenStudy, options: Options, out: Path, tmp_path: Path
) -> None:
    moved = edit(written, tmp_path / "moved")
    for path in (moved / "b").glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.FrameOfReferenceUID = "1.2.3.99"
        dataset.save_as(path)
    run_study(moved, tmp_path / "again", options)
    assert selected_series(out) == {"T2", "T1"}
    assert selected_series(tmp_path / "again") == {"T2"}


def selected_series(out: Path) -> set[str]:
    """Weighting of the series that the key object selection points at."""
    selection = pydicom.dcmread(out / "dicom" / "key_images_ko.dcm")
    measured = json.loads((out / "measurements.json").read_text())
    names = {series["series_instance_uid"]: series["weighting"] for series in measured["series"]}
    evidence = selection.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    return {names[item.SeriesInstanceUID] for item in evidence if item.SeriesInstanceUID in names}


def test_nifti_gives_a_note_and_no_objects(out: Path, options: Options, tmp_path: Path) -> None:
    recorder = Recorder()
    run_study(out / "nifti" / "sagittal_t2.nii.gz", tmp_path / "again", replace(options, contrast="T2"), recorder)
    assert not (tmp_path / "again" / "dicom").exists()
    assert findings(recorder) == [("DICOM_NO_SOURCE", "info")]
    assert logged(tmp_path / "again") == ["DICOM_NO_SOURCE"]


def test_headers_that_cannot_be_referred_to_cost_the_objects_only(
    written: WrittenStudy, options: Options, tmp_path: Path
) -> None:
    study = edit(written, tmp_path / "study", FrameOfReferenceUID=None)
    recorder = Recorder()
    result = run_study(study, tmp_path / "out", options, recorder)
    assert result.measurements.mass.status == "measured"
    assert not (tmp_path / "out" / "dicom").exists()
    assert findings(recorder) == [("DICOM_NOT_WRITTEN", "warning")]


@pytest.mark.parametrize(
    "values",
    [
        {"PatientName": "Onename", "PatientBirthDate": None, "StudyID": None, "Manufacturer": None},
        {"PatientName": "M\u00fcller^J\u00fcrgen", "SpecificCharacterSet": "ISO_IR 192", "StudyTime": None},
        {"SeriesDate": None, "SeriesTime": None, "AcquisitionDate": None, "ContentDate": None, "StudyDate": None},
    ],
    ids=["little is known", "an umlaut", "no dates"],
)
def test_meagre_headers_are_enough(
    written: WrittenStudy, options: Options, tmp_path: Path, values: dict[str, str | None]
) -> None:
    study = edit(written, tmp_path / "study", **values)
    recorder = Recorder()
    run_study(study, tmp_path / "out", options, recorder)
    assert findings(recorder) == []
    made = pydicom.dcmread(tmp_path / "out" / "dicom" / "measurements_sr.dcm")
    assert str(made.PatientName) == values.get("PatientName", "Test^Person")


def test_an_enhanced_file_gives_the_same_objects(written: WrittenStudy, options: Options, tmp_path: Path) -> None:
    spine = Spine()
    image = image_of(spine, sagittal_grid(spine), Weighting.T2, "1.2.3.4")
    (path,) = write_enhanced_sagittal(image, tmp_path / "study" / "enhanced.dcm")
    recorder = Recorder()
    run_study(tmp_path / "study", tmp_path / "out", replace(options, config=Config()), recorder)
    assert findings(recorder) == []
    source = pydicom.dcmread(path, stop_before_pixels=True)
    folder = tmp_path / "out" / "dicom"
    segmentation = pydicom.dcmread(folder / "mass_seg.dcm", stop_before_pixels=True)
    derived = segmentation.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    assert derived.ReferencedSOPInstanceUID == source.SOPInstanceUID
    structures = pydicom.dcmread(folder / "mass_rtstruct.dcm")
    numbers = {
        contour.ContourImageSequence[0].ReferencedFrameNumber
        for contour in structures.ROIContourSequence[0].ContourSequence
    }
    assert numbers <= set(range(1, source.NumberOfFrames + 1))
    assert len(numbers) > 2
    assert (folder / "key_image_sc_1.dcm").is_file()
    assert (folder / "measurements_sr.dcm").is_file()


def test_images_that_are_gone_by_then_cost_the_objects_only(
    written: WrittenStudy, options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = edit(written, tmp_path / "study")

    def write_and_lose_the_share(*arguments: object) -> None:
        write_manifest(*arguments)
        shutil.rmtree(study)

    monkeypatch.setattr("spinemri.pipeline.run.write_manifest", write_and_lose_the_share)
    recorder = Recorder()
    run_study(study, tmp_path / "out", options, recorder)
    assert findings(recorder) == [("DICOM_NOT_WRITTEN", "warning")]
    assert (tmp_path / "out" / "measurements.json").is_file()
    assert not (tmp_path / "out" / "dicom").exists()


def test_the_command_line_says_what_was_not_written(written: WrittenStudy, tmp_path: Path) -> None:
    study = edit(written, tmp_path / "study", FrameOfReferenceUID=None)
    arguments = [
        "run",
        str(study),
        "-o",
        str(tmp_path / "out"),
        "--labels",
        str(written.labels),
        "--level",
        written.level,
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    assert "WARNING [DICOM_NOT_WRITTEN]" in done.stdout
    quiet = CliRunner().invoke(app, [*arguments, "--overwrite", "--no-dicom"])
    assert "DICOM" not in quiet.stdout


class TestMeasuredAgain:
    def test_unchanged_masks_give_the_same_objects(self, out: Path) -> None:
        before = {path.name: path.read_bytes() for path in (out / "dicom").iterdir()}
        remeasure(out)
        assert {path.name: path.read_bytes() for path in (out / "dicom").iterdir()} == before

    def test_a_corrected_mask_gives_new_objects(self, out: Path) -> None:
        before = pydicom.dcmread(out / "dicom" / "mass_seg.dcm")
        path = out / "nifti" / "mass_dseg.nii.gz"
        image = nib.load(path)
        labels = np.asanyarray(image.dataobj).copy()
        labels[..., : labels.shape[2] // 2] = 0
        nib.save(nib.Nifti1Image(labels, image.affine, image.header), path)
        result = remeasure(out)
        after = pydicom.dcmread(out / "dicom" / "mass_seg.dcm")
        assert after.SOPInstanceUID != before.SOPInstanceUID
        assert after.SegmentSequence[0].TrackingUID == before.SegmentSequence[0].TrackingUID
        assert after.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"
        assert after.pixel_array.sum() == 2 * np.count_nonzero(labels)  # the whole, and the part in the canal
        assert result.study.by_role(Role.SAGITTAL_T2).instances()

    def test_without_kept_headers_there_is_a_note(self, out: Path) -> None:
        (out / "dicom" / "sources.json").unlink()
        recorder = Recorder()
        remeasure(out, recorder)
        assert findings(recorder) == [("DICOM_NO_SOURCE", "info")]
        assert not (out / "dicom").exists()

    def test_damaged_headers_are_an_error(self, out: Path) -> None:
        (out / "dicom" / "sources.json").write_text('{"sagittal_t2": [{"frames": []}]}')
        with pytest.raises(InputError) as caught:
            remeasure(out)
        assert caught.value.code == "BAD_SOURCES"
