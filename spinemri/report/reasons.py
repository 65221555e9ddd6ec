"""Why a number is missing, from the findings of the run."""

from __future__ import annotations

from spinemri.measure.record import Measurements

__all__ = ["why_missing"]

_ALL = ("NO_CANAL", "MASS_NOT_REQUESTED")
_CANAL = ("COMPROMISE_NOT_ASSESSABLE", "MASS_OUTSIDE_CANAL")
_CODES: dict[str, tuple[str, ...]] = {
    "mcc_percent": ("MCC_REFERENCE_MISSING", "SAC_NOT_MEASURABLE", *_CANAL),
    "mscc_percent": (
        "MSCC_REFERENCE_MISSING",
        "MCC_REFERENCE_MISSING",
        "CORD_NOT_SEEN",
        "ESCC_NOT_ASSESSABLE",
        *_CANAL,
    ),
    "reference_levels": ("MCC_REFERENCE_MISSING", *_CANAL),
    "escc_grade": ("ESCC_BELOW_CONUS", "CORD_NOT_SEEN", "ESCC_NOT_ASSESSABLE", *_CANAL),
    "schizas_grade": (
        "SCHIZAS_CONUS_UNKNOWN",
        "SCHIZAS_NO_T2",
        "SCHIZAS_NO_REFERENCE",
        "SCHIZAS_SLICES_TOO_THICK",
        "SCHIZAS_SAC_TOO_SMALL",
        "SCHIZAS_FAT_UNKNOWN",
        *_CANAL,
    ),
    "cord_area_mm2": ("CORD_NOT_SEEN", "ESCC_NOT_ASSESSABLE", *_CANAL),
    "cord_ap_mm": ("CORD_NOT_SEEN", "ESCC_NOT_ASSESSABLE", *_CANAL),
    "compression_ratio": ("CORD_NOT_SEEN", "ESCC_NOT_ASSESSABLE", *_CANAL),
    "ascor": ("CANAL_UNKNOWN", "CORD_NOT_SEEN", *_CANAL),
    "canal_area_mm2": ("CANAL_UNKNOWN", *_CANAL),
    "canal_ap_mm": ("CANAL_UNKNOWN", *_CANAL),
    "canal_occupancy_percent": ("CANAL_UNKNOWN", *_CANAL),
    "length_over_25_percent_mm": ("CANAL_UNKNOWN", *_CANAL),
    "length_over_50_percent_mm": ("CANAL_UNKNOWN", *_CANAL),
    "worst_level": ("NO_LEVEL_ANCHOR", "LEVELS_NOT_FOUND", *_CANAL),
    "extent": ("NO_LEVEL_ANCHOR", "LEVELS_NOT_FOUND", "MASS_OUTSIDE_CANAL"),
    "t1_to_marrow": ("SIGNAL_NOT_ALIGNED",),
    "t2_to_marrow": ("SIGNAL_NOT_ALIGNED",),
    "enhancement_ratio": ("SIGNAL_NOT_ALIGNED", "NO_POST_CONTRAST"),
}
_SEQUENCES = {
    "t1_to_marrow": ("sagittal_t1", "T1"),
    "t2_to_marrow": ("sagittal_t2", "T2"),
}


def why_missing(field: str, measured: Measurements) -> str:
    """Return in a few words why a field of a study is null.

    Parameters
    ----------
    field : str
        Name in `MassRecord`, `SignalRecord` or `CompromiseRecord`.
    measured : Measurements

    Returns
    -------
    str
        The code of the finding that explains it where there is one.
    """
    codes = [flag.code for flag in measured.quality.flags]
    for code in (*_ALL, *_CODES.get(field, ())):
        if code in codes:
            return f"see {code}"
    if measured.mass.status == "not_found":
        return "no mass found"
    if field in _SEQUENCES:
        role, weighting = _SEQUENCES[field]
        used = [s for s in measured.series if s.used and s.role == role and s.weighting == weighting]
        if not used:
            return f"no sagittal {weighting} sequence used"
        if used[0].fat_suppressed:
            return f"the sagittal {weighting} is fat-suppressed"
    if field == "enhancement_ratio" and not any(s.used and s.contrast_enhanced for s in measured.series):
        return "no post-contrast sequence used"
    errors = [flag.code for flag in measured.quality.flags if flag.severity == "error"]
    return f"see {errors[0]}" if errors else "could not be measured reliably"
