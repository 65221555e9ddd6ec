"""Numbers and findings in words, as a radiologist would write them."""

from __future__ import annotations

from collections.abc import Sequence

from spinemri.followup.record import Comparison, TimepointRecord
from spinemri.intake.model import Role, Weighting
from spinemri.measure.record import ExtentRecord, Interval, Measurements
from spinemri.measure.result import StudyResult

__all__ = [
    "NOT_ASSESSABLE",
    "below_conus",
    "change_sentence",
    "compromise_sentence",
    "decimal",
    "extent_text",
    "finding_sentence",
    "interval_text",
    "schizas_note",
    "series_title",
    "signed",
    "volume_text",
]

NOT_ASSESSABLE = "not assessable"
_MINUS, _DASH, _SPACE = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{NO-BREAK SPACE}"


def decimal(value: float, decimals: int) -> str:
    """Return a number with fixed decimals and a true minus sign; never "-0"."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", _MINUS)


def signed(value: float, decimals: int) -> str:
    """Return a number with its sign, also where it is positive."""
    text = decimal(value, decimals)
    return text if text.startswith(_MINUS) or not float(text) else f"+{text}"


def _volume_decimals(volume_ml: float) -> int:
    return 1 if volume_ml >= 10 else 2


def interval_text(interval: Interval | None, decimals: int, *, with_sign: bool = False) -> str:
    """Return ``"95 % CI 9.8-12.1"`` with typographic signs; empty where there is none."""
    if interval is None:
        return ""
    low, high = (signed(v, decimals) if with_sign else decimal(v, decimals) for v in interval)
    joint = " to " if with_sign else _DASH
    return f"95{_SPACE}%{_SPACE}CI {low}{joint}{high}"


def volume_text(volume_ml: float | None, interval: Interval | None) -> str:
    """Return a volume with its interval, e.g. ``"10.9 ml (95 % CI 9.8-12.1)"``."""
    if volume_ml is None:
        return NOT_ASSESSABLE
    decimals = _volume_decimals(volume_ml)
    ci = interval_text(interval, decimals)
    return f"{decimal(volume_ml, decimals)}{_SPACE}ml" + (f" ({ci})" if ci else "")


def extent_text(extent: ExtentRecord | None, *, anchored: bool = True) -> str:
    """Return ``"T5-T8"``, or one name, with a question mark where the numbering has no anchor."""
    if extent is None or not (extent.from_level and extent.to_level):
        return NOT_ASSESSABLE
    doubt = "" if anchored else "?"
    ends = dict.fromkeys((f"{extent.from_level}{doubt}", f"{extent.to_level}{doubt}"))
    return _DASH.join(ends)


def finding_sentence(measured: Measurements) -> str:
    """Say in one sentence what was found."""
    mass, anchored = measured.mass, measured.levels.numbering == "absolute"
    if mass.status == "not_found":
        return "No epidural mass found."
    if mass.status == "not_assessable":
        return "Epidural mass not assessable."
    name = f"{mass.position} epidural mass" if mass.position else "epidural mass"
    where = extent_text(mass.extent, anchored=anchored)
    worst = measured.compromise.worst_level
    parts = [f"{name} {where}" if where != NOT_ASSESSABLE else f"{name}, levels not assessable"]
    if worst:
        parts.append(f"worst at {worst}{'' if anchored else '?'}")
    volume = volume_text(mass.volume_ml, mass.volume_ci95_ml)
    parts.append(volume if volume != NOT_ASSESSABLE else f"volume {NOT_ASSESSABLE}")
    sentence = ", ".join(parts)
    return sentence[0].upper() + sentence[1:] + "."


def below_conus(measured: Measurements) -> bool:
    """Tell whether the worst section lies below the conus, where the cauda equina is graded instead of the cord."""
    return any(flag.code == "ESCC_BELOW_CONUS" for flag in measured.quality.flags)


def schizas_note(measured: Measurements) -> str:
    """Say in a few words what the grade of the cauda equina rests on; empty where nothing was read."""
    seen = measured.compromise.schizas_evidence
    share, fat = seen.get("csf_share"), seen.get("fat_behind")
    if not isinstance(share, float):
        return ""
    parts = [f"fluid {decimal(100 * share, 0)}{_SPACE}% of the sac"]
    parts += [] if fat is None else ["fat behind it" if fat else "no fat behind it"]
    parts.append("sagittal T2, reformatted" if seen.get("reformatted") else "axial T2")
    return ", ".join(parts)


def compromise_sentence(measured: Measurements) -> str:
    """Say how far canal and cord are compromised; empty where no mass was measured."""
    if measured.mass.status != "measured":
        return ""
    found = measured.compromise
    values = (
        ("canal compromise (MCC)", found.mcc_percent),
        ("cord compression (MSCC)", found.mscc_percent),
        ("canal occupancy", found.canal_occupancy_percent),
    )
    parts = [f"{name} {decimal(v, 0) + _SPACE + '%' if v is not None else NOT_ASSESSABLE}" for name, v in values]
    name, grade = ("Schizas", found.schizas_grade) if below_conus(measured) else ("ESCC", found.escc_grade)
    parts.append(f"{name} grade {grade or NOT_ASSESSABLE}")
    sentence = ", ".join(parts)
    return sentence[0].upper() + sentence[1:] + "."


def change_sentence(comparison: Comparison, number: int | None = None) -> str:
    """Say how the mass of one visit, by default the last, changed from the baseline.

    Parameters
    ----------
    comparison : Comparison
    number : int or None
        Position of the visit in `comparison.timepoints`.
    """
    visit = comparison.timepoints[-1 if number is None else number]
    after = f" after {visit.days_from_baseline} days" if visit.days_from_baseline else ""
    if visit.verdict is None or visit.verdict == "not_assessable":
        return f"Change{after} not assessable.{_reason(comparison)}"
    if visit.decisive_percent is None:
        return f"{_without_percent(visit)}{after}; no change in per cent is given.{_reason(comparison)}"
    facts = _basis(visit)
    if visit.verdict == "not_distinguishable":
        change = f"{signed(visit.decisive_percent, 1)}{_SPACE}%"
        return f"Not distinguishable from no change{after}: {change}{facts}{_detectable(visit)}."
    change = f"{decimal(abs(visit.decisive_percent), 1)}{_SPACE}%"
    return f"{visit.verdict.capitalize()} by {change}{facts}{after}{_detectable(visit)}."


def _basis(visit: TimepointRecord) -> str:
    """Say in parentheses how the change was measured, and its interval."""
    kind = "paired" if visit.verdict_basis == "paired" else ""
    facts = [kind, interval_text(visit.decisive_ci95_percent, 1, with_sign=True)]
    return f" ({', '.join(filter(None, facts))})" if any(facts) else ""


def _without_percent(visit: TimepointRecord) -> str:
    words = {
        "decreased": "Decreased: the mass is no longer found",
        "increased": "Increased: a mass is found that was not there before",
    }
    return words.get(str(visit.verdict), "Not distinguishable from no change")


def _detectable(visit: TimepointRecord) -> str:
    if visit.smallest_detectable_change_percent is None:
        return ""
    value = decimal(visit.smallest_detectable_change_percent, 1)
    return f"; smallest detectable change {value}{_SPACE}%"


def _reason(comparison: Comparison) -> str:
    codes: Sequence[str] = ("CHANGE_NOT_ASSESSABLE", "MASS_NOT_FOUND_AT_FOLLOWUP", "NEW_MASS")
    found = [flag.message for flag in comparison.quality.flags if flag.code in codes]
    return f" {found[0]}" if found else ""


def series_title(result: StudyResult, role: Role) -> str:
    """Say what the series with a role shows: what has the role of the T2 may be a STIR that stands in for it."""
    stack = result.study.by_role(role)
    if stack is None or role is Role.LOCALIZER:
        return role.value.replace("_", " ").capitalize()
    kind = "image" if stack.weighting is Weighting.OTHER else stack.weighting.value
    contrast = " post-contrast" if stack.contrast_enhanced else ""
    # STIR suppresses fat by its name.
    fat = ", fat-suppressed" if stack.fat_suppressed and stack.weighting is not Weighting.STIR else ""
    return f"{stack.plane.value.capitalize()} {kind}{contrast}{fat}"
