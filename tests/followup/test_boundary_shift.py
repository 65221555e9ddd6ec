from dataclasses import replace

import numpy as np
import pytest
from sampled_pairs import LENGTH_MM, LOOKS, coverages, sampled_pair

from spinemri.followup.boundary_shift import boundary_shift


@pytest.mark.parametrize("shift_mm", [-0.6, 0.0, 0.3, 1.1])
def test_the_integral_is_the_shift_of_the_border(shift_mm):
    found = boundary_shift(sampled_pair((17.3, 17.3 + shift_mm)))
    # Border moved to the back: less mass. 0.02 mm is noise. The layer of fat, a voxel thin, widens what is taken for
    # noise, so that up to an eighth too much is given back.
    expected = -shift_mm * LENGTH_MM / 1000
    assert found.change_ml == pytest.approx(expected, rel=0.125, abs=0.02 * LENGTH_MM / 1000)
    assert found.contrast_share > 0.8


@pytest.mark.parametrize("noise", [0.1, 0.4])
def test_a_large_loss_is_not_held_back_by_noise(noise):
    # The border moves by 4 of 12 mm; without the correction 11 % of that would be missing at the larger noise.
    shift = boundary_shift(sampled_pair((16.0, 20.0), noise=noise))
    expected = -4.0 * LENGTH_MM / 1000
    assert shift.change_ml == pytest.approx(expected, rel=0.06)


def test_swapping_the_visits_changes_the_sign_only():
    pair = sampled_pair((17.3, 18.0))
    swapped = replace(pair, coverage=pair.coverage[::-1], signal=pair.signal[::-1])
    assert boundary_shift(swapped).change_ml == pytest.approx(-boundary_shift(pair).change_ml, rel=1e-5)


def test_an_outline_that_is_wrong_at_both_visits_hardly_matters():
    pair = sampled_pair((17.3, 18.0))
    biased = replace(pair, coverage=np.stack([coverages(border + 0.5) for border in (17.3, 18.0)]))
    assert boundary_shift(biased).change_ml == pytest.approx(-0.7 * LENGTH_MM / 1000, rel=0.15)


def test_outlines_that_disagree_without_reason_are_overruled_by_the_images():
    pair = replace(sampled_pair((17.3, 17.3)), coverage=np.stack([coverages(17.3), coverages(17.8)]))
    assert abs(boundary_shift(pair).change_ml) < 0.15 * 0.5 * LENGTH_MM / 1000


def test_without_contrast_the_outlines_speak():
    flat = np.repeat(LOOKS[3:], 4, axis=0)
    found = boundary_shift(sampled_pair((17.3, 18.0), looks=flat))
    assert found.contrast_share < 0.3
    assert found.change_ml == pytest.approx(-0.7 * LENGTH_MM / 1000, rel=0.1)


def test_a_mass_that_only_looks_different_has_not_changed():
    pair = sampled_pair((17.3, 17.3))
    brighter = pair.signal.copy()
    brighter[1] += 0.25 * pair.coverage[1, 3]
    assert abs(boundary_shift(replace(pair, signal=brighter)).change_ml) < 0.05 * LENGTH_MM / 1000


def _missed(pair, visit, share=1.0):
    """The pair with an outline that has called the upper part of the mass at one visit fat."""
    coverage = pair.coverage.copy()
    rows = slice(int(coverage.shape[-1] * (1 - share)), None)
    coverage[visit, 2, ..., rows] += coverage[visit, 3, ..., rows]
    coverage[visit, 3, ..., rows] = 0.0
    return replace(pair, coverage=coverage)


@pytest.mark.parametrize("visit", [0, 1])
@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize("shift_mm", [0.0, 1.0])
def test_what_one_outline_has_missed_is_no_change(visit, share, shift_mm):
    pair = _missed(sampled_pair((17.3, 17.3 + shift_mm)), visit, share)
    whole_ml = 10.7 * LENGTH_MM / 1000
    assert boundary_shift(pair).change_ml == pytest.approx(-shift_mm * LENGTH_MM / 1000, abs=0.08 * share * whole_ml)


def test_a_mass_that_is_gone_is_gone():
    pair = sampled_pair((17.3, 28.0))
    assert boundary_shift(pair).change_ml == pytest.approx(-10.7 * LENGTH_MM / 1000, rel=0.1)
