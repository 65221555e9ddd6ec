"""The follow-up inherits the baseline's level names; whatever speaks against it is a flag."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from spinemri.anatomy.model import Anatomy, Disc, Levels, Vertebra
from spinemri.errors import Flag, Severity
from spinemri.followup.radiotherapy import column_with
from spinemri.followup.registration import MIN_COMMON_VERTEBRAE, Registration, register_visits
from spinemri.nomenclature import disc_name
from spinemri.volume import Volume

__all__ = ["transfer_levels"]

NameAt = Callable[[int], str | None]

MIN_SIMILARITY = 0.55
"""Least similarity of a convincing pairing.

Generated visits of one patient (15 mm, 10 degrees, bending, irradiated marrow, smaller mass) reach 0.65-0.95 and
different patients 0.10-0.46 (`benchmarks/level_transfer.py`). Of 27 real lumbar T2 scans, thin slabs of 6-8 vertebrae,
moved and resampled, 26 reach 0.63-0.95; pairs of different patients among them have a median of 0.36, and 4 % reach
0.6: short thin slabs tell patients apart less well. Two real visits of one patient have not been measured yet.
"""
MIN_MARGIN = 0.15
"""Least lead over the runner-up; pairings one level off trail the right one by 0.2 or more in the same visits."""
_MIN_SIMILARITY_IF_NAMES_AGREE = 0.35
_MIN_MARGIN_IF_NAMES_AGREE = 0.05
_STRANGER_SIMILARITY = 0.35
_SAME_CONTRAST = 0.7
_MIN_VERTEBRAE_FOR_STRANGER = 5
_MAX_STEP_RATIO = 1.6
# Not measured on repeated scans yet: a small discount, so that inherited names never seem surer than their source.
_TRANSFER_CONFIDENCE = 0.98
_ANCHOR_FLAGS = frozenset({"NO_LEVEL_ANCHOR", "LEVELS_BEYOND_COLUMN"})


def transfer_levels(
    baseline: Anatomy,
    baseline_image: Volume,
    followup: Anatomy,
    followup_image: Volume,
    *,
    same_sequence: bool = True,
) -> tuple[Levels, tuple[Flag, ...]]:
    """Name a follow-up's levels as the baseline's, by comparing the images.

    Parameters
    ----------
    baseline, followup : Anatomy
    baseline_image, followup_image : Volume
        The images on whose grids they lie, in each visit's own coordinates.
    same_sequence : bool
        Whether both images have the same weighting and fat suppression; where not, unlike images are no sign of
        another patient.

    Returns
    -------
    levels : Levels
        The follow-up's vertebrae and discs under the baseline's names (``anchor="baseline"``), or its own levels
        unchanged.
    flags : tuple of Flag
        LEVELS_DISAGREE: the follow-up's own anchored count reads otherwise; the baseline's names were kept.
        LEVELS_FROM_BASELINE: names without an anchor were replaced (info).
        LEVEL_TRANSFER_FAILED: the visits could not be matched; the follow-up keeps its own names.
        VISITS_DO_NOT_MATCH: the images are so unlike that another patient is likely (error).
    """
    own = followup.levels
    if not any(v.name for v in baseline.levels.vertebrae):
        return own, (_failed("the baseline's vertebrae have no names"),)
    registration = register_visits(baseline, baseline_image, followup, followup_image)
    if registration is None:
        return own, (_failed("too few vertebrae along a visible canal are common to both"),)
    if same_sequence and _is_stranger(registration) and not _apart(baseline.levels, own):
        return own, (_mismatch(registration),)
    name_at = _names_from(baseline.levels.vertebrae, registration.best.levels)
    agrees = _is_anchored(baseline.levels) and _is_anchored(own) and not _differences(own.vertebrae, name_at)
    if doubt := _doubt(registration, agrees=agrees):
        return own, (_failed(doubt),)
    levels = _renamed(followup, baseline.levels, name_at)
    return levels, _renaming_flags(own, levels)


def _failed(reason: str) -> Flag:
    message = (
        f"The level names of the baseline could not be brought over: {reason}. The follow-up keeps its own names; "
        "compare the levels of both visits by eye."
    )
    return Flag("LEVEL_TRANSFER_FAILED", message)


def _mismatch(registration: Registration) -> Flag:
    message = (
        f"No pairing of up to {registration.most_vertebrae} vertebrae makes the visits look alike (best similarity "
        f"{registration.best.similarity:.2f}, {MIN_SIMILARITY} is expected): they may show different patients, or "
        "parts of the spine that do not overlap. Check which studies were given."
    )
    return Flag("VISITS_DO_NOT_MATCH", message, Severity.ERROR)


def _is_stranger(registration: Registration) -> bool:
    """Tell whether, with the same contrast and enough vertebrae, no pairing looks alike."""
    same_contrast = registration.contrast >= _SAME_CONTRAST
    comparable = same_contrast and registration.most_vertebrae >= _MIN_VERTEBRAE_FOR_STRANGER
    return comparable and not registration.unjudged and registration.best.similarity < _STRANGER_SIMILARITY


def _apart(first: Levels, second: Levels) -> bool:
    """Tell whether two anchored counts have too few vertebrae in common to be compared."""
    common = {v.name for v in first.vertebrae if v.name} & {v.name for v in second.vertebrae}
    return _is_anchored(first) and _is_anchored(second) and len(common) < MIN_COMMON_VERTEBRAE


def _doubt(registration: Registration, *, agrees: bool) -> str:
    """Say why a pairing is not convincing; two independent counts that agree with it need less of it."""
    best, margin = registration.best, registration.margin
    if registration.step_ratio > _MAX_STEP_RATIO:
        return f"neighbouring vertebrae lie {registration.step_ratio:.1f} times farther apart at one visit"
    if registration.unjudged:
        return "the images of the two visits share too little"
    least = _MIN_SIMILARITY_IF_NAMES_AGREE if agrees else MIN_SIMILARITY
    if best.similarity < least:
        return f"the images are too unlike (similarity {best.similarity:.2f}, {least} needed)"
    least = _MIN_MARGIN_IF_NAMES_AGREE if agrees else MIN_MARGIN
    if margin < least:
        return f"another pairing fits nearly as well (similarity {best.similarity:.2f}, margin {margin:.2f})"
    return ""


def _is_anchored(levels: Levels) -> bool:
    return levels.numbering == "absolute"


def _names_from(vertebrae: Sequence[Vertebra], shift: int) -> NameAt:
    """Return a function that names follow-up vertebra ``i``, counting on beyond the baseline's field of view."""
    known = {index: v.name for index, v in enumerate(vertebrae) if v.name}
    column = column_with(list(known.values()))

    def name_at(index: int) -> str | None:
        """Name a vertebra after the nearest one that has a name."""
        wanted = index + shift
        nearest = min(known, key=lambda place: abs(place - wanted))
        place = column.index(known[nearest]) + wanted - nearest
        return column[place] if 0 <= place < len(column) else None

    return name_at


