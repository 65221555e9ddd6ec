"""Every task comes to exactly one end, whatever happens on the way."""

import os
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from batch_bench import IMPATIENT, STAND_IN, FakeCrew

from spinemri.batch.engine import Patience
from spinemri.batch.journal import Entry, Journal
from spinemri.batch.model import Subject
from spinemri.batch.plan import comparison_task, is_done, orders_sha256
from spinemri.batch.stamp import content_sha256, stamp
from spinemri.batch.task import Orders, Outcome
from spinemri.batch.work import options_of
from spinemri.config import Config
from spinemri.errors import UsageError
from spinemri.intake.pseudonyms import Deidentification
from spinemri.pipeline import Options

KILLED = Outcome("killed", "STUDY_KILLED", "It died.", "More memory.")
FULL = Outcome("failed", "DISK_FULL", "no space left", "Free some.")


def test_every_task_ends_once_and_is_in_the_journal(bench):
    tasks = bench.tasks(*(bench.visit(f"S{number:02d}") for number in range(12)))
    crew = FakeCrew()
    bench.run(crew, tasks)
    assert set(bench.states()) == {f"sub-S{number:02d}/ses-1" for number in range(12)}
    assert set(bench.states().values()) == {("done", "", 1)}
    assert len(crew.taken) == 12
    assert bench.events[-1].done == bench.events[-1].total == 12
    assert bench.events[-1].left_s == 0


def test_no_more_is_under_way_than_keeps_two_cores_busy(bench):
    crew = FakeCrew(cores=2)
    bench.run(crew, bench.tasks(*(bench.visit(f"S{number}") for number in range(9))))
    # One waits at the worker for the two that run.
    assert max(len(event.running) for event in bench.events) == 3


def test_a_study_that_fails_is_set_aside_with_its_code(bench):
    failed = Outcome("failed", "NO_SPINE_SERIES", "What was found.", "What to do.")
    bench.run(FakeCrew({"sub-A/ses-1": [failed]}), bench.tasks(bench.visit("A"), bench.visit("B")))
    assert bench.states() == {"sub-A/ses-1": ("failed", "NO_SPINE_SERIES", 1), "sub-B/ses-1": ("done", "", 1)}


def test_a_study_that_dies_twice_is_set_aside_and_gets_more_memory_the_second_time(bench):
    crew = FakeCrew({"sub-A/ses-1": [KILLED]})
    bench.run(crew, bench.tasks(bench.visit("A"), bench.visit("B")))
    assert bench.states()["sub-A/ses-1"] == ("killed", "STUDY_KILLED", 1)
    assert [task.memory_mb for task in crew.taken if task.name == "sub-A/ses-1"] == [100, 200]


def test_a_study_that_dies_once_is_done(bench):
    crew = FakeCrew({"sub-A/ses-1": [KILLED, Outcome("done")]})
    bench.run(crew, bench.tasks(bench.visit("A")))
    assert bench.states() == {"sub-A/ses-1": ("done", "", 1)}
    assert bench.said("again") == [("sub-A/ses-1", "STUDY_KILLED")]


def test_deaths_are_counted_over_interruptions(bench):
    tasks = bench.tasks(bench.visit("A"))
    with Journal(bench.out) as journal:
        journal.tried(tasks[0].name, orders_sha256(tasks[0]), KILLED)
    crew = FakeCrew({"sub-A/ses-1": [KILLED]})
    bench.run(crew, tasks)
    assert len(crew.taken) == 1
    assert bench.states()["sub-A/ses-1"][0] == "killed"


def test_the_end_of_a_worker_is_nobody_s_fault(bench):
    crew = FakeCrew({"sub-A/ses-1": [Outcome("stopped")] * 5 + [Outcome("done")]})
    bench.run(crew, bench.tasks(bench.visit("A")))
    assert bench.states() == {"sub-A/ses-1": ("done", "", 1)}
    assert len(crew.taken) == 6


