"""What a stack shows: weighting, fat suppression, contrast and region, each with a sentence of evidence.

Header values come first, words of the description second; the plane comes from geometry alone (`slices.plane_of`).
Contrast that only the order of acquisition reveals is found in `spinemri.intake.enhancement`.
"""

from __future__ import annotations

from enum import StrEnum

from spinemri.intake.dixon import dixon_image
from spinemri.intake.model import Weighting
from spinemri.intake.rules import SeriesRules, find_words, normalised_words
from spinemri.intake.tags import SeriesTags

__all__ = [
    "Kind",
    "contrast_of",
    "fat_suppression_of",
    "is_other_body_part",
    "is_spine_study",
    "is_uncorrected",
    "kind_of",
    "knows_weighting",
    "region_of",
    "weighting_of",
]

_NO_AGENT = {"", "N", "0", "NULL", "NA", "N/A"}
_SUPPRESSING_OPTIONS = {"FS", "WE", "FATSAT", "SPIR", "SPAIR"}
_EXPLICIT = {
    "T1": Weighting.T1,
    "T2": Weighting.T2,
    "STIR": Weighting.STIR,
    "PROTON_DENSITY": Weighting.OTHER,
    "DIFFUSION": Weighting.OTHER,
    "FLUID_ATTENUATED": Weighting.OTHER,
    "T2_STAR": Weighting.OTHER,
}


class Kind(StrEnum):
    """How an image came about, from best to worst for measuring; the last ones are never measured."""

    ORIGINAL = "original"
    COMPOSED = "composed"
    DERIVED = "derived"
    REFORMATTED = "reformatted"
    LOCALIZER = "localizer"
    SUBTRACTION = "subtraction"
    PROJECTION = "projection"
    MAP = "map"
    NOT_MAGNITUDE = "not_magnitude"
    DIXON_FAT = "dixon_fat"
    DIXON_OPPOSED = "dixon_opposed_phase"


_TYPED_KINDS = (
    ("not_magnitude", Kind.NOT_MAGNITUDE),
    ("localizer", Kind.LOCALIZER),
    ("subtraction", Kind.SUBTRACTION),
    ("projection", Kind.PROJECTION),
    ("map", Kind.MAP),
    ("composed", Kind.COMPOSED),
    ("reformatted", Kind.REFORMATTED),
)
_UNUSED_DIXON = {"fat": Kind.DIXON_FAT, "opposed_phase": Kind.DIXON_OPPOSED}
_WORDED_KINDS = (
    ("localizer", Kind.LOCALIZER),
    ("subtraction", Kind.SUBTRACTION),
    ("projection", Kind.PROJECTION),
    ("map", Kind.MAP),
    ("reformatted", Kind.REFORMATTED),
)


def kind_of(tags: SeriesTags, rules: SeriesRules) -> tuple[Kind, str]:
    """Return how the image came about, with the evidence.

    Parameters
    ----------
    tags : SeriesTags
    rules : SeriesRules

    Returns
    -------
    kind : Kind
    evidence : str
    """
    if tags.complex_component in {"PHASE", "REAL", "IMAGINARY"}:
        return Kind.NOT_MAGNITUDE, f"complex image component is {tags.complex_component}"
    dixon, evidence = dixon_image(tags, rules)
    if dixon in _UNUSED_DIXON:
        return _UNUSED_DIXON[dixon], evidence
    if (unusual := _unusual_kind(tags, rules)) is not None:
        return unusual
    if "DERIVED" in tags.image_type[:1] and not dixon:
        if rules.word("composed", tags.description):
            return Kind.COMPOSED, "derived, and the description names a composed image"
        return Kind.DERIVED, "image type says DERIVED"
    return Kind.ORIGINAL, "image type says ORIGINAL" if tags.image_type else "nothing says that it is derived"


