"""The main job on the sample data, with the network that ships, against the known truth."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spinemri.cli import app

SAMPLE = Path(__file__).parents[1] / "sample_data"
RADIOTHERAPY = {
    "--rt-start": "2024-03-11",
    "--rt-end": "2024-03-22",
    "--rt-levels": "T3-T9",
    "--rt-dose-gy": "20",
    "--rt-fractions": "10",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "out"
    options = [part for pair in RADIOTHERAPY.items() for part in pair]
    paths = [str(SAMPLE / "baseline"), str(SAMPLE / "followup")]
    result = CliRunner().invoke(app, ["compare", *paths, "-o", str(folder), *options])
    # Findings that need a person are no failure.
    assert result.exit_code in {0, 1}, result.output
    return folder


@pytest.fixture(scope="module")
def truth() -> list[dict]:
    return json.loads((SAMPLE / "truth.json").read_text(encoding="utf-8"))["visits"]


def _measured(out: Path, visit: int) -> dict:
    return json.loads((out / f"timepoint_{visit}" / "measurements.json").read_text(encoding="utf-8"))


def _comparison(out: Path) -> dict:
    return json.loads((out / "comparison.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("visit", [1, 2])
def test_the_mass_is_named_where_it_is(out: Path, visit: int) -> None:
    content = _measured(out, visit)
    assert content["levels"]["numbering"] == "absolute"
    assert content["mass"]["status"] == "measured"
    assert (content["mass"]["extent"]["from"], content["mass"]["extent"]["to"]) == ("T5", "T8")
    assert content["mass"]["position"] == "posterior"
    assert content["compromise"]["worst_level"] == "T6/7"


@pytest.mark.parametrize("visit", [1, 2])
def test_the_true_volume_lies_in_the_interval(out: Path, truth: list[dict], visit: int) -> None:
    low, high = _measured(out, visit)["mass"]["volume_ci95_ml"]
    assert low <= truth[visit - 1]["mass"]["volume_ml"] <= high


def test_the_change_is_within_four_percentage_points(out: Path, truth: list[dict]) -> None:
    point = _comparison(out)["timepoints"][1]
    assert point["change_percent"] == pytest.approx(_true_change(truth), abs=4.0)


def test_the_true_change_lies_in_the_interval(out: Path, truth: list[dict]) -> None:
    low, high = _comparison(out)["timepoints"][1]["change_ci95_percent"]
    assert low <= _true_change(truth) <= high


@pytest.mark.parametrize("visit", [1, 2])
def test_the_compression_is_near_the_truth(out: Path, truth: list[dict], visit: int) -> None:
    ours, theirs = _measured(out, visit)["compromise"], truth[visit - 1]["compromise"]
    # Ten points: half a voxel at a sac or cord that is pressed to 4 mm. Less was measured; see docs/results.md.
    for number in ("mcc_percent", "mscc_percent"):
        assert ours[number] == pytest.approx(theirs[number], abs=10.0)


def _true_change(truth: list[dict]) -> float:
    first, second = (visit["mass"]["volume_ml"] for visit in truth)
    return 100 * (second / first - 1)


def test_days_and_radiotherapy_are_those_given(out: Path) -> None:
    comparison = _comparison(out)
    assert [point["days_from_baseline"] for point in comparison["timepoints"]] == [0, 25]
    assert comparison["timepoints"][1]["days_from_rt_end"] == 7
    assert comparison["radiotherapy"]["mass_covered"] is True
    assert comparison["radiotherapy"]["margin_levels"] == [2, 1]


def test_everything_is_there_to_read(out: Path) -> None:
    text = (out / "report.html").read_text(encoding="utf-8")
    assert "research use only" in text.lower()
    names = {
        "comparison.json",
        "comparison.csv",
        "config.yaml",
        "dicom",
        "figures",
        "log.jsonl",
        "report.html",
        "report.pdf",
    }
    assert {path.name for path in out.iterdir()} == names | {"timepoint_1", "timepoint_2"}


def test_the_report_is_small_enough_to_send(out: Path) -> None:
    # Twelve series of two visits and the viewer's library.
    assert (out / "report.html").stat().st_size < 15e6
    assert (out / "report.pdf").stat().st_size < 1e6
