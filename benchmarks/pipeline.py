"""Time and memory of the main job: `spinemri compare` on the sample data, in a process of its own.

Run as ``python benchmarks/pipeline.py [DIR ...]``; prints a table of stage times, the whole time and the peak memory.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

_ROOT = Path(__file__).resolve().parent.parent
_SAMPLE = (_ROOT / "sample_data" / "baseline", _ROOT / "sample_data" / "followup")
_FINDINGS = 1
_LIMIT_SECONDS = 90.0
_LIMIT_BYTES = 3 * 1024**3


@dataclass(frozen=True)
class Timing:
    """What one run took.

    Attributes
    ----------
    stages : dict
        Seconds per stage, summed over visits.
    seconds : float
        From start to end of the process.
    peak_bytes : int
        Largest resident memory of the process and its children.
    exit_status : int
    """

    stages: dict[str, float]
    seconds: float
    peak_bytes: int
    exit_status: int


def measure(folders: Iterable[Path], out: Path) -> Timing:
    """Run the comparison and watch it."""
    code = "from spinemri.cli import main; main()"
    command = [sys.executable, "-c", code, "compare", *map(str, folders), "-o", str(out), "--json-log"]
    start = time.monotonic()
    child = psutil.Popen(command, stdout=sys.stderr, stderr=-1, text=True)
    memory = _Memory(child)
    lines = [json.loads(line) for line in child.stderr if line.startswith("{")]
    status = child.wait()
    return Timing(_stage_seconds(lines), time.monotonic() - start, memory.stop(), status)


class _Memory:
    """Looks at a process's memory twenty times a second."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._done = threading.Event()
        self._peak = 0
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            try:
                family = [self._process, *self._process.children(recursive=True)]
                self._peak = max(self._peak, sum(member.memory_info().rss for member in family))
            except psutil.Error:
                return

    def stop(self) -> int:
        """Return the peak in bytes."""
        self._done.set()
        self._thread.join()
        return self._peak


def _stage_seconds(lines: Iterable[dict[str, object]]) -> dict[str, float]:
    seconds: defaultdict[str, float] = defaultdict(float)
    began: dict[tuple[object, object], float] = {}
    for line in lines:
        key = (line.get("stage"), line.get("visit"))
        if line["event"] == "start":
            began[key] = float(str(line["elapsed_s"]))
        elif line["event"] == "done":
            seconds[str(key[0])] += float(str(line["elapsed_s"])) - began[key]
    return dict(seconds)


def print_table(timing: Timing) -> None:
    """Print stage times, the whole and the peak."""
    table = Table("stage", "seconds")
    for stage, seconds in timing.stages.items():
        table.add_row(stage, f"{seconds:.1f}")
    table.add_row("starting and the rest", f"{timing.seconds - sum(timing.stages.values()):.1f}")
    table.add_section()
    table.add_row("whole run", f"{timing.seconds:.1f}")
    table.add_row("peak memory", f"{timing.peak_bytes / 1024**2:.0f} MiB")
    Console().print(table)


def main() -> int:
    """Measure, print, and fail where the limits of the design are exceeded."""
    folders = tuple(Path(argument) for argument in sys.argv[1:]) or _SAMPLE
    with tempfile.TemporaryDirectory() as work:
        timing = measure(folders, Path(work) / "out")
    print_table(timing)
    if timing.exit_status not in {0, _FINDINGS}:
        return timing.exit_status
    return int(timing.seconds > _LIMIT_SECONDS or timing.peak_bytes > _LIMIT_BYTES)


if __name__ == "__main__":
    sys.exit(main())
