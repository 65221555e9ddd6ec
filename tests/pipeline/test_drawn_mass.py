"""What a person drew or gave of the mass is measured as it is."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from written_study import WrittenStudy, write_spine

from spinemri.cli.values import parse_level
from spinemri.config import Config, ReportSettings
from spinemri.nomenclature import Tissue
from spinemri.pipeline import Options, remeasure, run_study


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> WrittenStudy:
    return write_spine(tmp_path_factory.mktemp("baseline"), contrast=False, axial=False)


@pytest.fixture(scope="module")
def options(baseline: WrittenStudy) -> Options:
    config = Config(report=ReportSettings(html=False))
    return Options(config=config, labels=(baseline.labels,), levels=(parse_level(baseline.level),))


@pytest.fixture
def copy(measured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(measured, tmp_path / "out"))


def _json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def _codes(content: dict) -> set[str]:
    return {flag["code"] for flag in content["quality"]["flags"]}


def _draw(path: Path, where: tuple[slice, ...] | np.ndarray, tissue: Tissue) -> None:
    """Give voxels of a mask another id."""
    image = nib.load(path)
    array = np.asarray(image.dataobj).copy()
    array[where] = tissue
    nib.save(nib.Nifti1Image(array, image.affine), path)


def test_the_mass_of_given_masks_is_taken_as_it_is(baseline: WrittenStudy, options: Options, tmp_path: Path) -> None:
    image = nib.load(baseline.labels)
    array = np.asarray(image.dataobj).copy()
    array[array == Tissue.MASS_CANAL] = Tissue.EPIDURAL
    array[2:4, 5:8, 50] = Tissue.MASS_OUTSIDE
    nib.save(nib.Nifti1Image(array, image.affine), tmp_path / "far.nii.gz")
    run_study(baseline.folder, tmp_path / "out", replace(options, labels=(tmp_path / "far.nii.gz",)))
    for _ in range(2):
        content = _json(tmp_path / "out" / "measurements.json")["mass"]
        assert content["status"] == "measured"
        # Far below the smallest volume of what the network outlines.
        assert content["volume_ml"] == pytest.approx(6 * 4.0 * 0.8 * 0.8 / 1000, abs=0.001)
        remeasure(tmp_path / "out")


def test_a_drawn_part_far_from_the_canal_and_a_speck_are_measured(copy: Path) -> None:
    before = _json(copy / "measurements.json")["mass"]
    _draw(copy / "nifti" / "mass_dseg.nii.gz", np.s_[2:6, 5:15, 50:70], Tissue.MASS_OUTSIDE)
    _draw(copy / "nifti" / "mass_dseg.nii.gz", np.s_[1, 80, 190], Tissue.MASS_OUTSIDE)
    remeasure(copy)
    content = _json(copy / "measurements.json")["mass"]
    added_ml = (4 * 10 * 20 + 1) * 4.0 * 0.8 * 0.8 / 1000
    assert content["volume_ml"] == pytest.approx(before["volume_ml"] + added_ml, abs=0.003)
    assert {part["compartment"] for part in content["components"]} > {"epidural"}


def test_mass_put_outside_the_canal_no_longer_fills_it(copy: Path) -> None:
    before = _json(copy / "measurements.json")["mass"]
    path = copy / "nifti" / "mass_dseg.nii.gz"
    mask = np.asarray(nib.load(path).dataobj)
    _draw(path, mask == Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)
    remeasure(copy)
    content = _json(copy / "measurements.json")["mass"]
    assert content["volume_ml"] == pytest.approx(before["volume_ml"], abs=0.002)
    assert "epidural" not in {part["compartment"] for part in content["components"]}


def test_mass_made_another_tissue_is_no_mass_and_stays_none(copy: Path) -> None:
    before = _json(copy / "measurements.json")["mass"]["volume_ml"]
    path = copy / "nifti" / "anatomy_dseg.nii.gz"
    mass = np.asarray(nib.load(path).dataobj) == Tissue.MASS_CANAL
    rows = np.flatnonzero(mass.any((0, 1)))
    removed = mass & (np.arange(mass.shape[2]) < rows[len(rows) // 2])
    _draw(path, removed, Tissue.EPIDURAL)
    for _ in range(2):
        remeasure(copy)
        content = _json(copy / "measurements.json")
        assert content["mass"]["volume_ml"] == pytest.approx(before * (1 - removed.sum() / mass.sum()), rel=0.01)
        assert "MASKS_EDITED" in _codes(content)


def test_a_drawn_mass_settles_what_was_said_of_the_seed(
    baseline: WrittenStudy, options: Options, measured: Path, tmp_path: Path
) -> None:
    out = tmp_path / "seeded"
    run_study(baseline.folder, out, replace(options, mass_seed_lps_mm=(900.0, 0.0, 0.0)))
    remeasure(out)
    assert "MASS_SEED_FAR" in _codes(_json(out / "measurements.json"))
    shutil.copyfile(measured / "nifti" / "mass_dseg.nii.gz", out / "nifti" / "mass_dseg.nii.gz")
    remeasure(out)
    content = _json(out / "measurements.json")
    assert content["mass"]["status"] == "measured"
    assert not _codes(content) & {"MASS_SEED_FAR", "MASS_SEED_FAINT"}
