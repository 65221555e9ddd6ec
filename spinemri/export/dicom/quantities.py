"""Every number and every answer of the results, with its code: tables that the structured reports are made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from highdicom.sr import CodedConcept, FindingSite, Measurement, MeasurementProperties, QualitativeEvaluation
from pydicom.sr.coding import Code

from spinemri.export.dicom.codes import PRIVATE_SCHEME, level_code, private, sct, ucum
from spinemri.export.jsonfile import Json

__all__ = [
    "CHANGE_ANSWERS",
    "CHANGE_NUMBERS",
    "COMPROMISE_ANSWERS",
    "COMPROMISE_NUMBERS",
    "MASS_ANSWERS",
    "MASS_NUMBERS",
    "NADIR_NUMBERS",
    "OCCUPANCY_NUMBERS",
    "RECURRENCE_ANSWERS",
    "TREATMENT_ANSWERS",
    "TREATMENT_NUMBERS",
    "Answer",
    "Quantity",
    "answers",
    "flag_answer",
    "lookup",
    "measurements",
]

_ML, _MM, _MM2 = ucum("Milliliter"), ucum("Millimeter"), ucum("SquareMillimeter")
_PERCENT, _RATIO, _DAY = ucum("Percent"), ucum("NoUnits"), ucum("Day")
_VOLUME, _AREA, _DIAMETER, _LENGTH = sct("Volume"), sct("Area"), sct("Diameter"), sct("Length")
_CANAL, _SAC, _CORD = sct("SpinalCanalStructure"), sct("DuraMater"), sct("SpinalCord")
_LOW, _HIGH, _SD = private("CI95_LOW"), private("CI95_HIGH"), sct("StandardDeviation")
_AP, _ACROSS = private("AP"), private("PERPENDICULAR")


@dataclass(frozen=True)
class Quantity:
    """A number of the results.

    Attributes
    ----------
    path : str
        Where it stands in the JSON, keys and indices joined by dots.
    name, unit : Code
    site : Code or None
        Structure that was measured, where it is not that of the whole group.
    derivation, method : Code or None
        What is said of the number, and how it was taken.
    interval : str
        Path of its 95 % interval, if it has one.
    """

    path: str
    name: Code
    unit: Code
    site: Code | None = None
    derivation: Code | None = None
    method: Code | None = None
    interval: str = ""


@dataclass(frozen=True)
class Answer:
    """A word, level, or yes or no of the results; `values` gives the code of each word."""

    path: str
    name: Code
    values: Mapping[str, Code] | None = None


MASS_NUMBERS = (
    Quantity("mass.existence_probability", private("EXISTENCE"), _RATIO),
    Quantity("mass.volume_ml", _VOLUME, _ML, interval="mass.volume_ci95_ml"),
    Quantity("mass.volume_sd_ml", _VOLUME, _ML, derivation=_SD),
    Quantity("mass.volume_ci95_ml.0", _VOLUME, _ML, derivation=_LOW),
    Quantity("mass.volume_ci95_ml.1", _VOLUME, _ML, derivation=_HIGH),
    Quantity("mass.extent.length_mm", _LENGTH, _MM, method=private("ALONG_CANAL")),
    Quantity("mass.max_ap_mm", _DIAMETER, _MM, derivation=sct("Maximum"), method=_AP),
    Quantity("mass.max_transverse_mm", _DIAMETER, _MM, derivation=sct("Maximum"), method=private("TRANSVERSE")),
    Quantity("mass.signal.t1_to_marrow", private("T1_TO_MARROW"), _RATIO),
    Quantity("mass.signal.t2_to_marrow", private("T2_TO_MARROW"), _RATIO),
    Quantity("mass.signal.enhancement_ratio", private("ENHANCEMENT"), _RATIO),
)

COMPROMISE_NUMBERS = (
    Quantity("compromise.mcc_percent", private("MCC"), _PERCENT, _CANAL),
    Quantity("compromise.mscc_percent", private("MSCC"), _PERCENT, _CORD),
    Quantity("compromise.canal_area_mm2", _AREA, _MM2, _CANAL, method=_ACROSS),
    Quantity("compromise.sac_area_mm2", _AREA, _MM2, _SAC, method=_ACROSS),
    Quantity("compromise.cord_area_mm2", _AREA, _MM2, _CORD, method=_ACROSS),
    Quantity("compromise.canal_ap_mm", _DIAMETER, _MM, _CANAL, method=_AP),
    Quantity("compromise.sac_ap_mm", _DIAMETER, _MM, _SAC, method=_AP),
    Quantity("compromise.cord_ap_mm", _DIAMETER, _MM, _CORD, method=_AP),
    Quantity("compromise.ascor", private("ASCOR"), _RATIO, _CORD),
    Quantity("compromise.compression_ratio", private("CORD_RATIO"), _RATIO, _CORD),
    Quantity("compromise.escc_evidence.sac_ap_ratio", private("SAC_AP_RATIO"), _RATIO, _SAC),
    Quantity("compromise.escc_evidence.sac_area_ratio", private("SAC_AREA_RATIO"), _RATIO, _SAC),
    Quantity("compromise.escc_evidence.cord_ap_ratio", private("CORD_AP_RATIO"), _RATIO, _CORD),
    Quantity("compromise.escc_evidence.cord_area_ratio", private("CORD_AREA_RATIO"), _RATIO, _CORD),
    Quantity("compromise.escc_evidence.mass_cord_distance_mm", private("MASS_CORD_GAP"), _MM),
    Quantity("compromise.escc_evidence.csf_fraction", private("CSF_FRACTION"), _RATIO, _SAC),
    Quantity("compromise.escc_evidence.csf_area_mm2", private("CSF_AREA"), _MM2, _SAC),
    Quantity("compromise.schizas_evidence.csf_share", private("SAC_FLUID"), _RATIO, _SAC),
    Quantity("compromise.schizas_evidence.csf_pool_share", private("SAC_POOLS"), _RATIO, _SAC),
    Quantity("compromise.schizas_evidence.signal_spread", private("SAC_SPREAD"), _RATIO, _SAC),
    Quantity("compromise.schizas_evidence.posterior_fat_mm2", private("POSTERIOR_FAT"), _MM2),
    Quantity("compromise.schizas_evidence.fluid_to_nerve", private("FLUID_TO_NERVE"), _RATIO),
    Quantity("compromise.schizas_evidence.voxels", private("SAC_VOXELS"), _RATIO, _SAC),
    Quantity("compromise.schizas_evidence.slice_offset_mm", private("SLICE_OFFSET"), _MM),
)

OCCUPANCY_NUMBERS = (
    Quantity("compromise.canal_occupancy_percent", private("OCCUPANCY"), _PERCENT, derivation=sct("Maximum")),
    Quantity("compromise.length_over_25_percent_mm", private("LENGTH_OVER_25"), _MM),
    Quantity("compromise.length_over_50_percent_mm", private("LENGTH_OVER_50"), _MM),
)

CHANGE_NUMBERS = (
    Quantity("volume_ml", _VOLUME, _ML, interval="volume_ci95_ml"),
    Quantity("volume_ci95_ml.0", _VOLUME, _ML, derivation=_LOW),
    Quantity("volume_ci95_ml.1", _VOLUME, _ML, derivation=_HIGH),
    Quantity("change_percent", private("CHANGE"), _PERCENT, interval="change_ci95_percent"),
    Quantity("change_ci95_percent.0", private("CHANGE"), _PERCENT, derivation=_LOW),
    Quantity("change_ci95_percent.1", private("CHANGE"), _PERCENT, derivation=_HIGH),
    Quantity("paired_change_percent", private("PAIRED_CHANGE"), _PERCENT, interval="paired_change_ci95_percent"),
    Quantity("paired_change_ci95_percent.0", private("PAIRED_CHANGE"), _PERCENT, derivation=_LOW),
    Quantity("paired_change_ci95_percent.1", private("PAIRED_CHANGE"), _PERCENT, derivation=_HIGH),
    Quantity("smallest_detectable_change_percent", private("SMALLEST_CHANGE"), _PERCENT),
    Quantity("yardsticks.longest_diameter_change_percent", private("DIAMETER_CHANGE"), _PERCENT),
    Quantity("mcc_percent", private("MCC"), _PERCENT, _CANAL),
    Quantity("mscc_percent", private("MSCC"), _PERCENT, _CORD),
    Quantity("days_from_rt_end", private("DAYS_FROM_RT"), _DAY),
)

NADIR_NUMBERS = (Quantity("nadir.volume_ml", _VOLUME, _ML, derivation=sct("Minimum")),)

TREATMENT_NUMBERS = (
    Quantity("radiotherapy.dose_gy", private("RT_DOSE"), ucum("Gy")),
    Quantity("radiotherapy.fractions", private("RT_FRACTIONS"), _RATIO),
    Quantity("radiotherapy.margin_levels.0", private("RT_MARGIN_ABOVE"), _RATIO),
    Quantity("radiotherapy.margin_levels.1", private("RT_MARGIN_BELOW"), _RATIO),
)

_GRADES = {grade: private(f"ESCC_{grade.upper()}") for grade in ("1a", "1b", "1c", "2", "3")}
_SCHIZAS = {grade: private(f"SCHIZAS_{grade}") for grade in "ABCD"}
_GRADED_SERIES = {"axial_t2": private("AXIAL_T2"), "sagittal_t2": private("SAGITTAL_T2")}
_STATUS = {word: private(word.upper()) for word in ("measured", "not_found", "not_assessable")}
_POSITIONS = {word: sct(word.capitalize()) for word in ("posterior", "anterior", "left", "right", "circumferential")}

MASS_ANSWERS = (
    Answer("mass.status", private("STATUS"), _STATUS),
    Answer("mass.position", private("POSITION"), _POSITIONS),
    Answer("mass.extent.from", private("EXTENT_FROM")),
    Answer("mass.extent.to", private("EXTENT_TO")),
    Answer("mass.truncated", private("TRUNCATED")),
)

COMPROMISE_ANSWERS = (
    Answer("compromise.worst_level", private("WORST_LEVEL")),
    Answer("compromise.reference_levels.0", private("REFERENCE_ABOVE")),
    Answer("compromise.reference_levels.1", private("REFERENCE_BELOW")),
    Answer("compromise.escc_grade", private("ESCC"), _GRADES),
    Answer("compromise.escc_evidence.sac_deformed", private("SAC_DEFORMED")),
    Answer("compromise.escc_evidence.cord_touched", private("CORD_TOUCHED")),
    Answer("compromise.escc_evidence.cord_compressed", private("CORD_COMPRESSED")),
    Answer("compromise.escc_evidence.csf_visible", private("CSF_VISIBLE")),
    Answer("compromise.escc_evidence.high_grade", private("HIGH_GRADE")),
    Answer("compromise.schizas_grade", private("SCHIZAS"), _SCHIZAS),
    Answer("compromise.schizas_evidence.series", private("GRADED_SERIES"), _GRADED_SERIES),
    Answer("compromise.schizas_evidence.reformatted", private("REFORMATTED")),
    Answer("compromise.schizas_evidence.csf_visible", private("SAC_FLUID_SEEN")),
    Answer("compromise.schizas_evidence.rootlets_visible", private("ROOTLETS_SEEN")),
    Answer("compromise.schizas_evidence.fat_behind", private("FAT_BEHIND")),
)

CHANGE_ANSWERS = (
    Answer(
        "verdict",
        private("VERDICT"),
        {
            "decreased": private("DECREASED"),
            "increased": private("INCREASED"),
            "not_distinguishable": private("NOT_DISTINCT"),
            "not_assessable": private("NOT_ASSESSABLE"),
        },
    ),
    Answer("worst_level", private("WORST_LEVEL")),
    Answer(
        "verdict_basis",
        private("VERDICT_BASIS"),
        {"paired": private("PAIRED_CHANGE"), "unpaired": private("CHANGE")},
    ),
    Answer("escc_grade", private("ESCC"), _GRADES),
    Answer("schizas_grade", private("SCHIZAS"), _SCHIZAS),
)

RECURRENCE_ANSWERS = (Answer("recurrence.suspected", private("RECURRENCE")),)

TREATMENT_ANSWERS = (Answer("radiotherapy.mass_covered", private("MASS_COVERED")),)


def lookup(content: Json, path: str) -> Json:
    """Return what stands at a path of plain JSON data; None where the path ends early."""
    for key in path.split("."):
        if isinstance(content, dict):
            content = content.get(key)
        elif isinstance(content, list):
            content = content[int(key)] if int(key) < len(content) else None
        else:
            return None
    return content


def measurements(quantities: Iterable[Quantity], content: Json) -> list[Measurement]:
    """Return a NUM item for every quantity that has a value; nulls are left out.

    Parameters
    ----------
    quantities : iterable of Quantity
    content : Json
        Rounded as in the JSON file, so that report and file hold the same numbers.

    Returns
    -------
    list of Measurement
        Where there is a 95 % interval, its distances from the value are the range of uncertainty.
    """
    return [
        _measurement(quantity, float(value), lookup(content, quantity.interval) if quantity.interval else None)
        for quantity in quantities
        if isinstance(value := lookup(content, quantity.path), int | float)
    ]


def _measurement(quantity: Quantity, value: float, interval: Json) -> Measurement:
    made = Measurement(
        name=quantity.name,
        value=value,
        unit=quantity.unit,
        derivation=quantity.derivation,
        method=quantity.method,
        finding_sites=[FindingSite(quantity.site)] if quantity.site else None,
        properties=_uncertainty(value, interval),
    )
    # highdicom writes the range without a unit; it has that of the value.
    for item in made[0].get("ContentSequence", ()):
        if item.ValueType == "NUM":
            item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = [CodedConcept.from_code(quantity.unit)]
    return made


def _uncertainty(value: float, interval: Json) -> MeasurementProperties | None:
    if not isinstance(interval, list) or len(interval) != 2:
        return None
    low, high = interval
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    # Rounded as the ends are, so that the difference shows no digits that nobody measured.
    return MeasurementProperties(
        lower_measurement_uncertainty=round(max(0.0, value - low), 3),
        upper_measurement_uncertainty=round(max(0.0, high - value), 3),
    )


def answers(questions: Iterable[Answer], content: Json) -> list[QualitativeEvaluation]:
    """Return a CODE item for every answer that is known: a level, a word, yes or no."""
    found = ((question, lookup(content, question.path)) for question in questions)
    return [QualitativeEvaluation(one.name, _code(one, value)) for one, value in found if isinstance(value, bool | str)]


def _code(question: Answer, value: bool | str) -> Code:  # noqa: FBT001 - an answer, not a switch
    if isinstance(value, bool):
        return sct("Yes" if value else "No")
    return question.values[value] if question.values else level_code(value)


def flag_answer(code: str) -> QualitativeEvaluation:
    """Return a finding as CODE item: its stable code in our scheme, its words from the code."""
    return QualitativeEvaluation(private("FLAG"), Code(code, PRIVATE_SCHEME, code.replace("_", " ").capitalize()[:64]))
