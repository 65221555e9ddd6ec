"""What shows no spine, or shows it the wrong way round, is said to, and no anatomy is invented."""

import json
import tarfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner
from written_study import LEFT_BACK_TO_RIGHT_FRONT

from spinemri.cli import app

REFUSED = {"NO_CANAL", "NO_SPINE_SEEN", "UPSIDE_DOWN"}
SHAPE, SPACING = (7, 120, 150), (4.2, 1.1, 0.9)


def _affine(spacing: tuple[float, float, float]) -> np.ndarray:
    """Left, back, up, turned by 8 degrees about the vertical."""
    angle = np.deg2rad(8.0)
    affine = np.eye(4)
    affine[:3, :3] = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    affine[:3, :3] = affine[:3, :3] @ np.diag(spacing)
    return affine


def _measure(array: np.ndarray, affine: np.ndarray, contrast: str, tmp_path: Path, *options: str) -> dict:
    path = tmp_path / "image.nii.gz"
    nib.save(nib.Nifti1Image(array.astype(np.float32), LEFT_BACK_TO_RIGHT_FRONT @ affine), path)
    arguments = ["run", str(path), "-o", str(tmp_path / "out"), "--contrast", contrast, *options]
    outcome = CliRunner().invoke(app, arguments)
    # Done, with findings that need a person: never a fault, never silence.
    assert outcome.exit_code == 1, outcome.stderr
    content: dict = json.loads((tmp_path / "out" / "measurements.json").read_text())
    return content


def _assert_nothing_claimed(content: dict) -> None:
    flags = {flag["code"]: flag["severity"] for flag in content["quality"]["flags"]}
    assert {code for code in REFUSED if flags.get(code) == "error"}
    assert content["levels"]["vertebrae"] == content["levels"]["discs"] == []
    assert content["levels"]["numbering"] == "unknown"
    assert content["mass"]["status"] == "not_assessable"
    assert content["mass"]["volume_ml"] is None
    assert content["mass"]["components"] == []
    assert content["compromise"]["worst_level"] is None


def _bottle() -> np.ndarray:
    left, back, up = (
        (np.arange(n) - (n - 1) / 2).reshape([-1 if axis == i else 1 for i in range(3)]) * step
        for axis, (n, step) in enumerate(zip(SHAPE, SPACING, strict=True))
    )
    inside = (left**2 + back**2 < 40.0**2) & (np.abs(up) < 55.0)
    return np.where(inside, 900.0, 0.0) + np.abs(np.random.default_rng(2).normal(0, 15, SHAPE))


@pytest.mark.parametrize(
    "array",
    [
        np.full(SHAPE, 100.0),
        np.zeros(SHAPE),
        np.abs(np.random.default_rng(1).normal(100, 40, SHAPE)),
        _bottle(),
    ],
    ids=["constant", "empty", "noise", "bottle"],
)
def test_what_is_no_patient_is_no_spine(array: np.ndarray, tmp_path: Path) -> None:
    _assert_nothing_claimed(_measure(array, _affine(SPACING), "T2", tmp_path))
    # The report is there, too, and does not stumble over nothing.
    assert "research use only" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8").lower()


@pytest.fixture(scope="module")
def head(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("head")
    with tarfile.open(real_data / "dicom" / "siemens_real_headers.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "siemens_brain_sag_t1_classic"


def test_a_head_is_left_out_by_its_header(head: Path, tmp_path: Path) -> None:
    outcome = CliRunner().invoke(app, ["run", str(head), "-o", str(tmp_path / "out")])
    assert outcome.exit_code == 3
    assert "NO_SPINE_SERIES" in outcome.stderr
    assert not (tmp_path / "out").exists()


def test_a_head_without_a_header_is_no_spine(head: Path, tmp_path: Path) -> None:
    slices = sorted((pydicom.dcmread(path) for path in head.glob("*.dcm")), key=lambda d: d.ImagePositionPatient[0])
    row, column = (float(step) for step in slices[0].PixelSpacing)
    some = slices[8:27:3]
    pitch = abs(float(some[1].ImagePositionPatient[0] - some[0].ImagePositionPatient[0]))
    # Rows run to the feet, columns to the back.
    array = np.stack([one.pixel_array for one in some]).transpose(0, 2, 1)[:, :, ::-1]
    _assert_nothing_claimed(_measure(array, np.diag([pitch, column, row, 1.0]), "T1", tmp_path))


@pytest.mark.parametrize(
    "flip", [(2,), (1,), (1, 2)], ids=["upside down", "mirrored front to back", "turned by 180 degrees"]
)
def test_a_spine_the_wrong_way_round_is_not_measured(real_data: Path, flip: tuple[int, ...], tmp_path: Path) -> None:
    image = nib.as_closest_canonical(nib.load(real_data / "spider_t2" / "007_T2w.nii.gz"))
    # RAS to left, back, up; every third slice will do.
    array = np.asarray(image.dataobj)[::-1, ::-1][::3]
    right, front, up = nib.affines.voxel_sizes(image.affine)
    content = _measure(np.flip(array, flip), np.diag([3 * right, front, up, 1.0]), "T2", tmp_path)
    _assert_nothing_claimed(content)
