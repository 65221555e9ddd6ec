"""De-identification of what a run reads, before anything else sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from spinemri.errors import InputError, UsageError
from spinemri.followup import Radiotherapy
from spinemri.intake.deidentify import deidentified
from spinemri.intake.model import Study
from spinemri.intake.pseudonyms import Pseudonyms, pseudonyms_for
from spinemri.intake.treatment import Course, Target
from spinemri.pipeline.options import Options
from spinemri.volume import Volume

__all__ = ["details_withheld", "without_identity"]

_Framed = TypeVar("_Framed", Volume, Target)

_PLAIN_ERRORS = {
    "LEVEL_UNKNOWN", "SEGMENTER_FAILED", "SEGMENTER_MISSING", "SEGMENTER_TIMEOUT", "SEVERAL_PATIENTS",
}  # fmt: skip
"""Errors whose messages quote neither headers nor names of files."""


def without_identity(
    studies: Sequence[Study], radiotherapy: Radiotherapy | None, options: Options
) -> tuple[list[Study], Radiotherapy | None]:
    """De-identify studies and the dates of treatment, if asked.

    Parameters
    ----------
    studies : sequence of Study
        All that belong to a run, in order: they share one pseudonym and one offset of dates.
    radiotherapy : Radiotherapy or None
    options : Options

    Returns
    -------
    studies : list of Study
    radiotherapy : Radiotherapy or None
    """
    if options.deidentification is None:
        return list(studies), radiotherapy
    pseudonyms = pseudonyms_for(studies, options.deidentification)
    clean = [deidentified(study, pseudonyms) for study in studies]
    if radiotherapy is None:
        return clean, None
    start, end = (day and pseudonyms.shifted(day) for day in (radiotherapy.start, radiotherapy.end))
    course = _unnamed(radiotherapy.course, pseudonyms) if radiotherapy.course else None
    return clean, replace(radiotherapy, start=start, end=end, course=course)


def _unnamed(course: Course, pseudonyms: Pseudonyms) -> Course:
    """Give the objects of a course the frames of reference of the de-identified images."""

    def in_frame(part: _Framed | None) -> _Framed | None:
        """Give a part the pseudonym of its frame of reference."""
        return part and replace(part, frame_of_reference_uid=pseudonyms.uid(part.frame_of_reference_uid))

    return replace(
        course,
        delivered=tuple(pseudonyms.shifted(day) for day in course.delivered),
        dose=in_frame(course.dose),
        target=in_frame(course.target),
        links=tuple(
            replace(link, source_uid=pseudonyms.uid(link.source_uid), target_uid=pseudonyms.uid(link.target_uid))
            for link in course.links
        ),
        patient_key="",
        issuer_key="",
    )


@contextmanager
def details_withheld(options: Options) -> Iterator[None]:
    """Keep headers and names of files out of errors, if results are to be de-identified.

    Raises
    ------
    InputError, UsageError
        With the code that was raised inside.
    """
    try:
        yield
    except (InputError, UsageError) as error:
        if options.deidentification is None or error.code in _PLAIN_ERRORS:
            raise
        raise type(error)(
            error.code,
            "Details are withheld, for they may quote names.",
            "The user guide explains the code; 'spinemri inspect' shows what is in the input.",
        ) from None
