"""Bring every task to its end: done, or set aside with a reason; never lost, never twice."""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from spinemri.batch.crew import Crew, CrewLostError
from spinemri.batch.journal import Entry, Journal
from spinemri.batch.obstacles import Obstacle, Surroundings
from spinemri.batch.plan import orders_sha256
from spinemri.batch.progress import Listener, Tally
from spinemri.batch.stamp import stamp
from spinemri.batch.task import Outcome, Task
from spinemri.errors import UsageError

__all__ = ["Engine", "Patience"]

_KILLS = 2
_STOPS = 10
_FATAL = {"WORKER_DIFFERS"}
_ABSENT = {"BAD_SCHEDULER", "NO_WORKERS"}
_LOST = Obstacle(
    "SCHEDULER_LOST", "The scheduler, or the last worker, went away.", "Start it again; the batch goes on by itself."
)


@dataclass(frozen=True)
class Patience:
    """How long to wait for what is in the way: seconds between looks, and until the batch gives up."""

    look_s: float = 0.2
    pause_s: float = 15.0
    give_up_s: float = 24 * 3600.0


class Engine:
    """Hands tasks to a crew, keeps the journal, and waits where all would fail alike.

    Parameters
    ----------
    connect : callable
        Gives a crew; called again when one is lost.
    journal : Journal
    surroundings : Surroundings
    listener : callable
        Hears of everything.
    patience : Patience
    """

    def __init__(
        self,
        connect: Callable[[], AbstractContextManager[Crew]],
        journal: Journal,
        surroundings: Surroundings,
        listener: Listener,
        patience: Patience | None = None,
    ) -> None:
        self._connect, self._journal, self._surroundings = connect, journal, surroundings
        self._listener, self._patience = listener, patience or Patience()
        self._waiting: deque[Task] = deque()
        self._running: dict[str, tuple[Task, str]] = {}
        self._stops: dict[str, int] = {}
        self._tally = Tally()

    def run(self, tasks: Iterable[Task], more: Callable[[Task, Outcome], Iterable[Task]], expected: int) -> None:
        """Do all tasks, and those that follow from their ends.

        Parameters
        ----------
        tasks : iterable of Task
        more : callable
            Called at the end of each task; returns tasks that can now be done.
        expected : int
            Tasks in all, for the time that is left.

        Raises
        ------
        UsageError
            WORKER_DIFFERS; or the code of what was in the way for longer than the patience.
        """
        self._waiting.extend(tasks)
        self._tally = Tally(expected)
        lost_at: float | None = None
        while self._waiting or self._running:
            self._wait_until_clear()
            try:
                with self._connect() as crew:
                    lost_at = None
                    self._serve(crew, more)
            except CrewLostError:
                lost_at = time.monotonic()
            except UsageError as error:
                # Nobody there from the start is a mistake; later, a machine that is being started again.
                if error.code not in _ABSENT or lost_at is None or self._is_out_of_patience(lost_at):
                    raise
            if lost_at is not None:
                self._take_back()
                self._pause(_LOST, clear=lambda: True)

    def _is_out_of_patience(self, since: float) -> bool:
        return time.monotonic() - since > self._patience.give_up_s

    def _take_back(self) -> None:
        self._waiting.extendleft(task for task, _ in self._running.values())
        self._running.clear()

    def _serve(self, crew: Crew, more: Callable[[Task, Outcome], Iterable[Task]]) -> None:
        while self._waiting or self._running:
            self._fill(crew)
            ended = list(crew.collect())
            for task, outcome in ended:
                self._settle(task, outcome, crew, more)
            if not ended:
                time.sleep(self._patience.look_s)

    def _fill(self, crew: Crew) -> None:
        """Keep all workers busy, but no more than that under way: what is not begun can still wait."""
        if not self._waiting:
            return
        cores, largest_mb = crew.size()
        limit = max(1, 3 * cores // (2 * self._waiting[0].threads))
        while self._waiting and len(self._running) < limit and self._surroundings.obstacle() is None:
            task = self._waiting.popleft()
            if largest_mb:
                task = replace(task, memory_mb=min(task.memory_mb, largest_mb))
            self._begin(task, crew)
        if not self._running:
            self._wait_until_clear()

    def _begin(self, task: Task, crew: Crew) -> None:
        try:
            before = stamp(task.visits)
        except OSError:
            # The run will say what is wrong with it.
            before = ""
        crew.submit(task)
        self._running[task.name] = (task, before)
        self._tell("start", task)

    def _settle(
        self, task: Task, outcome: Outcome, crew: Crew, more: Callable[[Task, Outcome], Iterable[Task]]
    ) -> None:
        _, before = self._running.pop(task.name)
        if outcome.code in _FATAL:
            raise UsageError(outcome.code, outcome.message, outcome.remedy)
        obstacle = self._surroundings.behind(task, outcome)
        if obstacle is not None:
            self._waiting.appendleft(task)
            self._pause(obstacle, clear=lambda: self._surroundings.obstacle() is None)
        elif self._may_try_again(task, outcome):
            self._waiting.append(replace(task, memory_mb=self._more_memory(task, outcome, crew)))
            self._tell("again", task, outcome)
        else:
            self._finish(task, before, outcome)
            self._waiting.extend(more(task, outcome))

    def _may_try_again(self, task: Task, outcome: Outcome) -> bool:
        kills = self._keep(lambda: self._journal.tried(task.name, orders_sha256(task), outcome))
        if outcome.state == "stopped":
            self._stops[task.name] = self._stops.get(task.name, 0) + 1
            return self._stops[task.name] < _STOPS
        return outcome.state == "killed" and kills < _KILLS

    @staticmethod
    def _more_memory(task: Task, outcome: Outcome, crew: Crew) -> int:
        """Return twice the memory for a study that died, as far as any worker has it."""
        if outcome.state != "killed":
            return task.memory_mb
        return max(task.memory_mb, min(2 * task.memory_mb, crew.size()[1]))

    def _finish(self, task: Task, before: str, outcome: Outcome) -> None:
        if outcome.state == "stopped":
            message = f"The worker of the study ended {_STOPS} times."
            outcome = replace(outcome, state="killed", code="STUDY_KILLED", message=message, remedy="Run it alone.")
        entry = Entry(orders_sha256(task), before, outcome.content_sha256, outcome)
        self._keep(lambda: self._journal.write(task.name, entry))
        self._tally = self._tally.with_end(outcome)
        self._tell("done" if outcome.state == "done" else "failed", task, outcome)

    def _keep(self, write: Callable[[], int | None]) -> int:
        """Write to the journal, if need be when there is room again."""
        while True:
            try:
                return write() or 0
            except sqlite3.OperationalError as error:
                if "full" not in str(error) and "I/O" not in str(error):
                    raise
                full = Obstacle("DISK_FULL", "The journal has no space.", "Free some; the batch goes on by itself.")
                self._pause(full, clear=lambda: self._surroundings.obstacle() is None)

    def _wait_until_clear(self) -> None:
        obstacle = self._surroundings.obstacle()
        if obstacle is not None:
            self._pause(obstacle, clear=lambda: self._surroundings.obstacle() is None)

    def _pause(self, obstacle: Obstacle, *, clear: Callable[[], bool]) -> None:
        """Wait until nothing is in the way, at least once; what runs goes on meanwhile."""
        self._listener(self._tally.event("paused", self._names(), obstacle=obstacle))
        began = time.monotonic()
        while True:
            time.sleep(self._patience.pause_s)
            if clear():
                break
            if self._is_out_of_patience(began):
                raise UsageError(obstacle.code, obstacle.message, "Then give the same command again: it continues.")
        self._listener(self._tally.event("resumed", self._names()))

    def _tell(self, event: str, task: Task, outcome: Outcome | None = None) -> None:
        self._listener(self._tally.event(event, self._names(), task=task, outcome=outcome))

    def _names(self) -> tuple[str, ...]:
        return tuple(self._running)
