"""A generated lumbar mass from its images to the Schizas grade in every file, with its exact outline for mask."""

import csv
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from written_study import LEFT_BACK_TO_RIGHT_FRONT

from spinemri.cli.summary import study_lines
from spinemri.config import Config, ReportSettings
from spinemri.export.reading import read_measurements
from spinemri.phantom import PhantomRecipe, build_geometry, render, stack_grid, write_phantom
from spinemri.phantom.recipe import MassRecipe, SeriesRecipe
from spinemri.pipeline import Options, remeasure, run_study

RECIPE = PhantomRecipe(
    seed=4,
    mass=MassRecipe(from_level="L2", to_level="L4", worst_level="L3/4", compression=0.5),
    series=(
        SeriesRecipe(name="sag_t2", centre="L3", voxel_mm=0.9, slices=11, field_of_view_mm=(110, 230)),
        SeriesRecipe(
            name="ax_t2", plane="axial", centre="L3", voxel_mm=0.6, slice_pitch_mm=4.5, slices=27,
            field_of_view_mm=(70, 90), oblique_degrees=4.0,
        ),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lumbar")
    write_phantom(RECIPE, folder / "phantom")
    geometry, series = build_geometry(RECIPE), RECIPE.series[0]
    _, coverage = render(geometry, stack_grid(geometry, series), series.sequence, np.random.default_rng(0))
    labels = coverage.labels
    nib.save(nib.Nifti1Image(labels.array, LEFT_BACK_TO_RIGHT_FRONT @ labels.affine), folder / "labels.nii.gz")
    x, y, z = (float(v) for v in geometry.level_lps("L3"))
    settings = Config(report=ReportSettings(html=False))
    options = Options(config=settings, labels=(folder / "labels.nii.gz",), levels=(("L3", (x, y, z)),))
    run_study(folder / "phantom" / "baseline", folder / "out", options)
    return folder / "out"


def test_the_grade_and_what_it_rests_on_are_in_json_and_table(measured: Path) -> None:
    content = json.loads((measured / "measurements.json").read_text())
    compromise = content["compromise"]
    evidence = compromise["schizas_evidence"]
    assert compromise["worst_level"] in {"L3", "L3/4", "L4"}
    assert compromise["escc_grade"] is None
    # Half of the canal is taken: between the sixteen rootlets there is still more fluid than nerve.
    assert compromise["schizas_grade"] == "A"
    assert evidence["csf_share"] > 0.5
    assert evidence["series"] == "axial_t2"
    (row,) = csv.DictReader((measured / "measurements.csv").read_text().splitlines())
    assert row["schizas_grade"] == "A"
    assert float(row["schizas_csf_share"]) == evidence["csf_share"]
    assert row["schizas_series"] == "axial_t2"
    assert any("Schizas A" in line for line in study_lines(read_measurements(measured)))


def test_measuring_again_gives_the_same_digits(measured: Path, tmp_path: Path) -> None:
    copy = tmp_path / "out"
    shutil.copytree(measured, copy)
    before = (copy / "measurements.json").read_bytes()
    remeasure(copy)
    assert (copy / "measurements.json").read_bytes() == before
