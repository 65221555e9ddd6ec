"""Masks that a person may have corrected, turned back into what the measurement takes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.model import Alternative, Disc, Levels, TissueMap, Vertebra
from spinemri.errors import InputError
from spinemri.export.reading import Masks
from spinemri.followup.radiotherapy import column_with
from spinemri.mass.find import around_mass
from spinemri.measure.record import LevelsRecord
from spinemri.nomenclature import Tissue, disc_name, vertebra_name
from spinemri.volume import Volume

__all__ = ["corrected_levels", "corrected_tissues", "recorded_levels"]

_MASS = (Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)
_HALF = 0.5

_ROUNDING = 1e-3
"""Smaller differences of fractions, stored in 255ths, are rounding."""


def corrected_tissues(
    stored: TissueMap, masks: Masks, edited: Collection[str], *, mass_assessed: bool = True
) -> TissueMap:
    """Carry corrected masks over to the coverages that the run measured.

    Only what a mask contradicts changes, and the partial volume around mass that was erased or put on the other side of
    the canal's wall; elsewhere it stays. Where both masks were changed, that of the mass decides on mass.

    Parameters
    ----------
    stored : TissueMap
        Coverages as the run wrote them.
    masks : Masks
        As read from the run's folder.
    edited : collection of str
        Names of the masks that were changed.
    mass_assessed : bool
        The run could look for a mass; otherwise an empty mask of it says nothing.

    Returns
    -------
    TissueMap
    """
    coverage = stored.coverage.copy()
    before, mask = _mass_shown(stored, masks, edited, assessed=mass_assessed)
    decided = np.zeros(mask.shape, dtype=bool)
    if "anatomy" in edited:
        drawn = masks.anatomy.array
        changed = drawn != stored.labels.array
        coverage[:, changed] = np.arange(len(Tissue))[:, None] == drawn[changed]
        untouched = (mask > 0) == (before.array >= _HALF)
        decided = changed & untouched
        mask = np.where(decided, np.where(np.isin(drawn, _MASS), drawn, 0), mask)
    fraction = _follow_mask(before, mask > 0)
    fraction[decided] = (mask > 0)[decided]
    _set_mass(coverage, fraction, _nearest_compartment(mask, before.spacing), _relabelled(stored, mask))
    return replace(stored, coverage=coverage)


def _mass_shown(
    stored: TissueMap, masks: Masks, edited: Collection[str], *, assessed: bool
) -> tuple[Volume, NDArray[np.uint8]]:
    """Return the fractions of the mass before any correction, and the mask of the mass."""
    before = stored.fraction(*_MASS)
    if "mass" in edited:
        return before, masks.mass.array
    if assessed:
        # What the run turned down is no mass.
        before = before.with_array(masks.mass_probability.array.astype(np.float32))
    return before, np.where(before.array >= _HALF, _compartments(stored), 0).astype(np.uint8)


def _compartments(tissues: TissueMap) -> NDArray[np.uint8]:
    """Id of the kind of mass that there is more of."""
    outside = tissues.coverage[Tissue.MASS_OUTSIDE] > tissues.coverage[Tissue.MASS_CANAL]
    return np.where(outside, int(Tissue.MASS_OUTSIDE), int(Tissue.MASS_CANAL)).astype(np.uint8)


def _set_mass(
    coverage: NDArray[np.float32],
    fraction: NDArray[np.float32],
    compartment: NDArray[np.uint8],
    relabelled: NDArray[np.bool_],
) -> None:
    """Give the mass its fraction and side of the wall where they differ; the other tissues share the rest as before."""
    before = coverage[Tissue.MASS_CANAL] + coverage[Tissue.MASS_OUTSIDE]
    changed = (np.abs(fraction - before) > _ROUNDING) | relabelled
    in_canal = coverage[Tissue.MASS_CANAL] >= coverage[Tissue.MASS_OUTSIDE]
    for mass, heir, here in (
        (Tissue.MASS_CANAL, Tissue.EPIDURAL, changed & in_canal),
        (Tissue.MASS_OUTSIDE, Tissue.BACKGROUND, changed & ~in_canal),
    ):
        rest = 1.0 - before[here]
        scale = np.where(rest > _ROUNDING, (1.0 - fraction[here]) / np.maximum(rest, _ROUNDING), 0.0)
        coverage[:, here] *= scale.astype(np.float32)
        coverage[heir, here] += np.where(rest > _ROUNDING, 0.0, 1.0 - fraction[here])
        coverage[mass, here] = 0.0
    outside = compartment == Tissue.MASS_OUTSIDE
    coverage[Tissue.MASS_CANAL, changed] = np.where(outside, 0.0, fraction)[changed]
    coverage[Tissue.MASS_OUTSIDE, changed] = np.where(outside, fraction, 0.0)[changed]


def _follow_mask(before: Volume, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Change fractions only where they contradict the mask; partial volume stays around what is still there."""
    fraction, mass = before.array, before.array >= _HALF
    inside = np.where(mask & ~mass, 1.0, fraction)
    outside = ~mask & mass
    if outside.any():
        # The partial volume around what was erased goes with it.
        outside = ~mask & ~mask[_nearest(mass, before.spacing)]
    return np.where(outside, 0.0, inside).astype(np.float32)


