"""One tissue map from all sagittal stacks of a study, on the primary stack's grid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.alignment import Shift, estimate_shift, placed_tissues, structure_image
from spinemri.anatomy.model import TissueMap
from spinemri.anatomy.network import segment
from spinemri.intake.model import SAGITTAL_ROLES, Role, Stack
from spinemri.mass.find import MassThresholds
from spinemri.mass.refine import refine_where_found
from spinemri.mass.second_look import Point, SequenceImage, look_again
from spinemri.nomenclature import Tissue
from spinemri.volume import Grid, Volume, resample

__all__ = ["FusedStudy", "fuse", "mean_of_readings", "outline_mass", "roles_in_frame", "segment_study"]

_MASS = [Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE]
_OTHERS = [tissue for tissue in Tissue if tissue not in _MASS]
_LEAST = 1e-12
_CORRELATION = 0.1
"""Of the errors of two sequences, so that three count as two and a half; compared on grown and generated masses."""


@dataclass(frozen=True, eq=False)
class FusedStudy:
    """What all sagittal series of a study say together.

    Attributes
    ----------
    tissues : TissueMap
        On the primary grid.
    shifts : mapping of Role to (3,) ndarray
        LPS mm by which every other series had to be moved onto the primary, as the patient had moved between them;
        zeros where it had not.
    """

    tissues: TissueMap
    shifts: Mapping[Role, Shift]


def segment_study(
    images: Mapping[Role, tuple[Volume, Stack]], primary: Role, weights: Mapping[Role, float]
) -> FusedStudy:
    """Segment every sagittal stack that shares the primary's frame of reference, bring them together, and fuse.

    Each stack is segmented in its own native space and moved to where it shows what the primary shows; then its
    coverages are resampled to the primary grid and fused.

    Parameters
    ----------
    images : mapping of Role to (Volume, Stack)
        Canonical images with what is known of their contrast.
    primary : Role
        The stack whose grid the result lies on.
    weights : mapping of Role to float
        Relative weight of each role; one of 0 is brought together with the others, but has no say. The primary counts
        as 1 if it has no weight.

    Returns
    -------
    FusedStudy
    """
    shifts: dict[Role, Shift] = {}
    return FusedStudy(fuse(_readings(images, primary, weights, shifts)), shifts)


def _readings(
    images: Mapping[Role, tuple[Volume, Stack]], primary: Role, weights: Mapping[Role, float], shifts: dict[Role, Shift]
) -> Iterator[tuple[TissueMap, float]]:
    """Read one series after the other, the primary first; shifts are noted down. No map waits for the next one."""
    reading = _read(*images[primary])
    target = structure_image(reading)
    yield reading, weights.get(primary, 1.0) or 1.0
    for role in roles_in_frame({role: volume for role, (volume, _) in images.items()}, primary)[1:]:
        del reading
        reading = _read(*images[role])
        shifts[role] = estimate_shift(target, structure_image(reading))
        if weights.get(role, 0.0) > 0.0:
            yield placed_tissues(reading, shifts[role]), weights[role]


def outline_mass(
    tissues: TissueMap, images: Sequence[SequenceImage], settings: MassThresholds, click_lps_mm: Point | None = None
) -> TissueMap:
    """Decide how much of the canal is mass from all sequences together: by the second network, then by their signals.

    The network knows what masses look like; the signals of one examination are alike wherever one tissue is, and put
    the border to a fraction of a voxel. Alone either one is worse (`docs/results.md`).

    Parameters
    ----------
    tissues : TissueMap
        From `segment_study`.
    images : sequence of SequenceImage
        What they were read from, the primary first.
    settings : MassThresholds
        When a mass counts.
    click_lps_mm : (x, y, z), optional
        A point in the mass, LPS mm.

    Returns
    -------
    TissueMap
    """
    looked = look_again(tissues, images, click_lps_mm)
    return refine_where_found(looked, [one.image for one in images], settings, click_lps_mm)


def _read(volume: Volume, stack: Stack) -> TissueMap:
    return segment(
        volume,
        stack.weighting.value,
        fat_suppressed=stack.fat_suppressed,
        contrast_enhanced=stack.contrast_enhanced,
    )


def roles_in_frame(images: Mapping[Role, Volume], primary: Role) -> tuple[Role, ...]:
    """Return the sagittal series in the primary's frame of reference, the primary first.

    Parameters
    ----------
    images : mapping of Role to Volume
    primary : Role

    Returns
    -------
    tuple of Role
    """
    frame = images[primary].frame_of_reference_uid
    others = [
        role
        for role in SAGITTAL_ROLES
        if role is not primary and role in images and frame and images[role].frame_of_reference_uid == frame
    ]
    return (primary, *others)


def fuse(maps: Iterable[tuple[TissueMap, float]]) -> TissueMap:
    """Average tissue maps on the grid of the first one, and let several of them be surer of the mass than one.

    An average of readings that err independently hesitates more than it should, though each is calibrated (Ranjan and
    Gneiting 2010): faint mass remained in healthy canals, and masses came out too small, because what is faint does not
    count. To tell the mass from the rest, the average coverages are therefore raised to the number of independent
    readings that the maps amount to, and normalised: of n maps whose errors correlate with r, n / (1 + (n - 1) r);
    unequal weights count as fewer maps (Kish 1965). The other tissues share what is left as in the average: it would
    widen what is as thin as a cord that is pressed flat. One map stays as it is.

    Where a map has no data it has no say; the weights of the others count there alone.

    Parameters
    ----------
    maps : iterable of (TissueMap, float)
        In one frame of reference, each with its weight; the first defines the grid. They are taken one by one, so that
        a generator keeps no more than one of them in memory.

    Returns
    -------
    TissueMap
    """
    others = iter(maps)
    first, weight = next(others)
    second = next(others, None)
    if second is None:
        return first
    grid, frame = first.grid, first.frame_of_reference_uid
    mean = _Mean(grid)
    mean.add(first, weight)
    mean.add(*second)
    del first, second  # A map is large: none may wait while the next is made.
    for other, share in others:
        mean.add(other, share)
        del other
    return TissueMap(mean.coverage(), grid.affine, frame)


def mean_of_readings(maps: Sequence[NDArray[np.float32]], weights: Sequence[float]) -> NDArray[np.float32]:
    """Fuse coverages that lie on one grid, as `fuse` does.

    Parameters
    ----------
    maps : sequence of (tissues, ...) ndarray of float32
        At least one.
    weights : sequence of float
        One per map.

    Returns
    -------
    (tissues, ...) ndarray of float32
    """
    if len(maps) == 1:
        return maps[0]
    weighted = [coverage * np.float32(weight) for coverage, weight in zip(maps, weights, strict=True)]
    present = np.stack([coverage.sum(0) for coverage in weighted])
    return _sharpened(np.sum(weighted, axis=0), present.sum(0), (present**2).sum(0))


class _Mean:
    """Weighted sums over maps, voxel by voxel; where there is no map all coverages are zero."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._sums = np.zeros((len(Tissue), *grid.shape), dtype=np.float32)
        self._weights, self._squares = (np.zeros(grid.shape, dtype=np.float32) for _ in range(2))

    def add(self, tissues: TissueMap, weight: float) -> None:
        """Add a map; what lies outside it sums to less than one, and that deficit is missing weight."""
        present = np.zeros(self._grid.shape, dtype=np.float32)
        for tissue in Tissue:
            moved = _on_grid(tissues, tissue, self._grid) * np.float32(weight)
            self._sums[tissue] += moved
            present += moved
        self._weights += present
        self._squares += present**2

    def coverage(self) -> NDArray[np.float32]:
        """Coverage by tissue; the sums are used up."""
        return _sharpened(self._sums, self._weights, self._squares)


def _sharpened(
    sums: NDArray[np.float32], weights: NDArray[np.float32], squares: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Coverage from weighted sums; `sums` are used up."""
    weights, out = np.maximum(weights, _LEAST), sums
    out /= weights
    before = out[_MASS].sum(0)
    maps = weights**2 / np.maximum(squares, _LEAST)
    independent = maps / (1 + (maps - 1) * np.float32(_CORRELATION))
    mass = before**independent
    after = mass / np.maximum(mass + sum(out[tissue] ** independent for tissue in _OTHERS), _LEAST)
    out[_MASS] *= after / np.maximum(before, _LEAST)
    out[_OTHERS] *= (1 - after) / np.maximum(1 - before, _LEAST)
    return out


def _on_grid(tissues: TissueMap, tissue: Tissue, grid: Grid) -> NDArray[np.float32]:
    if tissues.grid.same_as(grid):
        return np.asarray(tissues.coverage[tissue])
    return resample(tissues.fraction(tissue), grid).array
