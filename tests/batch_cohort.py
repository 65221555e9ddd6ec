"""A listed cohort of stand-ins, and a way to run it again and again."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import batch_measured
from batch_bench import IMPATIENT, FakeCrew

from spinemri.batch.plan import Needs
from spinemri.batch.run import BatchOptions, run_batch
from spinemri.batch.task import Orders, Outcome
from spinemri.config import Config
from spinemri.errors import SpineMRIError

VOLUMES = {
    "S1": [("2024-01-01", 10.0), ("2024-03-01", 7.0), ("2024-08-01", 3.0)],
    "S2": [("2024-01-05", 8.0), ("2024-04-05", 9.9)],
    "S3": [("2024-02-05", 4.0), ("2024-05-05", 3.9)],
    "S4": [("2024-02-07", None)],
    "S5": [("2024-02-08", 6.0), ("2024-07-08", None)],
    "S6": [("2024-02-09", 5.0), ("2024-06-09", 4.0)],
}
BROKEN = {("S4", "2"), ("S6", "2")}


class InlineCrew(FakeCrew):
    """Does the stand-in's work at once, in this process."""

    def _next(self, task):
        try:
            return batch_measured.perform_measured(task)
        except SpineMRIError as error:
            return Outcome("failed", error.code, error.message, error.remedy)


def write_cohort(root: Path) -> Path:
    rows = ["subject,visit,path,date,rt_end,reference_volume_ml"]
    for subject, visits in VOLUMES.items():
        listed = [*visits, ("2024-09-09", 1.0)] if subject == "S4" else visits
        for number, (day, volume) in enumerate(listed, start=1):
            path = root / subject / str(number)
            behaviour = "broken" if (subject, str(number)) in BROKEN else "fine"
            batch_measured.write_measured_visit(path, volume, day, behaviour)
            treated = "2024-02-01" if subject in {"S1", "S2"} else ""
            reference = 1.05 * volume if volume else ""
            rows.append(f"{subject},{number},{subject}/{number},{day},{treated},{reference}")
    table = root / "cohort.csv"
    table.write_text("\n".join(rows) + "\n")
    return table


class Ran:
    """A cohort that was run, to be run again."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source" / "cohort.csv"
        if not self.source.exists():
            write_cohort(folder / "source")
        self.out = folder / "out"
        self.crew = InlineCrew()
        self.events = []

    def run(self, **changes):
        self.crew = InlineCrew()
        options = BatchOptions(Orders(Config()), self.crew.connect, Needs(memory_mb=100), patience=IMPATIENT)
        self.events.clear()
        return run_batch(self.source, self.out, replace(options, **changes), self.events.append)

    @property
    def done(self) -> list[str]:
        return sorted(task.name for task in self.crew.taken)

    def table(self, name="cohort.csv") -> list[dict[str, str]]:
        return list(csv.DictReader((self.out / name).read_text().splitlines()))
