import math
from dataclasses import replace

import numpy as np
import pytest
from sampled_pairs import LENGTH_MM, SHAPE, sampled_pair

from spinemri.followup.paired import (
    ERROR_CORRELATION,
    ESTIMATE_SD_MM,
    OUTLINED_ONCE_SD_MM,
    PairedEstimate,
    combined,
    compare_outlined_once,
    compare_pair,
)
from spinemri.followup.sampled_pair import CLASSES, MASS
from spinemri.nomenclature import Tissue

SAC = CLASSES.index(Tissue.DURAL_SAC)


def test_all_estimates_find_the_shift_of_the_border():
    found = compare_pair(sampled_pair((17.3, 17.9)))
    assert [estimate.method for estimate in found.estimates] == list(ESTIMATE_SD_MM)
    for estimate in found.estimates:
        assert estimate.change_ml == pytest.approx(-0.6 * LENGTH_MM / 1000, rel=0.1)
    assert found.disagreeing == ()


def test_the_standard_deviation_is_that_of_a_shifted_surface():
    found = compare_pair(sampled_pair((17.3, 17.3)))
    # The slab has two large faces; its border at the wall counts, too.
    low, high = (2 * LENGTH_MM * sd / 1000 for sd in (min(ESTIMATE_SD_MM.values()), max(ESTIMATE_SD_MM.values())))
    assert 0.9 * low < found.sd_ml < 1.1 * high
    assert compare_pair(sampled_pair((17.3, 17.3)), widened=2.0).sd_ml == pytest.approx(2 * found.sd_ml)


def test_without_contrast_the_boundary_shift_is_left_out():
    found = compare_pair(sampled_pair((17.3, 17.9), looks=np.ones((4, 1))))
    assert [estimate.method for estimate in found.estimates] == ["outlines", "complement"]


def test_a_mass_through_the_wall_of_the_canal_leaves_the_complement_in_doubt():
    pair = sampled_pair((17.3, 17.3))
    coverage = pair.coverage.copy()
    # The earlier visit's canal holds more mass where the later one's ends: as where a foramen had been filled.
    through = np.zeros(SHAPE, np.float32)
    through[2:8, 36:39, 5:25] = 1.0
    coverage[0, MASS] = np.maximum(coverage[0, MASS], through * (1 - coverage[0].sum(0)))
    gone_ml = float((coverage[0] - pair.coverage[0]).sum()) * pair.voxel_ml
    assert gone_ml > 0.05
    whole, opened = (compare_pair(one) for one in (pair, replace(pair, coverage=coverage)))
    (outlines, shift, complement), before = opened.estimates, whole.estimates
    assert outlines.change_ml - before[0].change_ml == pytest.approx(-gone_ml, rel=1e-3)
    assert complement.change_ml == pytest.approx(before[2].change_ml, abs=1e-4)
    of_the_surface = shift.sd_ml * ESTIMATE_SD_MM["complement"] / ESTIMATE_SD_MM["boundary_shift"]
    assert complement.sd_ml == pytest.approx(math.hypot(gone_ml, of_the_surface), rel=1e-3)
    assert complement.sd_ml > 1.5 * of_the_surface
    # The images do not show this mass: outlines and boundary shift disagree, and the complement has no say in it.
    assert opened.disagreeing == ("outlines", "boundary_shift")
    assert opened.change_ml == pytest.approx((outlines.change_ml + shift.change_ml) / 2)


def test_mass_outside_the_canal_counts_in_every_estimate():
    pair = sampled_pair((17.3, 17.3))
    beyond = np.zeros((2, *SHAPE), np.float32)
    beyond[1, 3:6, 36:39, 10:20] = 1.0
    more = compare_pair(replace(pair, outside=beyond))
    gained = beyond.sum() * pair.voxel_ml
    for before, after in zip(compare_pair(pair).estimates, more.estimates, strict=True):
        assert after.change_ml - before.change_ml == pytest.approx(gained)
        assert after.sd_ml > before.sd_ml


