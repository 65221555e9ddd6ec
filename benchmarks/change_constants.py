"""Constants of the change that follow from the records of `change`.

Run as ``python benchmarks/change_constants.py OUT/<network>`` on seeds below 5000 (`--last`), never on those held out.
It prints `ESTIMATE_SD_MM` and `OUTLINE_SD_MM` of `spinemri.followup.paired`, `BOUNDARY_SD_MM` of
`spinemri.mass.uncertainty` and `SHARED_CORRELATION` of `spinemri.followup.change`, and how the errors of the estimates
correlate. Every error is written as the uniform shift of the surface of the mass that would explain it, in mm.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from change_tables import read, value
from numpy.typing import NDArray
from scipy.stats import chi2

METHODS = ("outlines", "boundary_shift", "complement")
HELD_OUT = 5000
LEVEL = 0.9


def shift_mm(record: dict[str, Any], estimate: str) -> float:
    """Error of one estimate of the change as a shift of the surface; NaN where it was not made."""
    found, surfaces = value(record, estimate), record["surface_mm2"]
    if found is None or not all(surfaces):
        return float("nan")
    error_ml = (found[0] - record["change_percent"]) / 100 * record["measured_ml"][0]
    return float(1000 * error_ml / np.mean(surfaces))


def upper_limit(errors: NDArray[np.float64]) -> float:
    """Upper 90 % limit of the root mean square of normal errors about zero."""
    return float(np.sqrt((errors**2).sum() / chi2.ppf(1 - LEVEL, len(errors))))


def print_change(records: list[dict[str, Any]]) -> None:
    """Print root mean squares of the errors of the change, and their correlations."""
    print("| estimate | pairs | root mean square (mm) | upper 90 % limit | robust (mm) | mean (mm) |")
    print("|---|---|---|---|---|---|")
    columns = {}
    for estimate in (*METHODS, "paired", "unpaired"):
        columns[estimate] = np.array([shift_mm(record, estimate) for record in records])
        errors = columns[estimate][np.isfinite(columns[estimate])]
        if len(errors) > 1:
            root, robust = np.sqrt((errors**2).mean()), 1.48 * np.median(np.abs(errors))
            limit = upper_limit(errors)
            print(f"| {estimate} | {len(errors)} | {root:.3f} | {limit:.3f} | {robust:.3f} | {errors.mean():+.3f} |")
    together = np.array([columns[method] for method in METHODS])
    together = together[:, np.isfinite(together).all(0)]
    if together.shape[1] > len(METHODS):
        print("\nCorrelation of the errors, and weights of least variance:")
        print(np.round(np.corrcoef(together), 2))
        inverse = np.linalg.inv(together @ together.T / together.shape[1])
        print(dict(zip(METHODS, np.round(inverse.sum(0) / inverse.sum(), 2).tolist(), strict=True)))


def print_volumes(records: list[dict[str, Any]]) -> None:
    """Print the boundary term of a volume, and the correlation of both visits' errors."""
    found = [record for record in records if all(record["measured_ml"]) and all(record["surface_mm2"])]
    measured, true, surface = (
        np.array([r[key] for r in found]) for key in ("measured_ml", "volumes_ml", "surface_mm2")
    )
    shifts = 1000 * np.log(measured / true) * measured / surface
    logs = np.log(measured / true)
    same = np.array([record["pitch_mm"][0] == record["pitch_mm"][1] for record in found])
    robust = 1.48 * np.median(np.abs(shifts))
    print(f"\nVolumes: shift {np.sqrt((shifts**2).mean()):.3f} mm (robust {robust:.3f}, mean {shifts.mean():+.3f}).")
    if same.sum() > 3:
        correlation = np.corrcoef(logs[same].T)[0, 1]
        low, high = np.tanh(np.arctanh(correlation) + np.array([-1.96, 1.96]) / np.sqrt(same.sum() - 3))
        print(f"Correlation of both visits' log errors, same slices: {correlation:.2f} ({low:.2f} to {high:.2f}).")


def main() -> None:
    """Print all constants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path)
    parser.add_argument("--last", type=int, default=HELD_OUT, help="seeds from here on are left out")
    arguments = parser.parse_args()
    records = [record for record in read(arguments.records) if record["seed"] < arguments.last]
    print(f"Network {arguments.records.name}, {len(records)} pairs.\n")
    print_change(records)
    print_volumes(records)


if __name__ == "__main__":
    main()
