"""Real workers of dask and real processes, with a stand-in for the measurement."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import batch_work
import psutil
import pytest
from batch_bench import Bench, begun

from spinemri.batch.clusters import Machine, local_crew, own_machine, scheduler_crew
from spinemri.batch.engine import Engine, Patience
from spinemri.batch.isolation import run_isolated
from spinemri.batch.journal import Journal
from spinemri.batch.obstacles import Surroundings
from spinemri.batch.task import Orders, Outcome
from spinemri.config import Config
from spinemri.errors import UsageError

# Killed on purpose, dask leaves sockets for the collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PATIENT = Patience(look_s=0.05, pause_s=0.5, give_up_s=60.0)


def go(bench: Bench, tasks, connect, patience=PATIENT) -> None:
    with Journal(bench.out) as journal:
        surroundings = Surroundings(bench.root, bench.out, room_bytes=0)
        Engine(connect, journal, surroundings, bench.events.append, patience).run(tasks, lambda *_: (), len(tasks))


def results(bench: Bench) -> dict[str, str]:
    files = sorted((bench.out / "visits").rglob("*"))
    return {str(file.relative_to(bench.out)): file.read_text() for file in files if file.is_file()}


class TestIsolation:
    def test_a_study_has_a_process_cores_and_memory_of_its_own(self, bench):
        task = bench.tasks(bench.visit("A"))[0]
        outcome = run_isolated(task)
        assert outcome.state == "done"
        assert outcome.content_sha256 == "c" * 64
        # The peak of a process counts from that of the one that started it.
        own_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        assert 10 < outcome.peak_mb < 2000 + own_mb
        assert outcome.seconds > 0.1

    def test_an_error_comes_back_with_code_message_and_remedy(self, bench):
        outcome = run_isolated(bench.tasks(bench.visit("A", behaviour="broken"))[0])
        assert (outcome.state, outcome.code) == ("failed", "NO_SPINE_SERIES")
        assert "sagittal" in outcome.message
        assert outcome.remedy

    def test_a_fault_says_its_kind_and_nothing_that_a_header_could_hold(self, bench):
        outcome = run_isolated(bench.tasks(bench.visit("A", behaviour="faulty"))[0])
        assert (outcome.state, outcome.code) == ("failed", "INTERNAL_FAULT")
        assert outcome.message == "spinemri failed unexpectedly (ZeroDivisionError)."

    def test_a_death_is_told_from_an_error(self, bench):
        outcome = run_isolated(bench.tasks(bench.visit("A", behaviour="deadly"))[0])
        assert (outcome.state, outcome.code) == ("killed", "STUDY_KILLED")
        assert "signal 9" in outcome.message

    def test_a_study_that_takes_too_long_is_stopped(self, bench):
        task = replace(bench.tasks(bench.visit("A", behaviour="slow 30"))[0], timeout_s=1.5)
        began = time.monotonic()
        outcome = run_isolated(task)
        assert (outcome.state, outcome.code) == ("timeout", "STUDY_TIMEOUT")
        assert time.monotonic() - began < 10
        assert not list(bench.out.rglob("measurements.json"))

    def test_another_version_refuses_to_measure(self, bench):
        orders = Orders(Config(), software=("0.0.0", "f" * 64))
        task = replace(bench.tasks(bench.visit("A"))[0], orders=orders, work="spinemri.batch.work:perform")
        assert run_isolated(task).code == "WORKER_DIFFERS"

    def test_a_process_ends_with_whoever_started_it(self, bench):
        task = bench.tasks(bench.visit("A", behaviour="slow 60"))[0]
        with subprocess.Popen(
            [
                sys.executable,
                "-c",
                _PARENT,
                json.dumps({"name": task.name, "path": str(task.visits[0].path), "out": str(task.out)}),
            ]
        ) as parent:
            _until(lambda: begun(bench, task.name) == 1)
            children = psutil.Process(parent.pid).children(recursive=True)
            assert children
            parent.kill()
            _, alive = psutil.wait_procs(children, timeout=15)
        assert alive == []
        assert not list(bench.out.rglob("*.partial-*"))


_PARENT = """
import json, sys
from pathlib import Path
from spinemri.batch.isolation import run_isolated
from spinemri.batch.model import Visit
from spinemri.batch.task import Orders, Task
from spinemri.config import Config
said = json.loads(sys.argv[1])
visit = Visit("A", "1", Path(said["path"]))
run_isolated(Task(said["name"], "visit", (visit,), Path(said["out"]), Orders(Config()), work="batch_work:perform"))
"""


def _until(condition, seconds=120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


class TestThisMachine:
    def test_its_cores_are_shared_out(self):
        cores = len(os.sched_getaffinity(0))
        machine = own_machine()
        assert (machine.studies, machine.cores) == (cores, cores)
        assert own_machine(studies=3, threads=2, memory_gb=4.0) == Machine(3, 6, 4096)
        assert 0.5 * psutil.virtual_memory().total < machine.memory_mb * 1024**2 < 0.9 * psutil.virtual_memory().total

    def test_studies_that_die_and_a_worker_that_is_killed_leave_nothing_undone(self, bench):
        kinds = ["fine", "deadly once", "broken", "slow 1.5", "deadly", "slow 1.5", "fine", "fine"]
        visits = [bench.visit(f"S{number}", behaviour=kind) for number, kind in enumerate(kinds)]
        tasks = bench.tasks(*visits)
        killed = []

        def kill_worker() -> None:
            _until(lambda: begun(bench, "sub-S3/ses-1") == 1)
            # The worker is what started the study's process.
            workers = [p for p in psutil.Process().children(recursive=True) if _is_study(p)]
            killed.append(workers[0].parent().pid)
            os.kill(killed[0], signal.SIGKILL)

        thread = threading.Thread(target=kill_worker)
        thread.start()
        go(bench, tasks, partial(local_crew, Machine(2, 2, 4000)))
        thread.join()
        assert killed
        states = {name: state for name, (state, _, _) in bench.states().items()}
        fine = {f"sub-S{number}/ses-1": "done" for number in (0, 1, 3, 5, 6, 7)}
        assert states == fine | {"sub-S2/ses-1": "failed", "sub-S4/ses-1": "killed"}
        assert {finished for _, _, finished in bench.states().values()} == {1}
        assert len(results(bench)) == 6
        # Twice, and once more where it was under way when the worker was killed.
        assert begun(bench, "sub-S4/ses-1") in {2, 3}
        assert begun(bench, "sub-S3/ses-1") == 2

    def test_one_and_two_at_once_give_the_same_and_memory_decides_how_many(self, bench, tmp_path):
        visits = [bench.visit(f"S{number}", behaviour="slow 0.3") for number in range(4)]
        tasks = [replace(task, memory_mb=600) for task in bench.tasks(*visits)]
        with local_crew(Machine(2, 2, 1000)) as crew:
            began = time.monotonic()
            go(bench, tasks, partial(_as_it_is, crew))
            one_by_one = time.monotonic() - began
        first, bench.out = results(bench), tmp_path / "again"
        bench.out.mkdir()
        with local_crew(Machine(2, 2, 2000)) as crew:
            began = time.monotonic()
            go(bench, bench.tasks(*visits), partial(_as_it_is, crew))
            together = time.monotonic() - began
        assert results(bench) == first
        assert len(first) == 4
        # Two at once sleep at the same time; how fast their processes start depends on the machine.
        assert together < one_by_one - 0.4


def _is_study(process) -> bool:
    return "spinemri.batch.child" in " ".join(process.cmdline())


@contextmanager
def _as_it_is(crew):
    yield crew


class TestScheduler:
    def test_nobody_there_is_said(self):
        with pytest.raises(UsageError) as caught, scheduler_crew("tcp://127.0.0.1:1", wait_s=0.5):
            pass
        assert caught.value.code == "BAD_SCHEDULER"

    def test_a_scheduler_that_is_killed_and_started_again_loses_nothing(self, bench):
        tasks = bench.tasks(*(bench.visit(f"S{number}", behaviour="slow 0.5") for number in range(8)))
        port = _free_port()
        started = [_start(port)]

        def restart() -> None:
            _until(lambda: sum(begun(bench, task.name) for task in tasks) >= 3)
            _kill(started.pop())
            time.sleep(1.0)
            started.append(_start(port))

        thread = threading.Thread(target=restart)
        thread.start()
        try:
            go(bench, tasks, partial(scheduler_crew, f"tcp://127.0.0.1:{port}", wait_s=20.0))
        finally:
            thread.join()
            for processes in started:
                _kill(processes)
        assert set(bench.states().values()) == {("done", "", 1)}
        assert len(bench.states()) == len(results(bench)) == 8
        assert ("", "SCHEDULER_LOST") in bench.said("paused")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _start(port: int) -> list[subprocess.Popen]:
    """Start a scheduler and a worker, as a user would on two machines."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    dask = [sys.executable, "-m", "dask"]
    scheduler = [
        *dask,
        "scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-dashboard",
        "--dashboard-address",
        "127.0.0.1:0",
    ]
    worker = [*dask, "worker", f"tcp://127.0.0.1:{port}", "--nthreads", "2", "--no-dashboard", "--memory-limit", "0"]
    resources = ["--resources", "spinemri_cores=2 spinemri_mb=4000"]
    return [subprocess.Popen(scheduler, **quiet), subprocess.Popen([*worker, *resources], **quiet)]


def _kill(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_stand_in_leaves_the_same_bytes_twice(bench):
    task = bench.tasks(bench.visit("A"))[0]
    assert isinstance(batch_work.perform(task), Outcome)
    first = results(bench)
    batch_work.perform(task)
    assert results(bench) == first


def test_a_crew_whose_last_worker_never_comes_back_is_lost_and_found_again(bench):
    tasks = bench.tasks(bench.visit("A", behaviour="slow 1"), bench.visit("B"))
    crews = []

    @contextmanager
    def connect():
        with local_crew(Machine(1, 1, 4000)) as crew:
            crew._alone_s = 0.5
            crews.append(crew)
            if len(crews) == 1:
                # What dask's nanny does when the worker that it starts again does not come up in time.
                crew._client.cluster.scale(0)
            yield crew

    go(bench, tasks, connect)
    assert len(crews) == 2
    assert set(bench.states().values()) == {("done", "", 1)}
    assert ("", "SCHEDULER_LOST") in bench.said("paused")
