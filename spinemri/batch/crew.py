"""Who does the work: workers behind a scheduler of dask, seen as a crew that takes tasks and hands back outcomes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from concurrent.futures import CancelledError
from typing import Protocol

from distributed import Client, Future, KilledWorker
from distributed.comm.core import CommClosedError

from spinemri.batch.isolation import run_isolated
from spinemri.batch.task import Outcome, Task
from spinemri.errors import UsageError

__all__ = ["CORES", "MEMORY_MB", "Crew", "CrewLostError", "DaskCrew"]

CORES, MEMORY_MB = "spinemri_cores", "spinemri_mb"
"""Resources that a worker of dask has, and that a task takes while it runs."""

_LOST = {"lost", "cancelled"}


class CrewLostError(Exception):
    """The scheduler went away with all that was under way."""


class Crew(Protocol):
    """What the engine needs of workers."""

    def size(self) -> tuple[int, int]:
        """Return the cores of all workers together, and the memory in MB of the largest."""

    def submit(self, task: Task) -> None:
        """Take a task."""

    def collect(self) -> Iterable[tuple[Task, Outcome]]:
        """Hand back what has ended since the last call."""


class DaskCrew:
    """Workers of dask.

    Parameters
    ----------
    client : Client
    alone_s : float
        Seconds without any worker after which the crew is lost: on a machine under load, dask may fail to replace one.
    """

    def __init__(self, client: Client, alone_s: float = 120.0) -> None:
        self._client, self._alone_s = client, alone_s
        self._last_seen = time.monotonic()
        self._futures: dict[Future, Task] = {}
        self._numbers = itertools.count()

    def size(self) -> tuple[int, int]:
        """Return the cores of all workers together, and the memory in MB of the largest.

        Raises
        ------
        CrewLostError
        """
        resources = [worker["resources"] for worker in self._workers()]
        cores = sum(int(own.get(CORES, 0)) for own in resources)
        return cores, max((int(own.get(MEMORY_MB, 0)) for own in resources), default=0)

    def _workers(self) -> list[dict[str, dict[str, float]]]:
        try:
            return list(self._client.scheduler_info(n_workers=-1)["workers"].values())
        except (OSError, CommClosedError) as error:
            raise CrewLostError from error

    def submit(self, task: Task) -> None:
        """Take a task; it starts when a worker has cores and memory for it.

        Raises
        ------
        CrewLostError
        """
        needs = {CORES: task.threads, MEMORY_MB: task.memory_mb}
        # A name of its own: a second attempt is not the first.
        key = f"{task.name}-{next(self._numbers)}-{id(self)}"
        try:
            future = self._client.submit(run_isolated, task, key=key, pure=False, resources=needs)
        except (OSError, CommClosedError) as error:
            raise CrewLostError from error
        self._futures[future] = task

    def collect(self) -> list[tuple[Task, Outcome]]:
        """Hand back what has ended since the last call.

        Raises
        ------
        CrewLostError
        """
        if self._client.status not in {"running", "connecting"}:
            raise CrewLostError
        if any(future.status in _LOST for future in self._futures):
            raise CrewLostError
        if self._workers():
            self._last_seen = time.monotonic()
        elif time.monotonic() - self._last_seen > self._alone_s:
            raise CrewLostError
        ended = [future for future in self._futures if future.status in {"finished", "error"}]
        return [(self._futures.pop(future), _outcome(future)) for future in ended]


def _outcome(future: Future) -> Outcome:
    try:
        found: Outcome = future.result(timeout=30)
    except KilledWorker:
        # Not the study's process, which its worker watches, but the worker itself.
        return Outcome("stopped")
    except ImportError:
        message = "A worker has no spinemri, or an older one."
        raise UsageError("WORKER_DIFFERS", message, "Install the same version on all machines.") from None
    except (CancelledError, OSError, CommClosedError) as error:
        raise CrewLostError from error
    return found
