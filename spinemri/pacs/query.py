"""Which study is wanted, and which of those that an archive found it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from spinemri.errors import PeerError, UsageError

__all__ = ["FoundSeries", "FoundStudy", "StudyQuery", "chosen_studies", "study_query"]

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_WILD = re.compile(r"[*?\\]")
_MOST_LISTED = 20


@dataclass(frozen=True)
class StudyQuery:
    """What a study has to match; empty fields match all.

    Attributes
    ----------
    study_uids : tuple of str
        Study Instance UIDs.
    patient_id, accession_number : str
    dates : (str, str)
        First and last day, ``YYYYMMDD``.
    """

    study_uids: tuple[str, ...] = ()
    patient_id: str = ""
    accession_number: str = ""
    dates: tuple[str, str] = ("", "")

    @property
    def date_range(self) -> str:
        """The days as DICOM writes a range (PS3.4 C.2.2.2.5)."""
        first, last = self.dates
        return first if first == last else f"{first}-{last}"


@dataclass(frozen=True)
class FoundStudy:
    """A study as the archive describes it; what it does not say is empty."""

    study_uid: str
    patient_id: str = ""
    accession_number: str = ""
    study_date: str = ""
    modalities: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """What may be shown of it: nothing that names the patient."""
        return f"{self.study_uid}, {self.study_date or 'undated'}, {'/'.join(self.modalities) or 'modality not told'}"


@dataclass(frozen=True)
class FoundSeries:
    """A series of images, with every instance that is wanted of it."""

    study_uid: str
    series_uid: str
    instance_uids: frozenset[str]


def study_query(
    studies: Sequence[str], *, patient: str | None = None, day: str | None = None, accession: str | None = None
) -> StudyQuery:
    """Check what was asked for.

    Parameters
    ----------
    studies : sequence of str
        Study Instance UIDs.
    patient, accession : str or None
        Patient ID and accession number, without wildcards.
    day : str or None
        ``YYYY-MM-DD``, or two of them with ``..`` between.

    Raises
    ------
    UsageError
        BAD_QUERY or BAD_DATE.

    Examples
    --------
    >>> study_query([], patient="4711", day="2024-03-01..2024-04-01").date_range
    '20240301-20240401'
    """
    for text in (*studies, patient or "", accession or ""):
        if _WILD.search(text):
            raise UsageError("BAD_QUERY", f"{text!r} holds a wildcard.", "Name one study, patient or accession.")
    for uid in studies:
        if not _UID.fullmatch(uid) or len(uid) > 64:
            raise UsageError("BAD_QUERY", f"--study got {uid!r}, which is no UID.", "Copy the Study Instance UID.")
    query = StudyQuery(tuple(studies), (patient or "").strip(), (accession or "").strip(), _days(day))
    if not (query.study_uids or query.patient_id or query.accession_number):
        raise UsageError("BAD_QUERY", "--from needs to know which study.", "Give --study, --patient or --accession.")
    return query


def _days(text: str | None) -> tuple[str, str]:
    if text is None:
        return "", ""
    first, _, last = text.partition("..")
    try:
        days = [date.fromisoformat(day.strip()).strftime("%Y%m%d") for day in (first, last or first)]
    except ValueError:
        raise UsageError("BAD_DATE", f"--date got {text!r}.", "Write YYYY-MM-DD, or YYYY-MM-DD..YYYY-MM-DD.") from None
    return days[0], days[1]


def chosen_studies(found: Iterable[FoundStudy], query: StudyQuery, *, several: bool) -> tuple[FoundStudy, ...]:
    """Pick the MR studies that are wanted from what an archive found, in order of time.

    Archives may ignore a key that they do not know and return all they have: every answer is checked again.

    Parameters
    ----------
    found : iterable of FoundStudy
    query : StudyQuery
    several : bool
        Whether more than one study may be meant.

    Raises
    ------
    PeerError
        PACS_NO_MATCH if there is none.
    UsageError
        PACS_SEVERAL_STUDIES if there are several, and one is wanted.
    """
    matches = {study.study_uid: study for study in found if _matches(study, query)}
    images = sorted(
        (study for study in matches.values() if not study.modalities or "MR" in study.modalities),
        key=lambda study: (study.study_date, study.study_uid),
    )
    if not images:
        what = f"{len(matches)} studies match, none with MR images." if matches else "No study matches."
        raise PeerError("PACS_NO_MATCH", what, "Check the values of --study, --patient, --accession and --date.")
    if len(images) > 1 and not several:
        lines = "".join(f"\n  {study.line}" for study in images[:_MOST_LISTED])
        more = f"\n  and {len(images) - _MOST_LISTED} more" if len(images) > _MOST_LISTED else ""
        remedy = f"Name one with --study, or narrow it with --date:{lines}{more}"
        raise UsageError("PACS_SEVERAL_STUDIES", f"{len(images)} studies match.", remedy)
    return tuple(images)


def _matches(study: FoundStudy, query: StudyQuery) -> bool:
    first, last = query.dates
    return (
        (not query.study_uids or study.study_uid in query.study_uids)
        and query.patient_id in {"", study.patient_id}
        and query.accession_number in {"", study.accession_number}
        and (not first or first <= study.study_date <= last)
    )