def _nearest_compartment(mask: NDArray[np.uint8], spacing: tuple[float, float, float]) -> NDArray[np.uint8]:
    """Carry the compartment of the nearest mass voxel to the partial volume around the mask."""
    if not mask.any():
        return mask
    compartment: NDArray[np.uint8] = mask[_nearest(mask > 0, spacing)]
    return compartment


def _relabelled(stored: TissueMap, mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which mass was put on the other side of the canal's wall, with the partial volume around it."""
    fraction = stored.fraction(*_MASS)
    known = np.isin(mask, _MASS) & (fraction.array >= _HALF)
    moved: NDArray[np.bool_] = known & (mask != _compartments(stored))
    if not moved.any():
        return moved
    shell = around_mass(moved, fraction.spacing) & (mask == 0) & (fraction.array > 0)
    moved |= shell & moved[_nearest(mask > 0, fraction.spacing)]
    return moved


def _nearest(mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> tuple[NDArray[np.int32], ...]:
    """Index of the nearest voxel of a mask that is not empty, for every voxel."""
    index = ndimage.distance_transform_edt(~mask, sampling=spacing, return_distances=False, return_indices=True)
    return tuple(index)


def recorded_levels(record: LevelsRecord) -> Levels:
    """Return the levels of ``measurements.json`` as they were."""
    return Levels(
        vertebrae=tuple(Vertebra(v.name, v.centre_lps_mm, v.complete, v.confidence) for v in record.vertebrae),
        discs=tuple(Disc(d.name, d.centre_lps_mm) for d in record.discs),
        numbering=record.numbering,
        anchor=record.anchor,
        confidence=record.confidence,
        alternative=None if record.alternative is None else Alternative(**record.alternative.model_dump()),
    )


def corrected_levels(level_map: Volume) -> Levels:
    """Read the levels off a corrected ``levels_dseg``: the user vouches for the names.

    Parameters
    ----------
    level_map : Volume
        VerSe ids, discs 100 + the id of the vertebra above; canonical, LPS.

    Returns
    -------
    Levels
        From cranial to caudal, anchor ``"user"``.

    Raises
    ------
    InputError
        UNKNOWN_LEVEL if a value is no level's id.
    """
    ids = [int(value) for value in np.unique(level_map.array) if value]
    try:
        vertebrae = [_vertebra(level_map, number) for number in ids if number < 100]
        column = column_with([vertebra.name for vertebra in vertebrae if vertebra.name])
        discs = [_disc(level_map, number, column) for number in ids if number >= 100]
    except ValueError as error:
        raise InputError("UNKNOWN_LEVEL", f"levels_dseg: {error}.", "Use the ids of its sidecar.") from None
    vertebrae.sort(key=lambda vertebra: -vertebra.centre_lps_mm[2])
    discs.sort(key=lambda disc: -disc.centre_lps_mm[2])
    return Levels(tuple(vertebrae), tuple(discs), "absolute", "user", 1.0)


def _vertebra(level_map: Volume, number: int) -> Vertebra:
    """Describe one body; it is complete unless it touches the in-plane border of the image."""
    region = level_map.array == number
    ends = (region[:, 0], region[:, -1], region[:, :, 0], region[:, :, -1])
    complete = not any(bool(end.any()) for end in ends)
    return Vertebra(vertebra_name(number), _centre(level_map, region), complete, 1.0)


def _disc(level_map: Volume, number: int, column: tuple[str, ...]) -> Disc:
    above = vertebra_name(number - 100)
    index = column.index(above) + 1
    if index == len(column):
        raise ValueError(f"{number} is the id of a disc below {above}, where there is none")
    return Disc(disc_name(above, column[index]), _centre(level_map, level_map.array == number))


def _centre(level_map: Volume, region: NDArray[np.bool_]) -> tuple[float, float, float]:
    x, y, z = level_map.grid.to_lps(np.argwhere(region).mean(0))
    return float(x), float(y), float(z)
