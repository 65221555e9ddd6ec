import math

import numpy as np
import pytest

from spinemri.followup.change import DETECTION_LIMIT_ML, SHARED_CORRELATION, LogVolume, mass_change, volume_change


def test_equal_errors_that_share_nothing_give_the_usual_smallest_detectable_change():
    change = volume_change(LogVolume(10, 0.05), LogVolume(12, 0.05), correlation=0.0)
    limit = 1.96 * math.sqrt(2) * 0.05
    assert change.percent == pytest.approx(20.0)
    assert change.smallest_detectable_percent == pytest.approx(100 * math.expm1(limit))
    assert change.ci95_percent == pytest.approx((100 * (1.2 * math.exp(-limit) - 1), 100 * (1.2 * math.exp(limit) - 1)))
    assert change.verdict == "increased"


@pytest.mark.parametrize("correlation", [0.0, SHARED_CORRELATION])
@pytest.mark.parametrize("direction", [-1, 1])
def test_verdict_interval_and_smallest_detectable_change_agree(correlation, direction):
    for log_change in np.linspace(0.01, 0.4, 40) * direction:
        change = volume_change(LogVolume(5, 0.06), LogVolume(5 * math.exp(log_change), 0.08), correlation=correlation)
        low, high = change.ci95_percent
        excludes_zero = low > 0 or high < 0
        assert excludes_zero == (change.verdict != "not_distinguishable")
        assert excludes_zero == (abs(change.percent) > change.smallest_detectable_percent)


def test_change_is_the_same_seen_from_either_visit():
    there = volume_change(LogVolume(6, 0.05), LogVolume(5, 0.09), correlation=0.5)
    back = volume_change(LogVolume(5, 0.09), LogVolume(6, 0.05), correlation=0.5)
    assert (1 + there.percent / 100) * (1 + back.percent / 100) == pytest.approx(1)
    assert (1 + there.ci95_percent[0] / 100) * (1 + back.ci95_percent[1] / 100) == pytest.approx(1)


def test_impossible_correlation_is_refused():
    with pytest.raises(ValueError, match="correlation must be"):
        volume_change(LogVolume(6, 0.05), LogVolume(5, 0.05), correlation=1.0)


@pytest.mark.parametrize("correlation", [0.0, SHARED_CORRELATION])
def test_the_interval_covers_the_true_change_in_95_percent_of_simulated_pairs(correlation):
    # 8000 pairs: the standard error of a coverage of 0.95 is 0.0024, so 0.01 is four of them.
    rng = np.random.default_rng(20240301)
    true_ratio, sds, n = 0.836, np.array([0.06, 0.09]), 8000
    covariance = np.outer(sds, sds) * np.array([[1, correlation], [correlation, 1]])
    errors = np.exp(rng.multivariate_normal([0, 0], covariance, n))
    covered = 0
    for first, second in errors:
        change = volume_change(
            LogVolume(6 * first, sds[0]), LogVolume(6 * true_ratio * second, sds[1]), correlation=correlation
        )
        low, high = change.ci95_percent
        covered += low <= 100 * (true_ratio - 1) <= high
    assert covered / n == pytest.approx(0.95, abs=0.01)


def test_no_change_is_called_a_change_in_5_percent_of_simulated_pairs():
    rng = np.random.default_rng(7)
    own = rng.normal(size=(2, 8000))
    shared = rng.normal(size=8000)
    logs = 0.08 * (math.sqrt(0.5) * shared + math.sqrt(0.5) * own)
    verdicts = [
        volume_change(LogVolume(math.exp(a), 0.08), LogVolume(math.exp(b), 0.08), correlation=0.5).verdict
        for a, b in logs.T
    ]
    false_alarms = sum(verdict != "not_distinguishable" for verdict in verdicts) / len(verdicts)
    assert false_alarms == pytest.approx(0.05, abs=0.01)


def test_a_vanished_mass_has_no_per_cent_and_is_a_decrease_only_if_it_was_clearly_detectable(make):
    gone = make.mass(None)
    clear = mass_change(make.mass(6.0), gone, correlation=0.5)
    faint = mass_change(make.mass(1.1 * DETECTION_LIMIT_ML, log_sd=0.2), gone, correlation=0.5)
    assert (clear.verdict, clear.percent, clear.ci95_percent) == ("decreased", None, None)
    assert faint.verdict == "not_distinguishable"
    assert [flag.code for flag in clear.flags] == ["MASS_NOT_FOUND_AT_FOLLOWUP"]
    assert "6.00 ml" in clear.flags[0].message


def test_a_new_mass_is_an_increase_without_a_per_cent(make):
    change = mass_change(make.mass(None), make.mass(2.0), correlation=0.5)
    assert (change.verdict, change.percent) == ("increased", None)
    assert [flag.code for flag in change.flags] == ["NEW_MASS"]


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ({"volume_ml": None}, {"volume_ml": None}, "no mass was found at either visit"),
        ({"truncated": True}, {}, "earlier visit is cut"),
        ({}, {"truncated": True}, "later visit is cut"),
        ({}, {"status": "not_assessable"}, "later visit could not be assessed"),
        ({"volume_sd_ml": None}, {}, "earlier visit has no volume with an uncertainty"),
        ({}, {"volume_sd_ml": 0.0}, "later visit has no volume with an uncertainty"),
    ],
)
def test_what_cannot_be_judged_says_why(make, first, second, reason):
    change = mass_change(make.mass(**first), make.mass(**second), correlation=0.5)
    assert (change.verdict, change.percent, change.smallest_detectable_percent) == ("not_assessable", None, None)
    assert [flag.code for flag in change.flags] == ["CHANGE_NOT_ASSESSABLE"]
    assert reason in change.flags[0].message
