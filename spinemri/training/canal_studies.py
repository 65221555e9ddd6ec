"""Studies for the second network: several sequences of one patient with a mass of known coverage, or without.

The first network reads every sequence here, as it will in a run; what it said is stored sequence by sequence, so that
a sample may fuse any of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.network import segment
from spinemri.anatomy.preparation import flatten_illumination
from spinemri.mass.canal_input import slot_of, to_working
from spinemri.nomenclature import Tissue
from spinemri.phantom.geometry import build_geometry
from spinemri.phantom.recipe import PhantomRecipe, SequenceParameters
from spinemri.phantom.render import render
from spinemri.phantom.sampling import random_recipe, random_sequence
from spinemri.phantom.stacks import stack_grid
from spinemri.training.implanted import draw_implants, with_implants
from spinemri.training.prepare import UNLABELLED
from spinemri.training.real import SpiderScan, load_spider, self_labelled_scan, spider_ids
from spinemri.training.visits import recoloured, thick
from spinemri.volume import Volume, box_around

__all__ = [
    "CanalStudy",
    "load_study",
    "prepare_canal_phantoms",
    "prepare_canal_real",
    "save_study",
    "study_weights",
]

FloatArray = NDArray[np.float32]
_CANAL = [int(t) for t in (Tissue.CORD, Tissue.DURAL_SAC, Tissue.EPIDURAL, Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)]
_MARGIN_MM = 14.0
_MASS = [int(Tissue.MASS_CANAL), int(Tissue.MASS_OUTSIDE)]
_VERTEBRA, _DISC, _SAC = 1, 2, 3

_NOTHING, _LIPOMATOSIS_ALONE, _LIPOMATOSIS_WITH_MASS, _SURROUNDING = 1, 3, 5, 7
"""Of ten generated patients, how many there are up to each kind; the rest have any mass."""

KINDS = (
    *(
        "none",
        "mass",
        "circumferential",
        "mass",
        "fat+disc",
        "mass",
        "circumferential",
        "mass+fat",
        "mass",
        "foraminal",
    ),
    *(
        "none",
        "mass",
        "circumferential",
        "mass",
        "disc+flavum",
        "mass+mass",
        "circumferential",
        "mass+flavum",
        "mass",
        "fat",
    ),
)
"""Implants per scan."""

_SHARES = {"phantom": 0.5, "lumbar": 0.33, "cord": 0.17}


@dataclass(frozen=True, eq=False)
class CanalStudy:
    """One study around its canal at the second network's pixel size.

    Attributes
    ----------
    images : (sequences, ni, h, w) ndarray of float16
        Flattened.
    slots : (sequences,) ndarray of int
        Places in `spinemri.mass.canal_input.SLOTS`.
    fat_suppressed : (sequences,) ndarray of bool
    readings : (sequences or 1, tissues, ni, h, w) ndarray of uint8
        What the first network said of each, in units of 1/255; one if it was outlined from all of them together.
    mass : (ni, h, w) ndarray of uint8
        True coverage in units of 1/255.
    pitch_mm : float
        Distance between slices.
    first_trained_on : bool
        Whether the first network was trained on this scan and knows it better than others.
    outlined : bool
        Whether its one reading is what came of all its sequences (`spinemri.training.outlined_studies`).
    """

    images: NDArray[np.float16]
    slots: NDArray[np.int64]
    fat_suppressed: NDArray[np.bool_]
    readings: NDArray[np.uint8]
    mass: NDArray[np.uint8]
    pitch_mm: float
    first_trained_on: bool
    outlined: bool = False

    @cached_property
    def canal(self) -> NDArray[np.float64]:
        """How much of each slice the canal and what lies in it take, (ni,), by the first reading."""
        return np.asarray(self.readings[0][_CANAL].sum((0, 2, 3), dtype=np.float64))


@dataclass(frozen=True, eq=False)
class _Sequence:
    image: Volume
    weighting: str
    fat_suppressed: bool
    contrast_enhanced: bool


def _study(sequences: list[_Sequence], mass: FloatArray, *, first_trained_on: bool) -> CanalStudy:
    """Read every sequence and cut out the canal."""
    maps = [
        segment(s.image, s.weighting, fat_suppressed=s.fat_suppressed, contrast_enhanced=s.contrast_enhanced).coverage
        for s in sequences
    ]
    spacing = sequences[0].image.spacing
    canal = np.mean([m[_CANAL].sum(0) for m in maps], axis=0) > 0.3
    canal |= mass > 0.3
    box = box_around(canal, spacing, _MARGIN_MM)
    images = [to_working(flatten_illumination(s.image).array[box], spacing) for s in sequences]
    readings = [np.rint(255 * to_working(m[(slice(None), *box)], spacing)).astype(np.uint8) for m in maps]
    slots = [
        slot_of(s.weighting, fat_suppressed=s.fat_suppressed, contrast_enhanced=s.contrast_enhanced) for s in sequences
    ]
    truth = np.rint(255 * to_working(mass[box], spacing)).astype(np.uint8)
    return CanalStudy(
        np.stack(images).astype(np.float16),
        np.array(slots),
        np.array([s.fat_suppressed for s in sequences]),
        np.stack(readings),
        truth,
        float(spacing[0]),
        first_trained_on,
    )


def _phantom_recipe(rng: np.random.Generator, number: int) -> PhantomRecipe:
    """Draw a patient: of ten, three have no mass, four lipomatosis, half of these a mass, two one around the sac.

    Fat and veins in front of the sac, which enhance, are what the network takes for a mass first of all.
    """
    kind = number % 10
    recipe = random_recipe(rng, with_mass=kind >= _LIPOMATOSIS_ALONE)
    series = recipe.series[0]
    shorter = series.model_copy(
        update={
            "slices": int(rng.integers(9, 13)),
            "field_of_view_mm": (float(rng.uniform(110, 170)), float(rng.uniform(140, 240))),
            "shift_mm": (float(rng.uniform(-4, 4)), float(rng.uniform(-10, 20)), float(rng.uniform(-25, 25))),
        }
    )
    recipe = recipe.model_copy(update={"series": (shorter,)})
    if _NOTHING <= kind < _LIPOMATOSIS_WITH_MASS:
        fat = float(rng.uniform(2.0, 4.2))
        recipe = recipe.model_copy(update={"spine": recipe.spine.model_copy(update={"epidural_fat": fat})})
    elif kind < _SURROUNDING and recipe.mass:
        recipe = recipe.model_copy(update={"mass": recipe.mass.model_copy(update={"shape": "circumferential"})})
    return recipe


def _phantom_study(number: int) -> CanalStudy:
    rng = np.random.default_rng((23, number))
    recipe = _phantom_recipe(rng, number)
    geometry = build_geometry(recipe)
    grid = stack_grid(geometry, recipe.series[0])
    kinds = ["T2", "T1", "T1_post_fs"]
    if rng.random() < 0.35:
        kinds.append(str(rng.choice(["STIR", "T2_fs"])))
    sequences = []
    for kind in kinds:
        parameters: SequenceParameters = random_sequence(rng, kind)  # type: ignore[arg-type]
        if kind == "T1_post_fs" and rng.random() < 0.2:
            parameters = parameters.model_copy(update={"fat_suppressed": False})
        image, coverage = render(geometry, grid, parameters, rng)
        sequences.append(
            _Sequence(image, parameters.weighting, parameters.fat_suppressed, parameters.contrast_enhanced)
        )
    return _study(sequences, coverage.coverage[_MASS].sum(0), first_trained_on=False)


def prepare_canal_phantoms(cache: Path, numbers: range) -> None:
    """Write generated studies; files that exist are kept."""
    for number in numbers:
        path = cache / f"phantom-{number:05d}.npz"
        if not path.exists():
            save_study(_phantom_study(number), path)


def prepare_canal_real(data: Path, cache: Path) -> None:
    """Write every training scan with each kind of implant in three contrasts; files that exist are kept."""
    for file in (*spider_ids(data, validation=False), *UNLABELLED):
        name = Path(file).name.split("_")[0]
        paths = {cache / f"real-{name}-{n}.npz": kind for n, kind in enumerate(KINDS)}
        missing = {path: kind for path, kind in paths.items() if not path.exists()}
        if missing:
            scan = self_labelled_scan(data / file) if "/" in file else load_spider(data, file)
            for path, study in _real_studies(scan, missing):
                save_study(study, path)


def _real_studies(scan: SpiderScan, kinds: Mapping[Path, str]) -> Iterator[tuple[Path, CanalStudy]]:
    flat = np.asarray(flatten_illumination(scan.image).array)
    for path, kind in kinds.items():
        rng = np.random.default_rng(zlib.crc32(path.stem.encode()))
        yield path, _real_study(scan, flat, kind, rng)


def _real_study(scan: SpiderScan, flat: FloatArray, kind: str, rng: np.random.Generator) -> CanalStudy:
    bases = recoloured(scan, flat, rng)
    images, mass = with_implants(scan, bases, draw_implants(scan, flat, kind, rng) if kind != "none" else [])
    pitch = scan.image.spacing[0]
    count = max(1, min(round(rng.uniform(2.7, 4.6) / pitch), len(flat) // 4))
    phase = int(rng.integers(min(count, len(flat) - 4 * count + 1) or 1))
    affine = scan.image.affine.copy()
    affine[:3, 0] *= count
    sequences = [
        _Sequence(
            Volume(thick(image[phase:], count), affine, "nifti"),
            "T2" if contrast == "T2" else "T1",
            contrast == "T1+C FS",
            contrast == "T1+C FS",
        )
        for contrast, image in images.items()
    ]
    return _study(sequences, thick(mass[phase:], count), first_trained_on=True)


def study_weights(names: Sequence[str]) -> list[float]:
    """Give generated, lumbar and cervicothoracic studies each a share of the draws, whatever the number of files."""
    families = [_family(name) for name in names]
    return [_SHARES[family] / families.count(family) for family in families]


def _family(name: str) -> str:
    if name.startswith("phantom"):
        return "phantom"
    return "cord" if "errsm" in name else "lumbar"


def save_study(study: CanalStudy, path: Path) -> None:
    """Write a study; its readings lie beside it, so that they can be mapped."""
    np.save(path.with_suffix(".readings.npy"), study.readings)
    partial = path.with_suffix(".part.npz")
    np.savez(
        partial,
        images=study.images,
        slots=study.slots,
        fat_suppressed=study.fat_suppressed,
        mass=study.mass,
        pitch_mm=study.pitch_mm,
        first_trained_on=study.first_trained_on,
        outlined=study.outlined,
    )
    partial.replace(path)


def load_study(path: Path) -> CanalStudy:
    """Read a study written by `save_study`; readings are mapped."""
    readings = np.load(path.with_suffix(".readings.npy"), mmap_mode="r")
    with np.load(path) as data:
        return CanalStudy(
            data["images"],
            data["slots"],
            data["fat_suppressed"],
            readings,
            data["mass"],
            float(data["pitch_mm"]),
            bool(data["first_trained_on"]),
            bool(data["outlined"]),
        )