def test_a_mass_wholly_outside_the_canal_rests_on_its_outlines():
    pair = sampled_pair((17.3, 17.3))
    coverage = pair.coverage.copy()
    coverage[:, SAC] += coverage[:, MASS]
    coverage[:, MASS] = 0.0
    beyond = np.zeros((2, *SHAPE), np.float32)
    beyond[0, 3:7, 36:39, 10:20] = 1.0
    beyond[1, 3:6, 36:39, 10:20] = 1.0
    found = compare_pair(replace(pair, coverage=coverage, outside=beyond))
    assert [estimate.method for estimate in found.estimates] == ["outlines"]
    assert found.change_ml == pytest.approx((beyond[1] - beyond[0]).sum() * pair.voxel_ml)
    assert found.sd_ml > 0
    assert found.contrast_share == 0.0


def test_the_weights_are_those_of_least_variance():
    found = combined([PairedEstimate("a", -1.0, 0.1), PairedEstimate("b", -1.3, 0.12)])
    shared = ERROR_CORRELATION * 0.1 * 0.12
    share = np.linspace(0, 1, 1001)
    variance = (share * 0.1) ** 2 + ((1 - share) * 0.12) ** 2 + 2 * share * (1 - share) * shared
    assert found.sd_ml == pytest.approx(np.sqrt(variance.min()), rel=1e-4)
    best = share[variance.argmin()]
    assert 0.5 < best < 1
    assert found.change_ml == pytest.approx(-1.0 * best - 1.3 * (1 - best), abs=1e-3)


def test_an_estimate_that_would_count_against_the_others_is_left_out():
    found = combined([PairedEstimate("a", -1.0, 0.1), PairedEstimate("b", -1.3, 0.1 / ERROR_CORRELATION * 1.1)])
    assert (found.change_ml, found.sd_ml) == pytest.approx((-1.0, 0.1))
    assert len(found.estimates) == 2


@pytest.mark.parametrize(("apart", "expected"), [(0.9, ()), (1.1, ("a", "b"))])
def test_estimates_further_apart_than_their_intervals_disagree(apart, expected):
    limit = 1.96 * math.hypot(0.1, 0.2)
    near = PairedEstimate("c", 0.5 * apart * limit, 0.5)
    found = combined([PairedEstimate("a", 0.0, 0.1), PairedEstimate("b", apart * limit, 0.2), near])
    assert found.disagreeing == expected
    if expected:
        # One of them is grossly wrong, and nothing says which.
        assert found.change_ml == pytest.approx(0.5 * apart * limit)


def outlined_once(pair, visit=1):
    """The pair whose outline at one visit has called all of the mass fat."""
    coverage = pair.coverage.copy()
    coverage[visit, 2] += coverage[visit, 3]
    coverage[visit, 3] = 0.0
    return replace(pair, coverage=coverage)


@pytest.mark.parametrize("visit", [0, 1])
def test_the_images_tell_how_much_of_a_mass_an_outline_has_missed(visit):
    found = compare_outlined_once(outlined_once(sampled_pair((17.3, 18.3)), visit))
    assert [estimate.method for estimate in found.estimates] == ["boundary_shift"]
    assert found.change_ml == pytest.approx(-1.0 * LENGTH_MM / 1000, abs=1.96 * found.sd_ml)
    # The slab has two large faces; its border at the wall counts, too.
    assert found.sd_ml == pytest.approx(2 * LENGTH_MM * OUTLINED_ONCE_SD_MM / 1000, rel=0.1)


def test_without_contrast_nothing_is_said_of_a_missed_mass():
    assert "images do not tell" in compare_outlined_once(
        outlined_once(sampled_pair((17.3, 17.3), looks=np.ones((4, 1))))
    )


def test_a_missed_mass_that_lies_outside_the_canal_is_left_to_the_outlines():
    pair = outlined_once(sampled_pair((17.3, 17.3)))
    beyond = np.zeros((2, *SHAPE), np.float32)
    beyond[0, :, 36:39] = 1.0
    assert "outside the canal" in compare_outlined_once(replace(pair, outside=beyond))
