"""Real labelled scans as training stacks (see `docs/model-card.md` for which, and under what licence)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import polygon2mask

from spinemri.anatomy.network import segment
from spinemri.anatomy.preparation import condition_planes, flatten_illumination
from spinemri.nomenclature import Tissue
from spinemri.training.implant import MASS_KINDS, Surroundings, add_implant, random_implant, sides
from spinemri.training.recolour import as_t1, as_t1_fat_suppressed
from spinemri.training.stacks import SPIDER_GROUPS, SUBREGION_GROUPS, TrainingStack, describe_stack
from spinemri.volume import Volume, canonical

__all__ = [
    "VALIDATION_IDS",
    "SpiderScan",
    "load_nifti",
    "load_spider",
    "self_labelled_scan",
    "self_labelled_stack",
    "spider_ids",
    "spider_stacks",
    "subregion_stack",
    "surroundings_of",
]

VALIDATION_IDS = frozenset({"007", "057", "069", "107", "127", "129", "239"})
"""SPIDER scans that no training ever sees."""

_VERTEBRA, _DISC, _SAC = 1, 2, 3
_ABSENT = frozenset({Tissue.SACRUM, Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE})
_SURE = 0.8
_BESIDE_SAC_MM = 4.0
_RIM_MM = 1.1
_FAT, _NO_FAT = 0.6, 0.2
_HALF = 0.5
_BODY_OR_DISC = (Tissue.BODY, Tissue.DISC)
_SUBREGION_ENDS = (0, 48, 50, 61, 62)
_SUBREGION_ORDER = (
    SUBREGION_GROUPS[0],
    (Tissue.POSTERIOR_ELEMENTS,),
    (Tissue.BODY,),
    SUBREGION_GROUPS[1],
    _BODY_OR_DISC,
    (Tissue.DISC,),
)
"""SPINEPS: 41-48 arch and processes, 49-50 body, 60-61 cord and canal, 62 endplate, 100 disc."""
_ROW = {group: row for row, group in enumerate(SPIDER_GROUPS)}
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class SpiderScan:
    """A SPIDER scan with its labels and our sacrum outline, canonical."""

    image: Volume
    labels: NDArray[np.uint8]
    sacrum: NDArray[np.bool_]


def load_nifti(path: Path) -> Volume:
    """Read a NIfTI file as a canonical volume in LPS mm."""
    file = nib.load(path)
    return canonical(Volume(np.asanyarray(file.dataobj), _RAS_TO_LPS @ file.affine, "nifti"))


def spider_ids(data: Path, *, validation: bool) -> list[str]:
    """List the ids of one side of the fixed split."""
    ids = sorted(path.name.split("_")[0] for path in (data / "spider_t2").glob("*_T2w.nii.gz"))
    return [scan for scan in ids if (scan in VALIDATION_IDS) == validation]


def load_spider(data: Path, scan: str) -> SpiderScan:
    """Read one scan; the sacrum is empty where we have not outlined it."""
    image = load_nifti(data / "spider_t2" / f"{scan}_T2w.nii.gz")
    labels = load_nifti(data / "spider_t2" / f"{scan}_dseg.nii.gz").array.astype(np.uint8)
    return SpiderScan(image, labels, _sacrum(image, scan))


def _sacrum(image: Volume, scan: str) -> NDArray[np.bool_]:
    """Fill the outline of the mid-sagittal slice over the slices within 10 mm of it."""
    mask = np.zeros(image.shape, dtype=bool)
    text = resources.files("spinemri.training").joinpath("annotations/spider_sacrum.json").read_text("utf-8")
    outline = json.loads(text)["scans"].get(scan)
    if outline is None:
        return mask
    yz = np.array(outline["polygon_yz_mm"], dtype=float)
    ras = np.column_stack([np.full(len(yz), outline["slice_x_mm"]), yz])
    index = image.grid.to_index(ras * [-1, -1, 1])
    middle = int(np.rint(index[0, 0]))
    reach = round(10 / image.spacing[0])
    mask[max(0, middle - reach) : middle + reach + 1] = polygon2mask(image.shape[1:], index[:, 1:])
    return mask


def _group_rows(scan: SpiderScan) -> NDArray[np.uint8]:
    """Row of `SPIDER_GROUPS` for every voxel."""
    labels, sac = scan.labels, scan.labels == _SAC
    rows = np.full(labels.shape, _ROW[SPIDER_GROUPS[0]], dtype=np.uint8)
    height = np.arange(labels.shape[2])
    discs = np.argwhere(labels == _DISC)
    # Below the lumbosacral disc neither sacrum nor its arches are labelled.
    below = height < np.percentile(discs[discs[:, 2] < np.percentile(discs[:, 2], 15), 2], 70)
    rows[:, :, below] = _ROW[SPIDER_GROUPS[1]]
    rows[labels == _VERTEBRA] = _vertebra_parts(labels, sac)[labels == _VERTEBRA]
    rows[scan.sacrum] = _ROW[SPIDER_GROUPS[7]]
    rows[labels == _DISC] = _ROW[SPIDER_GROUPS[6]]
    rows[sac] = _ROW[SPIDER_GROUPS[2]]
    return rows


def _vertebra_parts(labels: NDArray[np.uint8], sac: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Body in front of the sac, posterior elements behind it, undecided beside it."""
    depth = np.arange(labels.shape[1], dtype=np.float32)[None, :, None]
    any_slice: NDArray[np.bool_] = np.any(sac, axis=0)
    has = any_slice.any(0)
    front = np.where(has, any_slice.argmax(0), 0).astype(np.float32)
    back = np.where(has, labels.shape[1] - 1 - any_slice[::-1].argmax(0), 0).astype(np.float32)
    heights = np.arange(labels.shape[2])
    front = ndimage.gaussian_filter1d(np.interp(heights, heights[has], front[has]), 5)
    back = ndimage.gaussian_filter1d(np.interp(heights, heights[has], back[has]), 5)
    undecided = np.uint8(_ROW[SPIDER_GROUPS[5]])
    parts = np.where(depth <= front - 1, np.uint8(_ROW[SPIDER_GROUPS[3]]), undecided)
    parts = np.where(depth >= back, np.uint8(_ROW[SPIDER_GROUPS[4]]), parts)
    return np.broadcast_to(parts, labels.shape)


