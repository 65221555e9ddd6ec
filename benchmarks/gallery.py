"""Pictures of where the segmentation is worst: the scan with the lowest Dice of each set.

Run from the checkout::

    SPINEMRI_DATA=../shared/data python benchmarks/gallery.py docs/images/segmentation-worst.png

Each is shown on the slice where most voxels differ. Dashed: the set's own outline; solid: ours.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from segmentation import SETS, Case, DataSet, Structure

from spinemri.anatomy.network import segment
from spinemri.training.evaluation import dice, labelled_extent
from spinemri.training.real import load_nifti
from spinemri.volume import Volume

COLUMNS = 5


@dataclass(frozen=True)
class Panel:
    """One structure of one scan: the image with both masks."""

    title: str
    image: Volume
    ours: NDArray[np.bool_]
    truth: NDArray[np.bool_]
    dice: float


def panels(data_set: DataSet, case: Case) -> list[Panel]:
    """Compare every structure of a scan, as `segmentation.measure` does."""
    image, labels = load_nifti(case.image), load_nifti(case.labels).array
    found = segment(image, case.weighting, fat_suppressed=False, contrast_enhanced=False).labels.array
    outlined = np.isin(labels, [number for structure in data_set.structures for number in structure.ids])
    region = np.ones(labels.shape, dtype=bool) if data_set.whole else labelled_extent(outlined)
    region &= ~np.isin(labels, data_set.ignored)
    return [_panel(case, structure, image, found, labels, region) for structure in data_set.structures]


def _panel(
    case: Case,
    structure: Structure,
    image: Volume,
    found: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    region: NDArray[np.bool_],
) -> Panel:
    ours, truth = np.isin(found, structure.tissues) & region, np.isin(labels, structure.ids) & region
    overlap = dice(ours, truth)
    return Panel(f"{case.name}: {structure.name}, Dice {overlap:.3f}", image, ours, truth, overlap)


def draw(axes: Axes, panel: Panel) -> None:
    """Draw the slice on which most voxels differ."""
    wrong = (panel.ours ^ panel.truth).sum((1, 2))
    at = int(wrong.argmax())
    height, width = (step * n for step, n in zip(panel.image.spacing[:0:-1], panel.image.shape[:0:-1], strict=True))
    picture = panel.image.array[at].T
    axes.imshow(picture, cmap="gray", origin="lower", extent=(0, width, 0, height), vmax=np.percentile(picture, 99.5))
    for mask, colour, style in ((panel.ours, "lime", "solid"), (panel.truth, "red", "dashed")):
        if mask[at].any():
            axes.contour(
                mask[at].T, [0.5], colors=colour, linestyles=style, linewidths=0.8, extent=(0, width, 0, height)
            )
    axes.set_title(f"{panel.title}\nslice {at + 1} of {len(wrong)}", fontsize=7)
    axes.axis("off")


def main() -> None:
    """Write one picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, help="the PNG file to write")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SPINEMRI_DATA", "../shared/data")))
    arguments = parser.parse_args()
    worst: list[Panel] = []
    for data_set in SETS:
        scans = [panels(data_set, case) for case in data_set.cases(arguments.data)]
        worst += [min(of_structure, key=lambda panel: panel.dice) for of_structure in zip(*scans, strict=True)]
    rows = -(-len(worst) // COLUMNS)
    figure = Figure(figsize=(3.0 * COLUMNS, 3.6 * rows), layout="constrained")
    for number, panel in enumerate(worst):
        draw(figure.add_subplot(rows, COLUMNS, number + 1), panel)
        print(panel.title)
    figure.savefig(arguments.picture, dpi=80)


if __name__ == "__main__":
    main()
