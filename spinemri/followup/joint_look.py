"""Both visits of a pair looked at together, in all their sequences, by a third network (onnxruntime; no torch).

The outlines of a visit are drawn without a look at the other one, and so their errors differ by chance: what one
outline counts to the mass, the other leaves to the fat beside it. The third network sees the same place at both visits,
images and outlines, and says how much of it is mass at one of them. Asked twice, with the visits exchanged, it treats
both alike.

What it sees at the other visit draws an outline towards it. That is how errors become the same at both visits, but
where it is in doubt a part of a true change goes with them. So it is also asked with the visit itself in the place of
the other one, where nothing draws, and the mean of both answers counts.

Its outlines serve the change between the two visits alone; the volume of a visit never depends on another visit.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.weights import session, sha256
from spinemri.followup.sampled_pair import AROUND, CLASSES, MASS, SampledPair
from spinemri.intake.model import Role, Stack
from spinemri.mass.canal_input import CHANNELS_IN, SLOTS, CanalView, network_input, slot_of
from spinemri.mass.second_look import networks_sha256, tells, with_mass
from spinemri.nomenclature import Tissue

__all__ = [
    "MODEL_NAME",
    "NEIGHBOUR",
    "PAIR_CHANNELS",
    "all_networks_sha256",
    "look_jointly",
    "pair_input",
    "pair_network_sha256",
    "visit_tissues",
]

FloatArray = NDArray[np.float32]

MODEL_NAME = "pair.onnx"
PAIR_CHANNELS = 2 * CHANNELS_IN
_STRIDE = 8
_MAXIMUM_THREADS = 2
NEIGHBOUR = 2
"""How many slices of the common grid away neighbours are taken: 3.3 mm, about a slice of a visit."""


def pair_network_sha256() -> str:
    """Return the SHA-256 of the network's file; raises `InternalError` MODEL_MISSING as `look_jointly`."""
    return sha256(MODEL_NAME)


def all_networks_sha256() -> str:
    """Return one SHA-256 for all networks: those that outline a visit, and the one that looks at two together."""
    return hashlib.sha256((networks_sha256() + pair_network_sha256()).encode()).hexdigest()


def look_jointly(pair: SampledPair, stacks: Mapping[Role, Stack]) -> SampledPair:
    """Outline the mass of both visits once more, each with the other in view.

    Parameters
    ----------
    pair : SampledPair
        Outlined by networks at both visits.
    stacks : mapping of Role to Stack
        What the sequences of the pair are, the same at both visits.

    Returns
    -------
    SampledPair
        With other coverages in the slices that show the canal, where both visits are seen; as it was unless T2 with
        another kind of sequence, or T1 before and after contrast agent, were taken at both visits.

    Raises
    ------
    InternalError
        MODEL_MISSING if the installation is incomplete.
    """
    views = [_view(pair, visit, stacks) for visit in (0, 1)]
    if not tells(views[0].present):
        return pair
    slices = np.flatnonzero(pair.canal.any((1, 2)))
    height, width = pair.canal.shape[1:]
    more = [(0, 0), (0, -height % _STRIDE), (0, -width % _STRIDE)]

    def look(index: int) -> FloatArray:
        """Outline both visits in a slice, with either of them beside each."""
        beside = [(own, other) for other in (0, 1) for own in (0, 1)]
        shown = np.stack([pair_input(views[own], views[other], index, NEIGHBOUR) for own, other in beside])
        (mass,) = session(MODEL_NAME).run(None, {"pair": np.pad(shown, [(0, 0), *more], mode="edge")})
        out: FloatArray = mass[:, 0, :height, :width].reshape(2, 2, height, width).mean(0)
        return out

    with ThreadPoolExecutor(min(_MAXIMUM_THREADS, os.cpu_count() or 1)) as workers:
        found = list(workers.map(look, slices.tolist()))
    mass = (pair.coverage[:, MASS] + pair.outside).astype(np.float32)
    for index, both in zip(slices, found, strict=True):
        mass[:, index] = np.where(pair.seen[index], both, mass[:, index])
    return _outlined(pair, views, mass)


def pair_input(own: CanalView, other: CanalView, index: int, offset: int) -> FloatArray:
    """Return the channels of one slice of one visit, (PAIR_CHANNELS, h, w): its own first, then the other's.

    Parameters
    ----------
    own, other : CanalView
        On one grid.
    index, offset : int
        See `spinemri.mass.canal_input.network_input`.
    """
    return np.concatenate([network_input(view, index, offset) for view in (own, other)])


def visit_tissues(pair: SampledPair, visit: int) -> FloatArray:
    """Gather the coverages of one visit by all tissues, (tissues, i, j, k)."""
    out = np.zeros((len(Tissue), *pair.canal.shape), dtype=np.float32)
    out[[int(tissue) for tissue in CLASSES]] = pair.coverage[visit]
    out[[int(tissue) for tissue in AROUND]] = pair.around[visit]
    out[int(Tissue.MASS_OUTSIDE)] = pair.outside[visit]
    return out


def _view(pair: SampledPair, visit: int, stacks: Mapping[Role, Stack]) -> CanalView:
    """Gather what the network is shown of one visit; of two sequences of a kind the first."""
    images = np.zeros((len(SLOTS), *pair.canal.shape), dtype=np.float32)
    present = np.zeros(len(SLOTS), dtype=np.float32)
    post_fat_suppressed = False
    for role, signal in zip(pair.roles, pair.signal[visit], strict=True):
        stack = stacks[role]
        slot = slot_of(
            stack.weighting.value,
            fat_suppressed=stack.fat_suppressed,
            contrast_enhanced=stack.contrast_enhanced,
        )
        if slot is None or present[slot]:
            continue
        images[slot], present[slot] = signal, 1.0
        if slot == len(SLOTS) - 1:
            post_fat_suppressed = bool(stack.fat_suppressed)
    return CanalView(images, present, post_fat_suppressed, visit_tissues(pair, visit))


def _outlined(pair: SampledPair, views: list[CanalView], mass: FloatArray) -> SampledPair:
    coverage, outside = np.empty_like(pair.coverage), np.empty_like(pair.outside)
    for visit, view in enumerate(views):
        tissues = with_mass(view.coverage, mass[visit])
        coverage[visit] = tissues[[int(tissue) for tissue in CLASSES]]
        outside[visit] = tissues[int(Tissue.MASS_OUTSIDE)]
    return replace(pair, coverage=coverage, outside=outside, jointly=True)