def _epidural(scan: SpiderScan) -> NDArray[np.bool_]:
    """Where the network that ships is sure of epidural fat on T2, as far as the labels leave it open.

    On T2 it finds the fat of real canals; on T1 it takes half of it for what lies outside the canal. Labels from T2
    hold for the same anatomy in every contrast. What is as bright beside it was tried, too: the canal then came out
    1.4 mm too deep, above all between the laminae.
    """
    return _fat_coverage(scan) >= _FAT


def _no_fat(scan: SpiderScan) -> NDArray[np.bool_]:
    """Where it is sure that there is none.

    With fat labelled and nothing against it canals came out 0.8 mm too deep.
    """
    coverage = _fat_coverage(scan)
    return (coverage >= 0) & (coverage < _NO_FAT)


@lru_cache(maxsize=1)
def _fat_coverage(scan: SpiderScan) -> NDArray[np.float32]:
    """Coverage by epidural fat as seen on T2; -1 where the labels do not leave it open.

    Next to the sac nothing is said: labels of the sac may end a voxel short of its fluid.
    """
    coverage = segment(scan.image, "T2", fat_suppressed=False, contrast_enhanced=False).coverage[int(Tissue.EPIDURAL)]
    left_open = (scan.labels == 0) & (_from_sac_mm(scan) > _RIM_MM)
    return np.where(left_open, coverage, np.float32(-1.0))


@lru_cache(maxsize=1)
def _from_sac_mm(scan: SpiderScan) -> NDArray[np.float32]:
    """Distance of every voxel from the dural sac."""
    return np.asarray(ndimage.distance_transform_edt(scan.labels != _SAC, sampling=scan.image.spacing), np.float32)


