"""Coverage, contrast and determinism of rendered stacks."""

from __future__ import annotations

import numpy as np
import pytest

from spinemri.nomenclature import Tissue
from spinemri.phantom import render, stack_grid, training_stack
from spinemri.phantom.geometry import build_geometry
from spinemri.phantom.mass import MassGrid, mass_volumes_mm3
from spinemri.phantom.recipe import MassRecipe, PhantomRecipe, SequenceParameters, SeriesRecipe, VisitRecipe
from spinemri.phantom.sampling import random_recipe

RECIPE = PhantomRecipe(
    seed=11,
    mass=MassRecipe(compression=0.65),
    visits=(VisitRecipe(shift_mm=(3.0, 5.0, -8.0), rotation_degrees=(4.0, -2.0, 6.0)),),
)
SERIES = SeriesRecipe(
    name="sag", voxel_mm=0.9, slice_pitch_mm=4.0, slices=13, field_of_view_mm=(110.0, 160.0), oblique_degrees=7.0
)
T1 = SequenceParameters(weighting="T1", repetition_time_ms=600.0, echo_time_ms=12.0)
T1_POST = T1.model_copy(update={"fat_suppressed": True, "contrast_enhanced": True})


@pytest.fixture(scope="module")
def geometry():
    return build_geometry(RECIPE)


@pytest.fixture(scope="module")
def rendered(geometry):
    return render(geometry, stack_grid(geometry, SERIES), SequenceParameters(), np.random.default_rng(1))


def _volume_mm3(coverage):
    return float(coverage.coverage[Tissue.MASS_CANAL :].sum()) * coverage.grid.voxel_volume_mm3


def test_coverage_sums_to_one(rendered):
    np.testing.assert_allclose(rendered[1].coverage.sum(0), 1.0, atol=1e-5)
    assert float(rendered[1].coverage.min()) >= -1e-6


def test_coverage_holds_the_true_volume_on_an_oblique_stack(geometry, rendered):
    grid = MassGrid.around(geometry.mass, geometry.canal, geometry.curve)
    truth = sum(mass_volumes_mm3(geometry.mass, grid))
    assert _volume_mm3(rendered[1]) == pytest.approx(truth, rel=0.015)


@pytest.mark.parametrize("tissue", [Tissue.DURAL_SAC, Tissue.CORD, Tissue.BODY, Tissue.MASS_CANAL])
def test_volume_does_not_depend_on_the_resolution(geometry, rendered, tissue):
    # The same slab sampled by half-pitch slices, each pair of which makes one slice of the first stack.
    halved = SERIES.model_copy(update={"slice_pitch_mm": 2.0, "slices": 26})
    _, fine = render(geometry, stack_grid(geometry, halved), SequenceParameters(), np.random.default_rng(1))
    coarse = rendered[1].coverage[tissue].sum() * rendered[1].grid.voxel_volume_mm3
    assert fine.coverage[tissue].sum() * fine.grid.voxel_volume_mm3 == pytest.approx(float(coarse), rel=0.01)
    pairs = fine.coverage[tissue].reshape(13, 2, *fine.grid.shape[1:]).mean(1)
    assert float(np.abs(pairs - rendered[1].coverage[tissue]).mean()) < 2e-3


def _mean(image, coverage, *tissues):
    pure = sum(coverage.coverage[int(t)] for t in tissues) > 0.97
    return float(image.array[pure].mean())


def test_contrast_is_that_of_the_weighting(geometry):
    even = {"bias": 0.0, "coil_decay_mm": 1e6, "noise": 0.0}
    grid = stack_grid(geometry, SERIES)
    images = []
    for sequence in (SequenceParameters(), T1, T1_POST):
        image, tissues = render(geometry, grid, sequence.model_copy(update=even), np.random.default_rng(1))
        images.append(image)
    t2, t1, post = images
    assert _mean(t2, tissues, Tissue.DURAL_SAC) > 1.5 * _mean(t2, tissues, Tissue.CORD)
    assert _mean(t1, tissues, Tissue.DURAL_SAC) < 0.8 * _mean(t1, tissues, Tissue.CORD)
    fat = tissues.coverage[Tissue.EPIDURAL] > 0.97
    assert post.array[fat].mean() < 0.7 * t1.array[fat].mean()
    marrow = float(np.median(t2.array[tissues.coverage[Tissue.BODY] > 0.99]))
    # Each vertebra's marrow varies by 4 %, and the mass has texture.
    assert _mean(t2, tissues, Tissue.MASS_CANAL) / marrow == pytest.approx(RECIPE.mass.t2_to_marrow, rel=0.12)


def test_same_seed_same_voxels(geometry, rendered):
    again, tissues = render(geometry, stack_grid(geometry, SERIES), SequenceParameters(), np.random.default_rng(1))
    assert again.array.tobytes() == rendered[0].array.tobytes()
    assert tissues.coverage.tobytes() == rendered[1].coverage.tobytes()


def test_axial_stack_sees_the_same_volume(geometry, rendered):
    axial = SERIES.model_copy(update={"plane": "axial", "slices": 30, "field_of_view_mm": (70.0, 70.0)})
    _, tissues = render(geometry, stack_grid(geometry, axial), SequenceParameters(), np.random.default_rng(1))
    assert _volume_mm3(tissues) == pytest.approx(_volume_mm3(rendered[1]), rel=0.015)


def test_training_stack_is_what_it_says():
    image, tissues, weighting, fat_suppressed, enhanced = training_stack(
        np.random.default_rng(4), weighting="T1", with_mass=True
    )
    assert weighting == "T1"
    assert fat_suppressed == enhanced
    assert image.grid.same_as(tissues.grid)
    assert 12 <= image.shape[0] <= 16
    assert 3.0 <= image.spacing[0] <= 4.5
    assert 0.6 <= image.spacing[1] <= 1.0
    assert _volume_mm3(tissues) > 50.0
    assert np.isfinite(image.array).all()


@pytest.mark.parametrize("seed", range(25))
def test_every_random_recipe_can_be_built(seed):
    recipe = random_recipe(np.random.default_rng(seed), with_mass=True)
    assert PhantomRecipe.model_validate(recipe.model_dump(mode="json")) == recipe
    geometry = build_geometry(recipe)
    assert (geometry.sac.sac.squeeze > 0.0).all()
