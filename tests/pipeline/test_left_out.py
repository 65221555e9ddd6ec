"""Visits that a comparison leaves out: what was said of them, and levels that were pointed at in the first."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_spine import Spine
from written_study import WrittenStudy, write_spine

from spinemri.cli.values import parse_level
from spinemri.config import Config, ReportSettings
from spinemri.errors import InputError
from spinemri.pipeline import ComparedStudies, Options, Recorder, compare, compare_studies, remeasure
from spinemri.pipeline.compare import measure_visits

TABLES_ONLY = Config(report=ReportSettings(html=False))
OF_PLAN = ("RT_SEVERAL_PRESCRIPTIONS", "RT_PLAN_DISAGREES", "RT_FRAME_DIFFERS")


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> list[WrittenStudy]:
    folder = tmp_path_factory.mktemp("visits")
    facts = {"axial": False, "contrast": False}
    first = write_spine(folder / "first", **facts)
    later = Spine(6.6, tilt_deg=3.0, shift_mm=(-1.0, -14.0, 28.0))
    return [first, write_spine(folder / "second", later, study="study-2", date="20240320", **facts)]


@pytest.fixture(scope="module")
def options(visits: list[WrittenStudy]) -> Options:
    return Options(
        config=TABLES_ONLY,
        labels=tuple(visit.labels for visit in visits),
        levels=(parse_level(visits[0].level),),
        dicom=False,
    )


@pytest.fixture(scope="module")
def without_first(visits: list[WrittenStudy], options: Options, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a comparison whose first input is empty."""
    folder = tmp_path_factory.mktemp("compare")
    (folder / "empty").mkdir()
    compare_studies([folder / "empty", *(visit.folder for visit in visits)], folder / "out", options)
    return folder / "out"


def _findings(folder: Path) -> dict[str, dict]:
    content = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    return {flag["code"]: flag for flag in content["quality"]["flags"]}


def _anchor(folder: Path) -> str:
    return json.loads((folder / "timepoint_1" / "measurements.json").read_text(encoding="utf-8"))["levels"]["anchor"]


def test_points_of_a_visit_that_cannot_be_read_name_nothing(without_first: Path) -> None:
    assert {"STUDY_NOT_USED", "LEVEL_HINTS_NOT_USED"} <= _findings(without_first).keys()
    assert _findings(without_first)["LEVEL_HINTS_NOT_USED"]["severity"] == "warning"
    assert _anchor(without_first) != "user"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("01-", True), ("0-1", True), ("-01", False), ("10-", False)],
    ids=["the last", "between", "the first", "in no order of time"],
)
def test_points_are_dropped_where_the_first_visit_may_be_unread(
    visits: list[WrittenStudy],
    options: Options,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str,
    kept: bool,
) -> None:
    asked = []

    def stop(studies: object, options: Options, recorder: Recorder) -> None:
        asked.append(options.levels)
        raise InputError("STOP", "No need to measure.")

    monkeypatch.setattr(compare, "measure_visits", stop)
    (tmp_path / "empty").mkdir()
    paths = [tmp_path / "empty" if sign == "-" else visits[int(sign)].folder for sign in given]
    with pytest.raises(InputError, match="No need"):
        compare_studies(paths, tmp_path / "out", options)
    assert asked == [options.levels if kept else ()]


def test_points_of_a_visit_that_cannot_be_measured_go_to_no_other(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def refuse(study: object, options: Options, recorder: Recorder, visit: int) -> None:
        asked.append(options.levels)
        raise InputError("UNREADABLE", "Its pixels cannot be read.")

    monkeypatch.setattr(compare, "prepare_study", refuse)
    results, failures = measure_visits([None, None], options, Recorder())
    assert (results, asked) == ((), [options.levels, ()])
    assert [flag.code for flag in failures] == ["STUDY_NOT_USED", "LEVEL_HINTS_NOT_USED", "STUDY_NOT_USED"]
    _, failures = measure_visits([None, None], replace(options, levels=()), Recorder())
    assert [flag.code for flag in failures] == ["STUDY_NOT_USED"] * 2


def test_what_was_left_out_is_still_said_when_measured_again(without_first: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(without_first, tmp_path / "out"))
    path = copy / "comparison.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["quality"]["flags"] += [
        {"code": code, "message": "Of the plan.", "severity": "warning"} for code in OF_PLAN
    ]
    path.write_text(json.dumps(content), encoding="utf-8")
    before = _findings(copy)
    for _ in range(2):
        assert isinstance(remeasure(copy), ComparedStudies)
        assert _findings(copy) == before


def test_levels_that_a_person_names_since_settle_those_that_were_not_used(
    without_first: Path, visits: list[WrittenStudy], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(without_first, tmp_path / "out"))
    remeasure(copy, levels=[parse_level(visits[0].level)])
    assert "LEVEL_HINTS_NOT_USED" not in _findings(copy)
    assert "STUDY_NOT_USED" in _findings(copy)
