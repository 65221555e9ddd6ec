"""The command line: options, messages, exit status."""

import json
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
import typer
from dicom_writer import write_axial_series
from synthetic_result import make_comparison, make_followup, make_result, make_unmeasured
from typer.testing import CliRunner
from written_study import write_spine

from spinemri import __version__
from spinemri.cli import app
from spinemri.cli.failures import EXIT_INTERRUPTED, guarded
from spinemri.cli.progress import progress
from spinemri.cli.summary import comparison_lines, flag_lines, study_lines
from spinemri.cli.values import parse_level, parse_levels, parse_point
from spinemri.errors import InputError, UsageError
from spinemri.measure.record import FlagRecord
from spinemri.pipeline import Event
from spinemri.volume import Volume

runner = CliRunner()


def test_version_is_printed() -> None:
    result = runner.invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout == f"spinemri {__version__}\n"


@pytest.mark.parametrize("command", ["inspect", "run", "compare", "measure", "phantom", "send"])
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = runner.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"spinemri {command}" in result.stdout
    assert "Example:" in result.stdout


@pytest.mark.parametrize("arguments", [["run"], ["run", "x"], ["compare", "-o", "x"], ["--nonsense"], ["fly"]])
def test_bad_usage_ends_with_2(arguments: list[str]) -> None:
    assert runner.invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--config", "nope"], "BAD_CONFIG"),
        (["--level", "T12"], "BAD_LEVEL"),
        (["--level", "X3@1,2,3"], "BAD_LEVEL"),
        (["--level", "T12@1,2"], "BAD_POINT"),
        (["--level", "T12@1,2,3", "--level", "t12@1,2,4"], "BAD_LEVEL"),
        (["--mass-seed", "here"], "BAD_POINT"),
    ],
)
def test_options_are_checked_before_any_work(tmp_path, arguments: list[str], code: str) -> None:
    result = runner.invoke(app, ["run", str(tmp_path), "-o", str(tmp_path / "out"), *arguments])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"[{code}]")
    assert not (tmp_path / "out").exists()


def test_help_needs_no_heavy_library() -> None:
    """Importing the commands leaves scipy, onnxruntime and matplotlib alone."""
    code = "import sys, spinemri.cli; print([m for m in ('scipy', 'onnxruntime', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class TestValues:
    def test_points_and_levels_are_read(self) -> None:
        assert parse_point(" 1, -2.5,3e1", option="--mass-seed") == (1.0, -2.5, 30.0)
        assert parse_level("t12@1,2,3") == ("T12", (1.0, 2.0, 3.0))
        assert [name for name, _ in parse_levels(["L1@0,0,0", "T12@0,0,25"])] == ["L1", "T12"]

    @pytest.mark.parametrize("text", ["1,2", "1,2,3,4", "a,b,c", "", "nan,0,0", "inf,0,0"])
    def test_what_is_no_point_is_refused_with_its_text(self, text: str) -> None:
        with pytest.raises(UsageError) as caught:
            parse_point(text, option="--mass-seed")
        assert caught.value.code == "BAD_POINT"
        assert repr(text) in caught.value.message


class TestFailures:
    def _status(self, error: BaseException, *, debug: bool = False, json_log: bool = False) -> int:
        with pytest.raises(typer.Exit) as caught, guarded(debug=debug, json_log=json_log):
            raise error
        return caught.value.exit_code

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (UsageError("BAD_CONFIG", "Wrong."), 2),
            (InputError("EMPTY_FOLDER", "Nothing.", "Look elsewhere."), 3),
            (ZeroDivisionError("1/0"), 4),
            (KeyboardInterrupt(), EXIT_INTERRUPTED),
        ],
    )
    def test_every_failure_has_its_status(self, error: BaseException, status: int) -> None:
        assert self._status(error) == status

    def test_a_message_is_code_what_and_remedy_on_stderr(self, capsys) -> None:
        self._status(InputError("EMPTY_FOLDER", "'x' holds no file.", "Give another."))
        out, err = capsys.readouterr()
        assert out == ""
        assert err == "[EMPTY_FOLDER] 'x' holds no file. Give another.\n"

    def test_a_fault_shows_neither_traceback_nor_what_it_was_about(self, capsys) -> None:
        self._status(ValueError("DOE^JANE"))
        err = capsys.readouterr().err
        assert err.startswith("[INTERNAL_FAULT]")
        assert "DOE" not in err
        assert "Traceback" not in err

    def test_debug_shows_the_traceback(self, capsys) -> None:
        self._status(ValueError("odd"), debug=True)
        err = capsys.readouterr().err
        assert "Traceback" in err
        assert "ValueError: odd" in err

    def test_a_json_log_stays_json(self, capsys) -> None:
        self._status(InputError("EMPTY_FOLDER", "Nothing."), json_log=True)
        line = json.loads(capsys.readouterr().err)
        assert line["code"] == "EMPTY_FOLDER"

    def test_warnings_of_libraries_are_not_shown(self, recwarn) -> None:
        with guarded(debug=False):
            warnings.warn("Invalid value for PN: DOE^JANE", stacklevel=1)
        assert not recwarn.list


