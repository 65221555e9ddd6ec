"""Options and commands that talk to an archive: ``--from`` of other commands, and ``send``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from spinemri.errors import UsageError

__all__ = [
    "Accession",
    "Aet",
    "ArchiveOptions",
    "Day",
    "From",
    "KeepImages",
    "Listen",
    "Patient",
    "StudyUid",
    "StudyUids",
    "Timeout",
    "extra_installed",
    "inputs",
]

_PANEL = "From an archive, in place of DIR"
_LIBRARIES = {"dicomweb_client", "pynetdicom", "requests"}

From = Annotated[
    str | None,
    typer.Option("--from", metavar="AET@host:port|URL", help="Archive to get images from.", rich_help_panel=_PANEL),
]
StudyUid = Annotated[str | None, typer.Option("--study", help="Study Instance UID.", rich_help_panel=_PANEL)]
StudyUids = Annotated[
    list[str] | None, typer.Option("--study", help="Study Instance UID; repeatable.", rich_help_panel=_PANEL)
]
Patient = Annotated[str | None, typer.Option("--patient", help="Patient ID.", rich_help_panel=_PANEL)]
Day = Annotated[str | None, typer.Option("--date", help="Study date, YYYY-MM-DD or FROM..TO.", rich_help_panel=_PANEL)]
Accession = Annotated[str | None, typer.Option("--accession", help="Accession number.", rich_help_panel=_PANEL)]
Listen = Annotated[
    str | None,
    typer.Option(
        "--listen",
        metavar="AET:port",
        envvar="SPINEMRI_LISTEN",
        help="Where the archive shall send images (C-MOVE); else they are asked for directly (C-GET).",
        rich_help_panel=_PANEL,
    ),
]
KeepImages = Annotated[
    Path | None, typer.Option("--keep-images", help="Folder to keep the images in.", rich_help_panel=_PANEL)
]
Aet = Annotated[str, typer.Option("--aet", envvar="SPINEMRI_AET", help="Our own AE title.", rich_help_panel="Archive")]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout", min=0.1, help="Seconds of silence after which an archive is given up.", rich_help_panel="Archive"
    ),
]


@dataclass(frozen=True)
class ArchiveOptions:
    """What a command line says of where images come from; `source` is None for a folder."""

    source: str | None
    studies: tuple[str, ...]
    patient: str | None
    day: str | None
    accession: str | None
    listen: str | None
    aet: str
    keep: Path | None
    timeout_s: float


@contextmanager
def extra_installed() -> Iterator[None]:
    """Say which extra is missing, where one is.

    Raises
    ------
    UsageError
        PACS_NOT_INSTALLED.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in _LIBRARIES:
            raise
        message = f"{error.name}, which talks to archives, is not installed."
        raise UsageError("PACS_NOT_INSTALLED", message, "Install it with: pip install 'spinemri[pacs]'") from None


@contextmanager
def inputs(
    paths: Sequence[Path], options: ArchiveOptions, *, several: bool, quiet: bool, json_log: bool
) -> Iterator[tuple[Path, ...]]:
    """Give the folders to read: those that were named, or those that an archive filled.

    Parameters
    ----------
    paths : sequence of Path
        From the command line; empty with ``--from``.
    options : ArchiveOptions
    several : bool
        Whether more than one study may come from the archive.
    quiet, json_log : bool
        As for `spinemri.cli.progress.counting`.

    Yields
    ------
    tuple of Path
        Removed at the end if they came from an archive and are not to be kept.

    Raises
    ------
    UsageError
        NO_INPUT if there is neither a folder nor an archive, or both.
    """
    if bool(paths) == bool(options.source):
        found = "Both a folder and --from were given." if paths else "No images were named."
        raise UsageError("NO_INPUT", found, "Give a folder, or an archive with --from.")
    if options.source is None:
        yield tuple(paths)
    elif options.keep is not None:
        from spinemri.pipeline.output import output_folder

        with output_folder(options.keep, overwrite=False) as folder:
            names = [path.name for path in _fetched(options, folder, several=several, quiet=quiet, json_log=json_log)]
        yield tuple(options.keep / name for name in names)
    else:
        with tempfile.TemporaryDirectory(prefix="spinemri-") as name:
            yield _fetched(options, Path(name), several=several, quiet=quiet, json_log=json_log)


def _fetched(options: ArchiveOptions, folder: Path, *, several: bool, quiet: bool, json_log: bool) -> tuple[Path, ...]:
    from spinemri.cli.progress import counting

    with extra_installed():
        from spinemri.pacs import Policy, fetch_studies, parse_listener, parse_peer, parse_url, study_query

        source = options.source or ""
        query = study_query(options.studies, patient=options.patient, day=options.day, accession=options.accession)
        receiver = parse_listener(options.listen) if options.listen else None
        peer = parse_url(source) if "://" in source else parse_peer(source, own=options.aet, receiver=receiver)
        with counting("fetch", quiet=quiet, json_log=json_log) as listener:
            policy = Policy(timeout_s=options.timeout_s)
            return fetch_studies(peer, query, folder, policy, several=several, listener=listener)
