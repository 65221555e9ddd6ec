"""From raw scans and recipes to training stacks on disk."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spinemri.anatomy.preparation import condition_planes, flatten_illumination
from spinemri.training.real import (
    SpiderScan,
    load_spider,
    self_labelled_scan,
    self_labelled_stack,
    spider_ids,
    spider_stacks,
    subregion_stack,
)
from spinemri.training.stacks import FULL_GROUPS, TrainingStack, describe_stack, save_stack

if TYPE_CHECKING:
    from spinemri.phantom.training import Variety

__all__ = [
    "KINDS",
    "KINDS_BESIDE_CORD",
    "SUBREGIONS",
    "UNLABELLED",
    "prepare_phantoms",
    "prepare_spider",
    "prepare_unlabelled",
    "stack_weights",
]

KINDS = (
    *("none", "mass", "mass", "mass", "mass+flavum", "mass+disc", "fat+disc", "disc+flavum"),
    *("T1:none", "T1:mass", "T1:mass+disc", "FS:none", "FS:mass"),
    *("mass", "mass", "mass+mass", "mass+mass", "mass+fat", "T1:mass+mass", "FS:mass+mass"),
    *("mass", "mass", "mass", "mass+mass", "T1:mass", "FS:mass"),
    *("foraminal", "foraminal", "foraminal+mass", "T1:foraminal", "FS:foraminal"),
    *("circumferential", "circumferential", "circumferential+mass", "T1:circumferential", "FS:circumferential"),
)
"""Contrasts and implants per labelled scan; the scan as it is comes first."""

KINDS_BESIDE_CORD = (
    *("mass",) * 6,
    *("mass+mass", "mass+fat", "T1:mass", "T1:mass+mass", "FS:mass", "FS:mass+mass"),
    *("foraminal", "foraminal", "foraminal+mass", "foraminal+foraminal", "T1:foraminal", "FS:foraminal"),
    *("circumferential", "circumferential", "T1:circumferential", "FS:circumferential"),
)
"""Contrasts and implants per scan that the network labels itself, two of them cervicothoracic."""

UNLABELLED = (
    "cervicothoracic_t2_cord/errsm20_T2w.nii.gz",
    "cervicothoracic_t2_cord/errsm22_T2w.nii.gz",
    "lumbar_t2_unlabelled/sct_lumbar_T2w.nii.gz",
)
"""Healthy scans without labels that may be trained on; none of them shows a sacrum."""

SUBREGIONS = (
    "subregion_patches/sub-mri_label-6_T2w.nii.gz",
    "subregion_patches/sub-mri_seg-subreg_label-6_msk.nii.gz",
)
"""The one real scan whose vertebrae are labelled to their sides."""

_SHARES = {
    "real-none": 0.14,
    "real-mass": 0.18,
    "real-foraminal": 0.07,
    "real-circumferential": 0.07,
    "real-other": 0.06,
    "real-cord": 0.16,
    "real-unlabelled": 0.06,
    "real-subregion": 0.03,
    "phantom": 0.23,
}


def prepare_spider(data: Path, cache: Path, kinds: Sequence[str]) -> None:
    """Write every training scan of SPIDER with each kind of implant; files that exist are kept."""
    for scan in spider_ids(data, validation=False):
        names = [f"real-{_family(kind)}-{scan}-{number}" for number, kind in enumerate(kinds)]
        missing = _missing(cache, names)
        if missing:
            _write_kinds(load_spider(data, scan), cache, {names[number]: kinds[number] for number in missing})


def _missing(cache: Path, names: Sequence[str]) -> list[int]:
    return [number for number, name in enumerate(names) if not (cache / f"{name}.npz").exists()]


def _write_kinds(scan: SpiderScan, cache: Path, kinds: Mapping[str, str]) -> None:
    """Write one scan with each kind; every file has a seed of its own, whichever are there already."""
    for name, kind in kinds.items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        for stack in spider_stacks(scan, [kind], rng):
            save_stack(stack, cache / f"{name}.npz")


def _family(kind: str) -> str:
    implants = kind.rpartition(":")[2]
    if implants == "none":
        return "none"
    parts = implants.split("+")
    return next((family for family in ("circumferential", "foraminal", "mass") if family in parts), "other")


def prepare_unlabelled(data: Path, cache: Path) -> None:
    """Write the scans that the network labels itself, with and without implants, and the patch of labelled parts.

    Files that exist are kept.
    """
    for file in UNLABELLED:
        scan = Path(file).name.split("_")[0]
        path = cache / f"real-unlabelled-{scan}.npz"
        if not path.exists():
            save_stack(self_labelled_stack(data / file), path)
        names = [f"real-cord-{scan}-{number}" for number in range(len(KINDS_BESIDE_CORD))]
        missing = _missing(cache, names)
        if missing:
            kinds = {names[number]: KINDS_BESIDE_CORD[number] for number in missing}
            _write_kinds(self_labelled_scan(data / file), cache, kinds)
    path = cache / "real-subregion-6.npz"
    if not path.exists():
        save_stack(subregion_stack(*(data / name for name in SUBREGIONS)), path)


def prepare_phantoms(
    cache: Path, numbers: Iterable[int], *, with_mass: bool | None = None, variety: Variety = "usual"
) -> None:
    """Write generated stacks, each from its own seed, with a mass or not (None: drawn); files that exist are kept.

    Give each variety of `spinemri.phantom.training` numbers of its own.
    """
    for number in numbers:
        path = cache / f"phantom-{number:05d}.npz"
        if not path.exists():
            save_stack(_phantom_stack(np.random.default_rng((7, number)), with_mass=with_mass, variety=variety), path)


def _phantom_stack(rng: np.random.Generator, *, with_mass: bool | None, variety: Variety) -> TrainingStack:
    # Imported here: rendering is slow to import and real scans do not need it.
    from spinemri.phantom.training import training_stack  # noqa: PLC0415

    image, tissues, weighting, fat_suppressed, contrast_enhanced = training_stack(
        rng, with_mass=with_mass, variety=variety
    )
    flat = flatten_illumination(image)
    target = np.rint(tissues.coverage * 255).astype(np.uint8)
    condition = condition_planes(weighting, fat_suppressed=fat_suppressed, contrast_enhanced=contrast_enhanced)
    return describe_stack(flat.array, target, FULL_GROUPS, flat.spacing, condition)


def stack_weights(names: Sequence[str]) -> list[float]:
    """Give each family of stacks its share of the draws, whatever the number of its files.

    Parameters
    ----------
    names : sequence of str
        File stems: ``real-none-022-0``, ``phantom-00012``.

    Returns
    -------
    list of float
        One weight per name.
    """
    families = ["-".join(name.split("-")[: 2 if name.startswith("real") else 1]) for name in names]
    return [_SHARES[family] / families.count(family) for family in families]
