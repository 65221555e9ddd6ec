"""The journal of a cohort: what ended how, written as it happens, so that nothing is done twice and nothing is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from spinemri.batch.task import Outcome
from spinemri.errors import UsageError

__all__ = ["Entry", "Journal"]

_NAME = "journal.sqlite"
_TABLES = """
CREATE TABLE IF NOT EXISTS entry (
    task TEXT PRIMARY KEY, orders TEXT NOT NULL, stamp TEXT NOT NULL, content TEXT NOT NULL, state TEXT NOT NULL,
    code TEXT NOT NULL, message TEXT NOT NULL, remedy TEXT NOT NULL, seconds REAL NOT NULL, peak_mb REAL NOT NULL,
    input_bytes INTEGER NOT NULL, output_bytes INTEGER NOT NULL, finished INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS attempt (
    number INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT NOT NULL, orders TEXT NOT NULL, state TEXT NOT NULL,
    code TEXT NOT NULL, seconds REAL NOT NULL, peak_mb REAL NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Entry:
    """The last word on a task.

    Attributes
    ----------
    orders : str
        Hash of everything but the images that decides the result.
    stamp, content : str
        Of the images: names, sizes and times of files; their content. `content` is empty after a failure.
    outcome : Outcome
    finished : int
        How often the task came to an end with these orders and images.
    """

    orders: str
    stamp: str
    content: str
    outcome: Outcome
    finished: int = 1


class Journal:
    """A SQLite file in the folder of results (write-ahead log): written by one batch at a time.

    Parameters
    ----------
    folder : Path
        Of the cohort's results.

    Raises
    ------
    UsageError
        BATCH_RUNNING if another batch writes to it, BAD_JOURNAL if it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        with _explained():
            self._base = sqlite3.connect(folder / _NAME, isolation_level=None, timeout=1.0)
            # Exclusive: the log needs no shared memory, which network drives lack, and a second batch is refused.
            self._base.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.executescript(f"BEGIN EXCLUSIVE;{_TABLES}COMMIT;")

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Tell whether a folder holds a journal."""
        return (folder / _NAME).is_file()

    def close(self) -> None:
        """Let others have it."""
        self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def entry(self, task: str) -> Entry | None:
        """Return the last word on a task, or None."""
        with closing(self._base.cursor()) as cursor:
            row = cursor.execute(
                "SELECT orders, stamp, content, finished, state, code, message, remedy, seconds, peak_mb, input_bytes,"
                " output_bytes FROM entry WHERE task = ?",
                (task,),
            ).fetchone()
        if row is None:
            return None
        orders, stamp, content, finished, *rest = row
        state, code, message, remedy, seconds, peak, read, written = rest
        outcome = Outcome(state, code, message, remedy, seconds, peak, content, read, written)
        return Entry(orders, stamp, content, outcome, finished)

    def tried(self, task: str, orders: str, outcome: Outcome) -> int:
        """Note an attempt; return how many of this task, with these orders, killed their process."""
        with closing(self._base.cursor()) as cursor:
            cursor.execute(
                "INSERT INTO attempt (task, orders, state, code, seconds, peak_mb) VALUES (?, ?, ?, ?, ?, ?)",
                (task, orders, outcome.state, outcome.code, outcome.seconds, outcome.peak_mb),
            )
            found: int = cursor.execute(
                "SELECT COUNT(*) FROM attempt WHERE task = ? AND orders = ? AND state = 'killed'", (task, orders)
            ).fetchone()[0]
        return found

    def forgive(self, task: str) -> None:
        """Forget the attempts of a task that is tried anew."""
        self._base.execute("DELETE FROM attempt WHERE task = ?", (task,))

    def write(self, task: str, entry: Entry) -> None:
        """Write the last word on a task; it is on the disk when this returns."""
        before = self.entry(task)
        again = before is not None and (before.orders, before.stamp) == (entry.orders, entry.stamp)
        finished = before.finished + 1 if before is not None and again else 1
        outcome = entry.outcome
        self._base.execute(
            "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                task, entry.orders, entry.stamp, entry.content, outcome.state, outcome.code, outcome.message,
                outcome.remedy, outcome.seconds, outcome.peak_mb, outcome.input_bytes, outcome.output_bytes, finished,
            ),
        )  # fmt: skip

    def touch(self, task: str, stamp: str) -> None:
        """Note that files look different, but hold the same."""
        self._base.execute("UPDATE entry SET stamp = ? WHERE task = ?", (stamp, task))

    def fact(self, name: str) -> str:
        """Return a note on the cohort as a whole; empty if there is none."""
        row = self._base.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def note(self, name: str, value: str) -> None:
        """Keep a note on the cohort as a whole."""
        self._base.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


@contextmanager
def _explained() -> Iterator[None]:
    """Say what to do about a journal that cannot be opened."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            message = "Another batch writes to this folder."
            raise UsageError("BATCH_RUNNING", message, "Wait for it, or choose another output folder.") from None
        if "full" in str(error) or "disk" in str(error):
            raise UsageError("DISK_FULL", "The journal has no space.", "Free some space, then run again.") from None
        raise UsageError(
            "OUT_NOT_WRITABLE", f"The journal cannot be written: {error}.", "Choose a folder that you may write to."
        ) from None
    except sqlite3.DatabaseError as error:
        message = f"{_NAME} is damaged ({error})."
        raise UsageError("BAD_JOURNAL", message, "Move it away; finished studies are then measured again.") from None
