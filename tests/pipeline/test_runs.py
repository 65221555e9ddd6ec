"""The whole path on the analytic spine, with its exact mask in the place of the network."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_writer import SeriesHeader, write_sagittal_series
from synthetic_spine import Spine, sagittal_grid
from typer.testing import CliRunner
from written_study import WrittenStudy, image_of, write_spine

from spinemri.cli import app
from spinemri.cli.values import parse_level
from spinemri.config import Config, FollowupSettings, ReportSettings
from spinemri.errors import InputError, UsageError
from spinemri.followup import Radiotherapy
from spinemri.intake.model import Weighting
from spinemri.nomenclature import Tissue
from spinemri.pipeline import ComparedStudies, Options, Recorder, compare_studies, remeasure, run_study
from spinemri.pipeline.users_files import is_of_run

TABLES_ONLY = Config(report=ReportSettings(html=False))
THINNER = Spine(6.6, tilt_deg=3.0, shift_mm=(-1.0, -14.0, 28.0))


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> WrittenStudy:
    return write_spine(tmp_path_factory.mktemp("baseline"), axial=False)


@pytest.fixture(scope="module")
def followup(tmp_path_factory: pytest.TempPathFactory) -> WrittenStudy:
    folder = tmp_path_factory.mktemp("followup")
    return write_spine(folder, THINNER, study="study-2", date="20240320", axial=False)


@pytest.fixture(scope="module")
def options(baseline: WrittenStudy) -> Options:
    return Options(config=TABLES_ONLY, labels=(baseline.labels,), levels=(parse_level(baseline.level),))


@pytest.fixture(scope="module")
def compared(
    baseline: WrittenStudy, followup: WrittenStudy, options: Options, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("compare") / "out"
    both = replace(options, labels=(baseline.labels, followup.labels))
    # Given the wrong way round: the dates decide.
    compare_studies([followup.folder, baseline.folder], out, both, Radiotherapy(levels="T5-T9", dose_gy=20.0))
    return out


def _json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def _profile(folder: Path) -> np.ndarray:
    """Areas and diameters of every section; empty cells are nan."""
    table = np.genfromtxt(folder / "profile.csv", delimiter=",", names=True, dtype=float)
    return np.stack([table[name] for name in table.dtype.names if name.endswith(("_mm2", "_ap_mm"))])


def _codes(content: dict) -> set[str]:
    return {flag["code"] for flag in content["quality"]["flags"]}


def _with_issuer(study: Path, folder: Path, issuer: str) -> Path:
    """Copy a study whose headers say who gave out the patient id."""
    folder.mkdir()
    for number, path in enumerate(sorted(study.rglob("*.dcm"))):
        dataset = pydicom.dcmread(path)
        dataset.IssuerOfPatientID = issuer
        dataset.save_as(folder / f"{number}.dcm")
    return folder


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class TestRun:
    def test_everything_that_a_run_leaves_is_there(self, measured: Path) -> None:
        names = {"measurements.json", "measurements.csv", "profile.csv", "config.yaml", "log.jsonl", "nifti", "dicom"}
        assert {path.name for path in measured.iterdir()} == names
        masks = {"anatomy_dseg", "levels_dseg", "mass_dseg", "mass_probseg"}
        assert masks <= {path.name.removesuffix(".nii.gz") for path in (measured / "nifti").glob("*.nii.gz")}

    def test_the_mass_is_where_it_was_put(self, measured: Path) -> None:
        content = _json(measured / "measurements.json")
        assert content["mass"]["extent"]["from"] == "T5"
        assert content["mass"]["extent"]["to"] == "T8"
        assert content["mass"]["position"] == "posterior"
        assert content["levels"]["anchor"] == "user"
        # The mask is counted voxel by voxel; what is left is the rounding to 3 decimals.
        mask = nib.load(measured / "nifti" / "mass_dseg.nii.gz")
        volume_ml = float((mask.get_fdata() > 0).sum()) * abs(np.linalg.det(mask.affine[:3, :3])) / 1000
        assert content["mass"]["volume_ml"] == pytest.approx(volume_ml, abs=0.001)

    def test_none_of_its_files_is_taken_for_its_user_s(self, measured: Path) -> None:
        assert [name for name in _tree(measured) if not is_of_run(Path(name))] == []

    def test_a_stir_that_stands_in_for_the_t2_gives_no_ratio_on_t2(
        self, baseline: WrittenStudy, options: Options, measured: Path, tmp_path: Path
    ) -> None:
        image = image_of(Spine(), sagittal_grid(Spine()), Weighting.T2, "1.2.9")
        header = SeriesHeader(description="STIR sag", scanning_sequence="IR", inversion_ms=150.0, echo_ms=60.0)
        write_sagittal_series(image, tmp_path / "stir", header)
        result = run_study(tmp_path / "stir", tmp_path / "out", options)
        stack = result.study.by_role(result.primary)
        assert stack is not None
        assert stack.weighting is Weighting.STIR
        assert result.measurements.mass.status == "measured"
        assert result.measurements.mass.signal.t2_to_marrow is None
        assert _json(measured / "measurements.json")["mass"]["signal"]["t2_to_marrow"] is not None

    def test_the_same_input_gives_the_same_bytes(
        self, baseline: WrittenStudy, options: Options, measured: Path, tmp_path: Path
    ) -> None:
        run_study(baseline.folder, tmp_path / "again", options)
        assert _tree(tmp_path / "again") == _tree(measured)

    def test_the_log_holds_stages_and_codes_but_no_time(self, measured: Path) -> None:
        events = [json.loads(line) for line in (measured / "log.jsonl").read_text().splitlines()]
        done = [event["stage"] for event in events if event["event"] == "done"]
        assert done == ["intake", "load", "anatomy", "mass", "measure", "export", "dicom"]
        assert {event["code"] for event in events if event["event"] == "flag"} == _codes(
            _json(measured / "measurements.json")
        )
        assert all(set(event) == {"stage", "event", "code", "visit"} for event in events)

    def test_the_settings_are_kept_and_read_back(self, measured: Path) -> None:
        assert "html: false" in (measured / "config.yaml").read_text()

    def test_without_a_mass_the_canal_is_measured(
        self, baseline: WrittenStudy, options: Options, tmp_path: Path
    ) -> None:
        result = run_study(baseline.folder, tmp_path / "out", replace(options, with_mass=False))
        assert result.measurements.mass.status == "not_assessable"
        assert "MASS_NOT_REQUESTED" in {flag.code for flag in result.measurements.quality.flags}
        assert len(result.profile) > 100

    def test_a_seed_far_away_finds_no_mass(self, baseline: WrittenStudy, options: Options, tmp_path: Path) -> None:
        result = run_study(baseline.folder, tmp_path / "out", replace(options, mass_seed_lps_mm=(900.0, 0.0, 0.0)))
        assert result.measurements.mass.status == "not_found"
        assert "MASS_SEED_FAR" in {flag.code for flag in result.measurements.quality.flags}

    def test_foreign_masks_are_refused_and_nothing_is_left(
        self, baseline: WrittenStudy, options: Options, tmp_path: Path
    ) -> None:
        image = nib.load(baseline.labels)
        foreign = tmp_path / "foreign.nii.gz"
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj) + np.uint8(100), image.affine), foreign)
        with pytest.raises(UsageError, match="BAD_LABELS"):
            run_study(baseline.folder, tmp_path / "out", replace(options, labels=(foreign,)))
        assert [path.name for path in tmp_path.iterdir()] == ["foreign.nii.gz"]

    def test_the_report_is_written_unless_unwanted(
        self, baseline: WrittenStudy, options: Options, tmp_path: Path
    ) -> None:
        run_study(baseline.folder, tmp_path / "out", replace(options, config=Config()))
        text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
        assert "research use only" in text.lower()


class TestCompare:
    def test_visits_stand_in_order_of_time(self, compared: Path) -> None:
        points = _json(compared / "comparison.json")["timepoints"]
        assert [point["study_date"] for point in points] == ["2024-03-01", "2024-03-20"]
        for visit, point in enumerate(points, start=1):
            own = _json(compared / f"timepoint_{visit}" / "measurements.json")
            assert own["study"]["study_date"] == point["study_date"]
            assert own["mass"]["volume_ml"] == point["volume_ml"]

    def test_the_change_is_that_of_the_masks(self, compared: Path) -> None:
        first, second = (
            _json(compared / f"timepoint_{visit}" / "measurements.json")["mass"]["volume_ml"] for visit in (1, 2)
        )
        change = _json(compared / "comparison.json")["timepoints"][1]["change_percent"]
        # Volumes are rounded to 0.001 ml of about 7 ml, the change to 0.01 per cent.
        assert change == pytest.approx(100 * (second / first - 1), abs=0.05)
        assert change < -10

    def test_the_baseline_names_the_levels_of_the_followup(self, compared: Path) -> None:
        content = _json(compared / "timepoint_2" / "measurements.json")
        assert content["levels"]["anchor"] == "baseline"
        assert content["mass"]["extent"]["from"] == "T5"
        ids = nib.load(compared / "timepoint_2" / "nifti" / "levels_dseg.nii.gz").get_fdata()
        named = {vertebra["id"] for vertebra in content["levels"]["vertebrae"] if vertebra["id"]}
        assert {int(value) for value in np.unique(ids) if 0 < value < 100} <= named

    def test_a_narrow_radiotherapy_margin_is_a_finding(self, compared: Path) -> None:
        content = _json(compared / "comparison.json")
        assert content["radiotherapy"]["margin_levels"] == [0, 1]
        assert "RT_MARGIN_NARROW" in _codes(content)

    def test_one_folder_may_hold_both_visits_and_a_failing_one_is_left_out(
        self, baseline: WrittenStudy, followup: WrittenStudy, options: Options, tmp_path: Path
    ) -> None:
        (tmp_path / "empty").mkdir()
        config = TABLES_ONLY.model_copy(update={"followup": FollowupSettings(radiotherapy_margin_levels=0)})
        both = replace(options, labels=(baseline.labels, followup.labels), config=config)
        paths = [baseline.folder, tmp_path / "empty", followup.folder]
        result = compare_studies(paths, tmp_path / "out", both)
        flags = {flag.code: flag for flag in result.comparison.quality.flags}
        assert flags["STUDY_NOT_USED"].severity == "error"
        assert "EMPTY_FOLDER" in flags["STUDY_NOT_USED"].message
        assert len(result.results) == 2

    def test_one_usable_study_is_too_few(self, baseline: WrittenStudy, options: Options, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError) as caught:
            compare_studies([baseline.folder, tmp_path / "empty"], tmp_path / "out", options)
        assert caught.value.code == "TOO_FEW_STUDIES"
        assert "EMPTY_FOLDER" in caught.value.message
        assert not (tmp_path / "out").exists()

    def test_masks_and_studies_must_be_as_many(
        self, baseline: WrittenStudy, followup: WrittenStudy, options: Options, tmp_path: Path
    ) -> None:
        with pytest.raises(UsageError, match="1 masks were given for 2 studies"):
            compare_studies([baseline.folder, followup.folder], tmp_path / "out", options)

    def test_two_patients_are_never_compared(self, baseline: WrittenStudy, options: Options, tmp_path: Path) -> None:
        image = image_of(Spine(), sagittal_grid(Spine()), Weighting.T2, "1.2.9")
        write_sagittal_series(image, tmp_path / "other", SeriesHeader(patient_id="PAT-2", study="other"))
        with pytest.raises(InputError) as caught:
            compare_studies([baseline.folder, tmp_path / "other"], tmp_path / "out", options)
        assert caught.value.code == "SEVERAL_PATIENTS"

    def test_an_issuer_makes_two_patients_only_where_both_visits_name_one(
        self, baseline: WrittenStudy, followup: WrittenStudy, options: Options, tmp_path: Path
    ) -> None:
        named = _with_issuer(baseline.folder, tmp_path / "named", "CLINIC")
        both = replace(options, labels=(baseline.labels, followup.labels))
        result = compare_studies([named, followup.folder], tmp_path / "out", both)
        assert "DIFFERENT_PATIENTS" not in {flag.code for flag in result.comparison.quality.flags}
        again = remeasure(tmp_path / "out")
        assert isinstance(again, ComparedStudies)
        assert [bool(visit.study.issuer_key) for visit in again.results] == [True, False]
        other = _with_issuer(followup.folder, tmp_path / "other", "ANOTHER")
        with pytest.raises(InputError) as caught:
            compare_studies([named, other], tmp_path / "refused", both)
        assert caught.value.code == "SEVERAL_PATIENTS"


class TestRemeasure:
    @pytest.fixture
    def copy(self, measured: Path, tmp_path: Path) -> Path:
        return Path(shutil.copytree(measured, tmp_path / "out"))

    def test_untouched_masks_give_the_same_numbers(self, copy: Path, measured: Path) -> None:
        result = remeasure(copy)
        assert not isinstance(result, ComparedStudies)
        before, after = _json(measured / "measurements.json"), _json(copy / "measurements.json")
        assert after["quality"] == before["quality"]
        assert after["series"] == before["series"]
        assert after["mass"]["extent"]["from"] == before["mass"]["extent"]["from"]
        # NIfTI keeps the affine in single precision: a micrometre here and there.
        assert after["mass"]["volume_ml"] == pytest.approx(before["mass"]["volume_ml"], abs=0.002)
        np.testing.assert_allclose(_profile(copy), _profile(measured), atol=0.01)

    def test_a_corrected_mass_is_measured_kept_and_reported(self, copy: Path) -> None:
        before = _json(copy / "measurements.json")["mass"]["volume_ml"]
        path = copy / "nifti" / "mass_dseg.nii.gz"
        image = nib.load(path)
        array = np.asarray(image.dataobj).copy()
        rows = np.flatnonzero((array > 0).any((0, 1)))
        array[:, :, : rows[len(rows) // 2]] = 0
        removed = 1 - (array > 0).sum() / (np.asarray(image.dataobj) > 0).sum()
        nib.save(nib.Nifti1Image(array, image.affine), path)
        edited = path.read_bytes()
        remeasure(copy)
        content = _json(copy / "measurements.json")
        assert content["mass"]["volume_ml"] == pytest.approx(before * (1 - removed), rel=0.01)
        assert "MASKS_EDITED" in _codes(content)
        assert path.read_bytes() == edited
        # And again: the note of what the run wrote stays, so the finding does, too.
        remeasure(copy)
        again = _json(copy / "measurements.json")
        assert again == content

    def test_corrected_levels_rename_everything(self, copy: Path) -> None:
        path = copy / "nifti" / "levels_dseg.nii.gz"
        image = nib.load(path)
        array = np.asarray(image.dataobj)
        nib.save(nib.Nifti1Image(np.where(array > 0, array + 1, 0).astype(np.uint8), image.affine), path)
        remeasure(copy)
        content = _json(copy / "measurements.json")
        assert content["mass"]["extent"] | {"length_mm": 0} == {"from": "T6", "to": "T9", "length_mm": 0}
        assert content["levels"]["anchor"] == "user"

    def test_a_comparison_is_measured_again_as_a_whole(self, compared: Path, tmp_path: Path) -> None:
        copy = Path(shutil.copytree(compared, tmp_path / "out"))
        result = remeasure(copy, Recorder())
        assert isinstance(result, ComparedStudies)
        before, after = _json(compared / "comparison.json"), _json(copy / "comparison.json")
        for one, two in zip(before["timepoints"], after["timepoints"], strict=True):
            assert two["volume_ml"] == pytest.approx(one["volume_ml"], abs=0.001)
        assert after["radiotherapy"] == before["radiotherapy"]

    def test_files_of_the_user_stay_and_are_no_visit(self, compared: Path, tmp_path: Path) -> None:
        copy = Path(shutil.copytree(compared, tmp_path / "out"))
        own = ("notes.txt", "timepoint_2/nifti/mass_dseg_second_reader.nii.gz", "timepoint_3/nifti/planned.nii.gz")
        for name in own:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_text(name)
        assert isinstance(remeasure(copy), ComparedStudies)
        assert {name: (copy / name).read_text() for name in own} == {name: name for name in own}
        assert len(_json(copy / "comparison.json")["timepoints"]) == 2

    def test_what_is_no_result_is_refused_and_untouched(self, tmp_path: Path) -> None:
        (tmp_path / "letter.txt").write_text("Dear colleague,")
        with pytest.raises(InputError) as caught:
            remeasure(tmp_path)
        assert caught.value.code == "NOT_A_RESULT"
        assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]

    def test_a_damaged_mask_leaves_the_old_result(self, copy: Path) -> None:
        (copy / "nifti" / "mass_dseg.nii.gz").write_bytes(b"broken")
        before = _tree(copy)
        result = CliRunner().invoke(app, ["measure", str(copy)])
        assert result.exit_code == 3
        assert _tree(copy) == before


class TestRemeasureOfARefusal:
    """Bodies and discs changed places with the arches: that is no spine, until somebody puts it right."""

    @pytest.fixture
    def refused(self, baseline: WrittenStudy, options: Options, tmp_path: Path) -> Path:
        image = nib.load(baseline.labels)
        array = np.asarray(image.dataobj)
        column = np.isin(array, [Tissue.BODY, Tissue.DISC])
        swapped = np.where(column, Tissue.POSTERIOR_ELEMENTS, array)
        swapped[array == Tissue.POSTERIOR_ELEMENTS] = Tissue.BODY
        nib.save(nib.Nifti1Image(swapped.astype(np.uint8), image.affine), tmp_path / "swapped.nii.gz")
        run_study(baseline.folder, tmp_path / "out", replace(options, labels=(tmp_path / "swapped.nii.gz",)))
        return tmp_path / "out"

    def test_untouched_it_stays_refused_for_one_reason(self, refused: Path) -> None:
        before = _json(refused / "measurements.json")
        assert "NO_SPINE_SEEN" in _codes(before)
        for _ in range(2):
            remeasure(refused)
            assert _json(refused / "measurements.json") == before

    def test_corrected_it_is_measured_with_its_mass(
        self, refused: Path, baseline: WrittenStudy, measured: Path
    ) -> None:
        path = refused / "nifti" / "anatomy_dseg.nii.gz"
        truth = nib.load(baseline.labels)
        nib.save(nib.Nifti1Image(np.asarray(truth.dataobj), truth.affine), path)
        truth_ml = _json(measured / "measurements.json")["mass"]["volume_ml"]
        for _ in range(2):
            remeasure(refused)
            content = _json(refused / "measurements.json")
            assert not _codes(content) & {"NO_SPINE_SEEN", "NO_CANAL"}
            assert content["mass"]["volume_ml"] == pytest.approx(truth_ml, abs=0.01)
