"""What a cohort needs to have done, and what of it is done already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from spinemri.batch.journal import Journal
from spinemri.batch.model import Cohort, Subject, Visit
from spinemri.batch.stamp import content_sha256, stamp
from spinemri.batch.task import Orders, Task
from spinemri.config import config_sha256

__all__ = ["Needs", "comparison_task", "is_done", "orders_sha256", "visit_tasks"]

_BASE_MB = 750
_MB_PER_MEGAVOXEL = 95
"""Peak of a whole run over images of 0.2 and 8 million voxels (docs/results.md), and a tenth more."""

_RESULT = {"visit": "measurements.json", "comparison": "comparison.json"}


@dataclass(frozen=True)
class Needs:
    """What studies may take.

    Attributes
    ----------
    threads : int
        Cores of one study.
    memory_mb : int or None
        Of one study; None: by its number of voxels.
    timeout_s : float
    work : str
        See `Task`.
    """

    threads: int = 1
    memory_mb: int | None = None
    timeout_s: float = 3600.0
    work: str = "spinemri.batch.work:perform"

    def of(self, visits: Sequence[Visit]) -> int:
        """Return the memory in MB that a task over some visits needs."""
        return self.memory_mb or _BASE_MB + round(_MB_PER_MEGAVOXEL * sum(visit.voxels for visit in visits) / 1e6)


def visit_tasks(cohort: Cohort, out: Path, orders: Orders, needs: Needs, left_out: Collection[str] = ()) -> list[Task]:
    """Return one task for each visit that is not left out, the largest first, so that none is waited for at the end."""
    tasks = [
        Task(
            name=visit.folder,
            kind="visit",
            visits=(visit,),
            out=out / "visits" / visit.folder,
            orders=orders,
            work=needs.work,
            memory_mb=needs.of([visit]),
            threads=needs.threads,
            timeout_s=needs.timeout_s,
        )
        for visit in cohort.visits
        if visit.folder not in left_out
    ]
    return sorted(tasks, key=lambda task: (-task.visits[0].voxels, task.name))


def comparison_task(subject: Subject, visits: Sequence[Visit], out: Path, orders: Orders, needs: Needs) -> Task:
    """Return the task that compares the visits of a subject that could be measured."""
    return Task(
        name=subject.folder,
        kind="comparison",
        visits=tuple(visits),
        out=out / "comparisons" / subject.folder,
        orders=orders,
        radiotherapy=subject.radiotherapy,
        # A seed makes another mass of the same images.
        earlier=tuple(out / "visits" / visit.folder for visit in visits if visit.mass_seed_lps_mm is None),
        work=needs.work,
        memory_mb=needs.of(visits),
        threads=needs.threads,
        timeout_s=len(visits) * needs.timeout_s,
    )


def orders_sha256(task: Task) -> str:
    """Hash everything but the images that decides the result of a task."""
    orders = task.orders
    content = {
        "config": config_sha256(orders.config),
        "software": orders.software,
        "contrast": orders.contrast,
        "with_mass": orders.with_mass,
        "dicom": orders.dicom,
        "key": hashlib.sha256(orders.key_file.read_bytes().strip()).hexdigest() if orders.key_file else "",
        "radiotherapy": asdict(task.radiotherapy) if task.radiotherapy else None,
        "visits": [[visit.folder, visit.levels, visit.mass_seed_lps_mm] for visit in task.visits],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def is_done(task: Task, journal: Journal, *, retry_failed: bool) -> bool:
    """Tell whether the journal has the last word on a task, and it still holds.

    It does if orders and images are the same and, for a task that went well, the results are still there. Images are
    the same if names, sizes and times of files are, or else their content.
    """
    entry = journal.entry(task.name)
    if entry is None or entry.orders != orders_sha256(task):
        return False
    if entry.outcome.state == "done":
        if not (task.out / _RESULT[task.kind]).is_file():
            return False
    elif retry_failed:
        return False
    try:
        now = stamp(task.visits)
        if now == entry.stamp:
            return True
        same = bool(entry.content) and content_sha256(task.visits) == entry.content
    except OSError:
        return False
    if same:
        journal.touch(task.name, now)
    return same
