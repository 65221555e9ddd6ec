"""The process of one study: takes a task on stdin, answers on stdout, and ends when whoever started it is gone.

Run as ``python -m spinemri.batch.child``. A process of its own gives every study its own memory, returned to the last
byte, and lets it die alone.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import pickle
import resource
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import BinaryIO

from spinemri.batch.task import Outcome, Task
from spinemri.errors import SpineMRIError

__all__ = ["main"]

_SECONDS_TO_TIDY_UP = 10.0
_STOPPED = 143


def main() -> None:
    """Read a task, do it, write what became of it as one line of JSON."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Whatever a library prints must not mix with the answer.
    os.dup2(2, 1)
    task = _read(sys.stdin.buffer)
    threading.Thread(target=_end_with_parent, args=(sys.stdin.buffer,), daemon=True).start()
    began = time.monotonic()
    outcome = _attempt(task)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answer.write(json.dumps(asdict(replace(outcome, seconds=time.monotonic() - began, peak_mb=peak))))
    answer.flush()
    # Threads of libraries must not keep a finished process alive.
    os._exit(0)


def _read(stream: BinaryIO) -> Task:
    size = int.from_bytes(stream.read(8), "big")
    task: Task = pickle.loads(stream.read(size))  # noqa: S301 - from the worker that started this process
    return task


def _end_with_parent(stream: BinaryIO) -> None:
    """Interrupt the work when the pipe of the parent closes, so that it removes what it has half written."""
    stream.read()
    threading.Timer(_SECONDS_TO_TIDY_UP, os._exit, args=(_STOPPED,)).start()
    os.kill(os.getpid(), 2)


def _attempt(task: Task) -> Outcome:
    """Do the task; every error becomes an outcome, without a traceback that could quote a header."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    module, _, name = task.work.partition(":")
    try:
        work: Callable[[Task], Outcome] = getattr(importlib.import_module(module), name)
        return work(task)
    except SpineMRIError as error:
        return Outcome("failed", error.code, error.message, error.remedy)
    except KeyboardInterrupt:
        os._exit(_STOPPED)
    except MemoryError:
        return Outcome("killed", "STUDY_KILLED", "The study ran out of memory.", "See docs/batch.md.")
    except Exception as error:  # noqa: BLE001 - the last line before the journal
        what = f"spinemri failed unexpectedly ({type(error).__name__})."
        return Outcome("failed", "INTERNAL_FAULT", what, "Run this study alone with --debug and report it.")


if __name__ == "__main__":
    main()
