import pytest

from spinemri.errors import Severity
from spinemri.followup.change import Change, LogVolume
from spinemri.followup.decision import decide, without_pairing
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


def test_disagreeing_estimates_widen_the_interval_and_are_flagged():
    far = combined([PairedEstimate("outlines", -0.2, 0.3), PairedEstimate("complement", -2.5, 0.3)])
    change = decide(UNPAIRED, VOLUME, far)
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
