"""What is going on, on stderr: one bar, JSON lines, or nothing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from spinemri.pipeline.events import Event, Recorder

__all__ = ["counting", "progress"]

_WORK = {
    "intake": 2,
    "load": 2,
    "anatomy": 12,
    "mass": 2,
    "levels": 4,
    "measure": 4,
    "followup": 1,
    "export": 2,
    "report": 5,
    "dicom": 3,
}
"""Rough share of the time of each stage."""

_PER_VISIT = ("load", "anatomy", "mass", "levels", "measure")


@contextmanager
def progress(*, visits: int, quiet: bool, json_log: bool) -> Iterator[Recorder]:
    """Give a recorder that shows how far the work is.

    Parameters
    ----------
    visits : int
        Studies that are expected.
    quiet, json_log : bool
        Nothing at all, or one JSON line per event with the seconds since the start.
    """
    if json_log:
        yield Recorder(_json_lines())
    elif quiet:
        yield Recorder()
    else:
        with _bar() as bar:
            yield Recorder(_on_bar(bar, visits))


@contextmanager
def counting(stage: str, *, quiet: bool, json_log: bool) -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows how many things are through, and of how many.

    Parameters
    ----------
    stage : str
        What is going on.
    quiet, json_log : bool
        As for `progress`.
    """
    if json_log:
        start = time.monotonic()
        yield lambda done, total: _write_line(
            {"stage": stage, "event": "progress", "done": done, "total": total}, start
        )
    elif quiet:
        yield lambda _done, _total: None
    else:
        with _bar() as bar:
            task = bar.add_task(stage, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def _write_line(content: dict[str, object], start: float) -> None:
    line = content | {"elapsed_s": round(time.monotonic() - start, 3)}
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()


def _json_lines() -> Callable[[Event], None]:
    start = time.monotonic()

    def write(event: Event) -> None:
        """Write an event as a line of JSON."""
        _write_line(asdict(event), start)

    return write


def _bar() -> Progress:
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    console = Console(stderr=True)
    # In a file or pipe a bar is noise; there, --json-log tells what goes on.
    return Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal)


def _on_bar(bar: Progress, visits: int) -> Callable[[Event], None]:
    once = sum(work for stage, work in _WORK.items() if stage not in _PER_VISIT)
    each = sum(work for stage, work in _WORK.items() if stage in _PER_VISIT)
    task = bar.add_task("", total=once + each * visits)

    def move(event: Event) -> None:
        """Move the bar by the work of a stage."""
        if event.event == "start":
            visit = f" {event.visit}" if event.visit is not None else ""
            bar.update(task, description=f"{event.stage}{visit}")
        elif event.event == "done":
            bar.advance(task, _WORK.get(event.stage, 0))

    return move
