"""Change of the mass between two visits: two independent outlines, compared on the log scale (METRICS.md "Change").

Error model
-----------
Each visit's log volume carries an error of standard deviation ``s``. A part of its variance, `SHARED_CORRELATION`,
is the same at both visits where the same model reads the same kind of image, and cancels in the difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from spinemri.errors import Flag, Severity
from spinemri.followup.record import Verdict
from spinemri.measure.record import Interval, MassRecord

__all__ = [
    "DETECTION_LIMIT_ML",
    "SHARED_CORRELATION",
    "Z_95",
    "Change",
    "LogVolume",
    "mass_change",
    "not_assessable",
    "volume_change",
]

Z_95 = 1.96
"""Two-sided 95 % quantile of the normal distribution, as METRICS.md writes it."""

SHARED_CORRELATION = 0.7
"""Correlation of the log-volume errors of two visits with the same protocol; 0 is taken for different protocols.

The outline's bias (boundary set too far in or out) comes from the model, the contrast and the shape of the mass, so
the same protocol repeats it; slice position, noise and repeat segmentation do not repeat. Measured on 20 generated
pairs of visits: 0.92, 95 % interval 0.81 to 0.97 (``benchmarks/change.py``, `docs/results.md`). Less is taken, because
too high a value shortens the interval and no patient was examined twice. To be replaced once repeated scans have been
measured.
"""

DETECTION_LIMIT_ML = 0.3
"""Volume below which a mass may be missed: nothing smaller is promised to be found."""


@dataclass(frozen=True)
class LogVolume:
    """A volume in ml with the standard deviation of its natural logarithm."""

    volume_ml: float
    log_sd: float

    @classmethod
    def from_record(cls, mass: MassRecord) -> LogVolume | None:
        """Read a measured mass; None where volume or standard deviation is missing or not positive.

        The relative standard deviation is taken as the standard deviation of the logarithm (delta method).
        """
        if mass.status != "measured" or not mass.volume_ml or not mass.volume_sd_ml:
            return None
        if mass.volume_ml <= 0 or mass.volume_sd_ml <= 0:
            return None
        return cls(mass.volume_ml, mass.volume_sd_ml / mass.volume_ml)


@dataclass(frozen=True)
class Change:
    """Change from an earlier to a later visit.

    Attributes
    ----------
    verdict : {"decreased", "increased", "not_distinguishable", "not_assessable"}
    percent, ci95_percent : float, (float, float) or None
        Relative to the earlier volume; the interval is symmetric on the log scale.
    smallest_detectable_percent : float or None
        The smallest change in the observed direction whose interval leaves out zero, as a positive number.
    pairing : Pairing or None
        The paired change, which then decides verdict and smallest detectable change; None where there is none.
    """

    verdict: Verdict
    percent: float | None = None
    ci95_percent: Interval | None = None
    smallest_detectable_percent: float | None = None
    flags: tuple[Flag, ...] = ()
    pairing: Pairing | None = None


@dataclass(frozen=True)
class Pairing:
    """The paired change in per cent of the earlier volume, and the estimates behind it by method."""

    percent: float
    ci95_percent: Interval
    estimates: tuple[tuple[str, float, Interval], ...]


def volume_change(earlier: LogVolume, later: LogVolume, *, correlation: float) -> Change:
    """Compare two measured volumes.

    ``change = ln(V2 / V1)``, interval ``+-1.96 * sqrt(s1^2 + s2^2 - 2 rho s1 s2)`` (METRICS.md "Change"). With equal
    errors that share nothing the smallest detectable change is the usual ``1.96 * sqrt(2) * s``.

    Parameters
    ----------
    earlier, later : LogVolume
    correlation : float
        Of the two errors, 0 <= rho < 1.

    Returns
    -------
    Change

    Raises
    ------
    ValueError
        If the correlation is outside [0, 1).
    """
    if not 0 <= correlation < 1:
        raise ValueError(f"correlation must be at least 0 and below 1, got {correlation}")
    log_change = math.log(later.volume_ml / earlier.volume_ml)
    variance = earlier.log_sd**2 + later.log_sd**2 - 2 * correlation * earlier.log_sd * later.log_sd
    half_width = Z_95 * math.sqrt(variance)
    detectable = abs(_percent(math.copysign(half_width, log_change)))
    interval = (_percent(log_change - half_width), _percent(log_change + half_width))
    return Change(_verdict(log_change, half_width), _percent(log_change), interval, detectable)


def _percent(log_change: float) -> float:
    return 100.0 * math.expm1(log_change)


def _verdict(log_change: float, half_width: float) -> Verdict:
    if abs(log_change) <= half_width:
        return "not_distinguishable"
    return "increased" if log_change > 0 else "decreased"


def mass_change(earlier: MassRecord, later: MassRecord, *, correlation: float) -> Change:
    """Compare the masses of two visits, found or not.

    Where one of them was not found there is no per cent: the verdict then rests on whether the other's interval
    leaves out `DETECTION_LIMIT_ML`.

    Parameters
    ----------
    earlier, later : MassRecord
    correlation : float
        Of the two log-volume errors.

    Returns
    -------
    Change
    """
    refusal = _refusal(earlier, "earlier") or _refusal(later, "later")
    if refusal:
        return not_assessable(refusal)
    first, second = LogVolume.from_record(earlier), LogVolume.from_record(later)
    if first and second:
        return volume_change(first, second, correlation=correlation)
    if first:
        return _vanished(first)
    if second:
        return _appeared(second)
    return not_assessable("no mass was found at either visit")


def not_assessable(reason: str) -> Change:
    """Return the answer that the change cannot be judged, with a flag that says why."""
    message = f"The change of the mass cannot be judged: {reason}."
    return Change("not_assessable", flags=(Flag("CHANGE_NOT_ASSESSABLE", message),))


def _refusal(mass: MassRecord, visit: str) -> str:
    if mass.status == "not_assessable":
        return f"the mass of the {visit} visit could not be assessed"
    if mass.truncated:
        return f"the mass of the {visit} visit is cut by the edge of the field of view"
    if mass.status == "measured" and LogVolume.from_record(mass) is None:
        return f"the {visit} visit has no volume with an uncertainty"
    return ""


def _exceeds_detection_limit(volume: LogVolume) -> bool:
    return volume.volume_ml * math.exp(-Z_95 * volume.log_sd) > DETECTION_LIMIT_ML


def _vanished(earlier: LogVolume) -> Change:
    flag = Flag(
        "MASS_NOT_FOUND_AT_FOLLOWUP",
        f"A mass of {earlier.volume_ml:.2f} ml is no longer found; a residue below {DETECTION_LIMIT_ML} ml may be "
        "missed, so no change in per cent is given. Look at the images at the former levels.",
    )
    return _one_sided(earlier, "decreased", flag)


def _appeared(later: LogVolume) -> Change:
    flag = Flag(
        "NEW_MASS",
        f"A mass of {later.volume_ml:.2f} ml was not found at the earlier visit, where up to {DETECTION_LIMIT_ML} ml "
        "may have been missed, so no change in per cent is given. Look at the earlier images at its levels.",
    )
    return _one_sided(later, "increased", flag)


def _one_sided(found: LogVolume, verdict: Verdict, flag: Flag) -> Change:
    change = Change("not_distinguishable", flags=(replace(flag, severity=Severity.WARNING),))
    return replace(change, verdict=verdict) if _exceeds_detection_limit(found) else change
