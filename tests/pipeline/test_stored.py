"""Coverages of an earlier run stand in for the network only where they are what it would give."""

from dataclasses import replace

import numpy as np
import pytest

from spinemri.anatomy import network
from spinemri.config import Config
from spinemri.intake import read_study
from spinemri.intake.model import Role
from spinemri.mass import segment as segment_module
from spinemri.phantom import write_phantom
from spinemri.phantom.recipe import PhantomRecipe
from spinemri.pipeline import Options, run_study
from spinemri.pipeline import tissues as tissues_module
from spinemri.pipeline.stored import stored_tissues

SERIES = {
    "name": "sag_t2", "centre": "T6/7", "voxel_mm": 1.4, "slice_pitch_mm": 4.4, "slices": 7,
    "field_of_view_mm": [140.0, 170.0],
}  # fmt: skip
TABLES_ONLY = Config.model_validate({"report": {"html": False}})


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A generated study and the results of its run."""
    folder = tmp_path_factory.mktemp("stored")
    mass = {"from_level": "T6", "to_level": "T7", "worst_level": "T6/7"}
    recipe = {"name": "stored", "seed": 3, "mass": mass, "series": [SERIES]}
    write_phantom(PhantomRecipe.model_validate(recipe), folder / "source")
    run_study(folder / "source" / "baseline", folder / "out", Options(config=TABLES_ONLY, dicom=False))
    return folder


def tree(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_result_is_the_same_and_nothing_is_segmented(earlier, tmp_path, monkeypatch):
    monkeypatch.setattr(tissues_module, "segment_study", lambda *_: pytest.fail("it was segmented again"))
    options = Options(config=TABLES_ONLY, dicom=False, earlier=(tmp_path / "absent", earlier / "out"))
    run_study(earlier / "source" / "baseline", tmp_path / "again", options)
    assert tree(tmp_path / "again") == tree(earlier / "out")


def test_a_series_that_had_been_moved_is_moved_again(tmp_path, monkeypatch):
    second = SERIES | {"name": "sag_t1", "sequence": {"weighting": "T1", "repetition_time_ms": 560, "echo_time_ms": 11}}
    recipe = {"name": "moved", "seed": 3, "series": [SERIES, second]}
    write_phantom(PhantomRecipe.model_validate(recipe), tmp_path / "source")
    shift = np.array([0.31, -2.5, 1.07])
    with monkeypatch.context() as patch:
        patch.setattr(segment_module, "estimate_shift", lambda *_: shift)
        run_study(tmp_path / "source" / "baseline", tmp_path / "out", Options(config=TABLES_ONLY, dicom=False))
    study = read_study(tmp_path / "source" / "baseline")
    stacks = {stack.role: (stack.load(), stack) for stack in study.stacks if stack.role is not None}
    assert list(stacks) == [Role.SAGITTAL_T2, Role.SAGITTAL_T1]
    found = stored_tissues([tmp_path / "out"], study, stacks, TABLES_ONLY)
    assert found.shifts[Role.SAGITTAL_T1].tolist() == shift.tolist()
    options = Options(config=TABLES_ONLY, dicom=False, earlier=(tmp_path / "out",))
    run_study(tmp_path / "source" / "baseline", tmp_path / "again", options)
    assert tree(tmp_path / "again") == tree(tmp_path / "out")
    assert "SERIES_MOVED" in (tmp_path / "again" / "measurements.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("what", ["images", "settings", "network", "damage"])
def test_nothing_is_taken_from_other_images_settings_or_networks(earlier, tmp_path, monkeypatch, what):
    study, config, folder = read_study(earlier / "source" / "baseline"), TABLES_ONLY, earlier / "out"
    stack = next(stack for stack in study.stacks if stack.role is not None)
    image = stack.load()
    assert stored_tissues([folder], study, {stack.role: (image, stack)}, config) is not None
    if what == "images":
        study = replace(study, inputs_sha256="0" * 64)
    elif what == "settings":
        config = Config.model_validate({"mass": {"minimum_volume_ml": 0.7}, "report": {"html": False}})
    elif what == "network":
        monkeypatch.setattr(network, "model_sha256", lambda: "0" * 64)
    else:
        image = image.with_array(np.zeros(image.shape))
        folder = tmp_path
        (tmp_path / "nifti").mkdir()
        (tmp_path / "measurements.json").write_bytes((earlier / "out" / "measurements.json").read_bytes())
        (tmp_path / "nifti" / "anatomy_probseg.nii.gz").write_bytes(b"damaged")
    assert stored_tissues([folder], study, {stack.role: (image, stack)}, config) is None
