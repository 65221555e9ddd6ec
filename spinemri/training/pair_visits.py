"""Pairs of visits for the third network: generated, and made from real scans with implants that change."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.preparation import flatten_illumination
from spinemri.intake.model import Study
from spinemri.phantom.pairs import acquire_visits, draw_pair
from spinemri.training.implanted import draw_implants, with_implants
from spinemri.training.pair_studies import read_pair, save_pair
from spinemri.training.prepare import UNLABELLED
from spinemri.training.real import SpiderScan, load_spider, self_labelled_scan, spider_ids
from spinemri.training.visits import Day, acquire, draw_motion, recoloured
from spinemri.volume import Volume

__all__ = ["FIRST_SEED", "prepare_generated_pairs", "prepare_real_pairs"]

Floats = NDArray[np.float32]

FIRST_SEED = 30000
"""Of generated pairs to train on; ``benchmarks/change.py`` draws from those far below."""

KINDS = (
    *("mass", "circumferential", "mass+fat", "mass", "fat+mass"),
    *("foraminal", "mass", "mass+disc", "circumferential", "mass+mass"),
)
"""Implants per pair."""

_UNCHANGED, _MOST_CHANGE = 0.25, 0.6
_OTHER_PROTOCOL, _SLICES_MM = 0.4, (2.8, 3.6, 4.5)
_NARROW_SLICES = 30
_TURN_DEGREES, _SHIFT_MM = (10.0, 3.0, 3.0), (4.0, 10.0, 10.0)
_NARROW_TURN_DEGREES, _NARROW_SHIFT_MM = (10.0, 1.5, 1.5), (0.4, 10.0, 10.0)
"""Motion between visits; less of it across a scan of few slices, which would leave its field of view."""


def prepare_generated_pairs(cache: Path, numbers: range) -> None:
    """Write generated pairs; files that exist are kept, and pairs that cannot be compared left out."""
    for number in numbers:
        path = cache / f"phantom-{number:05d}.npz"
        if path.exists():
            continue
        visits = acquire_visits(draw_pair(FIRST_SEED + number))
        study = read_pair([visit for visit, _ in visits], [mass for _, mass in visits])
        if study is not None:
            save_pair(study, path)


def prepare_real_pairs(data: Path, cache: Path) -> None:
    """Write every training scan with each kind of implant; files that exist are kept."""
    for file in (*spider_ids(data, validation=False), *UNLABELLED):
        name = Path(file).name.split("_")[0]
        missing = {
            path: kind
            for number, kind in enumerate(KINDS)
            if not (path := cache / f"scan-{name}-{number}.npz").exists()
        }
        if not missing:
            continue
        case = self_labelled_scan(data / file) if "/" in file else load_spider(data, file)
        flat = np.asarray(flatten_illumination(case.image).array)
        for path, kind in missing.items():
            rng = np.random.default_rng(zlib.crc32(path.stem.encode()))
            visits = _real_visits(case, flat, kind, (path.stem, rng))
            study = read_pair([visit for visit, _ in visits], [mass for _, mass in visits])
            if study is not None:
                save_pair(study, path)


def _real_visits(
    case: SpiderScan, flat: Floats, kind: str, drawn: tuple[str, np.random.Generator]
) -> list[tuple[Study, Volume]]:
    """Implant the same at two sizes, and acquire both visits."""
    name, rng = drawn
    growth = _draw_growth(rng)
    bases = recoloured(case, flat, rng)
    implants = draw_implants(case, flat, kind, rng)
    wide = len(flat) > _NARROW_SLICES
    motion = draw_motion(
        case.image, _TURN_DEGREES if wide else _NARROW_TURN_DEGREES, _SHIFT_MM if wide else _NARROW_SHIFT_MM, rng
    )
    slices = _draw_slices(rng)
    marrow = float(np.median(flat[case.labels == 1]))
    visits = []
    for visit in (0, 1):
        shown, mass = with_implants(case, bases, implants, growth[visit])
        half = motion if visit else np.asarray(np.linalg.inv(motion), np.float64)
        visits.append(acquire(case.image, shown, mass, Day(visit, half, slices[visit], marrow), name, rng))
    return visits


def _draw_growth(rng: np.random.Generator) -> tuple[float, float]:
    """Volumes of the two visits relative to the larger of them."""
    change = 0.0 if rng.random() < _UNCHANGED else float(rng.uniform(-_MOST_CHANGE, _MOST_CHANGE))
    return (1.0, 1 + change) if change <= 0 else (1 / (1 + change), 1.0)


def _draw_slices(rng: np.random.Generator) -> tuple[float, float]:
    """Thickness of slices at both visits: in some pairs another protocol at the second one."""
    if rng.random() < _OTHER_PROTOCOL:
        return float(rng.choice(_SLICES_MM[:2])), _SLICES_MM[1]
    both = float(rng.choice(_SLICES_MM))
    return both, both
