"""On a worker: give a task a process of its own, cores of its own, and an end."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from spinemri.batch.task import Outcome, Task

__all__ = ["run_isolated"]

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
_STOPPED = 143

_lock = threading.Lock()
_taken: set[int] = set()


def run_isolated(task: Task) -> Outcome:
    """Run a task in a new process and wait for it.

    Parameters
    ----------
    task : Task

    Returns
    -------
    Outcome
        ``killed`` if the process died, ``timeout`` if it took longer than allowed and was stopped.
    """
    began, is_late = time.monotonic(), False
    with _cores(task.threads) as cores:
        process = _start(task, cores)
        try:
            process.wait(task.timeout_s)
        except subprocess.TimeoutExpired:
            is_late = True
        finally:
            _end(process)
    answer, seconds = _answer(process), time.monotonic() - began
    return _late(task, seconds) if is_late else _outcome(process.returncode, answer, seconds)


@contextmanager
def _cores(count: int) -> Iterator[set[int]]:
    """Reserve cores of this machine for one process; none if all are taken."""
    if not hasattr(os, "sched_getaffinity"):
        yield set()
        return
    with _lock:
        own = set(sorted(os.sched_getaffinity(0) - _taken)[:count])
        _taken.update(own)
    try:
        yield own
    finally:
        with _lock:
            _taken.difference_update(own)


def _start(task: Task, cores: set[int]) -> subprocess.Popen[bytes]:
    """Start the process with its threads limited, and hand it the task; its stdin stays open as a sign of life."""
    threads = dict.fromkeys(_THREAD_VARIABLES, str(task.threads))
    process = subprocess.Popen(
        [sys.executable, "-m", "spinemri.batch.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **threads},
        start_new_session=True,
    )
    if cores:
        # Pools that ignore the variables share these cores among themselves, and no other study's.
        os.sched_setaffinity(process.pid, cores)
    content = pickle.dumps(task)
    if process.stdin is not None:
        try:
            process.stdin.write(len(content).to_bytes(8, "big") + content)
            process.stdin.flush()
        except BrokenPipeError:
            # It is dead already; its exit status says so.
            pass
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop the process and all that it started, if it still runs."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()


def _late(task: Task, seconds: float) -> Outcome:
    message = f"The study took longer than {task.timeout_s / 60:.1f} minutes and was stopped."
    return Outcome("timeout", "STUDY_TIMEOUT", message, "Raise --timeout-minutes, or look at its images.", seconds)


def _answer(process: subprocess.Popen[bytes]) -> bytes:
    if process.stdout is None:
        return b""
    with process.stdout:
        return process.stdout.read()


def _outcome(status: int, answer: bytes, seconds: float) -> Outcome:
    if status == 0 and answer:
        # The whole time, so that starting Python counts.
        return Outcome(**{**json.loads(answer), "seconds": seconds})
    if status == _STOPPED:
        return Outcome("stopped", seconds=seconds)
    how = f"signal {-status}" if status < 0 else f"status {status}"
    message = f"The process of the study died ({how}); often memory ran out."
    return Outcome("killed", "STUDY_KILLED", message, "Give it more with --memory-per-study-gb.", seconds)