class TestProgress:
    def test_json_lines_name_stage_and_seconds(self, capsys) -> None:
        with progress(visits=1, quiet=False, json_log=True) as recorder, recorder.stage("anatomy", 1):
            pass
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert [(line["stage"], line["event"], line["visit"]) for line in lines] == [
            ("anatomy", "start", 1),
            ("anatomy", "done", 1),
        ]
        assert 0 <= lines[0]["elapsed_s"] <= lines[1]["elapsed_s"]

    def test_quiet_prints_nothing(self, capsys) -> None:
        with progress(visits=1, quiet=True, json_log=False) as recorder, recorder.stage("anatomy"):
            pass
        assert capsys.readouterr() == ("", "")

    def test_the_bar_takes_every_stage(self, capsys) -> None:
        with progress(visits=2, quiet=False, json_log=False) as recorder:
            recorder.record(Event("intake", "start"))
            recorder.record(Event("intake", "done"))
            recorder.record(Event("anatomy", "flag", "NO_AXIAL", 2))
        assert capsys.readouterr().out == ""


class TestSummary:
    def test_a_study_in_three_lines(self) -> None:
        measurements = make_result().measurements
        mass, worst, levels = study_lines(measurements)
        low, high = measurements.mass.volume_ci95_ml
        assert (
            mass == f"Mass of {measurements.mass.volume_ml:.2f} ml (95 % {low:.2f} to {high:.2f}), T5 to T8, posterior"
        )
        assert worst.startswith("Worst level: T6/7, occupancy 54 %, MCC")
        assert levels == "Levels: T4 to T10, absolute, counted from localizer:C2 (confidence 0.97)"

    @pytest.mark.parametrize(
        ("status", "said"), [("not_found", "No mass found"), ("not_assessable", "Mass not assessed")]
    )
    def test_a_study_without_numbers(self, status: str, said: str) -> None:
        mass, levels = study_lines(make_unmeasured(status).measurements)
        assert mass == said
        assert levels == "Levels: unknown, counted from none (confidence 0.00)"

    def test_a_comparison_has_a_line_per_visit(self) -> None:
        results = make_result(), make_followup()
        comparison = make_comparison(*results)
        first, second = comparison_lines(comparison, [result.measurements.mass for result in results])[:2]
        assert first.startswith("Visit 1, 2024-03-01: mass of ")
        assert "T5 to T8, posterior, worst T6/7" in second
        assert f"change {comparison.timepoints[1].change_percent:+.1f} %" in second
        assert comparison.timepoints[1].verdict.replace("_", " ") in second

    def test_the_change_beside_the_verdict_is_the_one_it_rests_on(self) -> None:
        results = make_result(), make_followup()
        comparison = make_comparison(*results)
        paired = {
            "change_ci95_percent": (-27.8, 1.3),
            "paired_change_percent": -15.2,
            "paired_change_ci95_percent": (-27.0, -3.4),
            "verdict_basis": "paired",
        }
        last = comparison.timepoints[1].model_copy(update=paired)
        comparison = comparison.model_copy(update={"timepoints": (comparison.timepoints[0], last)})
        second = comparison_lines(comparison, [result.measurements.mass for result in results])[1]
        assert second.endswith("paired change -15.2 % (95 % -27.0 to -3.4), decreased")

    def test_findings_that_need_a_person_are_listed_and_notes_named(self) -> None:
        flags = [
            FlagRecord(code="NO_AXIAL", message="No axial series.", severity="info"),
            FlagRecord(code="MASS_TOUCHES_EDGE", message="Cut.", severity="warning"),
        ]
        lines = flag_lines(flags, what="Visit 2")
        assert lines == ["Visit 2: WARNING [MASS_TOUCHES_EDGE] Cut.", "Visit 2: notes: NO_AXIAL"]


class TestInspection:
    def test_every_stack_and_every_other_file_has_its_line(self, tmp_path) -> None:
        write_spine(tmp_path, axial=False)
        (tmp_path / "dicom" / "letter.txt").write_text("Dear colleague,")
        result = runner.invoke(app, ["inspect", str(tmp_path / "dicom")])
        assert result.exit_code == 0
        assert "Study 1, 2024-03-01" in result.stdout
        for said in ("sagittal_t2", "sagittal_t1", "sagittal_t1_post_fs", "12 slices of", "left out: letter.txt"):
            assert said in result.stdout

    def test_json_says_the_same(self, tmp_path) -> None:
        write_spine(tmp_path, axial=False)
        content = json.loads(runner.invoke(app, ["inspect", str(tmp_path / "dicom"), "--json"]).stdout)
        assert [study["study_date"] for study in content["studies"]] == ["2024-03-01"]
        assert [row["role"] for row in content["stacks"]] == ["sagittal_t2", "sagittal_t1", "sagittal_t1_post_fs"]
        assert all(row["reason"] for row in content["stacks"])

    def test_what_cannot_be_measured_is_shown_with_the_reason_first(self, tmp_path) -> None:
        image = Volume(np.ones((20, 30, 6)), np.diag([1.0, 1.0, 4.0, 1.0]))
        write_axial_series(image, tmp_path, description="odd [bold] name")
        result = runner.invoke(app, ["inspect", str(tmp_path)])
        assert result.exit_code == 3
        assert "odd [bold] name" in result.stdout
        assert result.stderr.startswith("[NO_SPINE_SERIES]")


def test_termination_unwinds_the_program(tmp_path) -> None:
    """SIGTERM in the middle of writing leaves nothing behind."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from spinemri.cli.failures import stop_on_termination\n"
        "from spinemri.pipeline.output import output_folder\n"
        "stop_on_termination()\n"
        "with output_folder(Path(sys.argv[1]), overwrite=False) as folder:\n"
        "    (folder / 'half').write_text('half'); print('ready', flush=True); time.sleep(30)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    with child.stdout:
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=20) == 143
    assert list(tmp_path.iterdir()) == []
