"""Cohorts whose studies are stand-ins, and a crew without dask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import batch_work

from spinemri.batch.crew import CrewLostError
from spinemri.batch.engine import Engine, Patience
from spinemri.batch.journal import Journal
from spinemri.batch.model import Cohort, Visit
from spinemri.batch.obstacles import Surroundings
from spinemri.batch.plan import Needs, visit_tasks
from spinemri.batch.progress import BatchEvent
from spinemri.batch.task import Orders, Outcome, Task
from spinemri.config import Config

IMPATIENT = Patience(look_s=0.01, pause_s=0.01, give_up_s=5.0)
STAND_IN = Needs(memory_mb=100, timeout_s=60.0, work="batch_work:perform")


@dataclass
class FakeCrew:
    """Does nothing but hand back what it was told to, in order of what it was given."""

    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    cores: int = 2
    taken: list[Task] = field(default_factory=list)
    open: list[Task] = field(default_factory=list)
    lost_after: int | None = None

    def size(self) -> tuple[int, int]:
        return self.cores, 4000

    def submit(self, task: Task) -> None:
        self.taken.append(task)
        self.open.append(task)

    def collect(self) -> list[tuple[Task, Outcome]]:
        if self.lost_after is not None and len(self.taken) > self.lost_after:
            self.lost_after = None
            self.open.clear()
            raise CrewLostError
        ended, self.open = self.open, []
        return [(task, self._next(task)) for task in ended]

    def _next(self, task: Task) -> Outcome:
        told = self.outcomes.get(task.name)
        if not told:
            return Outcome("done", content_sha256="c")
        return told.pop(0) if len(told) > 1 else told[0]

    @contextmanager
    def connect(self) -> Iterator[FakeCrew]:
        yield self


@dataclass
class Bench:
    """A cohort of stand-ins with everything that an engine takes."""

    root: Path
    out: Path
    events: list[BatchEvent] = field(default_factory=list)

    def visit(self, subject: str, name: str = "1", behaviour: str = "fine") -> Visit:
        return Visit(subject, name, batch_work.write_visit(self.root / subject / name, behaviour))

    def tasks(self, *visits: Visit) -> list[Task]:
        return visit_tasks(Cohort.of(self.root, visits), self.out, Orders(Config()), STAND_IN)

    def run(self, crew: FakeCrew, tasks: list[Task], *, room_bytes: int = 0, patience: Patience = IMPATIENT) -> None:
        with Journal(self.out) as journal:
            surroundings = Surroundings(self.root, self.out, room_bytes)
            engine = Engine(crew.connect, journal, surroundings, self.events.append, patience)
            engine.run(tasks, lambda _task, _outcome: (), len(tasks))

    def states(self) -> dict[str, tuple[str, str, int]]:
        with Journal(self.out) as journal:
            names = [row[0] for row in journal._base.execute("SELECT task FROM entry")]
            entries = {name: journal.entry(name) for name in names}
        return {name: (e.outcome.state, e.outcome.code, e.finished) for name, e in entries.items()}

    def said(self, event: str) -> list[tuple[str, str]]:
        return [(found.task, found.code) for found in self.events if found.event == event]


def begun(bench: Bench, task: str) -> int:
    """How often the stand-in was begun for a task."""
    log = bench.root.parent / "calls" / f"{task.replace('/', '_')}.log"
    return len(log.read_text().splitlines()) if log.exists() else 0
