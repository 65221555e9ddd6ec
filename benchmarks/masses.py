"""Masses in real scans that training never saw, and scans without one: finding, outline, volume.

Run from the checkout; every case is stored in a folder, so that a run that was stopped goes on::

    SPINEMRI_DATA=../shared/data python benchmarks/masses.py OUT
    SPINEMRI_DATA=../shared/data python benchmarks/masses.py OUT --draw docs/images

The masses come from `grown_masses`, which shares nothing with what training used. Each is shown on the scan's own T2
and on the same scan recoloured as T1 and as post-contrast fat-suppressed T1, alone and together; ``all`` is what a
study of the three gives. A click is the point deepest inside the true mass.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from mass_cases import (
    COMBINATIONS,
    STIR,
    MassCase,
    case_names,
    make_case,
    mass_free_scans,
    mass_free_studies,
    recoloured_scans,
)
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.centreline import find_centreline
from spinemri.anatomy.model import TissueMap
from spinemri.anatomy.network import segment
from spinemri.config import Config
from spinemri.mass.find import candidates, find_mass
from spinemri.mass.model import Mass
from spinemri.mass.second_look import SequenceImage, networks_sha256
from spinemri.mass.segment import fuse, outline_mass
from spinemri.nomenclature import Tissue
from spinemri.pipeline.seed import accept_any, keep_nearest
from spinemri.training.evaluation import dice, surface_distances_mm
from spinemri.training.visits import CONTRASTS, ROLES
from spinemri.volume import Volume

SETTINGS = Config().mass
WEIGHTS = SETTINGS.sequence_weights.model_dump()


def shown(contrast: str, image: Volume) -> SequenceImage:
    """Return an image with what its header would tell of its contrast."""
    return SequenceImage(image, *CONTRASTS[contrast])


def tissues_of(images: dict[str, Volume]) -> dict[str, TissueMap]:
    """Segment every contrast, and fuse those of every study that they may make up."""
    maps = {}
    for contrast, image in images.items():
        weighting, fat_suppressed, agent = CONTRASTS[contrast]
        maps[contrast] = segment(image, weighting, fat_suppressed=fat_suppressed, contrast_enhanced=agent)
    return {
        row: fuse((maps[contrast], WEIGHTS[ROLES[contrast].value]) for contrast in members)
        for row, members in COMBINATIONS.items()
    }


def measured(
    tissues: TissueMap, images: list[SequenceImage], click: NDArray[np.float64] | None = None
) -> tuple[Mass, dict[str, float]]:
    """Find the mass as a run does, by itself or at a click; with size and coverage of the likeliest candidate."""
    settings = SETTINGS if click is None else accept_any(SETTINGS)
    point = None if click is None else (float(click[0]), float(click[1]), float(click[2]))
    refined = outline_mass(tissues, images, settings, point)
    if point is not None:
        refined, _ = keep_nearest(refined, point)
    line = find_centreline(refined)
    likeliest = {"candidate_ml": 0.0, "candidate_coverage": 0.0}
    if line is not None:
        cover = refined.fraction(Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)
        best = max(candidates(cover, line), key=lambda candidate: candidate.existence, default=None)
        if best is not None:
            likeliest = {"candidate_ml": best.volume_ml, "candidate_coverage": best.coverage}
    return find_mass(refined, line, settings), likeliest


def seen(images: dict[str, Volume], row: str) -> list[SequenceImage]:
    """Return the images that a reading rests on."""
    return [shown(contrast, images[contrast]) for contrast in COMBINATIONS[row]]


def figures(mass: Mass, likeliest: dict[str, float], case: MassCase) -> dict[str, Any]:
    """Compare a mass with the truth."""
    image = case.images["T2"]
    truth, found = case.coverage >= 0.5, mass.mask.array > 0
    distance = None
    if truth.any() and found.any():
        distance = float(surface_distances_mm(truth, found, image.spacing).mean())
    return {
        "volume_ml": float(mass.probability.array.sum()) * image.grid.voxel_volume_mm3 / 1000,
        "dice": dice(truth, found),
        "surface_mm": distance,
        "existence": mass.existence,
        **likeliest,
    }


def click_in(case: MassCase) -> NDArray[np.float64]:
    """LPS mm of the point deepest inside the mass."""
    image = case.images["T2"]
    depth = ndimage.distance_transform_edt(case.coverage >= 0.5, sampling=image.spacing)
    index = np.unravel_index(int(depth.argmax()), depth.shape)
    return np.asarray(image.grid.to_lps(np.array([index], dtype=float))[0])


def case_record(case: MassCase) -> dict[str, Any]:
    """Measure one mass on every contrast alone and on several together, each with and without a click."""
    maps, click = tissues_of(case.images), click_in(case)
    results = {}
    for row, tissues in maps.items():
        images = seen(case.images, row)
        results[row] = figures(*measured(tissues, images), case)
        results[f"{row}, click"] = figures(*measured(tissues, images, click), case)
    return {
        "truth_ml": case.volume_ml,
        "region": case.region,
        "position": case.position,
        "enhancement": case.enhancement,
        "results": results,
    }


def mass_free_study_record(images: dict[str, Volume]) -> dict[str, Any]:
    """Say what is taken for a mass on every contrast and on several together where there is none."""
    results = {}
    for row, tissues in tissues_of(images).items():
        mass, likeliest = measured(tissues, seen(images, row))
        volume = float(mass.probability.array.sum()) * tissues.grid.voxel_volume_mm3 / 1000
        results[row] = {"volume_ml": volume, "existence": mass.existence, **likeliest}
    return {"results": results}


def mass_free_record(sequence: SequenceImage) -> dict[str, Any]:
    """Say what is taken for a mass where there is none."""
    image, weighting = sequence.image, sequence.weighting
    tissues = segment(
        image,
        weighting,
        fat_suppressed=sequence.fat_suppressed,
        contrast_enhanced=sequence.contrast_enhanced,
    )
    mass, likeliest = measured(tissues, [sequence])
    volume = float(mass.probability.array.sum()) * image.grid.voxel_volume_mm3 / 1000
    return {"weighting": weighting, "volume_ml": volume, "existence": mass.existence, **likeliest}


def stored(path: Path, make: Callable[[], dict[str, Any] | None]) -> None:
    """Make a record unless it is there."""
    if path.exists():
        return
    record = make()
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(record))
    partial.replace(path)
    print(path.stem, flush=True)


def run(data: Path, folder: Path, names: Iterable[str]) -> None:
    """Measure every case that is not stored yet."""
    folder.mkdir(parents=True, exist_ok=True)

    def of_case(name: str) -> dict[str, Any] | None:
        case = make_case(data, name)
        return None if case is None else case_record(case)

    for scan, weighting, fat_suppressed, image in mass_free_scans(data):
        path = folder / f"free-{scan.replace('/', '-')}.json"
        healthy = SequenceImage(image, weighting, fat_suppressed, contrast_enhanced=False)
        stored(path, lambda s=healthy: mass_free_record(s))
    for scan, contrast, image in recoloured_scans(data):
        path = folder / f"recoloured-{scan.replace('/', '-')}-{contrast.replace(' ', '')}.json"
        healthy = SequenceImage(image, *(CONTRASTS | STIR)[contrast])
        stored(path, lambda s=healthy, c=contrast: mass_free_record(s) | {"contrast": c})
    for scan, images in mass_free_studies(data):
        stored(folder / f"study-{scan}.json", lambda i=images: mass_free_study_record(i))
    for name in names:
        stored(folder / f"mass-{name}.json", lambda n=name: of_case(n))


def main() -> None:
    """Measure what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the records; one below it per network")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SPINEMRI_DATA", "../shared/data")))
    parser.add_argument("--repeats", type=int, default=1, help="masses per scan and position (beside a cord, twice)")
    parser.add_argument("--draw", type=Path, help="folder for the plots")
    arguments = parser.parse_args()
    from mass_tables import draw, print_tables  # noqa: PLC0415 - matplotlib is slow to import

    folder = arguments.out / networks_sha256()[:12]
    run(arguments.data, folder, case_names(arguments.repeats))
    print_tables(folder)
    if arguments.draw:
        draw(folder, arguments.draw)


if __name__ == "__main__":
    main()
