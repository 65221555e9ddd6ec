"""One spine seen in T1 and in T2: how well the bony canal's depth agrees level by level.

Run from the checkout::

    SPINEMRI_DATA=../shared/data python benchmarks/two_contrasts.py
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from canal import segmented

from spinemri.anatomy.build import build_anatomy
from spinemri.anatomy.levels import LevelHints
from spinemri.anatomy.network import model_sha256
from spinemri.config import MassSettings
from spinemri.mass.find import find_mass
from spinemri.measure.planes import sample_sections
from spinemri.measure.sections import measure_sections

SCANS = {"T1": "VB1_10_DzZ_T1.nii.gz", "T2": "VB1_11_DzZ_T2.nii.gz"}
NEAR_MM = 2.0


def depths(data: Path, contrast: str) -> dict[str, float]:
    """Median AP diameter in mm of the bony canal within 2 mm of each body's and each disc's height, by name."""
    _, tissues, line = segmented(data, f"thoracolumbar_t1_t2_bodies/{SCANS[contrast]}", contrast)
    anatomy = build_anatomy(tissues, hints=LevelHints())
    mass = find_mass(tissues, line, MassSettings())
    sections = measure_sections(sample_sections(anatomy, mass, line), step_mm=line.step_mm)
    found = {}
    for level in (*anatomy.levels.vertebrae, *anatomy.levels.discs):
        arc = int(line.nearest(np.array([level.centre_lps_mm]))[0])
        reach = round(NEAR_MM / line.step_mm)
        found[level.name or "?"] = float(np.nanmedian(sections.canal.ap_mm[max(0, arc - reach) : arc + reach + 1]))
    return found


def main() -> None:
    """Print a row per level, and the median difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SPINEMRI_DATA", "../shared/data")))
    arguments = parser.parse_args()
    first, second = (depths(arguments.data, contrast) for contrast in SCANS)
    print(f"Network {model_sha256()[:12]}\n\n| level | T1 (mm) | T2 (mm) | difference |\n|---|---|---|---|")
    differences = []
    for name in (name for name in first if name in second):
        differences.append(first[name] - second[name])
        print(f"| {name} | {first[name]:.1f} | {second[name]:.1f} | {differences[-1]:+.1f} |")
    print(
        f"\nOver {len(differences)} levels: median difference {np.nanmedian(differences):+.2f} mm, "
        f"median absolute difference {np.nanmedian(np.abs(differences)):.2f} mm."
    )


if __name__ == "__main__":
    main()
