"""A whole cohort, with a stand-in for the measurement: tables, failures, ratings, and what a second run does."""

import json
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import replace

import batch_measured
import pyarrow.parquet as pq
import pytest
from batch_cohort import BROKEN, InlineCrew, Ran

from spinemri.batch.ratings import Rating, read_ratings
from spinemri.batch.task import Orders
from spinemri.config import Config
from spinemri.errors import InputError, UsageError
from spinemri.export.cohort import COHORT_COLUMNS


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Ran:
    ran = Ran(tmp_path_factory.mktemp("whole"))
    ran.run(bids=True)
    return ran


@pytest.fixture
def ran(whole, tmp_path) -> Ran:
    """A copy that a test may change."""
    shutil.copytree(whole.source.parent, tmp_path / "source")
    shutil.copytree(whole.out, tmp_path / "out")
    return Ran(tmp_path)


def test_every_visit_has_a_row_or_a_failure_and_none_both(whole):
    rows = {(row["subject"], row["visit"]) for row in whole.table()}
    failures = {(row["subject"], row["visit"]) for row in whole.table("failures.csv")}
    listed = {(row["subject"], row["visit"]) for row in whole.table("linkage.csv")}
    assert failures == BROKEN
    assert rows | failures == listed
    assert not rows & failures
    assert len(rows) == 11


def test_rows_hold_measurement_change_and_days(whole):
    rows = {(row["subject"], row["visit"]): row for row in whole.table()}
    row = rows["S1", "3"]
    assert (row["volume_ml"], row["volume_ci95_low_ml"], row["mass_status"]) == ("3.0", "2.4", "measured")
    assert (row["days_from_baseline"], row["days_from_rt_end"]) == ("213", "182")
    assert (row["change_percent"], row["paired_change_percent"], row["verdict"]) == ("-70.0", "-61.0", "decreased")
    assert (row["reference_volume_ml"], row["flags"]) == ("3.15", "NO_LEVEL_ANCHOR")
    # A visit alone has no change; where radiotherapy is not known, no days from it.
    assert (rows["S6", "1"]["change_percent"], rows["S6", "1"]["days_from_rt_end"]) == ("", "")
    assert rows["S5", "2"]["mass_status"] == "not_found"
    assert rows["S5", "2"]["volume_ml"] == ""


def test_failures_carry_code_and_remedy(whole):
    (one, two) = whole.table("failures.csv")
    assert one == {
        "subject": "S4", "visit": "2", "kind": "visit", "code": "NO_SPINE_SERIES",
        "message": "No usable sagittal stack was found.", "remedy": "Give another study.",
    }  # fmt: skip
    assert two["subject"] == "S6"


def test_parquet_holds_what_csv_holds_and_its_types_do_not_depend_on_the_cohort(whole):
    table = pq.read_table(whole.out / "cohort.parquet")
    assert table.column_names == [column.name for column in COHORT_COLUMNS]
    rows = whole.table()
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds["volume_ml"] == kinds["paired_change_ci95_low_percent"] == kinds["enhancement_ratio"] == "double"
    assert kinds["days_from_baseline"] == "int64"
    assert kinds["truncated"] == kinds["recurrence_suspected"] == "bool"
    # Empty in all rows, and text all the same.
    assert kinds["recist_1_1_diameter"] == kinds["position"] == "string"
    for name in table.column_names:
        for cell, row in zip(table[name].to_pylist(), rows, strict=True):
            text = "" if cell is None else str(cell).lower() if isinstance(cell, bool) else str(cell)
            assert text == row[name], name


def test_the_dictionary_explains_every_column(whole):
    text = (whole.out / "data-dictionary.md").read_text()
    for name in ("cohort.csv", "failures.csv", "linkage.csv"):
        assert all(f"| `{column}` |" in text for column in whole.table(name)[0])


def test_the_same_command_again_does_nothing_and_leaves_the_same_bytes(ran):
    before = {file.name: file.read_bytes() for file in ran.out.iterdir() if file.is_file() and file.suffix != ".sqlite"}
    ran.run()
    assert ran.done == []
    after = {file.name: file.read_bytes() for file in ran.out.iterdir() if file.is_file() and file.suffix != ".sqlite"}
    assert after == before


