"""Published response criteria, shown beside the verdict and never in its place.

RECIST 1.1 (Eisenhauer et al., Eur J Cancer 2009) is defined on the longest diameter: partial response from -30 %
against baseline, progression from +20 % and 5 mm against the smallest so far; a sole lesion that was gone and is seen
again is progression whatever its size. A sphere whose diameter changes so changes its volume by -65.7 % and +72.8 %.
REiNS (Dombi et al., Neurology 2013) takes 20 % of volume.
"""

from __future__ import annotations

from collections.abc import Sequence

from spinemri.measure.record import MassRecord

__all__ = [
    "INTEROBSERVER_DETECTABLE_PERCENT",
    "RECIST_SPHERE_VOLUME_PERCENT",
    "REINS_VOLUME_PERCENT",
    "longest_diameter_mm",
    "yardsticks",
]

_RECIST_DIAMETER_PERCENT = (-30.0, 20.0)
_RECIST_MINIMUM_GROWTH_MM = 5.0
RECIST_SPHERE_VOLUME_PERCENT = (100 * (0.7**3 - 1), 100 * (1.2**3 - 1))
"""Volume change of a sphere at the two RECIST 1.1 diameter limits: -65.7 % and +72.8 %."""
REINS_VOLUME_PERCENT = 20.0
INTEROBSERVER_DETECTABLE_PERCENT = 19.7
"""Smallest detectable difference between observers for a comparable tumour, by volume."""


def longest_diameter_mm(mass: MassRecord) -> float | None:
    """Return the largest of length along the canal, AP and transverse diameter in mm.

    None if none is known, or if the field of view cuts the mass.
    """
    if mass.truncated:
        return None
    length = mass.extent.length_mm if mass.extent else None
    known = [value for value in (length, mass.max_ap_mm, mass.max_transverse_mm) if value is not None]
    return max(known, default=None)


def yardsticks(masses: Sequence[MassRecord | None], change_percent: float | None) -> dict[str, str | float | None]:
    """Judge the last of some visits by published criteria.

    Parameters
    ----------
    masses : sequence of MassRecord or None
        Baseline first, the visit to be judged last; None for a visit that cannot be compared with the others.
    change_percent : float or None
        Its volume against baseline.

    Returns
    -------
    dict
        ``longest_diameter_change_percent`` (against baseline) and ``recist_1_1_diameter``;
        ``recist_1_1_sphere_volume``, ``reins_volume_20_percent`` and ``interobserver_volume_19_7_percent`` by
        `change_percent`. None where it cannot be told.
    """
    diameters = [None if mass is None else longest_diameter_mm(mass) for mass in masses]
    gone = any(mass is not None and mass.status == "not_found" and not mass.truncated for mass in masses[:-1])
    low, high = RECIST_SPHERE_VOLUME_PERCENT
    return {
        "longest_diameter_change_percent": _relative(diameters[0], diameters[-1]),
        "recist_1_1_diameter": _recist(diameters, gone=gone),
        "recist_1_1_sphere_volume": _three_way(change_percent, low, high),
        "reins_volume_20_percent": _three_way(change_percent, -REINS_VOLUME_PERCENT, REINS_VOLUME_PERCENT),
        "interobserver_volume_19_7_percent": _beyond(change_percent),
    }


def _relative(first: float | None, last: float | None) -> float | None:
    # Rounded so that a change of exactly the limit counts as reaching it.
    return round(100 * (last / first - 1), 9) if first and last is not None else None


def _recist(diameters: Sequence[float | None], *, gone: bool) -> str | None:
    baseline, last = diameters[0], diameters[-1]
    known = [value for value in diameters[:-1] if value]
    if not baseline or last is None:
        return None
    if gone:
        # The smallest diameter so far is 0 mm: no per cent of it can be told, and any growth is enough.
        return "progression"
    response, progression = _RECIST_DIAMETER_PERCENT
    growth, shrinkage = _relative(min(known), last), _relative(baseline, last)
    if growth is not None and growth >= progression and last - min(known) >= _RECIST_MINIMUM_GROWTH_MM:
        return "progression"
    return "response" if shrinkage is not None and shrinkage <= response else "stable"


def _three_way(change: float | None, low: float, high: float) -> str | None:
    if change is None:
        return None
    if change <= low:
        return "response"
    return "progression" if change >= high else "stable"


def _beyond(change: float | None) -> str | None:
    if change is None:
        return None
    return "beyond" if abs(change) > INTEROBSERVER_DETECTABLE_PERCENT else "within"
