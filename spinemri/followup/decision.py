"""From the paired change in ml to per cent, interval and verdict."""

from __future__ import annotations

import math
from dataclasses import replace

from spinemri.errors import Flag, Severity
from spinemri.followup.change import DETECTION_LIMIT_ML, Z_95, Change, LogVolume, Pairing
from spinemri.followup.paired import PairedChange
from spinemri.followup.record import Verdict
from spinemri.measure.record import Interval

__all__ = ["decide", "decide_outlined_once", "without_pairing"]

_GOOD_CONTRAST = 0.6


def without_pairing(change: Change, reason: str) -> Change:
    """Leave the verdict to the unpaired change, and say why."""
    message = (
        f"There is no paired change: {reason}. The verdict rests on two independent outlines, whose interval is wider."
    )
    return replace(change, flags=(*change.flags, Flag("PAIRED_CHANGE_NOT_MEASURED", message)))


def decide(change: Change, earlier: LogVolume, paired: PairedChange) -> Change:
    """Let the paired change decide.

    Per cent are of the earlier volume; where both visits were outlined together, of that by these outlines, as the
    outline of a visit by itself may hold what the other does not. The standard deviation in per cent has two parts:
    that of the ml gained or lost, and the baseline's own, in proportion to the change, since per cent are of the
    baseline (delta method). Where estimates disagree beyond their intervals, the interval spans them all, a flag asks
    for a person, and nothing smaller than half of that interval is said to be detectable.

    Parameters
    ----------
    change : Change
        Unpaired.
    earlier : LogVolume
        The volume that per cent refer to.
    paired : PairedChange

    Returns
    -------
    Change
    """
    if paired.baseline_ml:
        earlier = replace(earlier, volume_ml=paired.baseline_ml)
    estimates = tuple((one.method, *_percent(one.change_ml, one.sd_ml, earlier)) for one in paired.estimates)
    percent, interval = _percent(paired.change_ml, paired.sd_ml, earlier)
    detectable = _smallest_detectable(paired.sd_ml, earlier)
    apart = paired.disagreeing or _apart(interval, change.ci95_percent)
    if apart:
        spans = [interval, *(span for _, _, span in estimates), *filter(None, [change.ci95_percent])]
        interval = min(low for low, _ in spans), max(high for _, high in spans)
        detectable = max(detectable, (interval[1] - interval[0]) / 2)
    return replace(
        change,
        verdict=_verdict(interval),
        smallest_detectable_percent=detectable,
        flags=(*change.flags, *_flags(paired, disagree=bool(apart))),
        pairing=Pairing(percent, interval, estimates),
    )


def decide_outlined_once(
    change: Change, earlier: LogVolume | None, later: LogVolume | None, paired: PairedChange
) -> Change:
    """Let the images decide where one visit's outline shows the mass and the other's does not.

    Parameters
    ----------
    change : Change
        From the outlines: a new mass, or one that is gone.
    earlier, later : LogVolume or None
        One of them.
    paired : PairedChange
        From the images.

    Returns
    -------
    Change
        As it was where the images, too, show less than `DETECTION_LIMIT_ML` at the other visit. Else the other visit's
        outline has missed the mass: the paired change decides, and a flag says so.
    """
    baseline = earlier or _before(later, paired)
    remains_ml = baseline.volume_ml + (paired.change_ml if earlier else 0.0) if baseline else 0.0
    if baseline is None or remains_ml < DETECTION_LIMIT_ML:
        return change
    missed = "later" if earlier else "earlier"
    flag = Flag(
        "MASS_OUTLINED_ONCE",
        f"The outline of the {missed} visit misses the mass, but its images show about {remains_ml:.1f} ml where the "
        "other visit has it. The change is that of the images alone. Correct the mask of that visit and measure again.",
    )
    return decide(replace(change, flags=(flag,)), baseline, paired)


def _before(later: LogVolume | None, paired: PairedChange) -> LogVolume | None:
    """Volume at the earlier visit by the later one's and the change; None where nothing is left."""
    if later is None or later.volume_ml <= paired.change_ml:
        return None
    volume_ml = later.volume_ml - paired.change_ml
    return LogVolume(volume_ml, math.hypot(later.volume_ml * later.log_sd, paired.sd_ml) / volume_ml)


def _percent(change_ml: float, sd_ml: float, earlier: LogVolume) -> tuple[float, Interval]:
    """Per cent of the baseline with 95 % interval; no more than all of it can be lost."""
    percent = 100 * change_ml / earlier.volume_ml
    half = Z_95 * math.hypot(100 * sd_ml / earlier.volume_ml, percent * earlier.log_sd)
    low, middle, high = (max(value, -100.0) for value in (percent - half, percent, percent + half))
    return middle, (low, high)


def _smallest_detectable(sd_ml: float, earlier: LogVolume) -> float:
    """Smallest change whose interval leaves out zero: the part in proportion to the change counts, too."""
    fixed, proportional = Z_95 * 100 * sd_ml / earlier.volume_ml, Z_95 * earlier.log_sd
    return fixed / math.sqrt(1 - min(proportional, 0.99) ** 2)


def _apart(one: Interval, other: Interval | None) -> bool:
    return other is not None and (one[0] > other[1] or other[0] > one[1])


def _verdict(interval: Interval) -> Verdict:
    low, high = interval
    if low <= 0 <= high:
        return "not_distinguishable"
    return "increased" if low > 0 else "decreased"


def _flags(paired: PairedChange, *, disagree: bool) -> list[Flag]:
    flags = []
    if disagree:
        names = ", ".join(name.replace("_", " ") for name in paired.disagreeing) or "paired and unpaired change"
        flags.append(
            Flag(
                "CHANGE_ESTIMATES_DISAGREE",
                f"Estimates of the change disagree beyond their intervals ({names}); the interval spans them all. "
                "Compare both visits by eye.",
            )
        )
    if paired.contrast_share < _GOOD_CONTRAST:
        share = 100 * (1 - paired.contrast_share)
        flags.append(
            Flag(
                "BORDER_CONTRAST_LOW",
                f"Along {share:.0f} % of its border the mass is not told from its neighbours by the images; there the "
                "boundary shift rests on the outlines.",
                Severity.INFO,
            )
        )
    return flags