def test_a_changed_image_is_done_again_with_its_comparison(ran):
    batch_measured.write_measured_visit(ran.source.parent / "S2" / "2", 4.0, "2024-04-05")
    ran.run()
    assert ran.done == ["sub-S2", "sub-S2/ses-2"]
    assert next(row for row in ran.table() if (row["subject"], row["visit"]) == ("S2", "2"))["verdict"] == "decreased"


def test_a_new_visit_is_done_alone_with_its_comparison(ran):
    batch_measured.write_measured_visit(ran.source.parent / "S6" / "3", 2.0, "2024-08-09")
    ran.source.write_text(ran.source.read_text() + "S6,3,S6/3,2024-08-09,,\n")
    ran.run()
    assert ran.done == ["sub-S6", "sub-S6/ses-3"]


def test_other_dates_of_treatment_change_comparisons_only(ran):
    ran.source.write_text(ran.source.read_text().replace("2024-02-01", "2024-02-02"))
    ran.run()
    assert ran.done == ["sub-S1", "sub-S2"]


def test_other_settings_do_everything_again(ran):
    config = Config.model_validate({"mass": {"minimum_volume_ml": 0.7}})
    ran.run(orders=Orders(config))
    assert len(ran.done) == 13 + 4


def test_failures_are_tried_again_when_asked(ran):
    batch_measured.write_visit(ran.source.parent / "S6" / "2", "fine")
    before = ran.run(retry_failed=True)
    assert ran.done == ["sub-S4/ses-2", "sub-S6", "sub-S6/ses-2"]
    assert [failure.subject for failure in before.failures] == ["S4"]


class TestRatings:
    def test_an_excluded_visit_leaves_table_and_comparison_until_it_is_rated_otherwise(self, ran):
        ran.run(ratings=(Rating("S1", "3", "exclude", "moved"), Rating("S2", "1", "pass")))
        assert ran.done == ["sub-S1"]
        rows = {(row["subject"], row["visit"]): row for row in ran.table()}
        assert ("S1", "3") not in rows
        assert rows["S2", "1"]["rating"] == "pass"
        assert ("S1", "3", "EXCLUDED_BY_RATING") in {
            (row["subject"], row["visit"], row["code"]) for row in ran.table("failures.csv")
        }
        points = json.loads((ran.out / "comparisons" / "sub-S1" / "comparison.json").read_text())["timepoints"]
        assert len(points) == 2
        # It holds without being given again.
        ran.run()
        assert ran.done == []
        assert ("S1", "3") not in {(row["subject"], row["visit"]) for row in ran.table()}
        ran.run(ratings=(Rating("S1", "3", "pass"),))
        assert ran.done == ["sub-S1"]
        assert ("S1", "3") in {(row["subject"], row["visit"]) for row in ran.table()}

    def test_a_visit_to_fix_is_done_again_once_per_rating(self, ran):
        fix = Rating("S2", "2", "fix", "wrong level", "2024-10-01T10:00:00Z")
        ran.run(ratings=(fix,))
        assert ran.done == ["sub-S2/ses-2"]
        ran.run(ratings=(fix,))
        assert ran.done == []
        ran.run(ratings=(replace(fix, rated="2024-10-02T10:00:00Z"),))
        assert ran.done == ["sub-S2/ses-2"]

    def test_files_of_the_page_are_read(self, tmp_path):
        (tmp_path / "r.json").write_text(
            json.dumps({"ratings": [{"subject": "S1", "visit": "1", "rating": "fix", "note": "a, b", "rated": "x"}]})
        )
        (tmp_path / "r.csv").write_text('subject,visit,rating,note,rated\nS1,1,fix,"a, b",x\nS2,1,,only a note,x\n')
        expected = (Rating("S1", "1", "fix", "a, b", "x"),)
        assert read_ratings(tmp_path / "r.json") == expected
        assert read_ratings(tmp_path / "r.csv") == expected

    @pytest.mark.parametrize(
        "text", ["nonsense", '{"ratings": 3}', '{"ratings": [{"subject": "S1", "visit": "1", "rating": "bad"}]}']
    )
    def test_other_files_are_refused(self, tmp_path, text):
        (tmp_path / "r.json").write_text(text)
        with pytest.raises(InputError) as caught:
            read_ratings(tmp_path / "r.json")
        assert caught.value.code == "BAD_RATINGS"


