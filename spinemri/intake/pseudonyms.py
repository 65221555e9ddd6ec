"""What takes the place of identifiers: derived from them and from a secret, so that nobody without it guesses back.

A plain hash of a patient id can be turned back by hashing every id that a hospital gives out. A keyed hash (HMAC, RFC
2104) cannot, as long as the key stays secret; and the same key gives the same patient the same pseudonym every time.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from spinemri.intake.fields import iso_date
from spinemri.intake.model import Study
from spinemri.uids import derived_uid

__all__ = ["Deidentification", "Pseudonyms", "pseudonyms_for"]

_LEAST_DAYS, _MOST_DAYS = 366, 3650
"""Dates move into the past, never into the future, and by at least a year."""

_ID_DIGITS = 20


@dataclass(frozen=True)
class Deidentification:
    """That results shall hold nothing identifying, and the secret behind what replaces it.

    Attributes
    ----------
    key : bytes
        Content of the user's key file; empty for none.
    """

    key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Pseudonyms:
    """Replacements for one patient, the same in all studies that are read together.

    Attributes
    ----------
    secret : bytes
        Must never be written anywhere.
    patient : str
        What tells the patient apart: the patient key, or a hash of the input where there is no patient id.
    keyed : bool
        The secret comes from a key file, so that the patient gets the same replacements in every run with that key.
    """

    secret: bytes = field(repr=False)
    patient: str = field(repr=False)
    keyed: bool

    def digest(self, *parts: str) -> str:
        """Return a keyed hash of the parts, 64 hexadecimal digits."""
        message = "\x1f".join(parts).encode()
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()

    @property
    def patient_key(self) -> str:
        """Return what tells the patient apart from now on."""
        return self.digest("patient", self.patient)

    @property
    def patient_id(self) -> str:
        """Return the Patient ID of DICOM objects."""
        return f"P-{self.patient_key[:_ID_DIGITS].upper()}"

    @property
    def days_earlier(self) -> int:
        """Return by how many days every date of the patient moves into the past."""
        span = _MOST_DAYS - _LEAST_DAYS + 1
        return _LEAST_DAYS + int(self.digest("days", self.patient)[:16], 16) % span

    def uid(self, original: str) -> str:
        """Return the replacement of a UID; an empty one stays empty.

        Equal UIDs have equal replacements, whatever they identify.
        """
        return derived_uid(self.digest("uid", original)) if original else ""

    def shifted(self, day: date) -> date:
        """Move a date by the patient's offset; differences between dates stay as they are."""
        # No image is older than the calendar allows for, but a header may say so.
        return date.fromordinal(max(1, day.toordinal() - self.days_earlier))

    def iso_date(self, text: str) -> str:
        """Move a date written as ``YYYY-MM-DD`` or ``YYYYMMDD``; empty if it is no date."""
        try:
            return self.shifted(date.fromisoformat(iso_date(text))).isoformat()
        except ValueError:
            return ""


def pseudonyms_for(studies: Sequence[Study], wanted: Deidentification) -> Pseudonyms:
    """Return the replacements for the patient of some studies.

    Without a key the secret is a hash of the files' content, pixels included: whoever has no copy of the images cannot
    guess it, but other images of the patient lead to other replacements.

    Parameters
    ----------
    studies : sequence of Study
        Of one patient, as read together.
    wanted : Deidentification

    Returns
    -------
    Pseudonyms
    """
    content = hashlib.sha256("\n".join(sorted(study.inputs_sha256 for study in studies)).encode()).hexdigest()
    patient = max((study.patient_key for study in studies), default="") or content
    keyed = bool(wanted.key)
    secret = hmac.new(wanted.key or content.encode(), b"spinemri de-identification", hashlib.sha256).digest()
    return Pseudonyms(secret, patient, keyed)
