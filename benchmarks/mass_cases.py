"""Real, mass-free scans that training never saw, and the same with grown masses in three contrasts."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from grown_masses import POSITIONS, Canal, Grown, grow, painted
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.preparation import flatten_illumination
from spinemri.training.real import VALIDATION_IDS, SpiderScan, load_nifti, load_spider, self_labelled_scan
from spinemri.training.visits import CONTRASTS, recoloured, thick, thick_affine
from spinemri.volume import Volume

__all__ = [
    "COMBINATIONS",
    "ENHANCEMENT",
    "MASS_FREE",
    "STIR",
    "MassCase",
    "canal_of",
    "case_names",
    "make_case",
    "mass_free_scans",
    "mass_free_studies",
    "recoloured_scans",
    "signal_shares",
]

Floats = NDArray[np.float32]

COMBINATIONS = {
    **{contrast: (contrast,) for contrast in CONTRASTS},
    "T2, T1": ("T2", "T1"),
    "T2, T1+C FS": ("T2", "T1+C FS"),
    "T1, T1+C FS": ("T1", "T1+C FS"),
    "all": tuple(CONTRASTS),
}
"""What a study may consist of."""

STIR = {"STIR": ("STIR", True, False)}
"""The same of a contrast in which no mass is shown, only what is healthy."""

MASS_FREE = {
    "lumbar_t2_bodies": ("T2", None),
    "lumbar_t2_discs": ("T2", None),
    "lumbar_waterfat_bodies": ("unknown", None),
    "thoracolumbar_t1_t2_bodies": ("", False),
    "cervicothoracic_t2_cord": ("T2", False),
}
"""Folders of healthy scans besides SPIDER: weighting (by the name if empty), fat suppression."""

BESIDE_CORD = ("errsm11", "errsm21")
_SLICE_MM = 3.3
_SMALLEST_ML, _LARGEST_ML = 0.5, 16.0
ENHANCEMENT = {"none": (0.9, 1.1), "mild": (1.2, 1.5), "strong": (1.6, 2.2)}


@dataclass(frozen=True, eq=False)
class MassCase:
    """One mass in one scan.

    Attributes
    ----------
    name, region, position, enhancement : str
    images : dict of str to Volume
        By contrast, in slices of about 3.3 mm.
    coverage : (ni, nj, nk) ndarray of float32
        Of each voxel by the mass.
    """

    name: str
    region: str
    position: str
    enhancement: str
    images: dict[str, Volume]
    coverage: Floats

    @property
    def volume_ml(self) -> float:
        """Volume of the mass."""
        return float(self.coverage.sum()) * self.images["T2"].grid.voxel_volume_mm3 / 1000


def case_names(per_position: int = 1) -> list[str]:
    """Name every case: scan, position and number; twice as many in each scan that shows a cord."""
    names = []
    for scan in (*sorted(VALIDATION_IDS), *BESIDE_CORD):
        repeats = per_position * (2 if scan in BESIDE_CORD else 1)
        for position in (*POSITIONS, "circumferential"):
            names += [f"{scan}-{position}-{number}" for number in range(repeats)]
    return names


def make_case(data: Path, name: str) -> MassCase | None:
    """Grow the mass of a name; None where the canal has no room for it.

    Parameters
    ----------
    data : Path
        Folder of real scans.
    name : str
        From `case_names`; it is the seed, too.
    """
    scan, position, _ = name.split("-")
    case, flat = _scan(data, scan)
    rng = np.random.default_rng(zlib.crc32(f"grown {name}".encode()))
    wanted = float(np.exp(rng.uniform(np.log(_SMALLEST_ML), np.log(_LARGEST_ML))))
    grown = grow(canal_of(case), position, [wanted], rng)
    if grown is None:
        return None
    (mass,) = grown
    enhancement = str(rng.choice(list(ENHANCEMENT)))
    images = dict(_images(case, flat, mass, enhancement, rng))
    region = "cord" if scan in BESIDE_CORD else "cauda equina"
    return MassCase(name, region, position, enhancement, images, thick(mass.coverage, _slices(case.image)))


@lru_cache(maxsize=1)
def _scan(data: Path, scan: str) -> tuple[SpiderScan, Floats]:
    if scan in BESIDE_CORD:
        case = self_labelled_scan(data / "cervicothoracic_t2_cord" / f"{scan}_T2w.nii.gz")
    else:
        case = load_spider(data, scan)
    return case, np.asarray(flatten_illumination(case.image).array)


def _images(
    case: SpiderScan, flat: Floats, mass: Grown, enhancement: str, rng: np.random.Generator
) -> Iterator[tuple[str, Volume]]:
    """Show the mass on T2, and on the scan recoloured as T1 and as post-contrast fat-suppressed T1."""
    marrow = float(np.median(flat[case.labels == 1]))
    signals = signal_shares(enhancement, rng)
    plain = {
        contrast: (image, marrow * signal)
        for (contrast, image), signal in zip(recoloured(case, flat, rng).items(), signals, strict=True)
    }
    seed = int(rng.integers(2**31))
    count = _slices(case.image)
    for contrast, (image, signal) in plain.items():
        shown = painted(image, mass, float(signal), case.image.spacing, seed)
        yield contrast, Volume(thick(shown, count), thick_affine(case.image.affine, count), "nifti")


def canal_of(case: SpiderScan) -> Canal:
    """Return what a mass grows in."""
    return Canal(case.labels == 3, (case.labels == 1) | (case.labels == 2), case.image.spacing)


def signal_shares(enhancement: str, rng: np.random.Generator) -> tuple[float, float, float]:
    """Draw the signal of a mass on T2, T1 and post-contrast T1, relative to marrow on T2."""
    return rng.uniform(0.85, 1.5), rng.uniform(0.6, 1.0), rng.uniform(*ENHANCEMENT[enhancement])


def mass_free_studies(data: Path) -> Iterator[tuple[str, dict[str, Volume]]]:
    """Yield every T2 scan of `mass_free_scans` in three contrasts, in slices of about 3.3 mm."""
    for name, case, flat in _healthy_t2(data):
        scan = name.rpartition("/")[2]
        count = _slices(case.image)
        affine = thick_affine(case.image.affine, count)
        rng = np.random.default_rng(zlib.crc32(f"none {scan}".encode()))
        images = recoloured(case, flat, rng)
        yield scan, {contrast: Volume(thick(image, count), affine, "nifti") for contrast, image in images.items()}


def recoloured_scans(data: Path) -> Iterator[tuple[str, str, Volume]]:
    """Yield name, contrast and image of every T2 scan of `mass_free_scans` as T1, post-contrast T1 and STIR."""
    for name, case, flat in _healthy_t2(data):
        rng = np.random.default_rng(zlib.crc32(f"recoloured {name}".encode()))
        images = recoloured(case, flat, rng) | {"STIR": _as_stir(case, flat, rng)}
        del images["T2"]
        for contrast, image in images.items():
            yield name, contrast, Volume(image, case.image.affine, "nifti")


def _healthy_t2(data: Path) -> Iterator[tuple[str, SpiderScan, Floats]]:
    """Yield the T2 scans of `mass_free_scans` with labels to recolour them by, and even illumination.

    Where the labels are the network's own, what it takes for a mass is sac: left out of it, it would stay as bright
    after contrast agent as it is on T2, and look like a mass.
    """
    for name, weighting, _, _ in mass_free_scans(data):
        if weighting != "T2":
            continue
        if name.startswith("spider_t2"):
            case = load_spider(data, name.rpartition("/")[2])
        else:
            case = self_labelled_scan(data / f"{name}.nii.gz", mass_is_sac=True)
        yield name, case, np.asarray(flatten_illumination(case.image).array)


def _as_stir(case: SpiderScan, flat: Floats, rng: np.random.Generator) -> Floats:
    """Null what is as bright as fat on T2 outside the sac and the discs, and the fat in the marrow."""
    kept = ndimage.gaussian_filter(((case.labels == 2) | (case.labels == 3)).astype(np.float32), (0.0, 0.7, 0.7))
    bone = ndimage.gaussian_filter((case.labels == 1).astype(np.float32), (0.0, 0.7, 0.7))
    marrow = float(np.median(flat[case.labels == 1]))
    fat = 1 / (1 + np.exp(-(flat / marrow - rng.uniform(1.5, 2.0)) / 0.2))
    left, marrow_left = 1 - rng.uniform(0.75, 0.95) * fat, 1 - rng.uniform(0.3, 0.7) * bone
    out = np.minimum(flat, 2.5 * marrow) * left * marrow_left
    return np.clip(out * (1 - kept) + flat * kept, 0.0, 6.0).astype(np.float32)


def _slices(image: Volume) -> int:
    return max(1, round(_SLICE_MM / image.spacing[0]))


def mass_free_scans(data: Path) -> Iterator[tuple[str, str, bool | None, Volume]]:
    """Yield name, weighting, fat suppression and image of every mass-free scan that training never saw."""
    for scan in sorted(VALIDATION_IDS):
        yield f"spider_t2/{scan}", "T2", False, load_nifti(data / "spider_t2" / f"{scan}_T2w.nii.gz")
    for folder, (weighting, fat_suppressed) in MASS_FREE.items():
        for path in sorted((data / folder).glob("*.nii.gz")):
            name = path.name.removesuffix(".nii.gz")
            trained = folder.startswith("cervico") and not name.startswith(BESIDE_CORD)
            if trained or "label" in name or name.endswith("_dseg"):
                continue
            known = weighting or ("T1" if "_T1" in name else "T2")
            yield f"{folder}/{name}", known, fat_suppressed, load_nifti(path)
