"""From the options of ``batch`` to a crew, and from its events to the terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from spinemri.errors import UsageError

if TYPE_CHECKING:
    from spinemri.batch.crew import DaskCrew
    from spinemri.batch.progress import BatchEvent, Listener
    from spinemri.batch.results import CohortResult
    from spinemri.batch.run import BatchOptions

__all__ = ["Workers", "batch_options", "batch_progress", "connection", "extra_installed", "finish_batch"]

_LIBRARIES = {"dask", "dask_jobqueue", "distributed", "psutil", "pyarrow"}
_EXIT_FINDINGS = 1
_SHOWN = 4


@contextmanager
def extra_installed() -> Iterator[None]:
    """Say how to install what a cohort needs, if it is missing.

    Raises
    ------
    UsageError
        BATCH_NOT_INSTALLED.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _LIBRARIES:
            raise
        message = f"{error.name}, which cohorts need, is not installed."
        raise UsageError("BATCH_NOT_INSTALLED", message, "Install it with: pip install 'spinemri[batch]'") from None


@dataclass(frozen=True)
class Workers:
    """What a command line says of where the work is done."""

    count: int | None
    threads: int
    memory_gb: float | None
    scheduler: str | None
    slurm: bool
    slurm_queue: str | None
    slurm_walltime: str | None
    slurm_cores: int


def connection(workers: Workers) -> Callable[[], AbstractContextManager[DaskCrew]]:
    """Return what connects to the workers that were asked for.

    Raises
    ------
    UsageError
        BAD_SCHEDULER if both a scheduler and Slurm were named.
    """
    from spinemri.batch.clusters import Machine, SlurmJobs, local_crew, own_machine, scheduler_crew, slurm_crew

    if workers.scheduler and workers.slurm:
        raise UsageError("BAD_SCHEDULER", "Both --scheduler and --slurm were given.", "Give one of them.")
    if workers.scheduler:
        return partial(scheduler_crew, workers.scheduler)
    if workers.slurm:
        studies = max(1, workers.slurm_cores // workers.threads)
        memory_mb = int(1024 * (workers.memory_gb or 3.0 * studies))
        job = Machine(studies, workers.slurm_cores, memory_mb)
        return partial(slurm_crew, SlurmJobs(workers.count or 1, job, workers.slurm_queue, workers.slurm_walltime))
    return partial(local_crew, own_machine(studies=workers.count, threads=workers.threads, memory_gb=workers.memory_gb))


def batch_options(
    *,
    connect: Callable[[], AbstractContextManager[DaskCrew]],
    config: str,
    segmenter: str | None,
    contrast: str | None,
    with_mass: bool,
    dicom: bool,
    key_file: Path | None,
    threads: int,
    memory_per_study_gb: float | None,
    timeout_minutes: float,
    give_up_hours: float,
    ratings: Path | None,
    retry_failed: bool,
    bids: bool,
) -> BatchOptions:
    """Check the options of the command.

    Raises
    ------
    UsageError, InputError
        BAD_CONFIG, BAD_SEGMENTER, BAD_KEY or BAD_RATINGS.
    """
    from spinemri.batch.engine import Patience
    from spinemri.batch.plan import Needs
    from spinemri.batch.ratings import read_ratings
    from spinemri.batch.run import BatchOptions
    from spinemri.batch.task import Orders
    from spinemri.batch.work import software
    from spinemri.cli.results import deidentification
    from spinemri.cli.values import with_segmenter
    from spinemri.config import load_config

    # Read once here, so that a bad key stops the command and not every study.
    deidentification(key_file, wanted=False)
    settings = with_segmenter(load_config(config), segmenter, has_labels=False)
    key = key_file.absolute() if key_file else None
    memory_mb = int(1024 * memory_per_study_gb) if memory_per_study_gb else None
    return BatchOptions(
        orders=Orders(settings, contrast, with_mass, dicom, key, software()),
        connect=connect,
        needs=Needs(threads, memory_mb, 60.0 * timeout_minutes),
        ratings=read_ratings(ratings) if ratings else (),
        retry_failed=retry_failed,
        bids=bids,
        patience=Patience(give_up_s=3600.0 * give_up_hours),
    )


@contextmanager
def batch_progress(*, quiet: bool, json_log: bool) -> Iterator[tuple[Listener, Callable[[int], None]]]:
    """Give listeners that show what runs, what is done, what failed and the time left.

    Parameters
    ----------
    quiet : bool
        Say nothing but what the batch waits for.
    json_log : bool
        One JSON line per event, with the seconds since the start.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if json_log:
        yield _json_lines(), lambda _count: None
        return
    with _bar(console, hidden=quiet) as bar:
        task = bar.add_task("looking for studies", total=None, state="")
        yield _on_bar(bar, task), lambda count: bar.update(task, state=f"{count} looked at")


def _json_lines() -> Listener:
    start = time.monotonic()

    def write(event: BatchEvent) -> None:
        """Write an event as a line of JSON."""
        line = asdict(event) | {"elapsed_s": round(time.monotonic() - start, 3)}
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()

    return write


def _bar(console: Console, *, hidden: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[state]}"))
    disabled = hidden or not console.is_terminal
    return Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=disabled)


def _on_bar(bar: Progress, task: TaskID) -> Listener:
    def show(event: BatchEvent) -> None:
        """Move the bar, and say what a person has to do."""
        if event.event == "paused":
            # Also in a file, and also with --quiet: somebody has to do something.
            bar.console.print(f"Waiting: [{event.code}] {event.message}", markup=False)
        elif event.event == "resumed":
            bar.console.print("Going on.")
        description = f"{event.done + event.failed} of {event.total}"
        bar.update(task, description=description, completed=event.done + event.failed, total=event.total)
        bar.update(task, state=_state(event))

    return show


def _state(event: BatchEvent) -> str:
    names = ", ".join(event.running[:_SHOWN]) + (", ..." if len(event.running) > _SHOWN else "")
    left = "" if event.left_s is None else f", about {_duration(event.left_s)} left"
    return f"{event.failed} failed{left}; {names}"


def _duration(seconds: float) -> str:
    minutes = int(seconds / 60 + 0.5)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def finish_batch(result: CohortResult, out: Path, *, quiet: bool) -> None:
    """Print what came out, and end with the exit status of that.

    Raises
    ------
    typer.Exit
        Status 1 if something has no result.
    """
    subjects = len({row.subject for row in result.rows})
    lines = [f"{len(result.rows)} visits of {subjects} subjects measured."]
    if result.failures:
        lines.append(f"{len(result.failures)} without a result: {out / 'failures.csv'}")
    lines += [f"Cohort: {out / 'cohort.html'}", f"Gallery: {out / 'gallery.html'}", "For research use only."]
    if not quiet:
        typer.echo("\n".join(lines))
    if result.failures or result.unfinished:
        raise typer.Exit(_EXIT_FINDINGS)
