"""Corrected masks are turned back into tissues and levels."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_result import make_result

from spinemri.errors import InputError
from spinemri.export.reading import Masks
from spinemri.measure.result import StudyResult
from spinemri.nomenclature import Tissue, vertebra_id
from spinemri.pipeline.corrected import corrected_levels, corrected_tissues, recorded_levels


@pytest.fixture(scope="module")
def result() -> StudyResult:
    return make_result()


@pytest.fixture
def masks(result: StudyResult) -> Masks:
    """The masks of the analytic spine, the mass with a rim of partial volume."""
    anatomy = result.anatomy
    inside = result.mass.mask.array > 0
    fraction = np.where(inside, 0.9, 0.0).astype(np.float32)
    fraction[:, 1:][inside[:, :-1] & ~inside[:, 1:]] = 0.2
    return Masks(anatomy.tissues.labels, anatomy.level_map, result.mass.mask, result.mass.mask.with_array(fraction))


def test_untouched_masks_keep_every_fraction(masks: Masks) -> None:
    tissues = corrected_tissues(masks, edited=())
    np.testing.assert_allclose(tissues.coverage.sum(0), 1.0, atol=1e-6)
    mass = tissues.fraction(Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE).array
    np.testing.assert_array_equal(mass, masks.mass_probability.array)


def test_an_edit_changes_the_mass_where_it_contradicts_the_fractions_only(masks: Masks) -> None:
    edited = masks.mass.array.copy()
    removed = (edited > 0) & (np.arange(edited.shape[2]) > 110)
    edited[removed] = 0
    added = (5, 20, 10)
    edited[added] = Tissue.MASS_OUTSIDE
    tissues = corrected_tissues(replace(masks, mass=masks.mass.with_array(edited)), edited=("mass",))
    mass = tissues.fraction(Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE).array
    assert mass[added] == 1.0
    assert tissues.coverage[Tissue.MASS_OUTSIDE][added] == 1.0
    assert not mass[removed].any()
    kept = (edited > 0) & (masks.mass.array > 0)
    np.testing.assert_array_equal(mass[kept], masks.mass_probability.array[kept])


def test_an_emptied_mask_is_no_mass(masks: Masks) -> None:
    empty = masks.mass.with_array(np.zeros(masks.mass.shape, dtype=np.uint8))
    tissues = corrected_tissues(replace(masks, mass=empty), edited=("mass",))
    assert not tissues.fraction(Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE).array.any()
    assert (tissues.canal.array[masks.anatomy.array == Tissue.MASS_CANAL] == 1.0).all()


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