def _unusual_kind(tags: SeriesTags, rules: SeriesRules) -> tuple[Kind, str] | None:
    """Return the kind that a value of Image Type or a word names; None if there is none."""
    for meaning, kind in _TYPED_KINDS:
        if value := rules.typed(meaning, tags.image_type):
            return kind, f"image type holds {value}"
    for meaning, kind in _WORDED_KINDS:
        if said := _said(meaning, tags.texts[:2], rules):
            return kind, said
    return None


def weighting_of(tags: SeriesTags, rules: SeriesRules) -> tuple[Weighting, str]:
    """Return the weighting: explicit tag, then timing, then words of description and protocol.

    Returns
    -------
    weighting : Weighting
        ``OTHER`` where nothing tells.
    evidence : str
    """
    if tags.acquisition_contrast in _EXPLICIT:
        return _EXPLICIT[tags.acquisition_contrast], f"acquisition contrast is {tags.acquisition_contrast}"
    timed = _timed(tags, rules)
    if timed is not None:
        weighting, evidence = timed
        worded = _worded(tags, rules)
        if worded is not None and worded[0] is not weighting:
            evidence += f"; {worded[1]}, but header values come first"
        return weighting, evidence
    worded = _worded(tags, rules)
    if worded is not None:
        return worded[0], f"{worded[1]}; header values do not tell"
    return Weighting.OTHER, "neither header values nor the description tell"


def knows_weighting(tags: SeriesTags, rules: SeriesRules) -> bool:
    """Tell whether header values or words say anything about the weighting."""
    known = tags.acquisition_contrast in _EXPLICIT
    return known or _timed(tags, rules) is not None or _worded(tags, rules) is not None


def _timed(tags: SeriesTags, rules: SeriesRules) -> tuple[Weighting, str] | None:
    spectral = rules.word("spectral_inversion", tags.description, tags.protocol)
    for rule in rules.timing:
        if rule.holds(tags) and not (rule.weighting is Weighting.STIR and spectral):
            return rule.weighting, f"{rule.why} ({_timing_text(tags)})"
    return None


def _timing_text(tags: SeriesTags) -> str:
    values = (("TR", tags.repetition_ms, "ms"), ("TE", tags.echo_ms, "ms"), ("TI", tags.inversion_ms, "ms"))
    parts = [f"{name} {value:.4g} {unit}" for name, value, unit in values if value is not None]
    return ", ".join([*tags.scanning_sequence, *parts])


def _worded(tags: SeriesTags, rules: SeriesRules) -> tuple[Weighting, str] | None:
    meanings = (
        ("stir", Weighting.STIR),
        ("other_contrast", Weighting.OTHER),
        ("t1", Weighting.T1),
        ("t2", Weighting.T2),
    )
    for text in (*tags.texts, ("sequence name", tags.sequence_name)):
        for meaning, weighting in meanings:
            if said := _said(meaning, (text,), rules):
                return weighting, said
    return None


def _said(meaning: str, texts: tuple[tuple[str, str], ...], rules: SeriesRules) -> str:
    """Return which text carries a meaning and in what words; empty if none does."""
    found = ((where, rules.word(meaning, text)) for where, text in texts)
    return next((f"{where} says {word!r}" for where, word in found if word), "")


def fat_suppression_of(tags: SeriesTags, weighting: Weighting, rules: SeriesRules) -> tuple[bool | None, str]:
    """Return whether fat is suppressed: by STIR, Dixon image, scan options, then words; None where nothing tells.

    Returns
    -------
    suppressed : bool or None
    evidence : str
    """
    if weighting is Weighting.STIR:
        return True, "fat is suppressed: STIR"
    if (tagged := _tagged_suppression(tags, rules)) is not None:
        return tagged
    if said := _said("not_fat_suppressed", tags.texts[:2], rules):
        return False, f"fat is not suppressed: {said}"
    if said := _said("fat_suppressed", tags.texts, rules):
        return True, f"fat is suppressed: {said}"
    if tags.fat_suppression or tags.scan_options or tags.description:
        return False, "fat is not suppressed: neither scan options nor description name a suppression"
    return None, "nothing tells whether fat is suppressed"


