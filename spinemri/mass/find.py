"""The epidural mass from the tissue map: which parts are real, where they lie, how much they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.model import Centreline, TissueMap
from spinemri.errors import Flag, Severity
from spinemri.mass.existence import SMALLEST_CANDIDATE_ML, existence_probability
from spinemri.mass.model import Compartment, Mass, MassComponent
from spinemri.mass.uncertainty import volume_log_sd
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume, box_around

__all__ = ["Candidate", "MassThresholds", "around_mass", "candidates", "find_mass", "shown_mass"]

_CORE = 0.5
_REACH = 0.3
_MARGIN_MM = 3.0
_MARGIN_SLICES = 1.5
_MAXIMUM_DISTANCE_MM = 20.0
_FORAMEN_MM = 25.0
_MASS = (Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)


class MassThresholds(Protocol):
    """When a mass is reported; `spinemri.config.MassSettings` is one."""

    @property
    def existence_threshold(self) -> float:
        """Probability above which a mass is said to exist."""
        ...

    @property
    def minimum_volume_ml(self) -> float:
        """Smallest volume that is reported, in ml."""
        ...


def find_mass(tissues: TissueMap, centreline: Centreline | None, settings: MassThresholds) -> Mass:
    """Decide whether there is a mass, and describe it.

    Parts are connected regions where mass takes three tenths of the voxels or more. A part counts if it holds the
    minimum volume and has a core, voxels that mass fills by half or more, if the probability that it exists reaches the
    threshold, and if it comes within 20 mm of the canal's centre. Each keeps the coverage within 3 mm or one and a half
    slices of it, so that partial volume at its border counts towards the volume, in the neighbouring slices too.

    Parameters
    ----------
    tissues : TissueMap
    centreline : Centreline or None
        Without one, nothing can be said of a mass.
    settings : MassThresholds

    Returns
    -------
    Mass
    """
    if centreline is None:
        return _without_canal(tissues)
    coverage = tissues.fraction(*_MASS)
    found = list(candidates(coverage, centreline))
    # A speck too small to be reported still speaks of a mass: without specks fewer are told from healthy canals.
    best = max((candidate.existence for candidate in found), default=0.0)
    large = [part for part in found if part.core_ml > 0.0 and part.volume_ml >= settings.minimum_volume_ml]
    kept = [part for part in large if part.existence >= settings.existence_threshold]
    return _describe(tissues, coverage, kept, centreline, best)


def shown_mass(tissues: TissueMap, centreline: Centreline | None, mask: NDArray[np.bool_]) -> Mass:
    """Describe the mass that a mask shows: a person drew or gave it, or a run has found it before.

    Whoever made the mask has decided that it is a mass. A part counts if the mask shows any of its core, however small
    it is and however far from the canal.

    Parameters
    ----------
    tissues : TissueMap
    centreline : Centreline or None
        Without one, nothing can be said of a mass.
    mask : (ni, nj, nk) ndarray of bool
        Where mass is shown, on the grid of `tissues`.

    Returns
    -------
    Mass
    """
    if centreline is None:
        return _without_canal(tissues)
    coverage = tissues.fraction(*_MASS)
    core = mask & (coverage.array >= _CORE)
    kept = [candidate for candidate in _parts(coverage) if core[candidate.box][candidate.part].any()]
    best = max((candidate.existence for candidate in kept), default=0.0)
    return _describe(tissues, coverage, kept, centreline, best)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A connected part of what the network took for mass.

    Attributes
    ----------
    box : tuple of slice
        Where it lies.
    part : ndarray of bool
        Its voxels within the box.
    volume_ml, core_ml : float
        Sum of the coverage, over all of it and where that is a half or more.
    coverage : float
        Mean.
    existence : float
        Probability that it is a mass.
    """

    box: tuple[slice, slice, slice]
    part: NDArray[np.bool_]
    volume_ml: float
    core_ml: float
    coverage: float
    existence: float


def candidates(coverage: Volume, centreline: Centreline) -> Iterator[Candidate]:
    """Yield every connected part that may be a mass.

    Parameters
    ----------
    coverage : Volume
        By mass.
    centreline : Centreline

    Yields
    ------
    Candidate
        Parts within reach of the canal, specks left out.
    """
    for candidate in _parts(coverage):
        large = candidate.volume_ml >= SMALLEST_CANDIDATE_ML
        if large and _near_canal(candidate.part, candidate.box, coverage, centreline):
            yield candidate


def _parts(coverage: Volume) -> Iterator[Candidate]:
    """Yield every connected part, wherever it lies and however small."""
    parts = cc3d.connected_components(np.asarray(coverage.array >= _REACH), connectivity=18)
    voxel_ml = coverage.grid.voxel_volume_mm3 / 1000
    for label, box in enumerate(ndimage.find_objects(parts), start=1):
        part = parts[box] == label
        values = coverage.array[box][part]
        volume_ml = float(values.sum()) * voxel_ml
        core_ml = float(values[values >= _CORE].sum()) * voxel_ml
        mean = float(values.mean())
        yield Candidate(box, part, volume_ml, core_ml, mean, existence_probability(mean))


