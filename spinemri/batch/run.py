"""A whole cohort, from its source to its tables and pages: reads from top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from spinemri.batch.corrections import has_corrections
from spinemri.batch.crew import Crew
from spinemri.batch.derivatives import write_derivatives
from spinemri.batch.discovery import find_cohort
from spinemri.batch.engine import Engine, Patience
from spinemri.batch.journal import Journal
from spinemri.batch.model import Cohort, Subject
from spinemri.batch.obstacles import Surroundings
from spinemri.batch.pages import write_pages
from spinemri.batch.plan import Needs, comparison_task, is_done, visit_tasks
from spinemri.batch.progress import Listener
from spinemri.batch.ratings import Rating, as_text, stored_ratings, with_stored
from spinemri.batch.results import CohortResult, read_results
from spinemri.batch.tables import write_tables
from spinemri.batch.task import Orders, Outcome, Task
from spinemri.config import write_config
from spinemri.errors import UsageError
from spinemri.intake.pseudonyms import Deidentification
from spinemri.pipeline.output import check_apart

__all__ = ["BatchOptions", "run_batch"]


@dataclass(frozen=True)
class BatchOptions:
    """How to run a cohort.

    Attributes
    ----------
    orders : Orders
        What is asked of every study.
    connect : callable
        Gives the crew that does the work.
    needs : Needs
    ratings : tuple of Rating
        In place of earlier ones of the same visits.
    retry_failed : bool
        Try again what failed before.
    bids : bool
        Write the BIDS derivatives, too.
    patience : Patience
    """

    orders: Orders
    connect: Callable[[], AbstractContextManager[Crew]]
    needs: Needs = field(default_factory=Needs)
    ratings: tuple[Rating, ...] = ()
    retry_failed: bool = False
    bids: bool = False
    patience: Patience = field(default_factory=Patience)


def run_batch(
    source: Path, out: Path, options: BatchOptions, listener: Listener, looked: Callable[[int], None] = lambda _: None
) -> CohortResult:
    """Measure every visit of a cohort, compare those of each subject, and write what a cohort leaves.

    What the journal in `out` knows to be done is not done again.

    Parameters
    ----------
    source : Path
        Tree of DICOM studies, BIDS dataset, or CSV.
    out : Path
        Made if it does not exist; an earlier batch there is continued.
    options : BatchOptions
    listener : callable
        Hears of every event.
    looked : callable
        Hears how many files were looked at while studies are found.

    Returns
    -------
    CohortResult

    Raises
    ------
    UsageError, InputError
        What stops all studies alike; see `find_cohort`, `Journal` and `Engine.run`.
    """
    out = _prepared(out, source)
    with Journal(out) as journal:
        cohort = find_cohort(source, _deidentification(options.orders), looked)
        ratings = _all_ratings(cohort, options.ratings, journal)
        write_config(options.orders.config, out / "config.yaml")
        _Batch(cohort, out, options, journal, ratings).run(listener)
        result = read_results(cohort, out, journal, {folder: rating.rating for folder, rating in ratings.items()})
    write_tables(result, out, with_links=options.orders.key_file is None)
    write_pages(result, out)
    if options.bids:
        write_derivatives(result, out)
    return result


def _prepared(out: Path, source: Path) -> Path:
    """Make the folder of results, or check that an earlier batch made it."""
    check_apart(out, [source])
    out = out.absolute()
    if out.exists() and not (out.is_dir() and (Journal.is_in(out) or not any(out.iterdir()))):
        message = f"{out} holds something that no batch made."
        raise UsageError("OUT_NOT_OURS", message, "Choose another output folder.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{out} cannot be made: {error.strerror}."
        raise UsageError("OUT_NOT_WRITABLE", message, "Choose a folder that you may write to.") from None
    return out


def _deidentification(orders: Orders) -> Deidentification | None:
    return Deidentification(orders.key_file.read_bytes().strip()) if orders.key_file else None


def _all_ratings(cohort: Cohort, given: tuple[Rating, ...], journal: Journal) -> dict[str, Rating]:
    """Return the ratings that hold, by folder of the visit, and keep them for the next time."""
    ratings = with_stored(given, stored_ratings(journal.fact("ratings")))
    journal.note("ratings", as_text(ratings))
    rated = {(rating.subject, rating.visit): rating for rating in ratings}
    folders = {(visit.subject, visit.name): visit.folder for visit in cohort.visits}
    return {folders[visit]: rating for visit, rating in rated.items() if visit in folders}


class _Batch:
    """The tasks of a cohort and what follows from what."""

    def __init__(
        self, cohort: Cohort, out: Path, options: BatchOptions, journal: Journal, ratings: Mapping[str, Rating]
    ) -> None:
        self._cohort, self._out, self._options, self._journal = cohort, out, options, journal
        self._excluded = {folder for folder, rating in ratings.items() if rating.rating == "exclude"}
        fixes = {folder: as_text((rating,)) for folder, rating in ratings.items() if rating.rating == "fix"}
        # A rating asks once; the same file given again asks for nothing new.
        self._fixes = {name: text for name, text in fixes.items() if journal.fact(f"fixed {name}") != text}
        self._subject_of = {visit.folder: subject for subject in cohort.subjects for visit in subject.visits}
        self._open: dict[str, set[str]] = {}

    def run(self, listener: Listener) -> None:
        """Do what is not done."""
        visits = visit_tasks(self._cohort, self._out, self._options.orders, self._options.needs, self._excluded)
        due = [self._as_fixed(task) for task in visits if self._is_due(task)]
        self._open = {subject.name: set() for subject in self._cohort.subjects}
        for task in due:
            self._open[task.visits[0].subject].add(task.name)
        ready = [task for subject in self._cohort.subjects for task in self._comparison(subject)]
        later = sum(1 for name, tasks in self._open.items() if tasks and self._may_compare(name))
        if not due and not ready:
            return
        surroundings = Surroundings(self._cohort.root, self._out)
        engine = Engine(self._options.connect, self._journal, surroundings, listener, self._options.patience)
        engine.run([*due, *ready], self._follow, len(due) + len(ready) + later)

    def _may_compare(self, name: str) -> bool:
        subject = next(subject for subject in self._cohort.subjects if subject.name == name)
        return sum(visit.folder not in self._excluded for visit in subject.visits) > 1

    def _is_due(self, task: Task) -> bool:
        if task.name in self._fixes:
            return True
        done = is_done(task, self._journal, retry_failed=self._options.retry_failed)
        if not done:
            self._journal.forgive(task.name)
        return not done

    def _as_fixed(self, task: Task) -> Task:
        """Measure a visit again on the masks that a person has corrected, if it is to be fixed and there are any."""
        return replace(task, remeasure=task.name in self._fixes and has_corrections(task.out))

    def _follow(self, task: Task, outcome: Outcome) -> Iterable[Task]:
        """Compare a subject's visits when the last of them has ended."""
        if task.kind == "comparison":
            return ()
        if outcome.state == "done" and task.name in self._fixes:
            self._journal.note(f"fixed {task.name}", self._fixes[task.name])
        subject = self._subject_of[task.name]
        self._open[subject.name].discard(task.name)
        return self._comparison(subject)

    def _comparison(self, subject: Subject) -> list[Task]:
        """Return the comparison of a subject that can be made now and is not made yet."""
        if self._open[subject.name]:
            return []
        done = [visit for visit in subject.visits if self._is_measured(visit.folder)]
        if len(done) < 2:
            return []
        task = comparison_task(subject, done, self._out, self._options.orders, self._options.needs)
        fix = any(visit.folder in self._fixes for visit in done) and has_corrections(task.out)
        return [replace(task, remeasure=fix)] if fix or self._is_due(task) else []

    def _is_measured(self, folder: str) -> bool:
        entry = self._journal.entry(folder)
        return folder not in self._excluded and entry is not None and entry.outcome.state == "done"