def test_a_study_whose_worker_always_ends_is_set_aside_at_last(bench):
    crew = FakeCrew({"sub-A/ses-1": [Outcome("stopped")]})
    bench.run(crew, bench.tasks(bench.visit("A")))
    assert bench.states()["sub-A/ses-1"] == ("killed", "STUDY_KILLED", 1)
    assert len(crew.taken) == 10


def test_a_full_disk_is_waited_for_and_blames_no_study(bench):
    crew = FakeCrew({"sub-A/ses-1": [FULL, FULL, Outcome("done")]})
    bench.run(crew, bench.tasks(bench.visit("A"), bench.visit("B")))
    assert set(bench.states().values()) == {("done", "", 1)}
    assert [code for _, code in bench.said("paused")] == ["DISK_FULL", "DISK_FULL"]
    assert "Free some" in next(event.message for event in bench.events if event.event == "paused")


def test_nothing_is_begun_without_room(bench):
    with pytest.raises(UsageError) as caught:
        bench.run(
            FakeCrew(), bench.tasks(bench.visit("A")), room_bytes=1 << 60, patience=Patience(0.01, 0.01, give_up_s=0.0)
        )
    assert caught.value.code == "DISK_FULL"
    assert bench.said("start") == []


def test_a_share_that_comes_back_is_waited_for(bench):
    tasks = bench.tasks(bench.visit("A"))
    away = bench.root.rename(bench.root.parent / "away")
    threading.Timer(0.2, lambda: away.rename(bench.root)).start()
    bench.run(FakeCrew(), tasks)
    assert bench.said("paused") == [("", "SOURCE_UNREADABLE")]
    assert bench.states() == {"sub-A/ses-1": ("done", "", 1)}


def test_a_share_that_goes_during_a_study_is_not_the_study_s_fault(bench):
    tasks = bench.tasks(bench.visit("A"))
    missing = Outcome("failed", "NOT_FOUND", "The input does not exist.", "Check the path.")

    class Losing(FakeCrew):
        def collect(self):
            ended = super().collect()
            if len(self.taken) == 1 and ended:
                away = bench.root.rename(bench.root.parent / "away")
                threading.Timer(0.2, lambda: away.rename(bench.root)).start()
            return ended

    bench.run(Losing({"sub-A/ses-1": [missing, Outcome("done")]}), tasks)
    assert bench.states() == {"sub-A/ses-1": ("done", "", 1)}
    assert bench.said("paused")[0] == ("", "SOURCE_UNREADABLE")


def test_what_was_under_way_when_the_scheduler_died_is_done_again(bench):
    crew = FakeCrew(lost_after=2)
    bench.run(crew, bench.tasks(*(bench.visit(f"S{number}") for number in range(5))))
    assert set(bench.states().values()) == {("done", "", 1)}
    assert len(bench.states()) == 5
    assert bench.said("paused") == [("", "SCHEDULER_LOST")]


def test_workers_with_another_version_stop_the_batch(bench):
    differs = Outcome("failed", "WORKER_DIFFERS", "Another version.", "Install the same.")
    with pytest.raises(UsageError) as caught:
        bench.run(FakeCrew({"sub-A/ses-1": [differs]}), bench.tasks(bench.visit("A")))
    assert caught.value.code == "WORKER_DIFFERS"
    assert bench.states() == {}


