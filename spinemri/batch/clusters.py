"""Where the workers are: on this machine, behind a scheduler that runs already, or in jobs of Slurm."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import dask
import psutil
from distributed import Client, LocalCluster

from spinemri.batch.crew import CORES, MEMORY_MB, DaskCrew
from spinemri.errors import UsageError

__all__ = ["Machine", "SlurmJobs", "local_crew", "own_machine", "scheduler_crew", "slurm_crew"]

_SHARE_OF_MEMORY = 0.85
_MB = 1024**2
_ANY_PORT = "127.0.0.1:0"
"""Of dask's page for its developers: seen from this machine only, and two batches do not meet there."""

_DASK = {
    # Whatever a worker dies of, its studies are tried again; the journal counts what a study has done.
    "distributed.scheduler.allowed-failures": 1000,
    # The memory of studies is in processes of their own, where dask does not look.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.profile.enabled": False,
}


@dataclass(frozen=True)
class Machine:
    """What of one machine may be used: studies at once at most, cores, and memory in MB."""

    studies: int
    cores: int
    memory_mb: int

    @property
    def resources(self) -> dict[str, int]:
        """Return what a worker of dask on it has to give."""
        return {CORES: self.cores, MEMORY_MB: self.memory_mb}


def own_machine(*, studies: int | None = None, threads: int = 1, memory_gb: float | None = None) -> Machine:
    """Return what this machine has, less what the user keeps back.

    Parameters
    ----------
    studies : int, optional
        At once; as many as cores allow if not given.
    threads : int
        Cores of one study.
    memory_gb : float, optional
        For all studies together; 85 % of what is there if not given.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    studies = studies or max(1, cores // threads)
    memory = memory_gb * 1024 if memory_gb else psutil.virtual_memory().total * _SHARE_OF_MEMORY / _MB
    return Machine(studies, studies * threads, int(memory))


@contextmanager
def local_crew(machine: Machine) -> Iterator[DaskCrew]:
    """Start a scheduler and one worker on this machine; the worker is replaced if it dies.

    One worker for the machine, not one for each core: so dask knows what memory all studies together take.
    """
    with (
        dask.config.set(_DASK),
        LocalCluster(
            n_workers=1,
            threads_per_worker=machine.studies,
            processes=True,
            memory_limit=0,
            resources=machine.resources,
            dashboard_address=_ANY_PORT,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield DaskCrew(client)


@contextmanager
def scheduler_crew(address: str, wait_s: float = 60.0) -> Iterator[DaskCrew]:
    """Use the workers behind a scheduler; they are left as they are.

    Raises
    ------
    UsageError
        BAD_SCHEDULER if nobody answers, NO_WORKERS if no worker offers cores and memory.
    """
    try:
        client = Client(address, timeout=wait_s, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        message = f"No scheduler of dask answers at {address} ({type(error).__name__})."
        raise UsageError("BAD_SCHEDULER", message, "Start one, or correct the address: tcp://host:8786.") from None
    with client:
        crew = DaskCrew(client)
        _wait_for_workers(client, crew, wait_s)
        yield crew


def _wait_for_workers(client: Client, crew: DaskCrew, wait_s: float) -> None:
    with suppress(TimeoutError):
        client.wait_for_workers(1, timeout=wait_s)
    if not all(crew.size()):
        options = f'--resources "{CORES}=8 {MEMORY_MB}=28000"'
        message = "No worker offers cores and memory."
        raise UsageError("NO_WORKERS", message, f"Start workers with 'dask worker ADDRESS {options}'.")


@dataclass(frozen=True)
class SlurmJobs:
    """Jobs of Slurm, each a worker; what is not said here comes from dask-jobqueue's ``jobqueue.yaml``."""

    jobs: int
    machine: Machine
    queue: str | None = None
    walltime: str | None = None


@contextmanager
def slurm_crew(wanted: SlurmJobs, wait_s: float = 3600.0) -> Iterator[DaskCrew]:
    """Start workers as jobs of Slurm, and replace those that end.

    Raises
    ------
    UsageError
        SLURM_MISSING if this machine cannot submit jobs, NO_WORKERS if none starts in time.
    """
    if shutil.which("sbatch") is None:
        raise UsageError("SLURM_MISSING", "sbatch is not here.", "Run on a machine that submits jobs.")
    from dask_jobqueue import SLURMCluster  # noqa: PLC0415 - only where there is Slurm

    machine = wanted.machine
    resources = " ".join(f"{name}={value}" for name, value in machine.resources.items())
    said = {"queue": wanted.queue, "walltime": wanted.walltime}
    with (
        dask.config.set(_DASK),
        SLURMCluster(
            cores=machine.studies,
            job_cpu=machine.cores,
            processes=1,
            memory=f"{machine.memory_mb}MiB",
            worker_extra_args=["--resources", f"'{resources}'", "--memory-limit", "0"],
            scheduler_options={"dashboard_address": _ANY_PORT},
            silence_logs=logging.CRITICAL,
            **{name: value for name, value in said.items() if value},
        ) as cluster,
        Client(cluster) as client,
    ):
        # Not scale(): jobs that end with their time are followed by others.
        cluster.adapt(minimum_jobs=wanted.jobs, maximum_jobs=wanted.jobs)
        crew = DaskCrew(client)
        _wait_for_workers(client, crew, wait_s)
        yield crew
