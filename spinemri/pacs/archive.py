"""What every way of getting images offers."""

from __future__ import annotations

from typing import Protocol

from spinemri.errors import PeerError
from spinemri.pacs.inbox import Inbox
from spinemri.pacs.policy import Interrupted
from spinemri.pacs.query import FoundSeries, FoundStudy, StudyQuery

__all__ = ["Archive", "incomplete"]


class Archive(Protocol):
    """An archive that is asked for studies. Each method may raise `Interrupted`, and may then be called again."""

    def studies(self, query: StudyQuery) -> list[FoundStudy]:
        """Find studies; more may come back than match."""

    def series(self, study_uid: str) -> list[FoundSeries]:
        """List the MR series of a study with their instances."""

    def retrieve(self, series: FoundSeries, inbox: Inbox) -> None:
        """Get every instance of a series into the inbox."""


def incomplete(missing: int, total: int) -> Interrupted:
    """Return what to raise when an archive says that it is done, and it is not."""
    message = f"{missing} of {total} images of a series did not come."
    return Interrupted(PeerError("PACS_INCOMPLETE", message, "Ask whoever runs the archive for its log."))
