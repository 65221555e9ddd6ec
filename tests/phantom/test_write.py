"""DICOM studies: geometry read back, identifiers, compression, truth and determinism."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from spinemri.errors import UsageError
from spinemri.phantom import build_geometry, load_recipe, render, stack_grid, write_phantom
from spinemri.phantom.dicom import GREATEST_STORED, STORED_PER_UNIT
from spinemri.phantom.recipe import MassRecipe, PhantomRecipe, SequenceParameters, SeriesRecipe, VisitRecipe

POST = SequenceParameters(
    weighting="T1", repetition_time_ms=600.0, echo_time_ms=12.0, fat_suppressed=True, contrast_enhanced=True,
    slice_thickness_mm=3.0,
)  # fmt: skip
STIR = SequenceParameters(weighting="STIR", echo_time_ms=50.0, inversion_time_ms=160.0, fat_suppressed=True)
SMALL = {"voxel_mm": 1.3, "field_of_view_mm": (70.0, 80.0)}
RECIPE = PhantomRecipe(
    name="small",
    seed=3,
    mass=MassRecipe(from_level="T6", to_level="T7", worst_level="T6/7"),
    series=(
        SeriesRecipe(name="sag_post", slices=5, slice_pitch_mm=3.3, oblique_degrees=6.0, sequence=POST, **SMALL),
        SeriesRecipe(name="ax_t2", plane="axial", slices=4, oblique_degrees=5.0, **SMALL),
        SeriesRecipe(name="count", slices=3, slice_pitch_mm=6.0, localizer=True, sequence=STIR, **SMALL),
    ),
    visits=(
        VisitRecipe(name="baseline", rotation_degrees=(3.0, 1.0, -4.0)),
        VisitRecipe(name="later", volume_factor=0.8, shift_mm=(2.0, 4.0, -6.0), noise_seed=1),
    ),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("phantom") / "out"
    write_phantom(RECIPE, out)
    return out


def _files(folder, *parts):
    return sorted((folder.joinpath(*parts)).rglob("*.dcm"))


def _lps(dataset, row, column):
    """DICOM PS3.3 C.7.6.2.1.1: rows advance along the second direction cosine."""
    cosines = np.array(dataset.ImageOrientationPatient, dtype=float)
    down, across = (float(x) for x in dataset.PixelSpacing)
    return (
        np.array(dataset.ImagePositionPatient, dtype=float) + cosines[:3] * across * column + cosines[3:] * down * row
    )


@pytest.mark.parametrize(("index", "visit"), [(0, 0), (1, 0), (1, 1)])
def test_geometry_and_values_come_back(folder, index, visit):
    series = RECIPE.series[index]
    geometry = build_geometry(RECIPE, RECIPE.visits[visit])
    grid = stack_grid(geometry, series)
    rng = np.random.default_rng([RECIPE.seed, RECIPE.visits[visit].noise_seed, index + 1])
    image, _ = render(geometry, grid, series.sequence, rng)
    files = _files(folder, RECIPE.visits[visit].name, f"{index + 1:02d}_{series.name}")
    assert len(files) == series.slices
    for number, path in enumerate(files):
        dataset = pydicom.dcmread(path)
        pixels = dataset.pixel_array
        row, column = pixels.shape[0] - 2, 5
        sagittal = series.plane == "sagittal"
        voxel = (number, column, image.shape[2] - 1 - row) if sagittal else (column, row, number)
        # Decimal strings keep nine digits: far below the micrometre asked for.
        np.testing.assert_allclose(_lps(dataset, row, column), grid.to_lps(np.array(voxel, float)), atol=1e-3)
        expected = np.clip(np.round(image.array[voxel] * STORED_PER_UNIT), 0, GREATEST_STORED)
        assert pixels[row, column] == expected


def test_headers_say_what_it_is(folder):
    first = pydicom.dcmread(_files(folder, "baseline")[0])
    assert "Phantom" in str(first.PatientName)
    assert first.PatientID.startswith("PHANTOM-")
    assert first.ScanOptions == "FS"
    assert first.ContrastBolusAgent
    assert first.SliceThickness == 3.0
    assert first.SpacingBetweenSlices == pytest.approx(3.3)
    assert first.file_meta.TransferSyntaxUID.name.startswith("JPEG-LS Lossless")
    stir = pydicom.dcmread(_files(folder, "baseline", "03_count")[0])
    assert list(stir.ScanningSequence) == ["SE", "IR"]
    assert stir.InversionTime == 160


def test_identifiers_are_unique_and_shared_where_they_should_be(folder):
    datasets = [pydicom.dcmread(path, stop_before_pixels=True) for path in _files(folder)]
    assert len({d.SOPInstanceUID for d in datasets}) == len(datasets)
    assert len({d.SeriesInstanceUID for d in datasets}) == 6
    assert len({d.PatientID for d in datasets}) == 1
    visits = {(d.StudyInstanceUID, d.FrameOfReferenceUID) for d in datasets}
    assert len(visits) == 2
    assert all(len(d.SOPInstanceUID) <= 64 and d.SOPInstanceUID.startswith("2.25.") for d in datasets)


def test_truth_and_recipe_lie_beside(folder):
    truth = json.loads((folder / "truth.json").read_text())
    before, after = (visit["mass"]["volume_ml"] for visit in truth["visits"])
    assert after / before == pytest.approx(0.8, abs=1e-3)
    assert load_recipe(folder / "recipe.yaml") == RECIPE
    study = pydicom.dcmread(_files(folder, "later")[0], stop_before_pixels=True)
    assert truth["visits"][1]["study_instance_uid"] == study.StudyInstanceUID


def test_same_recipe_same_bytes(folder, tmp_path):
    write_phantom(RECIPE, tmp_path / "again")

    def digest(root: Path):
        return {
            str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.is_file()
        }

    assert digest(tmp_path / "again") == digest(folder)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian dicom3tools) is not installed")
@pytest.mark.parametrize("series", ["01_sag_post", "02_ax_t2", "03_count"])
def test_dciodvfy_finds_no_error(folder, series):
    done = subprocess.run(
        ["dciodvfy", "-new", str(_files(folder, "later", series)[0])], capture_output=True, text=True, check=False
    )
    assert "Error" not in done.stdout + done.stderr
    assert done.returncode == 0


def test_a_full_folder_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("keep")
    with pytest.raises(UsageError) as caught:
        write_phantom(RECIPE, tmp_path)
    assert caught.value.code == "FOLDER_NOT_EMPTY"
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_failure_leaves_nothing(tmp_path):
    impossible = RECIPE.model_copy(update={"mass": MassRecipe(from_level="T9", to_level="T7", worst_level="T8")})
    with pytest.raises(UsageError) as caught:
        write_phantom(impossible, tmp_path / "out")
    assert caught.value.code == "RECIPE_INVALID"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [("mass: {colour: red}", "RECIPE_INVALID"), ("a: [", "RECIPE_UNREADABLE"), ("3", "RECIPE_INVALID")],
)
def test_a_wrong_recipe_is_explained(tmp_path, text, code):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_recipe(path)
    assert caught.value.code == code
