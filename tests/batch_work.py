"""A stand-in for the measurement of a study: what it does stands in the study's own file."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from pathlib import Path

from spinemri.batch.task import Outcome, Task
from spinemri.errors import InputError, UsageError

CALLS = "SPINEMRI_TEST_CALLS"


def write_visit(folder: Path, behaviour: str = "fine") -> Path:
    """Write a visit that behaves: fine, broken, deadly, deadly once, slow, or full until a file is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "behaviour.json").write_text(json.dumps({"behaviour": behaviour, "where": folder.parts[-2:]}))
    return folder


def perform(task: Task) -> Outcome:
    """Behave as the file of the visit says; leave a small result in one step."""
    calls = Path(os.environ[CALLS])
    with (calls / f"{task.name.replace('/', '_')}.log").open("a") as log:
        log.write("begun\n")
    behaviours = [json.loads((visit.path / "behaviour.json").read_text())["behaviour"] for visit in task.visits]
    for behaviour in behaviours:
        _behave(behaviour, calls, task)
    # After the last thing that can go wrong: the same bytes whoever writes them.
    _leave(task, "+".join(behaviours))
    return Outcome("done", content_sha256="c" * 64, input_bytes=10, output_bytes=20)


def _behave(behaviour: str, calls: Path, task: Task) -> None:
    if behaviour == "broken":
        raise InputError("NO_SPINE_SERIES", "No usable sagittal stack was found.", "Give another study.")
    if behaviour == "faulty":
        raise ZeroDivisionError
    if behaviour == "deadly" or (behaviour == "deadly once" and _first_time(calls, task)):
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour.startswith("slow"):
        time.sleep(float(behaviour.split()[1]))
    if behaviour == "full" and (calls / "disk is full").exists():
        raise UsageError("DISK_FULL", os.strerror(errno.ENOSPC), "Free some space.")


def _first_time(calls: Path, task: Task) -> bool:
    mark = calls / f"{task.name.replace('/', '_')}.died"
    if mark.exists():
        return False
    mark.touch()
    return True


def _leave(task: Task, said: str) -> None:
    beside = task.out.parent / f".{task.out.name}.partial-{os.getpid()}"
    beside.mkdir(parents=True)
    name = "comparison.json" if task.kind == "comparison" else "measurements.json"
    (beside / name).write_text(json.dumps({"task": task.name, "said": said}))
    if task.out.exists():
        for file in task.out.iterdir():
            file.unlink()
        task.out.rmdir()
    beside.rename(task.out)
