"""Time, memory and survival of `spinemri batch` on a mixed cohort.

Run from the checkout as ``python benchmarks/batch.py WORK [STUDIES]``. What a run has measured stands in
``WORK/figures.json``: the same command continues with what is missing. The disk that becomes full is a tmpfs, which
wants root.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from batch_cohort import BROKEN, Member, write_cohort
from batch_watch import Watched, command, kill_a_study, kill_the_batch, kill_the_worker, tree_of

SAMPLES = 3
LIMIT = 1.10
Figures = dict[str, Any]


class Bench:
    """The cohort, and what was measured so far."""

    def __init__(self, work: Path, studies: int) -> None:
        self.work = work
        work.mkdir(parents=True, exist_ok=True)
        self.members: list[Member] = write_cohort(work / "cohort", studies)
        self.table = work / "cohort" / "cohort.csv"
        self.file = work / "figures.json"
        self.figures: Figures = json.loads(self.file.read_text()) if self.file.exists() else {}

    def step(self, name: str, measure: Callable[[], Figures]) -> Figures:
        """Measure, unless an earlier run has."""
        if name not in self.figures:
            print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr, flush=True)
            self.figures[name] = measure()
            self.file.write_text(json.dumps(self.figures, indent=2) + "\n")
        return dict(self.figures[name])

    def fresh(self, name: str) -> Path:
        """Return a folder for results that does not exist."""
        shutil.rmtree(self.work / name, ignore_errors=True)
        return self.work / name

    def one_of_each(self) -> Figures:
        """Time `run` on some studies of each kind and `compare` on some subjects, one thread each."""
        seconds: dict[str, list[float]] = defaultdict(list)
        for member in self.members:
            if len(seconds[member.kind]) < SAMPLES:
                seconds[member.kind].append(self._timed("run", [member.path]))
        for kind, paths in self._subjects():
            if len(seconds[f"compare {kind}"]) < SAMPLES:
                seconds[f"compare {kind}"].append(self._timed("compare", paths))
        return {kind: float(np.mean(found)) for kind, found in seconds.items()}

    def _timed(self, name: str, paths: list[Path]) -> float:
        out, began = self.fresh("alone"), time.monotonic()
        threads = dict.fromkeys(
            ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1"
        )
        call = ["taskset", "-c", "0", *command(name, *paths, "-o", out, "-q")]
        subprocess.run(call, env=os.environ | threads, stderr=subprocess.DEVNULL, check=False)  # noqa: S603
        return time.monotonic() - began

    def _subjects(self) -> Iterator[tuple[str, list[Path]]]:
        """Yield kind, with the number of visits, and paths of each subject that can be compared."""
        paths: dict[str, list[Member]] = defaultdict(list)
        for member in self.members:
            if member.kind not in BROKEN:
                paths[member.subject].append(member)
        for own in paths.values():
            if len(own) > 1:
                yield f"{len(own)} visits, {own[0].kind}", [member.path for member in own]

    def counts(self) -> Counter[str]:
        """Return how many tasks of each kind the cohort has."""
        return Counter(
            [*(member.kind for member in self.members), *(f"compare {kind}" for kind, _ in self._subjects())]
        )

    def batch(self, name: str, *more: object, keep: bool = False, **watching: Any) -> Figures:  # noqa: ANN401
        """Run the cohort into a folder and say how it went."""
        out = self.work / name if keep else self.fresh(name)
        watched = Watched([self.table, "-o", out, *more], **watching).run()
        return _seen(watched) | self.check(out)

    def check(self, out: Path) -> Figures:
        """Say whether every study ended exactly once, and whether all is as with one worker."""
        base = sqlite3.connect(out / "journal.sqlite")
        rows = base.execute("SELECT task, state, finished FROM entry").fetchall()
        base.close()
        visits = [row for row in rows if "/" in row[0]]
        reference = self.work / "one worker"
        partial = [path for path in out.rglob("*.partial-*") if path.is_dir()]
        return {
            "ended": len(visits),
            "done": sum(state == "done" for _, state, _ in visits),
            "comparisons": sum(state == "done" for task, state, _ in rows if "/" not in task),
            "twice": sum(finished > 1 for _, _, finished in rows),
            "half_written": len(partial),
            "identical": tree_of(out) == tree_of(reference),
        }

    def all_that_goes_wrong(self) -> Figures:
        """Measure the cohort on a scheduler of its own while, one after the other, everything breaks.

        The disk becomes full before a third of the results is written, and gets more space when the batch waits; a
        study's process is killed, then the worker, then the scheduler with its worker, both started again; last the
        command itself, which is given again.
        """
        with self._small_disk() as (place, grow), _machines() as machines:
            arguments = [self.table, "-o", place / "out", "--scheduler", machines.address]
            actions = [
                (0.4, lambda _command: kill_a_study(machines.worker)),
                (0.5, lambda _command: kill_the_worker(machines.worker)),
                (0.6, lambda _command: machines.restart()),
                (0.75, kill_the_batch),
            ]
            first = Watched(arguments, actions, on_pause=grow).run()
            left = [share for share, _ in first.actions]
            rest = self.batch("disk/out", "--scheduler", machines.address, keep=True)
            seconds, waited_for = first.seconds + rest["seconds"], first.codes() + rest["waited_for"]
            return rest | {"seconds": seconds, "waited_for": waited_for, "not_broken": left}

    @contextmanager
    def _small_disk(self) -> Iterator[tuple[Path, Callable[[], None]]]:
        """Mount a disk with space for a third of the results; give it, and what makes it large enough."""
        place = self.work / "disk"
        place.mkdir(exist_ok=True)
        size = sum(file.stat().st_size for file in (self.work / "one worker").rglob("*") if file.is_file())
        # The least room is 256 MiB: so the disk is full before the third is written.
        small, large = max(size // 3, 320 * 1024**2), 2 * size + 1024**3
        _run("mount", "-t", "tmpfs", "-o", f"size={small}", "tmpfs", str(place))
        try:
            yield place, lambda: _run("mount", "-o", f"remount,size={large}", str(place))
        finally:
            _run("umount", str(place))


def _run(*words: str) -> None:
    subprocess.run(words, check=True)  # noqa: S603


class _Machines:
    """A scheduler, and a worker of two cores."""

    def __init__(self) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.running: list[psutil.Popen] = []

    @property
    def worker(self) -> psutil.Popen:
        """The process whose children are the worker and its studies."""
        return self.running[1]

    def start(self) -> None:
        """Start both."""
        scheduler = ["scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        scheduler += ["--dashboard-address", "127.0.0.1:0"]
        worker = ["worker", self.address, "--nthreads", "2", "--no-dashboard", "--memory-limit", "0"]
        worker += ["--resources", "spinemri_cores=2 spinemri_mb=16000"]
        for words in (scheduler, worker):
            dask = [sys.executable, "-m", "dask", *words]
            self.running.append(psutil.Popen(dask, stdout=-3, stderr=-3, start_new_session=True))

    def stop(self) -> None:
        """Kill both with all that they do."""
        for process in self.running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.running.clear()

    def restart(self) -> None:
        """Kill both, and start them again."""
        self.stop()
        time.sleep(2.0)
        self.start()


@contextmanager
def _machines() -> Iterator[_Machines]:
    machines = _Machines()
    machines.start()
    try:
        yield machines
    finally:
        machines.stop()


def _seen(watched: Watched) -> Figures:
    memory = np.array(watched.memory_mb)
    third = max(1, len(memory) // 3)
    return {
        "seconds": watched.seconds,
        "cpu_seconds_of_the_command": watched.cpu_seconds,
        "status": watched.status,
        "waited_for": watched.codes(),
        "memory_first_third_mb": float(memory[:third].mean()),
        "memory_last_third_mb": float(memory[-third:].mean()),
        "memory_peak_mb": float(memory.max()),
    }


def _costs(out: Path) -> list[str]:
    """Return the rows of the table of costs, from the journal of the run with one worker."""
    base = sqlite3.connect(out / "journal.sqlite")
    rows = base.execute(
        "SELECT task, seconds, peak_mb, input_bytes, output_bytes FROM entry WHERE state = 'done'"
    ).fetchall()
    base.close()
    lines = []
    for name, wanted in (("study", True), ("comparison", False)):
        own = np.array([row[1:] for row in rows if ("/" in row[0]) is wanted], dtype=float)
        if len(own):
            seconds, peak, read, written = own.mean(0)
            sizes = f"{read / 1e6:.1f} | {written / 1e6:.1f}"
            lines.append(
                f"| {name} | {len(own)} | {seconds:.1f} | {peak:.0f} (at most {own[:, 1].max():.0f}) | {sizes} |"
            )
    return lines


def main() -> int:
    """Measure what is missing, print the tables, fail if something was lost or is slower than allowed."""
    work, studies = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 100
    bench = Bench(work, studies)
    alone = bench.step("alone", bench.one_of_each)
    runs = {
        "one worker": bench.step("one worker", lambda: bench.batch("one worker", "--workers", 1)),
        "two workers": bench.step("two workers", lambda: bench.batch("two workers", "--workers", 2)),
        "all that goes wrong": bench.step("wrong", bench.all_that_goes_wrong),
    }
    counts = bench.counts()
    whole = sum(alone[kind] * count for kind, count in counts.items())
    print(f"{studies} studies, {sum(n for kind, n in counts.items() if kind.startswith('compare'))} comparisons\n")
    print("| kind | tasks | alone (s) |\n|---|---|---|")
    print("\n".join(f"| {kind} | {count} | {alone[kind]:.1f} |" for kind, count in counts.items()))
    print("\n| task | done | s | peak (MB) | read (MB) | written (MB) |\n|---|---|---|---|---|---|")
    print("\n".join(_costs(work / "one worker")))
    print("\n| run | s | alone x tasks / workers | ended | done | twice | half-written | same bytes | waited for |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, run in runs.items():
        share = (
            f"{run['seconds'] * (1 if name == 'one worker' else 2) / whole:.2f}"
            if name.endswith(("worker", "workers"))
            else "-"
        )
        said = ", ".join(dict.fromkeys(run["waited_for"])) or "-"
        cells = [name, f"{run['seconds']:.0f}", share, run["ended"], run["done"], run["twice"], run["half_written"]]
        print("| " + " | ".join(map(str, [*cells, "yes" if run["identical"] else "NO", said])) + " |")
    print("\n| run | memory, first third (MB) | last third | peak | CPU of the command (s) |\n|---|---|---|---|---|")
    for name in ("one worker", "two workers"):
        run = runs[name]
        cells = [run[key] for key in ("memory_first_third_mb", "memory_last_third_mb", "memory_peak_mb")]
        print(f"| {name} | {' | '.join(f'{cell:.0f}' for cell in cells)} | {run['cpu_seconds_of_the_command']:.1f} |")
    lost = [name for name, run in runs.items() if run["ended"] != studies or run["twice"] or run["half_written"]]
    differing = [name for name, run in runs.items() if not run["identical"]]
    unbroken = runs["all that goes wrong"]["not_broken"]
    slow = runs["two workers"]["seconds"] * 2 > LIMIT * whole
    return int(bool(lost or differing or unbroken or slow))


if __name__ == "__main__":
    sys.exit(main())
