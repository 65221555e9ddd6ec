"""The shipped sample belongs to its recipe and to the code that reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spinemri.phantom import build_geometry, load_recipe
from spinemri.phantom.recipe import recipe_sha256
from spinemri.phantom.truth import visit_truth

SAMPLE = Path(__file__).parents[2] / "sample_data"


@pytest.fixture(scope="module")
def recipe():
    return load_recipe(SAMPLE / "recipe.yaml")


@pytest.fixture(scope="module")
def truth():
    return json.loads((SAMPLE / "truth.json").read_text())


def test_truth_was_made_from_this_recipe(recipe, truth):
    assert truth["recipe_sha256"] == recipe_sha256(recipe)
    assert [v["name"] for v in truth["visits"]] == ["baseline", "followup"]


def test_every_slice_is_there_and_small(recipe):
    files = list(SAMPLE.rglob("*.dcm"))
    assert len(files) == 2 * sum(series.slices for series in recipe.series)
    assert sum(path.stat().st_size for path in files) < 15e6


def test_truth_still_holds(recipe, truth):
    fresh = visit_truth(build_geometry(recipe))
    shipped = truth["visits"][0]
    assert fresh["mass"]["volume_ml"] == pytest.approx(shipped["mass"]["volume_ml"], rel=1e-4)
    assert fresh["compromise"]["worst_level"] == shipped["compromise"]["worst_level"] == "T6/7"
    assert fresh["compromise"]["mscc_percent"] == pytest.approx(shipped["compromise"]["mscc_percent"], abs=0.1)


def test_follow_up_has_16_4_percent_less(truth):
    before, after = (v["mass"]["volume_ml"] for v in truth["visits"])
    assert 1.0 - after / before == pytest.approx(0.164, abs=1e-3)
