"""Watch a batch from outside: its time, the memory of all its processes, what it says, and who of them to kill."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

__all__ = ["Watched", "command", "studies_of", "tree_of"]

_CODE = "from spinemri.cli import main; main()"
_LOOK_S = 0.5


def command(*arguments: object) -> list[str]:
    """Return the command line of spinemri in a process of its own."""
    return [sys.executable, "-c", _CODE, *map(str, arguments)]


def studies_of(process: psutil.Process) -> list[psutil.Process]:
    """Return the processes of studies below a batch."""
    return [child for child in process.children(recursive=True) if "spinemri.batch.child" in " ".join(_words(child))]


def _words(process: psutil.Process) -> list[str]:
    try:
        words: list[str] = process.cmdline()
    except psutil.Error:
        return []
    return words


def tree_of(folder: Path) -> dict[str, bytes]:
    """Return every file of the results of studies and comparisons, and of the table."""
    files = [file for name in ("visits", "comparisons") for file in (folder / name).rglob("*") if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in [*files, folder / "cohort.csv"]}


@dataclass
class Watched:
    """A batch under way.

    Attributes
    ----------
    arguments : list
        Of ``spinemri batch``.
    actions : list of (share, function)
        What to do to it when this share of all tasks has ended; each once.
    on_pause : callable
        What to do when it waits for something.
    """

    arguments: list[object]
    actions: list[tuple[float, Callable[[psutil.Process], None]]] = field(default_factory=list)
    on_pause: Callable[[], None] = lambda: None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    status: int = 0
    memory_mb: list[float] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def run(self) -> Watched:
        """Run to the end and return what was seen."""
        began = time.monotonic()
        process = psutil.Popen(command("batch", *self.arguments, "--json-log"), stderr=-1, stdout=-3, text=True)
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(process, over))
        watcher.start()
        for line in process.stderr:
            if line.startswith("{"):
                self._hear(json.loads(line), process)
        self.status = process.wait()
        over.set()
        watcher.join()
        self.seconds = time.monotonic() - began
        return self

    def _hear(self, event: dict[str, Any], process: psutil.Process) -> None:
        self.events.append(event)
        if event["event"] == "paused":
            self.on_pause()
        ended = (event.get("done", 0) + event.get("failed", 0)) / max(event.get("total", 1), 1)
        while self.actions and ended >= self.actions[0][0]:
            self.actions.pop(0)[1](process)

    def _watch(self, process: psutil.Process, over: threading.Event) -> None:
        while not over.wait(_LOOK_S):
            try:
                family = [process, *process.children(recursive=True)]
                self.memory_mb.append(sum(member.memory_info().rss for member in family) / 1024**2)
                own = process.cpu_times()
                self.cpu_seconds = own.user + own.system
            except psutil.Error:
                continue

    def codes(self) -> list[str]:
        """Return what it waited for."""
        return [event["code"] for event in self.events if event["event"] == "paused"]


def kill_a_study(process: psutil.Process) -> None:
    """Kill the process of one study."""
    for study in studies_of(process)[:1]:
        os.kill(study.pid, signal.SIGKILL)


def kill_the_worker(process: psutil.Process) -> None:
    """Kill the worker of dask with all that it does."""
    for study in studies_of(process)[:1]:
        os.kill(study.ppid(), signal.SIGKILL)


def kill_the_batch(process: psutil.Process) -> None:
    """Kill the command itself, and with it the scheduler inside."""
    os.kill(process.pid, signal.SIGKILL)
