"""What a process does with one task: exactly what `spinemri run` and `spinemri compare` do."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from spinemri import __version__
from spinemri.batch.model import Visit
from spinemri.batch.stamp import content_sha256, input_bytes
from spinemri.batch.task import Orders, Outcome, Task
from spinemri.errors import UsageError
from spinemri.followup.joint_look import all_networks_sha256
from spinemri.intake.headers import read_headers
from spinemri.intake.pseudonyms import Deidentification
from spinemri.intake.sources import find_sources
from spinemri.pipeline import Options, compare_studies, remeasure, run_study

__all__ = ["options_of", "perform", "software"]


def software() -> tuple[str, str]:
    """Return the version and the hash of the networks of this installation."""
    return __version__, all_networks_sha256()


def perform(task: Task) -> Outcome:
    """Measure or compare, into a folder that appears whole or not at all.

    Parameters
    ----------
    task : Task

    Returns
    -------
    Outcome
        Done, with the hash of what was read.

    Raises
    ------
    SpineMRIError
        As `run_study` and `compare_studies`; WORKER_DIFFERS if this machine has another version or network.
    """
    _refuse_other_software(task.orders)
    _sweep(task.out)
    content = content_sha256(task.visits)
    if task.remeasure:
        remeasure(task.out)
    else:
        _measure(task)
    written = sum(file.stat().st_size for file in task.out.rglob("*") if file.is_file())
    return Outcome("done", content_sha256=content, input_bytes=input_bytes(task.visits), output_bytes=written)


def _refuse_other_software(orders: Orders) -> None:
    if orders.software not in {("", ""), software()}:
        version, model = software()
        raise UsageError(
            "WORKER_DIFFERS",
            f"A worker has spinemri {version} with the network {model[:12]}, the batch another.",
            "Install the same version on all machines.",
        )


def _sweep(out: Path) -> None:
    """Remove what a killed process has left beside the results, and its images; results that stood aside return."""
    for aside in out.parent.glob(f".{out.name}.partial-*.replaced"):
        if not out.exists():
            aside.rename(out)
    for rest in (*out.parent.glob(f".{out.name}.partial-*"), *Path(tempfile.gettempdir()).glob(f"{_prefix(out)}*")):
        shutil.rmtree(rest, ignore_errors=True)


def _prefix(out: Path) -> str:
    """Return how the folder with the images of one task is called."""
    return f"spinemri-{hashlib.sha256(str(out).encode()).hexdigest()[:16]}-"


def _measure(task: Task) -> None:
    with ExitStack() as stack:
        paths = [stack.enter_context(_only_its_files(visit, task.out)) for visit in task.visits]
        if task.kind == "comparison":
            compare_studies(paths, task.out, options_of(task), task.radiotherapy)
        else:
            run_study(paths[0], task.out, options_of(task))


def options_of(task: Task) -> Options:
    """Return the options that `spinemri run` or `spinemri compare` would be given."""
    orders, first = task.orders, task.visits[0]
    key = orders.key_file.read_bytes().strip() if orders.key_file else b""
    labels = tuple(visit.labels for visit in task.visits if visit.labels is not None)
    return Options(
        config=orders.config,
        contrast=orders.contrast,
        labels=labels if len(labels) == len(task.visits) else (),
        with_mass=orders.with_mass,
        mass_seed_lps_mm=first.mass_seed_lps_mm if task.kind == "visit" else None,
        levels=first.levels,
        dicom=orders.dicom,
        overwrite=True,
        deidentification=Deidentification(key) if orders.key_file else None,
        earlier=task.earlier,
    )


@contextmanager
def _only_its_files(visit: Visit, out: Path) -> Iterator[Path]:
    """Give the folder of a visit; where others share it, one of links to its own files and its images in archives."""
    if not visit.files:
        yield visit.path
        return
    with tempfile.TemporaryDirectory(prefix=_prefix(out)) as folder:
        for number, file in enumerate(visit.files):
            place = Path(folder) / f"{number:06d}{file.suffix}"
            if file.suffix.lower() == ".zip":
                _unpack(file, visit.study_uid, place.with_suffix(""))
            else:
                place.symlink_to(file)
        yield Path(folder)


def _unpack(archive: Path, study_uid: str | None, folder: Path) -> None:
    """Write the images of one study under names of our own: those in an archive may lead anywhere."""
    frames = read_headers(find_sources(archive)[0]).frames
    own = sorted({frame.source for frame in frames if frame.identity.study_uid == study_uid})
    folder.mkdir()
    for number, source in enumerate(own):
        (folder / f"{number:06d}.dcm").write_bytes(source.read())
