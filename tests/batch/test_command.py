"""`spinemri batch` as a user gives it: real studies, the smallest that can be measured, beside runs of their own."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from spinemri.cli import app
from spinemri.phantom import write_phantom
from spinemri.phantom.recipe import PhantomRecipe

RECIPE = {
    "name": "smallest",
    "seed": 5,
    "mass": {"from_level": "T6", "to_level": "T7", "worst_level": "T6/7"},
    "series": [
        {
            "name": "sag_t2", "centre": "T6/7", "voxel_mm": 1.2, "slice_pitch_mm": 4.4, "slices": 7,
            "field_of_view_mm": [140.0, 190.0],
        }
    ],
    "visits": [
        {"name": "one", "date": "2024-03-04"},
        {"name": "two", "date": "2024-06-04", "volume_factor": 0.7, "noise_seed": 3},
    ],
}  # fmt: skip


def tree(folder) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def command(*arguments) -> subprocess.CompletedProcess:
    call = [sys.executable, "-c", "from spinemri.cli import main; main()", *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """A patient with two visits and one whose only series has nothing to measure; batched once."""
    folder = tmp_path_factory.mktemp("command")
    write_phantom(PhantomRecipe.model_validate(RECIPE), folder / "source")
    (folder / "source" / "zz_broken").mkdir()
    (folder / "source" / "zz_broken" / "IM1").write_bytes(b"no image")
    done = command("batch", folder / "source", "-o", folder / "out", "--json-log", "--workers", 2)
    return folder, done


def test_it_ends_with_what_came_out_and_says_what_did_not(cohort):
    folder, done = cohort
    assert done.returncode == 1, done.stderr
    assert "2 visits of 1 subjects measured." in done.stdout
    assert "1 without a result" in done.stdout
    assert "research use only" in done.stdout
    (failure,) = csv.DictReader((folder / "out" / "failures.csv").read_text().splitlines())
    assert failure["code"] == "NO_DICOM"
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [event["event"] for event in events].count("done") == 3
    assert [event["event"] for event in events].count("failed") == 1
    assert events[-1]["left_s"] == 0
    assert str(folder) not in done.stderr


def test_results_are_those_of_run_and_compare_byte_for_byte(cohort):
    folder, _ = cohort
    paths = [folder / "source" / name for name in ("one", "two")]
    assert command("run", paths[0], "-o", folder / "alone", "--quiet").returncode in {0, 1}
    assert command("compare", *paths, "-o", folder / "compared", "--quiet").returncode in {0, 1}
    (comparison,) = (folder / "out" / "comparisons").iterdir()
    alone, compared = tree(folder / "alone"), tree(folder / "compared")
    assert len(alone) > 15
    assert tree(next((folder / "out" / "visits").glob("sub-P*")) / "ses-20240304") == alone
    assert tree(comparison) == compared


def test_the_table_says_what_the_studies_say(cohort):
    folder, _ = cohort
    rows = list(csv.DictReader((folder / "out" / "cohort.csv").read_text().splitlines()))
    for row, day in zip(rows, ("20240304", "20240604"), strict=True):
        own = folder / "out" / "visits" / f"sub-{row['subject']}" / f"ses-{day}"
        (alone,) = csv.DictReader((own / "measurements.csv").read_text().splitlines())
        assert {name: row[name] for name in alone} == alone
    assert float(rows[1]["change_percent"]) < -10
    assert rows[1]["days_from_baseline"] == "92"


def test_the_command_again_takes_no_worker_and_changes_nothing(cohort):
    folder, _ = cohort
    before = {name: data for name, data in tree(folder / "out").items() if "sqlite" not in name}
    done = CliRunner().invoke(app, ["batch", str(folder / "source"), "-o", str(folder / "out"), "--json-log"])
    assert done.exit_code == 1, done.output
    assert '"event"' not in done.output
    assert {name: data for name, data in tree(folder / "out").items() if "sqlite" not in name} == before


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (["absent"], "NOT_FOUND", 3),
        (["source", "--scheduler", "tcp://127.0.0.1:1", "--slurm"], "BAD_SCHEDULER", 2),
        (["source", "--ratings", "absent.json"], "BAD_RATINGS", 3),
        (["source", "--config", "absent.yaml"], "BAD_CONFIG", 2),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(tmp_path, monkeypatch, arguments, code, status):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "source").mkdir()
    done = CliRunner().invoke(app, ["batch", *arguments, "-o", "out"])
    assert code in done.output
    assert done.exit_code == status


def test_without_the_extra_it_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    for name in [name for name in sys.modules if name.startswith("spinemri.batch")]:
        monkeypatch.delitem(sys.modules, name)
    done = CliRunner().invoke(app, ["batch", str(tmp_path), "-o", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "BATCH_NOT_INSTALLED" in done.output
    assert "spinemri[batch]" in done.output


def test_a_visit_to_fix_is_measured_on_the_masks_that_were_corrected(cohort, tmp_path):
    folder, _ = cohort
    out = Path(shutil.copytree(folder / "out", tmp_path / "out"))
    (row, _second) = csv.DictReader((out / "cohort.csv").read_text().splitlines())
    mask = out / "visits" / f"sub-{row['subject']}" / f"ses-{row['visit']}" / "nifti" / "mass_dseg.nii.gz"
    image = nib.load(mask)
    array = np.asarray(image.dataobj).copy()
    rows = np.flatnonzero((array > 0).any((0, 1)))
    array[:, :, : rows[len(rows) // 2]] = 0
    kept = (array > 0).sum() / (np.asarray(image.dataobj) > 0).sum()
    nib.save(nib.Nifti1Image(array, image.affine), mask)
    rating = {"subject": row["subject"], "visit": row["visit"], "rating": "fix", "note": "", "rated": "today"}
    (tmp_path / "ratings.json").write_text(json.dumps({"ratings": [rating]}))
    done = command("batch", folder / "source", "-o", out, "--ratings", tmp_path / "ratings.json", "--json-log")
    # The comparison has masks of its own, which nobody has touched.
    assert [json.loads(line)["task"] for line in done.stderr.splitlines() if '"done"' in line.split(",")[0]] == [
        f"sub-{row['subject']}/ses-{row['visit']}"
    ]
    (after, _second) = csv.DictReader((out / "cohort.csv").read_text().splitlines())
    assert "MASKS_EDITED" in after["flags"]
    assert after["rating"] == "fix"
    # Fractions at the cut stay fractions.
    assert float(after["volume_ml"]) == pytest.approx(kept * float(row["volume_ml"]), rel=0.15)
    assert np.array_equal(np.asarray(nib.load(mask).dataobj), array)
