"""Series rules: the data of `configs/series_rules.yaml`, and how words are compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from spinemri.errors import UsageError
from spinemri.intake.model import Weighting
from spinemri.intake.tags import SeriesTags

__all__ = ["DixonRules", "SeriesRules", "TimingRule", "find_words", "load_rules", "normalised_words"]

_RANGES = ("repetition_ms", "echo_ms", "inversion_ms", "flip_deg")


@dataclass(frozen=True)
class TimingRule:
    """One line of the timing table: all conditions must hold.

    Attributes
    ----------
    weighting : Weighting
    why : str
    sequence, without : str
        A scanning sequence that must be present or absent; empty for any.
    ranges : tuple of (str, float, float)
        Field of `SeriesTags` with its closed range in ms or degrees.
    """

    weighting: Weighting
    why: str
    sequence: str
    without: str
    ranges: tuple[tuple[str, float, float], ...]

    def holds(self, tags: SeriesTags) -> bool:
        """Tell whether the header values fulfil every condition."""
        if self.sequence and self.sequence not in tags.scanning_sequence:
            return False
        if self.without and self.without in tags.scanning_sequence:
            return False
        for name, low, high in self.ranges:
            value = getattr(tags, name)
            if value is None or not low <= value <= high:
                return False
        return True


@dataclass(frozen=True)
class DixonRules:
    """How words tell the images of a Dixon series apart.

    Attributes
    ----------
    phrases, labels, endings : mapping of str to tuple of str
        Patterns by image (``"water"``, ``"fat"``, ``"in_phase"``, ``"opposed_phase"``): alone enough; enough before a
        colon or where the technique is named; enough at the end of words that name the technique.
    technique : tuple of str
    after_ending : tuple of str
        What may follow an ending, besides numbers.
    no_label : tuple of str
        Phrases in which a label names no image, such as fat that is suppressed.
    """

    phrases: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, tuple[str, ...]]
    endings: Mapping[str, tuple[str, ...]]
    technique: tuple[str, ...]
    after_ending: tuple[str, ...]
    no_label: tuple[str, ...]


@dataclass(frozen=True)
class SeriesRules:
    """How series are recognised.

    Attributes
    ----------
    timing : tuple of TimingRule
    words, image_type, region : mapping of str to tuple of str
        Patterns by meaning; `region` in order of precedence.
    dixon : DixonRules
    whole_from_mm : float
    other_body_parts, spine_words : tuple of str
    """

    timing: tuple[TimingRule, ...]
    words: Mapping[str, tuple[str, ...]]
    image_type: Mapping[str, tuple[str, ...]]
    dixon: DixonRules
    region: Mapping[str, tuple[str, ...]]
    whole_from_mm: float
    other_body_parts: tuple[str, ...]
    spine_words: tuple[str, ...]

    def word(self, meaning: str, *texts: str) -> str:
        """Return the words in the texts that carry a meaning, e.g. ``"stir"``; empty if there are none."""
        return next((found for text in texts if (found := find_words(text, self.words[meaning]))), "")

    def typed(self, meaning: str, image_type: tuple[str, ...]) -> str:
        """Return the value of Image Type that carries a meaning; empty if there is none."""
        return next((value for value in image_type[2:] if value in self.image_type[meaning]), "")


def normalised_words(text: str) -> tuple[str, ...]:
    """Split a description into words without case and accents; ``+`` opens a word, ``c+`` and ``c-`` stay whole.

    Examples
    --------
    >>> normalised_words("T1_TSE sag  +C")
    ('t1', 'tse', 'sag', '+c')
    """
    return tuple(re.findall(r"(?<![^\W_])[ck][+-](?!\w)|\+[^\W_]+|[^\W_]+|\*", _plain(text).replace("+ ", "+")))


def _plain(text: str) -> str:
    """Drop case and accents; the Turkish dotless i, which has no decomposition, becomes an i."""
    split = unicodedata.normalize("NFKD", text.casefold().replace("\u0131", "i"))
    return "".join(character for character in split if not unicodedata.combining(character))


def find_words(text: str, patterns: tuple[str, ...]) -> str:
    """Return the first words of a text that match a pattern; empty if none does.

    Parameters
    ----------
    text : str
        A description.
    patterns : tuple of str
        Words or phrases in which ``*`` stands for any letters.

    Examples
    --------
    >>> find_words("SAG T1 Fat Sat", ("stir", "fat sat*"))
    'fat sat'
    """
    found = normalised_words(text)
    for pattern in patterns:
        wanted = _pattern(pattern)
        for start in range(len(found) - len(wanted) + 1):
            here = found[start : start + len(wanted)]
            if all(fnmatchcase(word, part) for word, part in zip(here, wanted, strict=True)):
                return " ".join(here)
    return ""


@cache
def _pattern(pattern: str) -> tuple[str, ...]:
    return tuple(_plain(pattern).split())


@cache
def load_rules() -> SeriesRules:
    """Read the shipped series rules, from an installed package or a checkout.

    Raises
    ------
    UsageError
        BAD_CONFIG if the file is missing or malformed.
    """
    package = Path(__file__).parents[1]
    inside = package / "configs" / "series_rules.yaml"
    path = inside if inside.is_file() else package.parent / "configs" / "series_rules.yaml"
    try:
        return _parse(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        what = f"{path.name} cannot be used ({type(error).__name__}: {error})"
        raise UsageError("BAD_CONFIG", f"{what}.", "Restore the shipped file.") from error


def _parse(data: Mapping[str, Any]) -> SeriesRules:
    region = dict(data["region"])
    whole_from_mm = float(region.pop("whole_from_mm"))
    return SeriesRules(
        timing=tuple(_timing(line) for line in data["timing"]),
        words=_lists(data["words"]),
        image_type=_lists(data["image_type"]),
        dixon=_dixon(data["dixon"]),
        region=_lists(region),
        whole_from_mm=whole_from_mm,
        other_body_parts=tuple(data["not_spine"]["body_parts"]),
        spine_words=tuple(data["not_spine"]["spine_words"]),
    )


def _lists(groups: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(str(word) for word in words) for name, words in groups.items()}


def _dixon(data: Mapping[str, Any]) -> DixonRules:
    flat = _lists({name: data[name] for name in ("technique", "after_ending", "no_label")})
    return DixonRules(_lists(data["phrases"]), _lists(data["labels"]), _lists(data["endings"]), **flat)


def _timing(line: Mapping[str, Any]) -> TimingRule:
    ranges = tuple((name, float(line[name][0]), float(line[name][1])) for name in _RANGES if name in line)
    sequence, without = str(line.get("sequence", "")), str(line.get("without", ""))
    return TimingRule(Weighting(line["weighting"]), str(line["why"]), sequence, without, ranges)
