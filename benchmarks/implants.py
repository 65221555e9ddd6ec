"""Masses implanted into real scans that training never saw: volume, Dice, sensitivity.

Run from the checkout::

    SPINEMRI_DATA=../shared/data python benchmarks/implants.py

Masses are implanted into the validation scans with seeds that training did not use; the generator is the same, so
the figures say what the network learnt, not what it does with a patient's mass.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from spinemri.anatomy.centreline import find_centreline
from spinemri.anatomy.network import segment
from spinemri.config import MassSettings
from spinemri.mass.find import find_mass
from spinemri.mass.model import Mass
from spinemri.mass.second_look import SequenceImage, networks_sha256
from spinemri.mass.segment import outline_mass
from spinemri.nomenclature import Tissue
from spinemri.training.evaluation import dice
from spinemri.training.real import VALIDATION_IDS, load_spider, spider_stacks
from spinemri.training.stacks import SPIDER_GROUPS
from spinemri.volume import Volume


def measured(image: Volume) -> Mass:
    """Find the mass in one T2 stack as a run does."""
    tissues = segment(image, "T2", fat_suppressed=False, contrast_enhanced=False)
    refined = outline_mass(
        tissues, [SequenceImage(image, "T2", fat_suppressed=False, contrast_enhanced=False)], MassSettings()
    )
    return find_mass(refined, find_centreline(refined), MassSettings())


def implants(data: Path, per_scan: int) -> None:
    """Print volume and Dice of masses implanted into validation scans."""
    print("\n## Implanted masses in validation scans\n")
    print("| scan | truth (ml) | measured (ml) | error (%) | Dice |\n|---|---|---|---|---|")
    row = SPIDER_GROUPS.index((Tissue.MASS_CANAL,))
    errors, found = [], []
    for scan in sorted(VALIDATION_IDS):
        case = load_spider(data, scan)
        for stack in spider_stacks(case, ["mass"] * per_scan, np.random.default_rng((991, int(scan)))):
            cover = stack.target[row].astype(np.float32) / 255
            truth = float(cover.sum()) * float(np.prod(stack.spacing)) / 1000
            image = case.image.with_array(stack.image.astype(np.float32))
            mass = measured(image)
            volume = float(mass.probability.array.sum()) * image.grid.voxel_volume_mm3 / 1000
            overlap = dice(mass.mask.array > 0, cover >= 0.5)
            error = 100 * (volume / truth - 1) if truth > 0 else float("nan")
            print(f"| {scan} | {truth:.2f} | {volume:.2f} | {error:+.0f} | {overlap:.2f} |", flush=True)
            if truth >= 1.0:
                errors.append(error)
            if truth >= 0.5:
                found.append(volume > 0)
    print(
        f"\nFrom 1 ml: median absolute volume error {np.median(np.abs(errors)):.1f} %, bias {np.median(errors):+.1f} %."
    )
    print(f"Sensitivity from 0.5 ml: {np.mean(found):.2f} of {len(found)}.")


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SPINEMRI_DATA", "../shared/data")))
    parser.add_argument("--implants", type=int, default=4, help="masses implanted per validation scan")
    arguments = parser.parse_args()
    print(f"Network {networks_sha256()[:12]}")
    implants(arguments.data, arguments.implants)


if __name__ == "__main__":
    main()
