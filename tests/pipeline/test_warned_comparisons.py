"""Pairs of visits that must not give a change without its warning, from DICOM folders to comparison.json."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_writer import T1_HEADER, T1_POST_FS_HEADER, SeriesHeader, write_sagittal_series
from scipy import ndimage
from synthetic_spine import Spine, sagittal_grid
from written_study import WrittenStudy, image_of, write_labels, write_spine

from spinemri.cli.values import parse_level
from spinemri.config import Config, ReportSettings
from spinemri.errors import InputError
from spinemri.intake.model import Weighting
from spinemri.pipeline import Options, compare_studies
from spinemri.volume import Grid

TABLES_ONLY = Config(report=ReportSettings(html=False))
THINNER = Spine(6.6, tilt_deg=3.0, shift_mm=(-1.0, -14.0, 28.0))
LATER = {"study": "study-2", "study_date": "20240320"}
BLOTCH_MM = 7.0


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> WrittenStudy:
    return write_spine(tmp_path_factory.mktemp("baseline"), axial=False)


def cropped(folder: Path, rows: int) -> WrittenStudy:
    """Write a follow-up that shows only the lowest rows of the usual field of view."""
    whole = sagittal_grid(THINNER)
    grid = Grid((whole.shape[0], whole.shape[1], rows), whole.affine)
    for name, weighting, header in (
        ("a", Weighting.T2, SeriesHeader()),
        ("b", Weighting.T1, T1_HEADER),
        ("c", Weighting.OTHER, T1_POST_FS_HEADER),
    ):
        image = image_of(THINNER, grid, weighting, "1.2.3.2")
        write_sagittal_series(image, folder / "dicom" / name, header, **LATER)
    return WrittenStudy(folder / "dicom", write_labels(folder / "labels.nii.gz", THINNER, grid), (0.0, 0.0, 0.0))


def compared(baseline: WrittenStudy, followup: WrittenStudy, out: Path) -> tuple[dict, dict]:
    """Compare, and return the second time point with the codes of all findings by file."""
    options = Options(config=TABLES_ONLY, levels=(parse_level(baseline.level),), dicom=False)
    compare_studies(
        [baseline.folder, followup.folder], out, replace(options, labels=(baseline.labels, followup.labels))
    )
    contents = {
        "comparison": json.loads((out / "comparison.json").read_text()),
        "followup": json.loads((out / "timepoint_2" / "measurements.json").read_text()),
    }
    codes = {name: {flag["code"] for flag in content["quality"]["flags"]} for name, content in contents.items()}
    return contents["comparison"]["timepoints"][1], codes


def no_change(point: dict) -> bool:
    return all(point[key] is None for key in ("change_percent", "change_ci95_percent", "paired_change_percent"))


def test_a_mass_over_the_edge_has_no_change(baseline: WrittenStudy, tmp_path: Path) -> None:
    # The mass goes up to row 162 of 200; the field of view ends in its middle.
    point, codes = compared(baseline, cropped(tmp_path / "followup", 130), tmp_path / "out")
    assert point["verdict"] == "not_assessable"
    assert no_change(point)
    assert "MASS_TOUCHES_EDGE" in codes["followup"]
    assert "CHANGE_NOT_ASSESSABLE" in codes["comparison"]


def test_a_visit_without_contrast_is_compared_with_a_warning(baseline: WrittenStudy, tmp_path: Path) -> None:
    plain = write_spine(tmp_path / "followup", THINNER, study="study-2", date="20240320", axial=False, contrast=False)
    point, codes = compared(baseline, plain, tmp_path / "out")
    assert point["change_percent"] < -10
    assert "NO_POST_CONTRAST" in codes["followup"]
    assert "PROTOCOL_CHANGED" in codes["comparison"]


def test_another_coverage_has_no_change(baseline: WrittenStudy, tmp_path: Path) -> None:
    # T5, into which the mass reaches at the baseline, is cut; the mass itself is not.
    point, codes = compared(baseline, cropped(tmp_path / "followup", 163), tmp_path / "out")
    assert point["verdict"] == "not_assessable"
    assert no_change(point)
    assert {"COVERAGE_DIFFERS", "CHANGE_NOT_ASSESSABLE"} <= codes["comparison"]


def test_another_patients_id_is_refused(baseline: WrittenStudy, tmp_path: Path) -> None:
    grid = sagittal_grid(THINNER)
    image = image_of(THINNER, grid, Weighting.T2, "1.2.3.2")
    write_sagittal_series(image, tmp_path / "followup" / "a", SeriesHeader(), patient_id="somebody-else", **LATER)
    other = WrittenStudy(tmp_path / "followup", write_labels(tmp_path / "l.nii.gz", THINNER, grid), (0.0, 0.0, 0.0))
    with pytest.raises(InputError) as caught:
        compared(baseline, other, tmp_path / "out")
    assert caught.value.code == "SEVERAL_PATIENTS"
    assert not (tmp_path / "out").exists()


def blotched(folder: Path, spine: Spine, seed: int, **facts: str) -> WrittenStudy:
    """Write a T2 in which the tissues of this patient have a pattern of their own."""
    grid = sagittal_grid(spine)
    image = image_of(spine, grid, Weighting.T2, f"1.2.3.{seed}")
    noise = np.random.default_rng(seed).standard_normal(grid.shape)
    pattern = ndimage.gaussian_filter(noise, [BLOTCH_MM / mm for mm in grid.spacing])
    shown = np.rint(image.array * np.exp(1.2 * pattern / pattern.std()))
    write_sagittal_series(image.with_array(np.clip(shown, 0, 4000)), folder / "dicom" / "a", SeriesHeader(), **facts)
    x, y, z = (float(v) for v in spine.to_lps([0.0, spine.curve(0.0) - 23.0, 0.0]))
    return WrittenStudy(folder / "dicom", write_labels(folder / "labels.nii.gz", spine, grid), (x, y, z))


def test_another_patients_scan_under_the_same_id_has_no_change(tmp_path: Path) -> None:
    first = blotched(tmp_path / "first", Spine(), 1)
    same, _ = compared(first, blotched(tmp_path / "same", Spine(6.6), 1, **LATER), tmp_path / "out_same")
    assert same["verdict"] != "not_assessable"
    point, codes = compared(first, blotched(tmp_path / "other", THINNER, 2, **LATER), tmp_path / "out")
    assert point["verdict"] == "not_assessable"
    assert no_change(point)
    # Seven vertebrae are too few to call it another patient; they are enough not to call it the same one.
    assert "LEVEL_TRANSFER_FAILED" in codes["followup"]
    assert "CHANGE_NOT_ASSESSABLE" in codes["comparison"]