def surroundings_of(image: NDArray[np.float32], scan: SpiderScan) -> Surroundings:
    """Measure what implants are drawn from."""
    labels, step = scan.labels, scan.image.spacing[2]
    sac_rows = np.flatnonzero((labels == _SAC).any((0, 1)))
    lumps, count = ndimage.label((labels == _DISC).any((0, 1)))
    heights = tuple(float(np.flatnonzero(lumps == n + 1).mean() * step) for n in range(count))
    return Surroundings(
        csf=float(np.percentile(image[labels == _SAC], 85)),
        marrow=float(np.median(image[labels == _VERTEBRA])),
        fat=float(np.percentile(image, 97)),
        disc=float(np.median(image[labels == _DISC])),
        disc_heights_mm=heights,
        canal_range_mm=(float(sac_rows[0] * step), float(sac_rows[-1] * step)),
    )


def spider_stacks(scan: SpiderScan, kinds: list[str], rng: np.random.Generator) -> Iterator[TrainingStack]:
    """Yield one training stack per requested kind of implant.

    Parameters
    ----------
    scan : SpiderScan
    kinds : list of str
        Each ``"none"`` or kinds of implant joined by ``+``, e.g. ``"mass+disc"``; a prefix ``"T1:"`` or ``"FS:"``
        gives the scan the contrast of T1 or of post-contrast fat-suppressed T1 first.
    rng : numpy.random.Generator

    Yields
    ------
    TrainingStack
    """
    flat = np.asarray(flatten_illumination(scan.image).array)
    rows = _group_rows(scan)
    rows[_no_fat(scan) & (rows == _ROW[SPIDER_GROUPS[0]])] = _ROW[(Tissue.BACKGROUND,)]
    rows[_epidural(scan) & ~scan.sacrum] = _ROW[(Tissue.EPIDURAL,)]
    for kind in kinds:
        contrast, _, implants = kind.rpartition(":")
        base = _recoloured(flat, scan, contrast, rng)
        image, mass, other = _with_implants(base, scan, implants, rng)
        yield _stack(scan, contrast, image, _target(rows, mass, other, beyond=_from_sac_mm(scan) > _BESIDE_SAC_MM))


def _recoloured(
    flat: NDArray[np.float32], scan: SpiderScan, contrast: str, rng: np.random.Generator
) -> NDArray[np.float32]:
    parts = (scan.labels == _SAC, scan.labels == _DISC)
    marrow = float(np.median(flat[scan.labels == _VERTEBRA]))
    if contrast == "T1":
        return as_t1(flat, parts, marrow, rng)
    if contrast == "FS":
        return as_t1_fat_suppressed(flat, parts, marrow, rng)
    return flat


