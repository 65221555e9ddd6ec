"""Change of a mass on generated pairs of visits that training did not see.

Run from the checkout; every pair is stored in a folder per network, so that a run that was stopped goes on::

    python benchmarks/change.py OUT --pairs 300
    python benchmarks/change.py --table OUT/<network> --draw docs/images
    python benchmarks/change_constants.py OUT/<network>

A patient is drawn with a mass and examined twice in sagittal T2, T1 and T1 fat-suppressed after contrast agent, lying
differently, planned differently, bent differently, with other noise and other bias (`spinemri.phantom.pairs`). Both
visits are then segmented, measured and compared by the code behind `spinemri compare`, without files between. Seeds
from 5000 to 29999 are held out: nothing was tuned on them.

Phantoms prove code and compare estimates; they say nothing of accuracy on patients.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from spinemri.followup.joint_look import all_networks_sha256
from spinemri.intake.model import Study
from spinemri.mass.uncertainty import surface_area_mm2
from spinemri.phantom.pairs import acquire_visits, draw_pair
from spinemri.pipeline import Options, Recorder
from spinemri.pipeline.compare import compare_measured, measure_visits

FIRST_HELD_OUT = 5000


def compared(studies: Sequence[Study]) -> dict[str, Any]:
    """Measure and compare two visits as `spinemri compare` does; everything that the tables need of it."""
    started = time.process_time()
    options, recorder = Options(), Recorder()
    measured, failures = measure_visits(studies, options, recorder)
    outcome = compare_measured(measured, None, options.config, recorder, failures)
    comparison = outcome.comparison
    later = comparison.timepoints[1]
    return {
        "measured_ml": [point.volume_ml for point in comparison.timepoints],
        "measured_ci95_ml": [point.volume_ci95_ml for point in comparison.timepoints],
        "unpaired": [later.change_percent, later.change_ci95_percent],
        "paired": [later.paired_change_percent, later.paired_change_ci95_percent],
        "estimates": {e.method: [e.change_percent, e.change_ci95_percent] for e in later.paired_estimates},
        "surface_mm2": [surface_area_mm2(result.mass.probability) for result in outcome.results],
        "smallest_detectable_percent": later.smallest_detectable_change_percent,
        "verdict": later.verdict,
        "basis": later.verdict_basis,
        "flags": sorted({flag.code for flag in comparison.quality.flags}),
        "cpu_s": round(time.process_time() - started, 1),
    }


def pair_record(seed: int) -> dict[str, Any]:
    """Draw, acquire, measure and compare one generated pair."""
    pair = draw_pair(seed)
    drawn = {
        "seed": seed,
        "kind": pair.kind,
        "change_percent": pair.change_percent,
        "volumes_ml": pair.volumes_ml,
        "pitch_mm": pair.pitch_mm,
        "shape": pair.mass.shape,
        "levels": f"{pair.mass.from_level}-{pair.mass.to_level}",
        "compression": pair.mass.compression,
    }
    return drawn | compared([study for study, _ in acquire_visits(pair)])


def store(folder: Path, seed: int) -> str:
    """Make a pair's record unless it is there; return a line about it."""
    path = folder / f"{seed}.json"
    return keep(path, pair_record(seed)) if not path.exists() else ""


def keep(path: Path, record: dict[str, Any]) -> str:
    """Write a record; return a line about it."""
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(record))
    partial.replace(path)
    return f"{path.stem}: true {record['change_percent']:+.1f} %, {record['verdict']}, {record['cpu_s']} s"


def run(folder: Path, seeds: range, workers: int) -> None:
    """Make every record that is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    if workers == 1:
        lines = (store(folder, seed) for seed in seeds)
        for line in filter(None, lines):
            print(line, file=sys.stderr, flush=True)
        return
    with ProcessPoolExecutor(workers) as pool:
        for line in filter(None, pool.map(store, [folder] * len(seeds), seeds)):
            print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Make what is missing, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", help="folder for the records; one below it per network")
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--first", type=int, default=FIRST_HELD_OUT, help="seed of the first pair")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--table", type=Path, help="folder of records to print tables of, instead of making them")
    parser.add_argument("--draw", type=Path, help="folder for the plots")
    arguments = parser.parse_args()
    if arguments.table:
        from change_tables import draw, print_tables, read  # noqa: PLC0415 - matplotlib is slow to import

        records = read(arguments.table)
        print_tables(records, arguments.table.name)
        if arguments.draw:
            draw(records, arguments.draw)
    elif arguments.out:
        seeds = range(arguments.first, arguments.first + arguments.pairs)
        run(arguments.out / all_networks_sha256()[:12], seeds, arguments.workers)
    else:
        parser.error("give a folder for the records, or --table")


if __name__ == "__main__":
    main()
