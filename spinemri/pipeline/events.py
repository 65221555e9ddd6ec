"""What happened during a run, as it happens: for the progress bar and for ``log.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from spinemri.measure.record import FlagRecord

__all__ = ["Event", "Recorder"]


@dataclass(frozen=True)
class Event:
    """One thing that happened. Holds no time and nothing that identifies a patient or a path.

    Attributes
    ----------
    stage : str
        ``"intake"``, ``"load"``, ``"anatomy"``, ``"mass"``, ``"levels"``, ``"measure"``, ``"followup"``,
        ``"export"``, ``"report"`` or ``"dicom"``.
    event : {"start", "done", "flag"}
    code : str
        Of the flag; empty otherwise.
    visit : int or None
        1 for the baseline; None where the event is not of one visit.
    """

    stage: str
    event: Literal["start", "done", "flag"]
    code: str = ""
    visit: int | None = None


def _ignore(_event: Event) -> None:
    """Listen to nothing."""


class Recorder:
    """Collects the events of a run and passes each on to a listener.

    Parameters
    ----------
    listener : callable
        Called with every event.
    """

    def __init__(self, listener: Callable[[Event], None] = _ignore) -> None:
        self._listener = listener
        self._events: list[Event] = []

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything that happened so far."""
        return tuple(self._events)

    def record(self, event: Event) -> None:
        """Keep an event and pass it on."""
        self._events.append(event)
        self._listener(event)

    def flag_codes(self, stage: str, flags: Iterable[FlagRecord], visit: int | None = None) -> None:
        """Record the codes of findings."""
        for flag in flags:
            self.record(Event(stage, "flag", flag.code, visit))

    @contextmanager
    def stage(self, name: str, visit: int | None = None) -> Iterator[None]:
        """Record the start and, unless it fails, the end of a stage."""
        self.record(Event(name, "start", visit=visit))
        yield
        self.record(Event(name, "done", visit=visit))

    def write(self, path: Path) -> None:
        """Write ``log.jsonl``: one event per line."""
        lines = [json.dumps(asdict(event)) + "\n" for event in self._events]
        path.write_text("".join(lines), encoding="utf-8", newline="\n")
