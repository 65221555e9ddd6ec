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

    def after_kills(self) -> Figures:
        """Kill a study's process and the worker on the way."""
        actions = [(0.2, kill_a_study), (0.4, kill_the_worker), (0.6, kill_a_study)]
        return self.batch("killed", "--workers", 2, actions=actions)

    def after_the_end_of_all(self) -> Figures:
        """Kill the command, and give it again."""
        Watched([self.table, "-o", self.fresh("stopped"), "--workers", 2], actions=[(0.5, kill_the_batch)]).run()
        return self.batch("stopped", "--workers", 2, keep=True)

    def with_scheduler(self) -> Figures:
        """Kill a scheduler on its own port, and start it again with its worker."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        with _machines(port) as restart:
            address = f"tcp://127.0.0.1:{port}"
            return self.batch("scheduler", "--scheduler", address, actions=[(0.4, lambda _process: restart())])

    def on_a_full_disk(self) -> Figures:
        """Write to a disk with space for a third of the results, and give it more when the batch waits."""
        place = self.work / "disk"
        place.mkdir(exist_ok=True)
        size = sum(file.stat().st_size for file in (self.work / "one worker").rglob("*") if file.is_file())
        small, large = max(size // 3, 320 * 1024**2), 2 * size + 1024**3
        _run("mount", "-t", "tmpfs", "-o", f"size={small}", "tmpfs", str(place))
        try:
            # The least room is 256 MiB: so the disk is full before the third is written.
            grow = lambda: _run("mount", "-o", f"remount,size={large}", str(place))  # noqa: E731
            return self.batch("disk/out", "--workers", 2, keep=True, on_pause=grow)
        finally:
            _run("umount", str(place))


def _run(*words: str) -> None:
    subprocess.run(words, check=True)  # noqa: S603


@contextmanager
def _machines(port: int) -> Iterator[Callable[[], None]]:
    """Start a scheduler and a worker of two cores; give what kills and starts both again."""
    address, running = f"tcp://127.0.0.1:{port}", []
    quiet: dict[str, Any] = {"stdout": -3, "stderr": -3, "start_new_session": True}
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
    worker = [*dask, "worker", address, "--nthreads", "2", "--no-dashboard", "--memory-limit", "0"]
    worker += ["--resources", "spinemri_cores=2 spinemri_mb=16000"]

    def start() -> None:
        running.extend(subprocess.Popen(words, **quiet) for words in (scheduler, worker))  # noqa: S603

    def stop() -> None:
        for process in running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        running.clear()

    def restart() -> None:
        stop()
        time.sleep(2.0)
        start()

    start()
    try:
        yield restart
    finally:
        stop()


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
        "a worker and two studies killed": bench.step("killed", bench.after_kills),
        "the command killed, given again": bench.step("stopped", bench.after_the_end_of_all),
        "the scheduler killed, started again": bench.step("scheduler", bench.with_scheduler),
        "the disk full": bench.step("disk", bench.on_a_full_disk),
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
    slow = runs["two workers"]["seconds"] * 2 > LIMIT * whole
    return int(bool(lost or differing or slow))


if __name__ == "__main__":
    sys.exit(main())