def _with_implants(
    image: NDArray[np.float32], scan: SpiderScan, implants: str, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return the image with its implants, and the coverage by mass and by what only looks like one."""
    around = surroundings_of(image, scan)
    sac = scan.labels == _SAC
    blocked = (scan.labels == _VERTEBRA) | (scan.labels == _DISC)
    mass, other = (np.zeros(image.shape, dtype=np.float32) for _ in range(2))
    for part in implants.split("+") if implants != "none" else []:
        for implant in sides(random_implant(rng, around, part), rng):
            image, remaining, cover = add_implant(image, sac, blocked, scan.image.spacing, implant, rng)
            mass, other = mass * (1 - cover), other * (1 - cover)
            if part in MASS_KINDS:
                mass = mass + cover
            else:
                other = other + cover
            sac = remaining > _HALF
    return image, mass, other


def _target(
    rows: NDArray[np.uint8], mass: NDArray[np.float32], other: NDArray[np.float32], beyond: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Coverage by group in units of 1/255.

    `beyond` is where an implant may lie outside the canal: nothing says where a foramen begins.
    """
    target = (rows[None] == np.arange(len(SPIDER_GROUPS), dtype=np.uint8).reshape(-1, 1, 1, 1)) * np.uint8(255)
    rest = np.clip(1 - mass - other, 0, 1)
    touched = rest < 1
    if touched.any():
        target[:, touched] = np.rint(target[:, touched] * rest[touched]).astype(np.uint8)
        for group, where in (((Tissue.MASS_CANAL,), ~beyond), ((Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE), beyond)):
            target[_ROW[group], touched] += np.rint(255 * (mass * where)[touched]).astype(np.uint8)
        target[0, touched] += np.rint(255 * other[touched]).astype(np.uint8)
    return target


def _stack(scan: SpiderScan, contrast: str, image: NDArray[np.float32], target: NDArray[np.uint8]) -> TrainingStack:
    weighting = "T1" if contrast else "T2"
    condition = condition_planes(weighting, fat_suppressed=contrast == "FS", contrast_enhanced=contrast == "FS")
    return describe_stack(image, target, SPIDER_GROUPS, scan.image.spacing, condition)


def self_labelled_stack(path: Path) -> TrainingStack:
    """Return a healthy T2 scan without a sacrum, labelled by the network that ships where that is sure.

    Self-training (Xie et al., CVPR 2020): the student sees deformed, recoloured and noisy patches of what its teacher
    saw whole. Elsewhere only this is known: neither sacrum nor mass.

    Parameters
    ----------
    path : Path
        NIfTI file.
    """
    volume = load_nifti(path)
    flat = flatten_illumination(volume)
    kept = [tissue for tissue in Tissue if tissue not in _ABSENT]
    coverage = segment(volume, "T2", fat_suppressed=False, contrast_enhanced=False).coverage[[int(t) for t in kept]]
    best = np.where(coverage.max(0) >= _SURE, coverage.argmax(0), len(kept))
    groups = (*((tissue,) for tissue in kept), tuple(kept))
    target = (best[None] == np.arange(len(groups)).reshape(-1, 1, 1, 1)) * np.uint8(255)
    condition = condition_planes("T2", fat_suppressed=False, contrast_enhanced=False)
    return describe_stack(flat.array, target, groups, flat.spacing, condition)


def self_labelled_scan(path: Path, *, mass_is_sac: bool = False) -> SpiderScan:
    """Return a healthy T2 scan with the network's own labels in the numbering of SPIDER, to implant masses into.

    Thoracic canals with their cord are not among the labelled scans; what displaces a cord can be learned only here.

    Parameters
    ----------
    path : Path
        NIfTI file.
    mass_is_sac : bool
        Count what the network takes for a mass to the sac, as a healthy scan has none.
    """
    volume = load_nifti(path)
    tissues = segment(volume, "T2", fat_suppressed=False, contrast_enhanced=False)
    sac = (Tissue.CORD, Tissue.DURAL_SAC, *((Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE) if mass_is_sac else ()))
    labels = np.zeros(volume.shape, dtype=np.uint8)
    for label, members in (
        (_VERTEBRA, (Tissue.BODY, Tissue.POSTERIOR_ELEMENTS)),
        (_DISC, (Tissue.DISC,)),
        (_SAC, sac),
    ):
        labels[tissues.fraction(*members).array >= _HALF] = label
    return SpiderScan(volume, labels, np.zeros(volume.shape, dtype=bool))


def subregion_stack(image: Path, labels: Path) -> TrainingStack:
    """Return a T2 patch of two vertebrae with their parts, pedicles and transverse processes included.

    Parameters
    ----------
    image, labels : Path
        NIfTI files; labels in the numbering of SPINEPS.

    Returns
    -------
    TrainingStack
        With `SUBREGION_GROUPS`.
    """
    flat, parts = flatten_illumination(load_nifti(image)), load_nifti(labels).array
    of_label = np.array([SUBREGION_GROUPS.index(group) for group in _SUBREGION_ORDER], dtype=np.uint8)
    rows = of_label[np.searchsorted(_SUBREGION_ENDS, parts, side="left")]
    target = (rows[None] == np.arange(len(SUBREGION_GROUPS)).reshape(-1, 1, 1, 1)) * np.uint8(255)
    condition = condition_planes("T2", fat_suppressed=False, contrast_enhanced=False)
    return describe_stack(flat.array, target, SUBREGION_GROUPS, flat.spacing, condition)
