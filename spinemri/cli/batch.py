"""The command ``batch``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spinemri.cli.failures import guarded
from spinemri.cli.options import Contrast, Debug, DeidentifyKey, Dicom, JsonLog, Out, Profile, Quiet, Segmenter

__all__ = ["EPILOG", "batch"]

EPILOG = (
    "Example: spinemri batch studies/ -o cohort/   or, with radiotherapy: spinemri batch cohort.csv -o cohort/   "
    "The same command again continues."
)
_WORKERS = "Where the work is done"


def batch(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Tree of DICOM studies, BIDS dataset, or CSV.")],
    out: Out,
    config: Profile = "default",
    contrast: Contrast = None,
    segmenter: Segmenter = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Studies at once, or jobs of Slurm.", rich_help_panel=_WORKERS),
    ] = None,
    threads: Annotated[
        int, typer.Option("--threads", min=1, max=64, help="Cores of one study.", rich_help_panel=_WORKERS)
    ] = 1,
    memory_gb: Annotated[
        float | None, typer.Option("--memory-gb", min=0.5, help="Of all studies together.", rich_help_panel=_WORKERS)
    ] = None,
    memory_per_study_gb: Annotated[
        float | None,
        typer.Option("--memory-per-study-gb", min=0.1, help="Else by its voxels.", rich_help_panel=_WORKERS),
    ] = None,
    timeout_minutes: Annotated[
        float, typer.Option("--timeout-minutes", min=0.1, help="After which a study is stopped.")
    ] = 60.0,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="tcp://host:8786", help="Of dask.", rich_help_panel=_WORKERS)
    ] = None,
    slurm_queue: Annotated[
        str | None, typer.Option("--slurm-queue", help="Partition of the jobs.", rich_help_panel=_WORKERS)
    ] = None,
    slurm_walltime: Annotated[
        str | None, typer.Option("--slurm-walltime", help="HH:MM:SS of a job.", rich_help_panel=_WORKERS)
    ] = None,
    slurm_cores: Annotated[int, typer.Option("--slurm-cores", min=1, help="Of a job.", rich_help_panel=_WORKERS)] = 4,
    give_up_hours: Annotated[
        float, typer.Option("--give-up-hours", min=0, help="How long to wait for space or a share.")
    ] = 24.0,
    ratings: Annotated[
        Path | None, typer.Option("--ratings", help="From the gallery: leave out what is excluded, redo what to fix.")
    ] = None,
    deidentify_key: DeidentifyKey = None,
    *,
    slurm: Annotated[bool, typer.Option("--slurm", help="In jobs of Slurm.", rich_help_panel=_WORKERS)] = False,
    no_mass: Annotated[bool, typer.Option("--no-mass", help="Measure the canal only.")] = False,
    dicom: Dicom = True,
    bids_derivatives: Annotated[bool, typer.Option("--bids-derivatives", help="Write OUT/bids, too.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try again what failed before.")] = False,
    quiet: Quiet = False,
    json_log: JsonLog = False,
    debug: Debug = False,
) -> None:
    """Measure a cohort: many subjects, many visits, on one machine or many."""
    with guarded(debug=debug, json_log=json_log, stopped="what is finished is kept; the same command continues"):
        from spinemri.cli.cohort import (
            Workers,
            batch_options,
            batch_progress,
            connection,
            extra_installed,
            finish_batch,
        )

        with extra_installed():
            from spinemri.batch.run import run_batch

            where = Workers(workers, threads, memory_gb, scheduler, slurm, slurm_queue, slurm_walltime, slurm_cores)
            options = batch_options(
                connect=connection(where),
                config=config,
                segmenter=segmenter,
                contrast=contrast,
                with_mass=not no_mass,
                dicom=dicom,
                key_file=deidentify_key,
                threads=threads,
                memory_per_study_gb=memory_per_study_gb,
                timeout_minutes=timeout_minutes,
                give_up_hours=give_up_hours,
                ratings=ratings,
                retry_failed=retry_failed,
                bids=bids_derivatives,
            )
            with batch_progress(quiet=quiet, json_log=json_log) as (listener, looked):
                result = run_batch(source, out, options, listener, looked)
        finish_batch(result, out, quiet=quiet)
