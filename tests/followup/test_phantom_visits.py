"""Level transfer on rendered phantoms, through the anatomy stage, where nothing anchors the count."""

from dataclasses import replace

import numpy as np

from spinemri.anatomy.build import build_anatomy
from spinemri.anatomy.levels import LevelHints
from spinemri.followup import transfer_levels
from spinemri.phantom import build_geometry, render, stack_grid
from spinemri.phantom.recipe import MassRecipe, PhantomRecipe, SequenceParameters, SeriesRecipe, VisitRecipe

SERIES = SeriesRecipe(
    name="sag_t2", centre="T7", slices=9, slice_pitch_mm=4.4, voxel_mm=1.6, field_of_view_mm=(160, 230)
)


def visit_of(recipe, visit, series):
    geometry = build_geometry(recipe, visit)
    image, tissues = render(
        geometry, stack_grid(geometry, series), SequenceParameters(), np.random.default_rng(visit.noise_seed)
    )
    return build_anatomy(tissues, hints=LevelHints()), image, geometry


def named_by_truth(anatomy, geometry):
    """The anatomy under true names, as if an anchor had been seen."""

    def true_name(vertebra):
        distances = {
            name: np.linalg.norm(geometry.level_lps(name) - np.array(vertebra.centre_lps_mm))
            for name in [f"T{n}" for n in range(1, 13)] + ["C6", "C7", "L1", "L2"]
        }
        return min(distances, key=distances.__getitem__)

    vertebrae = tuple(replace(v, name=true_name(v)) for v in anatomy.levels.vertebrae)
    return replace(anatomy, levels=replace(anatomy.levels, vertebrae=vertebrae, numbering="absolute"))


def test_a_turned_smaller_and_shifted_follow_up_gets_true_names():
    turned = VisitRecipe(
        name="followup",
        volume_factor=0.6,
        shift_mm=(15.0, -12.0, 9.0),
        rotation_degrees=(9.0, -6.0, 10.0),
        bending_degrees=4.0,
        noise_seed=1,
    )
    recipe = PhantomRecipe(seed=8, mass=MassRecipe(), visits=(VisitRecipe(), turned), series=(SERIES,))
    anatomy, image, geometry = visit_of(recipe, recipe.visits[0], SERIES)
    follow, follow_image, follow_geometry = visit_of(
        recipe, turned, SERIES.model_copy(update={"centre": "T9", "oblique_degrees": 4.0})
    )
    levels, flags = transfer_levels(named_by_truth(anatomy, geometry), image, follow, follow_image)
    truth = named_by_truth(follow, follow_geometry).levels
    assert [v.name for v in levels.vertebrae][1:-1] == [v.name for v in truth.vertebrae][1:-1]
    assert levels.anchor == "baseline"
    assert {flag.code for flag in flags} <= {"LEVELS_FROM_BASELINE"}
