"""Segmentation on real scans that training never saw: Dice per tissue, false masses, and implanted masses.

Run from the checkout::

    SPINEMRI_DATA=../shared/data python benchmarks/segmentation.py

Every scan is wrapped into nothing: it is read as NIfTI, segmented, and compared on its own grid. Masses are
implanted into the validation scans with seeds that training did not use; the generator is the same, so their figures
say what the network learnt, not what it does with a patient's mass.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.centreline import find_centreline
from spinemri.anatomy.model import TissueMap
from spinemri.anatomy.network import model_sha256, segment
from spinemri.config import MassSettings
from spinemri.mass.find import find_mass
from spinemri.nomenclature import Tissue
from spinemri.training.real import VALIDATION_IDS, load_nifti, load_spider, spider_ids, spider_stacks
from spinemri.training.stacks import SPIDER_GROUPS
from spinemri.volume import Volume

SPIDER_LABELS = {
    "dural sac": ((Tissue.CORD, Tissue.DURAL_SAC, Tissue.MASS_CANAL), 3),
    "vertebra": ((Tissue.BODY, Tissue.POSTERIOR_ELEMENTS), 1),
    "disc": ((Tissue.DISC,), 2),
}
OTHER_SETS = {
    "lumbar_t2_bodies": ("T2", Tissue.BODY),
    "lumbar_waterfat_bodies": ("other", Tissue.BODY),
    "lumbar_t2_discs": ("T2", Tissue.DISC),
    "thoracolumbar_t1_t2_bodies": ("", Tissue.BODY),
}


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Dice overlap of two masks; 1 for two empty ones."""
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0


def mass_ml(tissues: TissueMap) -> float:
    """Volume that a run would report, in ml."""
    mass = find_mass(tissues, find_centreline(tissues), MassSettings())
    return float(mass.probability.array.sum()) * mass.probability.grid.voxel_volume_mm3 / 1000


def spider(data: Path, *, validation: bool) -> None:
    """Print Dice and false mass for one side of the split."""
    print(f"\n## SPIDER T2, {'validation (never trained on)' if validation else 'training scans'}\n")
    print("| scan | dural sac | vertebra | disc | false mass (ml) | s |\n|---|---|---|---|---|---|")
    rows = []
    for scan in spider_ids(data, validation=validation):
        case = load_spider(data, scan)
        began = time.monotonic()
        tissues = segment(case.image, "T2", fat_suppressed=False, contrast_enhanced=False)
        seconds = time.monotonic() - began
        labels = tissues.labels.array
        row = [dice(np.isin(labels, ours), case.labels == theirs) for ours, theirs in SPIDER_LABELS.values()]
        rows.append([*row, mass_ml(tissues)])
        print(f"| {scan} | " + " | ".join(f"{x:.3f}" for x in row) + f" | {rows[-1][-1]:.2f} | {seconds:.1f} |")
    table = np.array(rows)
    print("| **mean** | " + " | ".join(f"**{x:.3f}**" for x in table[:, :3].mean(0)) + " | | |")
    print(f"\nFalse mass above 0.3 ml in {int((table[:, 3] > 0.3).sum())} of {len(table)} scans.")


def others(data: Path) -> None:
    """Print recall-weighted Dice on the sets that label bodies or discs only, inside their labelled levels."""
    print("\n## Other sets (evaluation only)\n\n| scan | tissue | Dice | false mass (ml) |\n|---|---|---|---|")
    for folder, (weighting, tissue) in OTHER_SETS.items():
        for path in sorted((data / folder).glob("*.nii.gz")):
            if path.name.endswith("_dseg.nii.gz"):
                continue
            image = load_nifti(path)
            truth = load_nifti(path.with_name(path.name.replace(".nii.gz", "_dseg.nii.gz"))).array > 0
            tissues = segment(image, weighting or path.name.split("_")[-1][:2])
            ours = _near(tissues.labels.array == tissue, truth, image)
            scores = f"{dice(ours, truth):.3f} | {mass_ml(tissues):.2f}"
            print(f"| {folder}/{path.name[:-7]} | {tissue.name.lower()} | {scores} |")


def _near(mask: NDArray[np.bool_], truth: NDArray[np.bool_], image: Volume) -> NDArray[np.bool_]:
    """Leave out heights and slices that the set does not label at all."""
    heights = np.flatnonzero(truth.any((0, 1)))
    slices = np.flatnonzero(truth.any((1, 2)))
    inside = np.zeros(image.shape, dtype=bool)
    inside[slices[0] : slices[-1] + 1, :, heights[0] : heights[-1] + 1] = True
    return mask & inside


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
            tissues = segment(image, "T2", fat_suppressed=False, contrast_enhanced=False)
            measured = mass_ml(tissues)
            overlap = dice(tissues.labels.array == Tissue.MASS_CANAL, cover >= 0.5)
            error = 100 * (measured / truth - 1) if truth > 0 else float("nan")
            print(f"| {scan} | {truth:.2f} | {measured:.2f} | {error:+.0f} | {overlap:.2f} |")
            if truth >= 1.0:
                errors.append(error)
            if truth >= 0.5:
                found.append(measured > 0)
    print(
        f"\nFrom 1 ml: median absolute volume error {np.median(np.abs(errors)):.1f} %, bias {np.median(errors):+.1f} %."
    )
    print(f"Sensitivity from 0.5 ml: {np.mean(found):.2f} of {len(found)}.")


def main() -> None:
    """Print all tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SPINEMRI_DATA", "../shared/data")))
    parser.add_argument("--implants", type=int, default=4, help="masses implanted per validation scan")
    parser.add_argument("--training-scans", action="store_true", help="also the scans that training saw")
    arguments = parser.parse_args()
    print(f"Network {model_sha256()[:12]}")
    spider(arguments.data, validation=True)
    if arguments.training_scans:
        spider(arguments.data, validation=False)
    others(arguments.data)
    implants(arguments.data, arguments.implants)


if __name__ == "__main__":
    main()
