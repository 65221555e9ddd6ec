"""The canal looked at once more, in all sequences of a study together, by a second network (onnxruntime; no torch).

The first network reads one sequence at a time. What is as bright as fat on T2 may be fat or a mass; T1, and what
happens after contrast agent, tell which. The second network sees every sequence beside what the first one made of
them, and says how much of each voxel is mass.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy import network
from spinemri.anatomy.model import TissueMap
from spinemri.anatomy.preparation import context_offset, flatten_illumination, interpolated
from spinemri.anatomy.weights import session, sha256
from spinemri.mass.canal_input import SLOTS, WORKING_MM, CanalView, network_input, slot_of, to_working
from spinemri.nomenclature import Tissue
from spinemri.volume import Grid, Volume, box_around, resample

__all__ = ["MODEL_NAME", "Point", "SequenceImage", "look_again", "networks_sha256", "tells", "with_mass"]

FloatArray = NDArray[np.float32]
Point = tuple[float, float, float]

MODEL_NAME = "canal.onnx"
_STRIDE = 8
_MAXIMUM_THREADS = 2
_MARGIN_MM = 14.0
_CANAL_SHARE = 0.3
_LEAST_COVERED = 0.8
_SHARE = np.float32(2 / 3)
"""Of the second network; the rest is what the first one said. Alone the second is better on masses grown in real scans,
and worse in generated patients whose epidural fat and veins enhance (`docs/results.md`)."""
_LEAST = 1e-6
_CANAL = [int(t) for t in (Tissue.CORD, Tissue.DURAL_SAC, Tissue.EPIDURAL, Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)]
_CONTENTS = _CANAL[:3]
_IN_CANAL, _OUTSIDE = int(Tissue.MASS_CANAL), int(Tissue.MASS_OUTSIDE)
_BEYOND = [int(t) for t in Tissue if int(t) not in _CANAL]


@dataclass(frozen=True, eq=False)
class SequenceImage:
    """An image with what its header tells of its contrast.

    Attributes
    ----------
    image : Volume
        Canonical, any intensity scale.
    weighting : str
        ``"T1"``, ``"T2"``, ``"STIR"``; anything else is taken as unknown.
    fat_suppressed, contrast_enhanced : bool or None
        None where unknown.
    """

    image: Volume
    weighting: str
    fat_suppressed: bool | None
    contrast_enhanced: bool | None


def networks_sha256() -> str:
    """Return one SHA-256 for both networks, of the digests of their files one after the other."""
    return hashlib.sha256((network.model_sha256() + sha256(MODEL_NAME)).encode()).hexdigest()


def look_again(tissues: TissueMap, sequences: Sequence[SequenceImage], click_lps_mm: Point | None = None) -> TissueMap:
    """Decide once more how much of every voxel around the canal is mass.

    Parameters
    ----------
    tissues : TissueMap
        From the first network, all sequences fused.
    sequences : sequence of SequenceImage
        What they were fused from, the primary first; of two of a kind the first is seen.
    click_lps_mm : (x, y, z), optional
        A point in the mass, LPS mm.

    Returns
    -------
    TissueMap
        The mean of what both networks say of the mass, the second counting twice; the other tissues share what that
        leaves them as they did before. As it was unless T2 with another kind of sequence, or T1 before and after
        contrast agent, show the canal, and wherever one of them has no data.

    Raises
    ------
    InternalError
        MODEL_MISSING if the installation is incomplete.
    """
    canal = tissues.coverage[_CANAL].sum(0) > _CANAL_SHARE
    if not canal.any():
        return tissues
    box = box_around(canal, tissues.grid.spacing, _MARGIN_MM)
    part = tissues.coverage[(slice(None), *box)]
    grid = tissues.grid.part(box)
    view, known = _view(part, grid, sequences, canal[box], click_lps_mm)
    if not tells(view.present):
        return tissues
    before = part[[_IN_CANAL, _OUTSIDE]].sum(0)
    mass = (1 - _SHARE) * before + _SHARE * _from_working(_mass(view, grid.spacing[0]), grid)
    mass = np.where(known, mass, before)
    coverage = tissues.coverage.copy()
    coverage[(slice(None), *box)] = with_mass(part, mass)
    return replace(tissues, coverage=coverage)


def tells(present: FloatArray) -> bool:
    """Tell whether the network has learned from such a study; of one sequence alone the first has seen everything.

    Parameters
    ----------
    present : (slots,) ndarray
        1 where there is an image.
    """
    t2, _, t1, post = present > 0
    return bool((t2 and present.sum() > 1) or (t1 and post))


def _view(
    coverage: FloatArray, grid: Grid, sequences: Sequence[SequenceImage], canal: NDArray[np.bool_], click: Point | None
) -> tuple[CanalView, NDArray[np.bool_]]:
    """Gather what the network is shown, and where every sequence has data."""
    present = np.zeros(len(SLOTS), dtype=np.float32)
    working = to_working(coverage, grid.spacing)
    images = np.zeros((len(SLOTS), *working.shape[1:]), dtype=np.float32)
    post_fat_suppressed = False
    known = np.ones(grid.shape, dtype=bool)
    for sequence in sequences:
        slot = slot_of(
            sequence.weighting,
            fat_suppressed=sequence.fat_suppressed,
            contrast_enhanced=sequence.contrast_enhanced,
        )
        if slot is None or present[slot]:
            continue
        moved = resample(flatten_illumination(sequence.image), grid, outside=-1.0).array
        if float((moved[canal] >= 0.0).mean()) < _LEAST_COVERED:
            continue
        images[slot] = to_working(_continued(moved), grid.spacing)
        known &= moved >= 0.0
        present[slot] = 1.0
        if slot == len(SLOTS) - 1:
            post_fat_suppressed = bool(sequence.fat_suppressed)
    away = None if click is None else _distance(working.shape[1:], grid, click)
    return CanalView(images, present, post_fat_suppressed, working, away), known


def _continued(image: FloatArray) -> FloatArray:
    """Repeat the last slice that has data, as at the end of a stack; zero where none has."""
    out = image.copy()
    for order in (range(1, len(out)), range(len(out) - 2, -1, -1)):
        for index in order:
            neighbour = out[index - 1 if order.step > 0 else index + 1]
            out[index] = np.where(out[index] < 0.0, neighbour, out[index])
    return np.maximum(out, 0.0)


def _distance(shape: tuple[int, ...], grid: Grid, point: Point) -> FloatArray:
    """Distance of every working pixel from a point, mm."""
    steps = (grid.spacing[0], WORKING_MM, WORKING_MM)
    place = grid.to_index(np.array([point]))[0] * grid.spacing
    axes = np.meshgrid(*(np.arange(n) * mm - p for n, mm, p in zip(shape, steps, place, strict=True)), indexing="ij")
    away: FloatArray = np.sqrt(np.square(axes).sum(0)).astype(np.float32)
    return away


def _mass(view: CanalView, pitch_mm: float) -> FloatArray:
    """Run the network slice by slice, (ni, h, w)."""
    offset = int(np.ceil(context_offset(pitch_mm)))
    height, width = view.coverage.shape[2:]
    more = [(0, 0), (0, -height % _STRIDE), (0, -width % _STRIDE)]

    def look(index: int) -> FloatArray:
        """Say how much of each pixel of a slice is mass."""
        shown = np.pad(network_input(view, index, offset), more, mode="edge")
        (mass,) = session(MODEL_NAME).run(None, {"canal": shown[None]})
        out: FloatArray = mass[0, 0, :height, :width]
        return out

    with ThreadPoolExecutor(min(_MAXIMUM_THREADS, os.cpu_count() or 1)) as workers:
        return np.stack(list(workers.map(look, range(view.coverage.shape[1]))))


def _from_working(mass: FloatArray, grid: Grid) -> FloatArray:
    """Back to the pixels of the slices; at the edges the outermost working pixels are continued."""
    across, along = (
        np.arange(n, dtype=np.float64) * (mm / WORKING_MM)
        for n, mm in zip(grid.shape[1:], grid.spacing[1:], strict=True)
    )
    return interpolated(interpolated(mass, across, 1), along, 2)


def with_mass(coverage: FloatArray, mass: FloatArray) -> FloatArray:
    """Put another mass in: in the canal as far as the canal reaches, outside it what is more.

    The canal keeps its extent: its contents share what the mass leaves of it, bone and the rest what is left of theirs.

    Parameters
    ----------
    coverage : (tissues, i, j, k) ndarray of float32
    mass : (i, j, k) ndarray of float32
        Coverage by mass, in the canal and outside it together.

    Returns
    -------
    (tissues, i, j, k) ndarray of float32
    """
    out: FloatArray = coverage.copy()
    canal = coverage[[*_CONTENTS, _IN_CANAL]].sum(0)
    out[_IN_CANAL] = np.minimum(mass, canal)
    out[_OUTSIDE] = mass - out[_IN_CANAL]
    _share(out, _CONTENTS, np.maximum(canal - out[_IN_CANAL], 0.0), Tissue.EPIDURAL)
    _share(out, _BEYOND, np.maximum(1 - canal - out[_OUTSIDE], 0.0), Tissue.BACKGROUND)
    return out


def _share(coverage: FloatArray, tissues: list[int], total: FloatArray, heir: Tissue) -> None:
    """Let tissues make up a total as they did before; where there was nothing of them, one inherits it."""
    before = coverage[tissues].sum(0)
    coverage[tissues] *= total / np.maximum(before, _LEAST)
    coverage[int(heir)] += np.maximum(total - coverage[tissues].sum(0), 0.0)