def _differences(vertebrae: Sequence[Vertebra], name_at: NameAt) -> list[tuple[str, str]]:
    """List own and inherited names that differ."""
    pairs = [(v.name, name_at(index)) for index, v in enumerate(vertebrae)]
    return [(old, new) for old, new in pairs if old and new and old != new]


def _renamed(followup: Anatomy, baseline: Levels, name_at: NameAt) -> Levels:
    own = followup.levels
    confidence = round(baseline.confidence * _TRANSFER_CONFIDENCE, 3)
    vertebrae = tuple(replace(v, name=name_at(index), confidence=confidence) for index, v in enumerate(own.vertebrae))
    above = _vertebra_above(followup)
    discs = tuple(
        replace(disc, name=_disc_name(name_at(i), name_at(i + 1))) for disc, i in zip(own.discs, above, strict=True)
    )
    anchored = _is_anchored(baseline)
    flags = tuple(flag for flag in own.flags if not (anchored and flag.code in _ANCHOR_FLAGS))
    return Levels(vertebrae, discs, baseline.numbering, "baseline", confidence, flags)


def _disc_name(above: str | None, below: str | None) -> str | None:
    return disc_name(above, below) if above and below else None


def _vertebra_above(anatomy: Anatomy) -> list[int]:
    """Index of the vertebra above each disc, -1 for a disc above the first one."""
    line = anatomy.centreline
    places: list[Sequence[Vertebra | Disc]] = [anatomy.levels.vertebrae, anatomy.levels.discs]
    if line is None or not anatomy.levels.discs:
        return []
    arcs, wanted = (line.nearest(np.array([level.centre_lps_mm for level in group])) for group in places)
    return [int(index) for index in np.searchsorted(arcs, wanted) - 1]


def _renaming_flags(own: Levels, levels: Levels) -> tuple[Flag, ...]:
    pairs = [(a.name, b.name) for a, b in zip(own.vertebrae, levels.vertebrae, strict=True) if a.name != b.name]
    if not pairs:
        return ()
    old, new = pairs[len(pairs) // 2]
    if _is_anchored(own) and old:
        message = (
            f"The vertebra that the baseline's numbering calls {new} is {old} by the follow-up's own count from "
            f"{own.anchor}. The baseline's names were kept; check both counts and give one with --level."
        )
        return (Flag("LEVELS_DISAGREE", message),)
    message = f"Level names come from the baseline: {new} had been {old or 'unnamed'} for want of an anchor."
    return (Flag("LEVELS_FROM_BASELINE", message, Severity.INFO),)
