"""What an archive says of an object that it was given (DICOM PS3.4 B.2.3, PS3.7 C and PS3.18 I.2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from spinemri.pacs.objects import Outgoing

__all__ = ["Outcome", "Verdict", "outcome_of", "status_meaning", "status_verdict"]

_EXACT = {
    0x0000: "success",
    0x0110: "processing failure",
    0x0111: "duplicate instance",
    0x0112: "no such instance",
    0x0117: "invalid instance",
    0x0118: "no such SOP class",
    0x0122: "SOP class not supported",
    0x0124: "not authorised",
    0x0210: "duplicate invocation",
    0x0211: "unrecognised operation",
    0x0212: "mistyped argument",
    0xB000: "stored, with some elements coerced",
    0xB006: "stored, with some elements discarded",
    0xB007: "stored, though the data set does not match its SOP class",
    0xC122: "transfer syntax not supported",
}
_RANGES = (
    (0xA700, 0xA7FF, "out of resources"),
    (0xA800, 0xA8FF, "move destination unknown"),
    (0xA900, 0xA9FF, "data set does not match its SOP class"),
    (0xC000, 0xCFFF, "cannot be understood"),
    (0xB000, 0xBFFF, "stored, with a warning"),
)
_COERCED = 0xB000


class Verdict(StrEnum):
    """What became of an object."""

    STORED = "stored"
    ALTERED = "altered"
    REFUSED = "refused"
    POSTPONED = "postponed"

    @property
    def is_stored(self) -> bool:
        """Whether the archive has it."""
        return self in {Verdict.STORED, Verdict.ALTERED}


@dataclass(frozen=True)
class Outcome:
    """The answer to one object.

    Attributes
    ----------
    item : Outgoing
    verdict : Verdict
        ``postponed``: the archive may take it at another time.
    status : int or None
        The archive's status; None if it was not even offered.
    meaning : str
    """

    item: Outgoing
    verdict: Verdict
    status: int | None
    meaning: str

    @property
    def status_text(self) -> str:
        """The status as the standard writes it, such as ``0xA700``; empty if there is none."""
        return "" if self.status is None else f"0x{self.status:04X}"


def outcome_of(item: Outgoing, status: int) -> Outcome:
    """Return the outcome that belongs to a status."""
    return Outcome(item, status_verdict(status), status, status_meaning(status))


def status_meaning(status: int) -> str:
    """Say what a status means.

    Examples
    --------
    >>> status_meaning(0xA702)
    'out of resources'
    """
    if status in _EXACT:
        return _EXACT[status]
    return next((words for low, high, words in _RANGES if low <= status <= high), "failure of unknown kind")


def status_verdict(status: int) -> Verdict:
    """Say what a status means for the object.

    Coercion (0xB000) is how an archive brings patient and order in line with its own records: it counts as stored.
    Other warnings may have cost content.
    """
    if status in {0x0000, _COERCED}:
        return Verdict.STORED
    if 0xB000 <= status <= 0xBFFF:
        return Verdict.ALTERED
    if 0xA700 <= status <= 0xA7FF:
        return Verdict.POSTPONED
    return Verdict.REFUSED
