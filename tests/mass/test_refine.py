"""Sharing out the canal once more: what it repairs, and what it must leave alone."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from shapes import ellipsoid, oblique_affine

from spinemri.anatomy.model import TissueMap
from spinemri.config import MassSettings
from spinemri.errors import Flag
from spinemri.mass.model import Mass
from spinemri.mass.refine import refine_canal, refine_where_found
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume

SHAPE = (13, 70, 150)
SPACING = (3.6, 0.8, 0.8)
AFFINE = oblique_affine(SPACING, 8)
_inside = partial(ellipsoid, SHAPE, SPACING)
SIGNALS = {  # T2-like and enhanced T1-like; background, cord, CSF, fat, bone, mass
    "T2": {0: 60.0, 1: 70.0, 2: 150.0, 3: 110.0, 4: 75.0, 8: 85.0},
    "T1 enhanced": {0: 60.0, 1: 55.0, 2: 30.0, 3: 45.0, 4: 75.0, 8: 120.0},
}


def _truth() -> TissueMap:
    canal = _inside((6, 35, 75), (9, 9, 1e4))
    sac = np.minimum(_inside((6, 35, 75), (8, 7.5, 1e4)), canal)
    mass = np.minimum(_inside((6, 40.5, 75), (8, 6, 28)), canal)
    sac = np.minimum(sac, 1 - mass)
    cord = np.minimum(_inside((6, 31.5, 75), (5, 3, 1e4)), sac)
    coverage = np.zeros((len(Tissue), *SHAPE), dtype=np.float32)
    coverage[Tissue.CORD], coverage[Tissue.DURAL_SAC], coverage[Tissue.MASS_CANAL] = cord, sac - cord, mass
    coverage[Tissue.EPIDURAL] = np.clip(canal - sac - mass, 0, 1)
    coverage[Tissue.BODY, :, :20] = 1 - canal[:, :20]
    coverage[0] = 1 - coverage[1:].sum(0)
    return TissueMap(coverage, AFFINE, "frame")


def _image(truth: TissueMap, name: str, seed: int) -> Volume:
    signal = sum(np.float32(value) * truth.coverage[tissue] for tissue, value in SIGNALS[name].items())
    noise = np.random.default_rng(seed).normal(0, 5, SHAPE)
    return Volume((signal + noise).astype(np.float32), truth.affine, "frame")


def _hesitant(truth: TissueMap) -> TissueMap:
    """What a cautious network makes of it: four tenths of the mass go to the sac."""
    coverage = truth.coverage.copy()
    lost = 0.4 * coverage[Tissue.MASS_CANAL]
    coverage[Tissue.MASS_CANAL] -= lost
    coverage[Tissue.DURAL_SAC] += lost
    return replace(truth, coverage=coverage)


def _mass(tissues: TissueMap) -> Mass:
    cover = tissues.fraction(Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)
    mask = cover.with_array(np.where(cover.array >= 0.5, 8, 0).astype(np.uint8))
    return Mass("measured", cover, mask, (), truncated=False, existence=0.9, volume_log_sd=0.1)


def _ml(tissues: TissueMap) -> float:
    return float(tissues.coverage[Tissue.MASS_CANAL].sum()) * tissues.grid.voxel_volume_mm3 / 1000


def test_a_hesitant_outline_is_brought_to_the_border_that_the_images_show() -> None:
    truth = _truth()
    found = _hesitant(truth)
    refined = refine_canal(found, _mass(found), [_image(truth, "T2", 1), _image(truth, "T1 enhanced", 2)])
    assert _ml(found) == pytest.approx(0.6 * _ml(truth), rel=1e-3)
    # Of the 40 % that were lost, the prior keeps a part back: it pulls towards what the network said.
    assert _ml(refined) == pytest.approx(_ml(truth), rel=0.15)


def test_only_the_division_of_the_canal_changes_and_only_near_the_mass() -> None:
    truth = _truth()
    found = _hesitant(truth)
    refined = refine_canal(found, _mass(found), [_image(truth, "T2", 1), _image(truth, "T1 enhanced", 2)])
    for tissue in (Tissue.BACKGROUND, Tissue.BODY, Tissue.DISC, Tissue.SACRUM, Tissue.POSTERIOR_ELEMENTS):
        np.testing.assert_array_equal(refined.coverage[tissue], found.coverage[tissue])
    np.testing.assert_allclose(refined.canal.array, found.canal.array, rtol=0, atol=1e-5)
    assert refined.coverage.min() >= 0
    # The mass ends 28 mm from slice row 75; 15 mm further nothing may change.
    far = int(75 + (28 + 15) / SPACING[2]) + 1
    np.testing.assert_allclose(refined.coverage[..., far:], found.coverage[..., far:], rtol=0, atol=1e-6)


def test_mass_outside_the_canal_stays_and_the_canal_does_not_grow_into_it() -> None:
    truth = _truth()
    beside = np.minimum(_inside((9.5, 38, 75), (9, 9, 20)), truth.coverage[0])
    coverage = truth.coverage.copy()
    coverage[Tissue.MASS_OUTSIDE] = beside
    coverage[0] -= beside
    both = _hesitant(replace(truth, coverage=coverage))
    # It looks like background here: signal alone would take it for something else.
    image = _image(truth, "T2", 1)
    refined = refine_canal(both, _mass(both), [image, _image(truth, "T1 enhanced", 2)])
    np.testing.assert_array_equal(refined.coverage[Tissue.MASS_OUTSIDE], both.coverage[Tissue.MASS_OUTSIDE])
    np.testing.assert_allclose(refined.canal.array, both.canal.array, rtol=0, atol=1e-5)
    assert np.abs(refined.coverage - both.coverage).max() > 0.2
    assert refined.coverage.min() >= 0
    np.testing.assert_allclose(refined.coverage.sum(0), 1.0, rtol=0, atol=1e-5)


def test_a_right_outline_stays_right() -> None:
    truth = _truth()
    refined = refine_canal(truth, _mass(truth), [_image(truth, "T2", 3), _image(truth, "T1 enhanced", 4)])
    assert _ml(refined) == pytest.approx(_ml(truth), rel=0.05)


def test_the_scale_of_the_images_does_not_matter() -> None:
    truth = _truth()
    found = _hesitant(truth)
    images = [_image(truth, "T2", 1), _image(truth, "T1 enhanced", 2)]
    scaled = [image.with_array(image.array * 37.0) for image in images]
    one, other = (refine_canal(found, _mass(found), series) for series in (images, scaled))
    np.testing.assert_allclose(one.coverage, other.coverage, rtol=0, atol=1e-3)


def test_a_sequence_that_misses_the_region_is_left_out() -> None:
    truth = _truth()
    found = _hesitant(truth)
    images = [_image(truth, "T2", 1), _image(truth, "T1 enhanced", 2)]
    elsewhere = images[0].affine.copy()
    elsewhere[2, 3] += 500.0
    absent = Volume(images[0].array, elsewhere, "frame")
    two = refine_canal(found, _mass(found), images)
    np.testing.assert_array_equal(refine_canal(found, _mass(found), [*images, absent]).coverage, two.coverage)


def test_one_sequence_that_does_not_tell_mass_from_cord_does_not_overrule_the_network() -> None:
    truth = _truth()
    found = _hesitant(truth)
    alike = SIGNALS["T2"] | {8: SIGNALS["T2"][1]}
    image = _image(truth, "T2", 1)
    image = image.with_array(image.array + (alike[8] - SIGNALS["T2"][8]) * truth.coverage[Tissue.MASS_CANAL])
    assert refine_canal(found, _mass(found), [image]) is found


def test_one_sequence_that_tells_the_mass_from_all_else_outlines_it() -> None:
    truth = _truth()
    found = _hesitant(truth)
    refined = refine_canal(found, _mass(found), [_image(truth, "T1 enhanced", 2)])
    assert _ml(refined) == pytest.approx(_ml(truth), rel=0.15)


def test_what_is_no_mass_is_divided_as_before() -> None:
    truth = _truth()
    found = _hesitant(truth)
    refined = refine_canal(found, _mass(found), [_image(truth, "T2", 1), _image(truth, "T1 enhanced", 2)])
    parts = [Tissue.CORD, Tissue.DURAL_SAC, Tissue.EPIDURAL]
    before, after = found.coverage[parts], refined.coverage[parts]
    some = (before.sum(0) > 0.05) & (after.sum(0) > 0.05)
    shares = [rest[:, some] / rest.sum(0)[some] for rest in (before, after)]
    np.testing.assert_allclose(shares[0], shares[1], rtol=0, atol=1e-3)


def test_without_a_mass_nothing_changes() -> None:
    truth = _truth()
    flag = Flag("NO_CANAL", "none")
    nothing = replace(_mass(truth), status="not_found", flags=(flag,))
    assert refine_canal(truth, nothing, [_image(truth, "T2", 1)]) is truth


def test_a_click_shows_a_mass_that_the_network_took_for_sac() -> None:
    """Eight tenths of the mass given away: nothing is found alone; the click brings most back, however long it is.

    The network's opinion keeps its say, so not all of it comes back.
    """
    truth = _truth()
    coverage = truth.coverage.copy()
    lost = 0.8 * coverage[Tissue.MASS_CANAL]
    coverage[Tissue.MASS_CANAL] -= lost
    coverage[Tissue.DURAL_SAC] += lost
    missed, image = replace(truth, coverage=coverage), _image(truth, "T2", 5)
    settings = MassSettings(existence_threshold=0.0, minimum_volume_ml=0.0)
    np.testing.assert_array_equal(refine_where_found(missed, [image], settings).coverage, coverage)
    x, y, z = (float(value) for value in truth.grid.to_lps(np.array([[6.0, 41.0, 75.0]]))[0])
    found = refine_where_found(missed, [image], settings, (x, y, z))
    wanted = float(truth.coverage[Tissue.MASS_CANAL].sum())
    assert 0.6 * wanted < float(found.coverage[Tissue.MASS_CANAL].sum()) < 1.05 * wanted
    np.testing.assert_allclose(found.coverage.sum(0), 1, atol=1e-5)