def _near_canal(inside: NDArray[np.bool_], box: tuple[slice, ...], coverage: Volume, centreline: Centreline) -> bool:
    """Tell whether any voxel of a part lies within reach of the canal's centre."""
    index = np.argwhere(inside)[:: max(1, int(inside.sum() // 500))] + [part.start for part in box]
    points = coverage.grid.to_lps(index.astype(float))
    centre = centreline.points_lps[centreline.nearest(points)]
    return bool(np.linalg.norm(points - centre, axis=-1).min() <= _MAXIMUM_DISTANCE_MM)


def _describe(
    tissues: TissueMap, coverage: Volume, parts: Sequence[Candidate], centreline: Centreline, existence: float
) -> Mass:
    if not parts:
        return _nothing(tissues, "not_found", existence, ())
    kept = np.zeros(coverage.shape, dtype=bool)
    for part in parts:
        kept[part.box] |= part.part
    reach = around_mass(kept, coverage.spacing)
    probability = coverage.with_array(np.where(reach, coverage.array, 0).astype(np.float32))
    outside = tissues.coverage[Tissue.MASS_OUTSIDE] > tissues.coverage[Tissue.MASS_CANAL]
    ids = np.where(outside, int(Tissue.MASS_OUTSIDE), int(Tissue.MASS_CANAL))
    mask = coverage.with_array(np.where(kept & (coverage.array >= _CORE), ids, 0).astype(np.uint8))
    truncated = _touches_edge(mask.array > 0)
    flags = (_edge_flag(),) if truncated else ()
    return Mass(
        status="measured",
        probability=probability,
        mask=mask,
        components=_components(tissues, reach, centreline),
        truncated=truncated,
        existence=existence,
        volume_log_sd=volume_log_sd(probability),
        flags=flags,
    )


def around_mass(kept: NDArray[np.bool_], spacing: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Return where the partial volume of a mass lies: within 3 mm or one and a half slices of it.

    Parameters
    ----------
    kept : (ni, nj, nk) ndarray of bool
        Not empty.
    spacing : (si, sj, sk)
        mm, slices first.

    Returns
    -------
    (ni, nj, nk) ndarray of bool
        With the mass itself.
    """
    margin_mm = max(_MARGIN_MM, _MARGIN_SLICES * spacing[0])
    reach, box = np.zeros_like(kept), box_around(kept, spacing, margin_mm)
    reach[box] = ndimage.distance_transform_edt(~kept[box], sampling=spacing) <= margin_mm
    return reach


def _components(tissues: TissueMap, reach: NDArray[np.bool_], centreline: Centreline) -> tuple[MassComponent, ...]:
    """Volumes in the canal, in the foramina (within 25 mm of the canal's centre) and beyond."""
    voxel_ml = tissues.grid.voxel_volume_mm3 / 1000
    canal = float(tissues.coverage[Tissue.MASS_CANAL][reach].sum()) * voxel_ml
    index = np.argwhere(reach & (tissues.coverage[Tissue.MASS_OUTSIDE] > 0.01))
    amounts: dict[Compartment, float] = {"epidural": canal, "foraminal": 0.0, "paravertebral": 0.0}
    if len(index):
        points = tissues.grid.to_lps(index.astype(float))
        near = np.linalg.norm(points - centreline.points_lps[centreline.nearest(points)], axis=-1) <= _FORAMEN_MM
        share = tissues.coverage[Tissue.MASS_OUTSIDE][tuple(index.T)]
        amounts["foraminal"] = float(share[near].sum()) * voxel_ml
        amounts["paravertebral"] = float(share[~near].sum()) * voxel_ml
    found = [MassComponent(name, volume) for name, volume in amounts.items() if volume > 0.01]
    return tuple(sorted(found, key=lambda part: -part.volume_ml))


def _touches_edge(kept: NDArray[np.bool_]) -> bool:
    faces = [kept.take(side, axis) for axis in range(3) for side in (0, -1)]
    return any(bool(face.any()) for face in faces)


def _without_canal(tissues: TissueMap) -> Mass:
    flag = Flag("NO_CANAL", "No spinal canal was found, so no mass can be looked for.", Severity.ERROR)
    return _nothing(tissues, "not_assessable", 0.0, (flag,))


def _edge_flag() -> Flag:
    return Flag(
        "MASS_TOUCHES_EDGE",
        "The mass reaches the edge of the field of view: its volume and extent are lower bounds. "
        "Measure a stack that covers the whole mass.",
    )


def _nothing(tissues: TissueMap, status: str, existence: float, flags: tuple[Flag, ...]) -> Mass:
    empty = np.zeros(tissues.grid.shape, dtype=np.float32)
    volume = Volume(empty, tissues.affine, tissues.frame_of_reference_uid)
    return Mass(
        status="not_found" if status == "not_found" else "not_assessable",
        probability=volume,
        mask=volume.with_array(empty.astype(np.uint8)),
        components=(),
        truncated=False,
        existence=existence,
        volume_log_sd=0.0,
        flags=flags,
    )
