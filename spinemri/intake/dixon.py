r"""Which image of a Dixon series a stack is: water, fat, in phase or opposed phase.

Image Type comes first. Many scanners write ``ORIGINAL\PRIMARY\OTHER`` for all of them, and NIfTI often has no Image
Type; then the description tells: ``FAT: SAG T2 FLEX`` (GE), ``t2_tse_dixon_sag_F`` (Siemens).
"""

from __future__ import annotations

from collections.abc import Mapping

from spinemri.intake.rules import DixonRules, SeriesRules, find_words, normalised_words
from spinemri.intake.tags import SeriesTags

__all__ = ["dixon_image"]

_IMAGES = ("fat", "opposed_phase", "water", "in_phase")


def dixon_image(tags: SeriesTags, rules: SeriesRules) -> tuple[str, str]:
    """Return which image of a Dixon series this is, with the evidence.

    The protocol name is not asked: it is one for all images of the series.

    Parameters
    ----------
    tags : SeriesTags
    rules : SeriesRules

    Returns
    -------
    image : str
        ``"water"``, ``"fat"``, ``"in_phase"``, ``"opposed_phase"``, or empty where nothing tells.
    evidence : str
    """
    for image in _IMAGES:
        if value := rules.typed(f"dixon_{image}", tags.image_type):
            return image, f"image type holds {value}"
    for where, text in tags.texts[:2]:
        image, word = _worded(text, rules.dixon)
        if image:
            return image, f"{where} says {word!r}"
    return "", ""


def _worded(text: str, rules: DixonRules) -> tuple[str, str]:
    """Return image and word, from the surest kind of words to the least sure."""
    label, colon, _ = text.partition(":")
    named = bool(find_words(text, rules.technique))
    asked = [
        (label if colon else "", rules.phrases, True),
        (label if colon else "", rules.labels, True),
        (text, rules.phrases, False),
        (text if named and not find_words(text, rules.no_label) else "", rules.labels, False),
        (_last_word(text, rules) if named else "", rules.endings, True),
    ]
    for words, patterns, whole in asked:
        image, word = _only(words, patterns)
        if image and (not whole or word == " ".join(normalised_words(words))):
            return image, word
    return "", ""


def _only(text: str, patterns: Mapping[str, tuple[str, ...]]) -> tuple[str, str]:
    """Return the image that a text names, unless it names several."""
    found = [(image, word) for image in patterns if (word := find_words(text, patterns[image]))]
    return found[0] if len(found) == 1 else ("", "")


def _last_word(text: str, rules: DixonRules) -> str:
    """Return the last word that is neither a number nor one of those that may follow an ending."""
    words = [word for word in normalised_words(text) if not word.isdigit() and not find_words(word, rules.after_ending)]
    return words[-1] if words else ""
