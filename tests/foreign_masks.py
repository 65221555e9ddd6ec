"""The analytic spine of `synthetic_result` outlined and numbered as other tools document it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
from synthetic_spine import NAMES, PITCH_MM, Spine, centres, sagittal_grid
from written_study import LEFT_BACK_TO_RIGHT_FRONT

from spinemri.nomenclature import Tissue
from spinemri.volume import Grid

TOTALSPINESEG_BODIES = {"T4": 24, "T5": 25, "T6": 26, "T7": 27, "T8": 28, "T9": 29, "T10": 30}
TOTALSPINESEG_DISCS = {"T4": 75, "T5": 76, "T6": 77, "T7": 78, "T8": 79, "T9": 80, "T10": 81}
"""By the vertebra above."""

SPINEPS_TISSUES = {
    Tissue.CORD: 60,
    Tissue.DURAL_SAC: 61,
    Tissue.BODY: 49,
    Tissue.POSTERIOR_ELEMENTS: 42,
    Tissue.DISC: 100,
}
VERSE = {"T4": 11, "T5": 12, "T6": 13, "T7": 14, "T8": 15, "T9": 16, "T10": 17}


def iso_grid(spine: Spine) -> Grid:
    """A finer grid than the study's, oblique like it, with its axes in another order and direction."""
    coarse = sagittal_grid(spine)
    scale = np.array([1.5 / 4.0, 1.1 / 0.8, 1.3 / 0.8])
    affine = coarse.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ ((scale - 1) / 2)
    affine[:3, :3] *= scale
    shape = np.floor(np.array(coarse.shape) / scale).astype(int)
    swapped = affine.copy()
    swapped[:3, 0], swapped[:3, 1], swapped[:3, 2] = affine[:3, 2], -affine[:3, 0], affine[:3, 1]
    swapped[:3, 3] = affine[:3, 3] + affine[:3, 0] * (shape[0] - 1)
    return Grid((int(shape[2]), int(shape[0]), int(shape[1])), swapped)


def level_of(spine: Spine, grid: Grid) -> np.ndarray:
    """Index into NAMES of the vertebra at the height of each voxel; of a disc's, the one above."""
    return np.clip(np.rint(3 - spine.to_own(centres(grid))[..., 2] / PITCH_MM), 0, len(NAMES) - 1).astype(int)


def disc_above(spine: Spine, grid: Grid) -> np.ndarray:
    """Index into NAMES of the vertebra above each voxel that lies in a disc."""
    return np.clip(np.floor(3 - spine.to_own(centres(grid))[..., 2] / PITCH_MM), 0, len(NAMES) - 1).astype(int)


def save(path: Path, array: np.ndarray, grid: Grid) -> Path:
    """Write a mask as NIfTI, which is RAS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, LEFT_BACK_TO_RIGHT_FRONT @ grid.affine), path)
    return path


def totalspineseg(path: Path, spine: Spine, grid: Grid) -> Path:
    """Write ``step2_output``: every vertebra whole, cord and canal."""
    tissue = spine.tissue(centres(grid))
    out = np.zeros(grid.shape, dtype=np.uint8)
    out[tissue == Tissue.CORD], out[tissue == Tissue.DURAL_SAC] = 1, 2
    bone = np.isin(tissue, [Tissue.BODY, Tissue.POSTERIOR_ELEMENTS])
    out[bone] = _numbers(TOTALSPINESEG_BODIES)[level_of(spine, grid)][bone]
    disc = tissue == Tissue.DISC
    out[disc] = _numbers(TOTALSPINESEG_DISCS)[disc_above(spine, grid)][disc]
    return save(path, out, grid)


def spineps(folder: Path, spine: Spine, grid: Grid, vertebrae: Mapping[str, int]) -> Path:
    """Write ``seg-spine`` and, beside it, ``seg-vert``."""
    tissue = spine.tissue(centres(grid))
    semantic = np.zeros(grid.shape, dtype=np.uint8)
    for ours, theirs in SPINEPS_TISSUES.items():
        semantic[tissue == ours] = theirs
    instances = np.zeros(grid.shape, dtype=np.uint8)
    bone = np.isin(tissue, [Tissue.BODY, Tissue.POSTERIOR_ELEMENTS])
    instances[bone] = _numbers(vertebrae)[level_of(spine, grid)][bone]
    disc = tissue == Tissue.DISC
    instances[disc] = 100 + _numbers(vertebrae)[disc_above(spine, grid)][disc]
    save(folder / "sub-01_mod-T2w_seg-vert_msk.nii.gz", instances, grid)
    return save(folder / "sub-01_mod-T2w_seg-spine_msk.nii.gz", semantic, grid)


def toolbox(folder: Path, spine: Spine, grid: Grid, *, discs: bool) -> Path:
    """Write cord, canal (soft) and level names as the Spinal Cord Toolbox does, numbered from C1 = 1."""
    tissue = spine.tissue(centres(grid))
    cord = tissue == Tissue.CORD
    canal = np.isin(tissue, [Tissue.CORD, Tissue.DURAL_SAC]).astype(np.float32) * 0.8
    save(folder / "t2_seg.nii.gz", cord.astype(np.uint8), grid)
    save(folder / "t2_canal_seg.nii.gz", canal, grid)
    labelled = np.where(cord, _numbers(VERSE)[level_of(spine, grid)], 0).astype(np.uint8)
    if not discs:
        save(folder / "t2_seg_labeled.nii.gz", labelled, grid)
        return folder
    marks = np.zeros(grid.shape, dtype=np.uint8)
    for index, below in enumerate(NAMES[1:]):
        z = (3 - index - 0.5) * PITCH_MM
        point = spine.to_lps([0.0, spine.curve(z) - 10.0, z])
        marks[tuple(np.rint(grid.to_index(np.array(point))).astype(int))] = VERSE[below]
    # The pontomedullary junction has a number without a level.
    marks[0, 0, 0] = 50
    save(folder / "t2_totalspineseg_discs.nii.gz", marks, grid)
    return folder


def _numbers(by_name: Mapping[str, int]) -> np.ndarray:
    return np.array([by_name[name] for name in NAMES])
