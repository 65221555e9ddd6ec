"""What a cohort is: subjects and their visits, as found, before anything is measured."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spinemri.errors import InputError

if TYPE_CHECKING:
    # Workers and the processes of studies import this module first: it has to be quick.
    from spinemri.followup import Radiotherapy
    from spinemri.pipeline.options import Point

__all__ = ["Cohort", "Subject", "Visit", "label"]


def label(name: str) -> str:
    """Return a name as BIDS wants labels: letters and digits only.

    Examples
    --------
    >>> label("S-001_b")
    'S001b'
    """
    return re.sub(r"[^A-Za-z0-9]", "", name)


@dataclass(frozen=True)
class Visit:
    """One examination of one subject.

    Attributes
    ----------
    subject, name : str
        As the user calls them, or derived from hashes; never a patient's name.
    path : Path
        What `spinemri run` would be given.
    files : tuple of Path
        The files of the visit, where the folder holds others, too; empty: everything below `path`.
    study_uid : str or None
        Study Instance UID of the one study that is meant, where the source may hold others, too.
    date : str
        ISO date; empty where unknown.
    voxels : int
        Of all images, for the memory that a study needs.
    levels : tuple of (name, (x, y, z))
        Vertebrae that the user points at, LPS mm.
    mass_seed_lps_mm : (x, y, z) or None
    labels : Path or None
        Masks in place of the network.
    reference_volume_ml : float or None
        Volume by a reader, to compare with.
    """

    subject: str
    name: str
    path: Path
    files: tuple[Path, ...] = ()
    study_uid: str | None = None
    date: str = ""
    voxels: int = 0
    levels: tuple[tuple[str, Point], ...] = ()
    mass_seed_lps_mm: Point | None = None
    labels: Path | None = None
    reference_volume_ml: float | None = None

    @property
    def folder(self) -> str:
        """Path of the visit's results below that of all visits."""
        return f"sub-{label(self.subject)}/ses-{label(self.name)}"


@dataclass(frozen=True)
class Subject:
    """One patient: visits in order of time, and the radiotherapy between them."""

    name: str
    visits: tuple[Visit, ...]
    radiotherapy: Radiotherapy | None = None

    @property
    def folder(self) -> str:
        """Path of the subject's comparison below that of all comparisons."""
        return f"sub-{label(self.name)}"


@dataclass(frozen=True)
class Cohort:
    """Everything that was found below `root`, by name of the subject."""

    root: Path
    subjects: tuple[Subject, ...]

    @property
    def visits(self) -> tuple[Visit, ...]:
        """All visits, subject by subject."""
        return tuple(visit for subject in self.subjects for visit in subject.visits)

    @staticmethod
    def of(root: Path, visits: Iterable[Visit], radiotherapy: dict[str, Radiotherapy] | None = None) -> Cohort:
        """Pair visits into subjects, and put both in order.

        Visits of a subject are ordered by date if all have one, and stay as given otherwise.

        Raises
        ------
        InputError
            NO_VISITS, or DUPLICATE_VISIT if two would share a folder.
        """
        groups: dict[str, list[Visit]] = {}
        for visit in visits:
            groups.setdefault(visit.subject, []).append(visit)
        if not groups:
            raise InputError("NO_VISITS", "The source holds no study.", "Give a tree of studies, BIDS, or a CSV list.")
        treated = radiotherapy or {}
        subjects = tuple(Subject(name, _in_order(groups[name]), treated.get(name)) for name in sorted(groups))
        cohort = Cohort(root, subjects)
        _refuse_collisions(cohort)
        return cohort


def _in_order(visits: list[Visit]) -> tuple[Visit, ...]:
    dated = all(visit.date for visit in visits)
    return tuple(sorted(visits, key=lambda visit: (visit.date, visit.name)) if dated else visits)


def _refuse_collisions(cohort: Cohort) -> None:
    seen: set[str] = set()
    for visit in cohort.visits:
        # Some file systems do not tell capitals apart.
        folder = visit.folder.lower()
        if folder in seen:
            message = f"Two visits of the source would be called {visit.folder}."
            raise InputError("DUPLICATE_VISIT", message, "Give each subject and visit a name of its own.")
        seen.add(folder)
