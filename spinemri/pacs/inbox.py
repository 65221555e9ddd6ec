"""Where images from an archive are kept while they come in."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from pydicom.dataset import Dataset

from spinemri.errors import UsageError
from spinemri.pacs.query import FoundSeries

__all__ = ["Inbox", "Uids", "uids_of"]

Uids = tuple[str, str, str]


def uids_of(dataset: Dataset) -> Uids:
    """Return the UIDs of study, series and instance; empty where one is missing."""
    study, series, instance = (
        str(dataset.get(name, "")) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    )
    return study, series, instance


class Inbox:
    """Takes what was asked for, and nothing else; what comes twice is kept once.

    Parameters
    ----------
    folders : dict of str to Path
        Folder of each study, by its UID.
    wanted : iterable of FoundSeries
    listener : callable
        Called with how many instances have come, and of how many.
    """

    def __init__(
        self, folders: dict[str, Path], wanted: Iterable[FoundSeries], listener: Callable[[int, int], None]
    ) -> None:
        self._folders = folders
        self._wanted = frozenset(
            (series.study_uid, series.series_uid, uid) for series in wanted for uid in series.instance_uids
        )
        self._received: set[str] = set()
        self._listener = listener
        self._lock = threading.Lock()

    def keep(self, uids: Uids, content: bytes) -> bool:
        """Keep one file, known by the UIDs of study, series and instance; return whether it was asked for.

        Its name is a hash, for a UID comes from outside and could be a path.

        Raises
        ------
        UsageError
            DISK_FULL or OUT_NOT_WRITABLE.
        """
        with self._lock:
            if uids not in self._wanted:
                return False
            study_uid, _, instance_uid = uids
            if instance_uid not in self._received:
                name = hashlib.sha256(instance_uid.encode()).hexdigest()[:32]
                _write(self._folders[study_uid] / f"{name}.dcm", content)
                self._received.add(instance_uid)
                self._listener(len(self._received), len(self._wanted))
        return True

    def missing(self, series: FoundSeries) -> int:
        """Count what has not come of a series."""
        with self._lock:
            return len(series.instance_uids - self._received)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        what = f"Images cannot be kept in {path.parent} ({error.strerror or type(error).__name__})."
        raise UsageError("OUT_NOT_WRITABLE", what, "Free some space, or name another disk in TMPDIR.") from None
