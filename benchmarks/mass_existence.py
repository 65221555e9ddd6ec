"""Fit the probability that a mass exists to the records of `masses`, and say how well it holds.

Run from the checkout, on the folder of one network::

    python benchmarks/mass_existence.py OUT/NETWORK

Logistic regression with a small ridge on a candidate's mean coverage; what has a mass and what has none has the same
total weight. What is printed of its quality comes from leaving out one scan at a time. The volume was tried,
too, when the mean of several sequences was not yet sharpened: it was of no use on scans left out.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from mass_tables import ALONE, area_under_roc, read
from numpy.typing import NDArray
from scipy.optimize import minimize

from spinemri.mass.existence import USUAL_COVERAGE

RIDGE = 0.01
SEVERAL = "all"
BINS = (0.0, 0.1, 0.5, 0.9, 0.99, 1.0001)
Floats = NDArray[np.float64]


def features(record: dict[str, float]) -> list[float]:
    """Intercept and coverage."""
    return [1.0, record["candidate_coverage"] - USUAL_COVERAGE]


def examples(folder: Path) -> tuple[Floats, Floats, NDArray[np.str_]]:
    """Features, whether there is a mass, and the scan, of every candidate; masses that were missed are left out."""
    rows, truth, scans = [], [], []

    def add(record: dict[str, float], scan: str, is_mass: float) -> None:
        rows.append(features(record))
        truth.append(is_mass)
        scans.append(scan)

    for name, record in read(folder, "free").items():
        add(record, name.rpartition("-")[2].split("_T2w")[0], 0.0)
    for name, record in read(folder, "study").items():
        for row in (*ALONE, SEVERAL):
            add(record["results"][row], name.split("_T2w")[0], 0.0)
    for name, record in read(folder, "mass").items():
        for row in (*ALONE, SEVERAL):
            if record["results"][row]["dice"] > 0:
                add(record["results"][row], name.split("-")[0], 1.0)
    return np.array(rows), np.array(truth), np.array(scans)


def fit(rows: Floats, truth: Floats) -> Floats:
    """Coefficients of the regression, (2,)."""
    weight = np.array([0.5 / (truth == one).sum() for one in truth])

    def loss(coefficients: Floats) -> float:
        value = rows @ coefficients * (2 * truth - 1)
        return float((weight * np.logaddexp(0, -value)).sum() + RIDGE * (coefficients[1:] ** 2).sum() / 100)

    return np.asarray(minimize(loss, np.zeros(rows.shape[1])).x)


def main() -> None:
    """Print coefficients, and calibration on scans that were left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    rows, truth, scans = examples(parser.parse_args().folder)
    print("intercept, per coverage:", np.round(fit(rows, truth), 2))
    said = np.zeros(len(truth))
    for scan in np.unique(scans):
        out = scans == scan
        said[out] = 1 / (1 + np.exp(-rows[out] @ fit(rows[~out], truth[~out])))
    area = area_under_roc(list(said[truth == 0]), list(said[truth == 1]))
    print(f"area under the ROC curve, one scan left out: {area:.3f}")
    print("\n| stated | candidates | mean stated | are masses |\n|---|---|---|---|")
    for low, high in pairwise(BINS):
        here = (said >= low) & (said < high)
        if here.any():
            print(
                f"| {low:g} to {min(high, 1):g} | {here.sum()} | {said[here].mean():.2f} | {truth[here].mean():.2f} |"
            )


if __name__ == "__main__":
    main()