def _tagged_suppression(tags: SeriesTags, rules: SeriesRules) -> tuple[bool, str] | None:
    image, evidence = dixon_image(tags, rules)
    if image == "water":
        return True, f"fat is suppressed: Dixon water image ({evidence})"
    if image == "in_phase":
        return False, f"fat is not suppressed: Dixon in-phase image ({evidence})"
    if tags.fat_suppression.startswith("FAT"):
        return True, f"fat is suppressed: spectrally selected suppression is {tags.fat_suppression}"
    if option := next((value for value in tags.scan_options if value in _SUPPRESSING_OPTIONS), ""):
        return True, f"fat is suppressed: scan options hold {option}"
    return None


def contrast_of(tags: SeriesTags, rules: SeriesRules) -> tuple[bool | None, str]:
    """Return whether contrast was given before: by the agent tag, then by words; None where nothing tells.

    The agent tag is often blank after contrast, so that a blank proves nothing. The protocol name is not asked: some
    scanners write the protocol of the whole examination into every series of it.

    Returns
    -------
    enhanced : bool or None
    evidence : str
    """
    if _names_agent(tags.contrast_agent, rules):
        return True, "after contrast: the header names a contrast agent"
    for text in tags.texts[:2]:
        if said := _said("no_contrast", (text,), rules):
            return False, f"before contrast: {said}"
        if said := _said("contrast", (text,), rules):
            return True, f"after contrast: {said}"
    return None, "neither contrast agent nor description tell whether contrast was given"


def _names_agent(text: str, rules: SeriesRules) -> bool:
    """Tell whether the text of an agent tag names one; people also write there that none was given."""
    if text.strip().upper() in _NO_AGENT:
        return False
    words = normalised_words(text)
    if {" ".join(words[:1]), " ".join(words[:2])} & set(rules.words["no_agent"]):
        return False
    return bool(rules.word("agent", text)) or not rules.word("no_contrast", text)


def region_of(tags: SeriesTags, height_mm: float, rules: SeriesRules) -> tuple[str, str]:
    """Return the region of the spine, from the words of the description, the body part, and the extent.

    Parameters
    ----------
    tags : SeriesTags
    height_mm : float
        Cranio-caudal extent of the stack.
    rules : SeriesRules

    Returns
    -------
    region : str
        ``"cervical"``, ``"thoracic"``, ``"lumbar"``, ``"whole"`` or ``""``.
    evidence : str
    """
    if height_mm >= rules.whole_from_mm:
        return "whole", f"whole spine: {height_mm:.0f} mm from top to bottom"
    described, named, protocol = tags.texts
    part, study = ("body part examined", tags.body_part), ("study description", tags.study_description)
    for where, text in (described, named, part, protocol, study):
        for region, patterns in rules.region.items():
            if region != "whole" and (word := find_words(text, patterns)):
                return region, f"{region}: {where} says {word!r}"
    return "", "nothing names the region"


def is_other_body_part(tags: SeriesTags, rules: SeriesRules) -> bool:
    """Tell whether the body part is another one and the series' own words do not name the spine."""
    named = any(find_words(text, rules.spine_words) for text in (tags.description, tags.file_name))
    named = named or _spine_alone(tags.protocol, rules)
    return not named and any(part in tags.body_part for part in rules.other_body_parts)


def is_spine_study(tags: SeriesTags, rules: SeriesRules) -> bool:
    """Tell whether the study's description names the spine and no other body part."""
    return _spine_alone(tags.study_description, rules)


def _spine_alone(text: str, rules: SeriesRules) -> bool:
    """Tell whether a text names the spine alone: "brain and spine" stands above the series of both."""
    return bool(find_words(text, rules.spine_words)) and not find_words(text, rules.other_body_parts)


def is_uncorrected(tags: SeriesTags, rules: SeriesRules) -> bool:
    """Tell whether this is the copy of a series whose distortion was not corrected; False where nothing tells."""
    if rules.typed("corrected", tags.image_type):
        return False
    return bool(rules.typed("uncorrected", tags.image_type) or _said("uncorrected", tags.texts[:2], rules))