class TestWhatIsDone:
    @pytest.fixture
    def task(self, bench):
        task = bench.tasks(bench.visit("A"))[0]
        task.out.mkdir(parents=True)
        (task.out / "measurements.json").write_text("{}")
        return task

    def done(self, bench, task, **options) -> bool:
        with Journal(bench.out) as journal:
            return is_done(task, journal, retry_failed=False, **options)

    def keep(self, bench, task, outcome=None, content="") -> None:
        with Journal(bench.out) as journal:
            outcome = outcome or Outcome("done")
            journal.write(task.name, Entry(orders_sha256(task), stamp(task.visits), content, outcome))

    def test_nothing_is_at_first(self, bench, task):
        assert not self.done(bench, task)

    def test_it_is_with_the_same_images_and_orders(self, bench, task):
        self.keep(bench, task)
        assert self.done(bench, task)

    def test_it_is_not_with_other_settings_or_another_network(self, bench, task):
        self.keep(bench, task)
        other = Config.model_validate({"mass": {"minimum_volume_ml": 0.7}})
        assert not self.done(bench, replace(task, orders=Orders(other)))
        assert not self.done(bench, replace(task, orders=Orders(Config(), software=("1.0", "another network"))))

    def test_it_is_not_when_an_image_changed(self, bench, task):
        self.keep(bench, task)
        (task.visits[0].path / "behaviour.json").write_text("{}")
        assert not self.done(bench, task)

    def test_it_is_when_only_times_changed(self, bench, task):
        self.keep(bench, task, content=content_sha256(task.visits))
        file = Path(task.visits[0].path / "behaviour.json")
        file.write_bytes(file.read_bytes())
        os.utime(file, (1, 1))
        assert self.done(bench, task)
        # From now on without reading the images.
        with Journal(bench.out) as journal:
            assert journal.entry(task.name).stamp == stamp(task.visits)

    def test_it_is_not_when_the_results_are_gone(self, bench, task):
        self.keep(bench, task)
        (task.out / "measurements.json").unlink()
        assert not self.done(bench, task)

    def test_a_failure_is_final_until_asked(self, bench, task):
        self.keep(bench, task, Outcome("failed", "NOT_MR", "CT", "MR"))
        assert self.done(bench, task)
        with Journal(bench.out) as journal:
            assert not is_done(task, journal, retry_failed=True)


def test_a_study_is_given_the_options_of_a_run(bench, tmp_path):
    (tmp_path / "key").write_bytes(b"k" * 32 + b"\n")
    orders = Orders(Config(), "T2", with_mass=False, dicom=False, key_file=tmp_path / "key")
    visit = replace(bench.visit("A"), levels=(("T7", (1.0, 2.0, 3.0)),), mass_seed_lps_mm=(4.0, 5.0, 6.0))
    task = replace(bench.tasks(visit)[0], orders=orders)
    assert options_of(task) == Options(
        Config(), "T2", with_mass=False, mass_seed_lps_mm=(4.0, 5.0, 6.0), levels=visit.levels, dicom=False,
        overwrite=True, deidentification=Deidentification(b"k" * 32),
    )  # fmt: skip
    subject = Subject("A", (visit, bench.visit("A", "2")))
    comparison = comparison_task(subject, subject.visits, bench.out, orders, STAND_IN)
    # The seed is that of one visit; coverages made with it are none for a comparison.
    assert options_of(comparison).mass_seed_lps_mm is None
    assert options_of(comparison).earlier == (bench.out / "visits" / "sub-A" / "ses-2",)


class TestJournal:
    def test_a_second_batch_is_refused(self, bench):
        with Journal(bench.out), pytest.raises(UsageError) as caught:
            Journal(bench.out)
        assert caught.value.code == "BATCH_RUNNING"

    def test_a_damaged_journal_is_named(self, bench):
        (bench.out / "journal.sqlite").write_bytes(b"no database" * 100)
        with pytest.raises(UsageError) as caught:
            Journal(bench.out)
        assert caught.value.code == "BAD_JOURNAL"

    def test_a_full_disk_under_the_journal_is_waited_for(self, bench, monkeypatch):
        tasks, real, left = bench.tasks(bench.visit("A")), Journal.write, [2]

        def write(self, task, entry):
            if left[0]:
                left[0] -= 1
                raise sqlite3.OperationalError("database or disk is full")
            real(self, task, entry)

        monkeypatch.setattr(Journal, "write", write)
        bench.run(FakeCrew(), tasks, patience=IMPATIENT)
        assert bench.states() == {"sub-A/ses-1": ("done", "", 1)}
        assert [code for _, code in bench.said("paused")] == ["DISK_FULL", "DISK_FULL"]
