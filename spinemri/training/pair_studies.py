"""Studies for the third network: two visits of one patient, measured as in a run, with the truth beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemri.followup.joint_look import visit_tissues
from spinemri.followup.meeting import meet
from spinemri.followup.sampled_pair import sample_pair, volumes_on_grid
from spinemri.intake.model import Study
from spinemri.mass.canal_input import slot_of
from spinemri.nomenclature import Tissue
from spinemri.pipeline import Options, Recorder
from spinemri.pipeline.compare import measure_visits
from spinemri.volume import Volume

__all__ = ["CANAL", "PairStudy", "load_pair", "pair_weights", "read_pair", "save_pair"]

CANAL = [int(t) for t in (Tissue.CORD, Tissue.DURAL_SAC, Tissue.EPIDURAL, Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)]
"""What lies in the canal or grows out of it."""

_GENERATED_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class PairStudy:
    """Two visits on their common grid.

    Attributes
    ----------
    coverage : (2, tissues, i, j, k) ndarray of uint8
        What the networks and the mixture of signals said at either visit, in units of 1/255.
    signal : (2, sequences, i, j, k) ndarray of float16
        Flattened images; 0 where not seen.
    mass : (2, i, j, k) ndarray of uint8
        True coverage in units of 1/255.
    seen : (i, j, k) ndarray of bool
        In all fields of view.
    slots : (sequences,) ndarray of int
        Places in `spinemri.mass.canal_input.SLOTS`.
    fat_suppressed : (sequences,) ndarray of bool
    """

    coverage: NDArray[np.uint8]
    signal: NDArray[np.float16]
    mass: NDArray[np.uint8]
    seen: NDArray[np.bool_]
    slots: NDArray[np.int64]
    fat_suppressed: NDArray[np.bool_]

    @cached_property
    def canal(self) -> NDArray[np.float32]:
        """Coverage by the canal and what grows out of it at the first visit, (i, j, k), 0..255."""
        return np.asarray(self.coverage[0][CANAL].sum(0, dtype=np.float32))

    @cached_property
    def sizes(self) -> NDArray[np.float64]:
        """Sum of `canal` over each slice, (i,)."""
        return self.canal.sum((1, 2), dtype=np.float64)


def read_pair(studies: Sequence[Study], masses: Sequence[Volume]) -> PairStudy | None:
    """Measure two visits and bring them together.

    Parameters
    ----------
    studies : sequence of Study
        Two.
    masses : sequence of Volume
        True coverage by mass at either visit.

    Returns
    -------
    PairStudy or None
        None where the visits cannot be compared.
    """
    results, _ = measure_visits(studies, Options(), Recorder())
    if len(results) < 2 or any(result.mass.status != "measured" for result in results):
        return None
    meeting = meet(results[0], results[1])
    if isinstance(meeting, str):
        return None
    pair = sample_pair(meeting, results[0], results[1])
    stacks = [next(stack for stack in studies[0].stacks if stack.role is role) for role in pair.roles]
    slots = [
        slot_of(s.weighting.value, fat_suppressed=s.fat_suppressed, contrast_enhanced=s.contrast_enhanced)
        for s in stacks
    ]
    return PairStudy(
        coverage=_bytes(np.stack([visit_tissues(pair, visit) for visit in (0, 1)])),
        signal=pair.signal.astype(np.float16),
        mass=_bytes(volumes_on_grid(meeting, masses)),
        seen=pair.seen,
        slots=np.array(slots),
        fat_suppressed=np.array([bool(stack.fat_suppressed) for stack in stacks]),
    )


def _bytes(coverage: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(255 * coverage.clip(0, 1)).astype(np.uint8)


def pair_weights(names: Sequence[str]) -> list[float]:
    """Give generated pairs and those of real scans each a share of the draws, whatever the number of files."""
    generated = [name.startswith("phantom") for name in names]
    shares = {True: _GENERATED_SHARE, False: 1 - _GENERATED_SHARE}
    return [shares[kind] / generated.count(kind) for kind in generated]


def save_pair(study: PairStudy, path: Path) -> None:
    """Write a pair; the file appears whole or not at all."""
    partial = path.with_suffix(".part.npz")
    np.savez(partial, **asdict(study))
    partial.replace(path)


def load_pair(path: Path) -> PairStudy:
    """Read a pair written by `save_pair`."""
    with np.load(path) as data:
        return PairStudy(**{field.name: data[field.name] for field in fields(PairStudy)})
