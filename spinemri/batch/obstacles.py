"""What is in the way of all studies alike: it is waited for, and no study is blamed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from spinemri.batch.task import Outcome, Task

__all__ = ["Obstacle", "Surroundings"]

_ROOM_BYTES = 256 * 1024**2
_OUTPUT_CODES = {"DISK_FULL", "OUT_NOT_WRITABLE"}


@dataclass(frozen=True)
class Obstacle:
    """A code of ours, what was found, and what to do."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Surroundings:
    """Source and results of a cohort.

    Attributes
    ----------
    root : Path
        Of the images.
    out : Path
        Of the results.
    room_bytes : int
        Least free space with which a study is started.
    """

    root: Path
    out: Path
    room_bytes: int = _ROOM_BYTES

    def obstacle(self) -> Obstacle | None:
        """Return what is in the way now, or None."""
        if not _has_entries(self.root):
            message = "The source cannot be read: its share is gone or not mounted."
            return Obstacle("SOURCE_UNREADABLE", message, "Mount it again; the batch goes on by itself.")
        free = shutil.disk_usage(self.out).free
        if free < self.room_bytes:
            message = f"{free / 1024**2:.0f} MiB are free for the results, {self.room_bytes / 1024**2:.0f} are needed."
            return Obstacle("DISK_FULL", message, "Free some space; the batch goes on by itself.")
        return None

    def behind(self, task: Task, outcome: Outcome) -> Obstacle | None:
        """Return the obstacle that made a task fail, or None if the study itself did."""
        if outcome.state != "failed":
            return None
        if outcome.code in _OUTPUT_CODES:
            return Obstacle(outcome.code, outcome.message, f"{outcome.remedy} The batch goes on by itself.")
        if not _has_entries(self.root):
            return self.obstacle()
        if outcome.code == "NOT_FOUND" and task.visits[0].path.exists():
            message = "A worker cannot see the images that this machine sees."
            return Obstacle("SOURCE_UNREADABLE", message, "Mount the share there, under the same path.")
        return None


def _has_entries(folder: Path) -> bool:
    """Tell whether a folder can be listed and holds something; where a share is gone, an empty mount point stays."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False
