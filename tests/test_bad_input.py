"""Bad input: each kind has its own message, code and exit status, and nothing half-written stays."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from dicom_writer import SeriesHeader, write_axial_series, write_sagittal_series
from synthetic_spine import Spine, sagittal_grid
from typer.testing import CliRunner
from written_study import WrittenStudy, image_of, write_spine

from spinemri.cli import app
from spinemri.intake.model import Weighting
from spinemri.volume import Volume


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it left."""

    status: int
    out: str
    err: str
    folder: Path

    @property
    def codes(self) -> dict[str, str]:
        """Severity of each finding of the result."""
        flags = json.loads((self.folder / "measurements.json").read_text())["quality"]["flags"]
        return {flag["code"]: flag["severity"] for flag in flags}


def run(source: Path, tmp_path: Path, *options: str) -> Outcome:
    """Measure a folder and check that a failure leaves nothing behind."""
    out = tmp_path / "results" / "out"
    result = CliRunner().invoke(app, ["run", str(source), "-o", str(out), *options])
    if result.exit_code > 1:
        assert not out.parent.exists()
    return Outcome(result.exit_code, result.stdout, result.stderr, out)


def small_stack(slices: int = 7) -> Volume:
    """A few slices of noise, oblique and anisotropic."""
    angle = np.deg2rad(6.0)
    affine = np.eye(4)
    affine[:3, :3] = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    affine[:3, :3] = affine[:3, :3] @ np.diag([4.4, 1.5, 1.5])
    return Volume(np.random.default_rng(3).integers(0, 900, (slices, 60, 70)).astype(float), affine)


def empty(folder: Path) -> None:
    folder.mkdir()


def absent(folder: Path) -> None:
    del folder


def letters(folder: Path) -> None:
    folder.mkdir()
    (folder / "letter.txt").write_text("Dear colleague,")


def computed_tomography(folder: Path) -> None:
    tags = {"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}
    write_sagittal_series(small_stack(), folder, tags=tags)


def axial_only(folder: Path) -> None:
    write_axial_series(small_stack(), folder)


def knee(folder: Path) -> None:
    tags = {"StudyDescription": "MR knee"}
    write_sagittal_series(small_stack(), folder, description="pd_tse_sag", body_part="KNEE", tags=tags)


def one_slice(folder: Path) -> None:
    write_sagittal_series(small_stack(slices=1), folder)


def truncated_pixels(folder: Path) -> None:
    for path in write_sagittal_series(small_stack(), folder):
        path.write_bytes(path.read_bytes()[:-5000])


def two_patients(folder: Path) -> None:
    write_sagittal_series(small_stack(), folder / "a", patient_id="A", study="a")
    write_sagittal_series(small_stack(), folder / "b", patient_id="B", study="b")


def two_studies(folder: Path) -> None:
    write_sagittal_series(small_stack(), folder / "a", study="a", study_date="20240101")
    write_sagittal_series(small_stack(), folder / "b", study="b", study_date="20240201")


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (absent, "NOT_FOUND", "does not exist"),
        (empty, "EMPTY_FOLDER", "holds no file"),
        (letters, "NO_DICOM", "not a DICOM file"),
        (computed_tomography, "NOT_MR", "CT"),
        (axial_only, "NO_SPINE_SERIES", "axial"),
        (knee, "NO_SPINE_SERIES", "KNEE"),
        (one_slice, "TOO_FEW_SLICES", "1 of at least 5"),
        (truncated_pixels, "PIXELS_UNREADABLE", "7 of 7 slices"),
        (two_patients, "SEVERAL_PATIENTS", "2"),
        (two_studies, "SEVERAL_STUDIES", "2 studies"),
    ],
)
def test_unusable_input_ends_with_3(tmp_path: Path, make: Callable[[Path], None], code: str, said: str) -> None:
    make(tmp_path / "study")
    outcome = run(tmp_path / "study", tmp_path)
    assert outcome.status == 3
    assert outcome.err.startswith(f"[{code}] ")
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize("make", [computed_tomography, truncated_pixels, two_patients])
def test_nothing_identifying_is_in_a_message(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "study")
    outcome = run(tmp_path / "study", tmp_path)
    assert "Test^Person" not in outcome.err
    assert "PAT-1" not in outcome.err


@pytest.mark.parametrize("out", ["/proc/spinemri", "{tmp}/file", "{tmp}/file/out"])
def test_an_unwritable_output_ends_with_2_before_the_input_is_read(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("in the way")
    empty(tmp_path / "study")
    result = CliRunner().invoke(app, ["run", str(tmp_path / "study"), "-o", out.format(tmp=tmp_path)])
    assert result.exit_code == 2
    assert result.stderr.startswith("[OUT_NOT_WRITABLE] ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "study"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> WrittenStudy:
    """Two sagittal series, no contrast, no axial series."""
    return write_spine(tmp_path_factory.mktemp("usable"), contrast=False, axial=False)


def _options(study: WrittenStudy) -> list[str]:
    return ["--labels", str(study.labels), "--level", study.level]


def test_without_contrast_or_axial_series_the_rest_is_measured(study: WrittenStudy, tmp_path: Path) -> None:
    outcome = run(study.folder, tmp_path, *_options(study))
    assert outcome.status in {0, 1}
    assert outcome.codes["NO_POST_CONTRAST"] == "info"
    assert outcome.codes["NO_AXIAL"] == "info"
    assert "T5 to T8, posterior" in outcome.out


def test_a_corrupt_file_among_good_ones_is_reported(study: WrittenStudy, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    write_sagittal_series(image_of(Spine(), sagittal_grid(Spine()), Weighting.T2, "1.2.3"), copy, SeriesHeader())
    good = next(copy.iterdir()).read_bytes()
    (copy / "broken.dcm").write_bytes(good[:400])
    (copy / "notes.txt").write_text("see PACS")
    outcome = run(copy, tmp_path, *_options(study))
    assert outcome.status == 1
    assert outcome.codes["CORRUPT_FILE"] == "warning"
    assert "[CORRUPT_FILE]" in outcome.out
    assert "T5 to T8" in outcome.out


def test_a_slice_that_cannot_be_decoded_is_interpolated_and_reported(study: WrittenStudy, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    image = image_of(Spine(), sagittal_grid(Spine()), Weighting.T2, "1.2.3")
    paths = write_sagittal_series(image, copy, SeriesHeader())
    paths[2].write_bytes(paths[2].read_bytes()[:-5000])
    outcome = run(copy, tmp_path, *_options(study))
    assert outcome.status == 1
    assert outcome.codes["CORRUPT_SLICES"] == "warning"


def test_an_unreadable_series_gives_way_to_the_next(study: WrittenStudy, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    write_spine(copy, contrast=False, axial=False)
    for path in (copy / "dicom" / "a").iterdir():
        path.write_bytes(path.read_bytes()[:-5000])
    outcome = run(copy / "dicom", tmp_path, *_options(study))
    assert outcome.status == 1
    assert outcome.codes["PIXELS_UNREADABLE"] == "warning"
    series = json.loads((outcome.folder / "measurements.json").read_text())["series"]
    used = {entry["role"]: entry["used"] for entry in series}
    assert used == {"sagittal_t2": False, "sagittal_t1": True}