def test_a_folder_of_somebody_else_is_refused_and_untouched(tmp_path):
    ran = Ran(tmp_path)
    ran.out.mkdir()
    (ran.out / "letter.txt").write_text("Dear colleague,")
    with pytest.raises(UsageError) as caught:
        ran.run()
    assert caught.value.code == "OUT_NOT_OURS"
    assert [file.name for file in ran.out.iterdir()] == ["letter.txt"]


def test_results_inside_the_source_are_refused(tmp_path):
    ran = Ran(tmp_path)
    ran.source, ran.out = ran.source.parent, ran.source.parent / "out"
    with pytest.raises(UsageError) as caught:
        ran.run()
    assert caught.value.code == "OUT_OVERLAPS_INPUT"


def test_an_interrupted_batch_continues(tmp_path):
    ran = Ran(tmp_path)

    class Stopped(InlineCrew):
        def _next(self, task):
            if len(self.taken) > 5:
                raise KeyboardInterrupt
            return super()._next(task)

    stopped = Stopped(cores=1)
    with pytest.raises(KeyboardInterrupt):
        ran.run(connect=stopped.connect)
    result = ran.run()
    finished = {task.name for task in stopped.taken[:5]}
    assert not finished & set(ran.done)
    assert (len(result.rows), result.unfinished) == (11, 0)


def test_de_identified_cohorts_link_no_row_to_a_folder(tmp_path):
    ran = Ran(tmp_path)
    (tmp_path / "key").write_text("k" * 32)
    ran.run()
    assert (ran.out / "linkage.csv").exists()
    ran.run(orders=Orders(Config(), key_file=tmp_path / "key"))
    assert not (ran.out / "linkage.csv").exists()


class TestDerivatives:
    def test_the_bids_validator_accepts_them(self, whole):
        program = shutil.which("bids-validator-deno")
        if program is None:
            pytest.skip("the BIDS validator is absent: pip install bids-validator-deno")
        done = subprocess.run(
            [program, "--format", "json", str(whole.out / "bids")], capture_output=True, text=True, check=False
        )
        issues = json.loads(done.stdout)["issues"]["issues"]
        assert [issue for issue in issues if issue["severity"] == "error"] == []
        assert done.returncode == 0
        # It has seen the images: the validator knows every file by its rules.
        assert json.loads(done.stdout)["summary"]["totalFiles"] > 11 * 8

    def test_images_masks_and_numbers_have_their_names(self, whole):
        anat = whole.out / "bids" / "sub-S1" / "ses-2" / "anat"
        names = {file.name for file in anat.glob("*.nii.gz")}
        assert names == {
            f"sub-S1_ses-2_{rest}.nii.gz"
            for rest in (
                "acq-sagittal_desc-preproc_T2w", "acq-sagittal_ce-gadolinium_rec-fatsat_desc-preproc_T1w",
                "space-orig_desc-anatomy_dseg", "space-orig_desc-levels_dseg", "space-orig_desc-mass_dseg",
                "space-orig_label-mass_probseg",
            )
        }  # fmt: skip
        sidecar = json.loads((anat / "sub-S1_ses-2_space-orig_desc-mass_dseg.json").read_text())
        reference = sidecar["SpatialReference"].removeprefix("bids::")
        assert (whole.out / "bids" / reference).is_file()
        rows = (whole.out / "bids" / "sub-S1" / "sub-S1_sessions.tsv").read_text().splitlines()
        head, second = rows[0].split("\t"), rows[2].split("\t")
        assert dict(zip(head, second, strict=True))["volume_ml"] == "7.0"

    def test_they_take_no_space_of_their_own(self, whole):
        image = whole.out / "visits" / "sub-S1" / "ses-2" / "nifti" / "sagittal_t2.nii.gz"
        assert image.stat().st_nlink == 2


@contextmanager
def _nobody():
    raise AssertionError("no worker is needed")
    yield


def test_no_worker_is_started_when_all_is_done(ran):
    ran.run()
    ran.run(connect=_nobody)
