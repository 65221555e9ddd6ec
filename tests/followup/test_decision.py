from dataclasses import replace

import numpy as np
import pytest

from spinemri.errors import Flag, Severity
from spinemri.followup.change import Change, LogVolume
from spinemri.followup.decision import decide, decide_outlined_once, without_pairing
from spinemri.followup.paired import PairedEstimate, combined

VOLUME = LogVolume(10.0, 0.1)
UNPAIRED = Change("not_distinguishable", -15.2, (-28.4, 0.5), 15.6)


def paired(change_ml, sd_ml=0.4, contrast_share=0.9):
    return combined([PairedEstimate("outlines", change_ml, sd_ml)], contrast_share=contrast_share)


def codes(change):
    return [flag.code for flag in change.flags]


def test_the_paired_change_decides_and_the_unpaired_stays():
    change = decide(UNPAIRED, VOLUME, paired(-1.64))
    assert (change.verdict, change.percent, change.ci95_percent) == ("decreased", -15.2, (-28.4, 0.5))
    assert change.pairing.percent == pytest.approx(-16.4)
    # 4 % of the ml and a tenth of 16.4 %, in quadrature.
    half = 1.96 * (4.0**2 + 1.64**2) ** 0.5
    assert change.pairing.ci95_percent == pytest.approx((-16.4 - half, -16.4 + half))
    assert codes(change) == []


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(("factor", "distinguishable"), [(0.99, False), (1.01, True)])
def test_the_smallest_detectable_change_is_where_the_interval_leaves_zero(sign, factor, distinguishable):
    detectable = decide(UNPAIRED, VOLUME, paired(0.0)).smallest_detectable_percent
    wide = Change("not_distinguishable", 0.0, (-60.0, 60.0), 60.0)
    change = decide(wide, VOLUME, paired(sign * factor * detectable / 100 * VOLUME.volume_ml))
    assert (change.verdict != "not_distinguishable") is distinguishable
    assert change.verdict in {"not_distinguishable", "decreased" if sign < 0 else "increased"}


def test_nothing_shrinks_by_more_than_all():
    assert (
        decide(Change("decreased", -95.0, (-99.0, -60.0), 30.0), VOLUME, paired(-9.8)).pairing.ci95_percent[0] == -100
    )


def test_a_loss_of_more_than_there_was_is_a_loss_of_all():
    small = LogVolume(2.0, 0.1)
    lost = combined([PairedEstimate(name, ml, 0.05) for name, ml in (("outlines", -1.9), ("boundary_shift", -2.6))])
    pairing = decide(Change("decreased", -88.0, (-95.0, -70.0), 20.0), small, lost).pairing
    assert pairing.percent == -100.0
    for _, percent, (low, high) in pairing.estimates:
        assert -100.0 <= low <= percent <= high


def test_disagreeing_estimates_widen_the_interval_and_are_flagged():
    far = combined([PairedEstimate("outlines", -0.2, 0.3), PairedEstimate("complement", -2.5, 0.3)])
    change = decide(UNPAIRED, VOLUME, far)
    assert change.smallest_detectable_percent >= np.ptp(change.pairing.ci95_percent) / 2
    assert codes(change) == ["CHANGE_ESTIMATES_DISAGREE"]
    assert change.flags[0].severity is Severity.WARNING
    low, high = change.pairing.ci95_percent
    for _, _, (one_low, one_high) in change.pairing.estimates:
        assert low <= one_low < one_high <= high
    assert change.verdict == "not_distinguishable"


def test_a_paired_change_beyond_the_unpaired_interval_is_flagged():
    change = decide(Change("increased", 20.0, (10.0, 31.0), 9.0), VOLUME, paired(-1.6))
    assert codes(change) == ["CHANGE_ESTIMATES_DISAGREE"]
    assert change.verdict == "not_distinguishable"


def test_little_contrast_is_said():
    change = decide(UNPAIRED, VOLUME, paired(-1.6, contrast_share=0.4))
    assert codes(change) == ["BORDER_CONTRAST_LOW"]
    assert "60 %" in change.flags[0].message


def test_without_a_paired_change_the_reason_stands_beside_the_verdict():
    change = without_pairing(UNPAIRED, "no sagittal sequence was taken at both visits")
    assert (change.verdict, change.pairing) == ("not_distinguishable", None)
    assert "no sagittal sequence" in change.flags[0].message


GONE = Change("decreased", flags=(Flag("MASS_NOT_FOUND_AT_FOLLOWUP", "gone"),))
NEW = Change("increased", flags=(Flag("NEW_MASS", "new"),))


def test_a_mass_that_the_later_outline_misses_is_compared_by_the_images():
    change = decide_outlined_once(GONE, VOLUME, None, paired(-0.5))
    assert (change.verdict, change.percent, codes(change)) == ("not_distinguishable", None, ["MASS_OUTLINED_ONCE"])
    assert change.pairing.percent == pytest.approx(-5.0)
    assert "later" in change.flags[0].message
    assert "9.5 ml" in change.flags[0].message


def test_a_mass_that_the_earlier_outline_misses_refers_to_what_the_images_show_of_it():
    change = decide_outlined_once(NEW, None, VOLUME, paired(2.0))
    assert (change.verdict, codes(change)) == ("increased", ["MASS_OUTLINED_ONCE"])
    assert change.pairing.percent == pytest.approx(25.0)
    assert "earlier" in change.flags[0].message
    # The baseline carries the error of the later volume and that of the change.
    low, high = change.pairing.ci95_percent
    log_sd = (1.0**2 + 0.4**2) ** 0.5 / 8.0
    assert (high - low) / 2 == pytest.approx(1.96 * ((0.4 / 0.08) ** 2 + (25.0 * log_sd) ** 2) ** 0.5)


@pytest.mark.parametrize(
    ("outlines", "earlier", "later", "change_ml"),
    [(GONE, VOLUME, None, -9.8), (NEW, None, VOLUME, 9.8), (NEW, None, VOLUME, 10.5)],
)
def test_what_the_images_do_not_show_either_is_gone_or_new(outlines, earlier, later, change_ml):
    assert decide_outlined_once(outlines, earlier, later, paired(change_ml)) is outlines


def test_per_cent_are_of_the_baseline_that_both_visits_together_show():
    together = replace(paired(-1.64), baseline_ml=8.0)
    change = decide(UNPAIRED, VOLUME, together)
    assert change.pairing.percent == pytest.approx(-20.5)
    half = 1.96 * (5.0**2 + 2.05**2) ** 0.5
    assert change.pairing.ci95_percent == pytest.approx((-20.5 - half, -20.5 + half))
    assert change.percent == UNPAIRED.percent
