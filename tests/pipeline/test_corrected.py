"""Corrected masks are turned back into tissues and levels."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_result import make_result

from spinemri.anatomy.model import TissueMap
from spinemri.errors import InputError
from spinemri.export.reading import Masks
from spinemri.measure.result import StudyResult
from spinemri.nomenclature import Tissue, vertebra_id
from spinemri.pipeline.corrected import corrected_levels, corrected_tissues, recorded_levels
from spinemri.pipeline.coverage import quantised

MASS = (Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)


@pytest.fixture(scope="module")
def result() -> StudyResult:
    return make_result()


@pytest.fixture(scope="module")
def stored(result: StudyResult) -> TissueMap:
    """The analytic spine with partial volume: every voxel mixed with its neighbour in front."""
    coverage = result.anatomy.tissues.coverage
    mixed = 0.6 * coverage + 0.4 * np.roll(coverage, 1, axis=2)
    return quantised(replace(result.anatomy.tissues, coverage=mixed.astype(np.float32)))


@pytest.fixture
def masks(result: StudyResult, stored: TissueMap) -> Masks:
    """What a run would have written of it."""
    mass = stored.fraction(*MASS)
    mask = mass.with_array(np.where(mass.array >= 0.5, 8, 0).astype(np.uint8))
    return Masks(stored.labels, result.anatomy.level_map, mask, mass)


def test_untouched_masks_keep_every_fraction(stored: TissueMap, masks: Masks) -> None:
    tissues = corrected_tissues(stored, masks, edited=())
    np.testing.assert_array_equal(tissues.coverage, stored.coverage)


def test_a_part_that_the_run_rejected_is_no_mass(stored: TissueMap, masks: Masks) -> None:
    reported = masks.mass_probability.array.copy()
    rejected = np.arange(reported.shape[2]) > 110
    reported[:, :, rejected] = 0
    tissues = corrected_tissues(
        stored, replace(masks, mass_probability=masks.mass_probability.with_array(reported)), edited=()
    )
    assert not tissues.fraction(*MASS).array[:, :, rejected].any()
    np.testing.assert_allclose(tissues.coverage.sum(0), 1.0, atol=1e-5)
    pure = (stored.fraction(*MASS).array == 1.0) & rejected
    assert pure.any()
    assert (tissues.coverage[Tissue.EPIDURAL][pure] == 1.0).all()


def test_an_edit_changes_the_mass_where_it_contradicts_the_fractions_only(stored: TissueMap, masks: Masks) -> None:
    edited = masks.mass.array.copy()
    removed = (edited > 0) & (np.arange(edited.shape[2]) > 110)
    edited[removed] = 0
    added = (5, 20, 10)
    edited[added] = Tissue.MASS_OUTSIDE
    tissues = corrected_tissues(stored, replace(masks, mass=masks.mass.with_array(edited)), edited=("mass",))
    mass = tissues.fraction(*MASS).array
    assert mass[added] == 1.0
    assert tissues.coverage[Tissue.MASS_OUTSIDE][added] == 1.0
    assert not mass[removed].any()
    np.testing.assert_allclose(tissues.coverage.sum(0), 1.0, atol=1e-5)
    # The partial volume above the cut stays, and so does everything that was no mass.
    below = np.arange(edited.shape[2]) > 110
    untouched = (~below | (stored.fraction(*MASS).array == 0)) & ~removed
    untouched[added] = False
    assert ((mass > 0) & (mass < 0.5) & untouched).any()
    np.testing.assert_array_equal(tissues.coverage[:, untouched], stored.coverage[:, untouched])


def test_the_partial_volume_around_what_was_erased_goes_with_it(stored: TissueMap, masks: Masks) -> None:
    edited = masks.mass.array.copy()
    below = np.broadcast_to(np.arange(edited.shape[2]) > 110, edited.shape)
    edited[below] = 0
    before = stored.fraction(*MASS).array
    mass = (
        corrected_tissues(stored, replace(masks, mass=masks.mass.with_array(edited)), edited=("mass",))
        .fraction(*MASS)
        .array
    )
    shell = (before > 0) & (before < 0.5)
    assert (shell & below).any()
    assert not mass[below].any()
    assert mass.sum() == pytest.approx(before[~below].sum(), rel=0.02)


def test_an_edited_tissue_is_taken_as_drawn(stored: TissueMap, masks: Masks) -> None:
    drawn = masks.anatomy.array.copy()
    drawn[6, 40:44, 100] = Tissue.DURAL_SAC
    changed = drawn != masks.anatomy.array
    assert changed.any()
    tissues = corrected_tissues(stored, replace(masks, anatomy=masks.anatomy.with_array(drawn)), edited=("anatomy",))
    assert (tissues.coverage[Tissue.DURAL_SAC][changed] == 1.0).all()
    np.testing.assert_array_equal(tissues.coverage[:, ~changed], stored.coverage[:, ~changed])


def test_mass_put_on_the_other_side_of_the_wall_moves_with_its_partial_volume(stored: TissueMap, masks: Masks) -> None:
    below = np.broadcast_to(np.arange(masks.mass.shape[2]) > 110, masks.mass.shape)
    edited = np.where(below & (masks.mass.array > 0), Tissue.MASS_OUTSIDE, masks.mass.array).astype(np.uint8)
    tissues = corrected_tissues(stored, replace(masks, mass=masks.mass.with_array(edited)), edited=("mass",))
    moved, stayed = edited == Tissue.MASS_OUTSIDE, edited == Tissue.MASS_CANAL
    assert moved.any()
    assert stayed.any()
    assert not tissues.coverage[Tissue.MASS_CANAL][moved].any()
    shell = (edited == 0) & (stored.fraction(*MASS).array > 0)
    # Slice and row beside the cut have neighbours on either side.
    clear = np.abs(np.arange(edited.shape[2]) - 110) > 3
    assert not tissues.coverage[Tissue.MASS_CANAL][shell & below & clear].any()
    assert not tissues.coverage[Tissue.MASS_OUTSIDE][~below & clear].any()
    # Nothing but the side of the wall has changed.
    np.testing.assert_allclose(tissues.fraction(*MASS).array, stored.fraction(*MASS).array, atol=1e-5)
    others = [tissue for tissue in Tissue if tissue not in MASS]
    np.testing.assert_allclose(tissues.coverage[others], stored.coverage[others], atol=1e-5)
    outside = replace(stored, coverage=tissues.coverage)
    back = np.where(edited > 0, Tissue.MASS_CANAL, 0).astype(np.uint8)
    again = corrected_tissues(outside, replace(masks, mass=masks.mass.with_array(back)), edited=("mass",))
    assert not again.coverage[Tissue.MASS_OUTSIDE][moved].any()


@pytest.mark.parametrize("edited", [("anatomy",), ("anatomy", "mass")])
def test_mass_made_another_tissue_is_that_tissue(stored: TissueMap, masks: Masks, edited: tuple[str, ...]) -> None:
    mass, drawn = masks.mass.array.copy(), masks.anatomy.array.copy()
    became_cord = (mass > 0) & (np.arange(mass.shape[2]) > 110)
    faint = (mass == 0) & (stored.fraction(*MASS).array > 0) & (np.arange(mass.shape[2]) < 90)
    drawn[became_cord | faint] = Tissue.CORD
    added = (5, 20, 10)
    if "mass" in edited:
        # Elsewhere, and what both masks claim is the mass's.
        mass[added] = Tissue.MASS_OUTSIDE
        drawn[added] = Tissue.CORD
    both = replace(masks, mass=masks.mass.with_array(mass), anatomy=masks.anatomy.with_array(drawn))
    tissues = corrected_tissues(stored, both, edited)
    assert faint.any()
    changed = (became_cord | faint) & (drawn != stored.labels.array)
    assert (changed & became_cord).any()
    assert (tissues.coverage[Tissue.CORD][changed] == 1.0).all()
    assert tissues.coverage[Tissue.MASS_OUTSIDE][added] == float("mass" in edited)
    kept = (masks.mass.array > 0) & ~became_cord
    np.testing.assert_array_equal(tissues.coverage[:, kept], stored.coverage[:, kept])


@pytest.mark.parametrize("tissue", MASS)
def test_mass_drawn_among_the_tissues_is_mass(stored: TissueMap, masks: Masks, tissue: Tissue) -> None:
    drawn = masks.anatomy.array.copy()
    drawn[6, 38:44, 100] = tissue
    tissues = corrected_tissues(stored, replace(masks, anatomy=masks.anatomy.with_array(drawn)), edited=("anatomy",))
    changed = drawn != masks.anatomy.array
    assert changed.any()
    assert (tissues.coverage[tissue][changed] == 1.0).all()


def test_an_emptied_mask_is_no_mass(stored: TissueMap, masks: Masks) -> None:
    empty = masks.mass.with_array(np.zeros(masks.mass.shape, dtype=np.uint8))
    tissues = corrected_tissues(stored, replace(masks, mass=empty), edited=("mass",))
    assert not tissues.fraction(*MASS).array.any()
    # The canal keeps its size: what was mass is shared by the tissues around it, or is epidural space.
    inside = (stored.canal.array == 1.0) & (masks.mass.array > 0)
    assert inside.any()
    np.testing.assert_allclose(tissues.canal.array[inside], 1.0, atol=1e-5)


def test_recorded_levels_come_back_as_they_were(result: StudyResult) -> None:
    levels = recorded_levels(result.measurements.levels)
    assert levels.vertebrae == result.anatomy.levels.vertebrae
    assert levels.discs == result.anatomy.levels.discs
    assert levels.anchor == "localizer:C2"


def test_renumbered_levels_are_read_off_the_map(result: StudyResult) -> None:
    level_map = result.anatomy.level_map
    ids = level_map.array
    levels = corrected_levels(level_map.with_array(np.where(ids > 0, ids + 1, 0).astype(np.uint8)))
    assert [v.name for v in levels.vertebrae] == ["T5", "T6", "T7", "T8", "T9", "T10", "T11"]
    assert [d.name for d in levels.discs] == ["T5/6", "T6/7", "T7/8", "T8/9", "T9/10", "T10/11"]
    assert levels.anchor == "user"
    for new, old in zip(levels.vertebrae, result.anatomy.levels.vertebrae, strict=True):
        # The bodies at both ends are cut by the image, which moves the centre of what is seen.
        if old.complete:
            np.testing.assert_allclose(new.centre_lps_mm, old.centre_lps_mm, atol=1.5)


def test_a_cut_body_is_incomplete(result: StudyResult) -> None:
    ids = result.anatomy.level_map.array.copy()
    ids[:, :, :3] = np.where(ids[:, :, 3:6] > 0, ids[:, :, 3:6], 0)
    ids[:, 60:64, 0] = vertebra_id("T10")
    levels = corrected_levels(result.anatomy.level_map.with_array(ids))
    assert not levels.vertebrae[-1].complete
    assert levels.vertebrae[3].complete


@pytest.mark.parametrize("number", [27, 99, 127])
def test_an_id_of_no_level_is_refused(result: StudyResult, number: int) -> None:
    ids = result.anatomy.level_map.array.copy()
    ids[0, 0, 0] = number
    with pytest.raises(InputError) as caught:
        corrected_levels(result.anatomy.level_map.with_array(ids))
    assert caught.value.code == "UNKNOWN_LEVEL"
