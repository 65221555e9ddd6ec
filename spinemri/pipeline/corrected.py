"""Masks that a person may have corrected, turned back into what the measurement takes."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.model import Disc, Levels, TissueMap, Vertebra
from spinemri.errors import InputError
from spinemri.export.reading import Masks
from spinemri.followup.radiotherapy import column_with
from spinemri.measure.record import LevelsRecord
from spinemri.nomenclature import Tissue, disc_name, vertebra_name
from spinemri.volume import Volume

__all__ = ["corrected_levels", "corrected_tissues", "recorded_levels"]

_HALF = 0.5


def corrected_tissues(masks: Masks, edited: Collection[str]) -> TissueMap:
    """Put tissue labels and the fraction of the mass together again.

    Parameters
    ----------
    masks : Masks
        As read from a run's folder.
    edited : collection of str
        Names of the masks that were changed; an untouched mass keeps its fractions everywhere.

    Returns
    -------
    TissueMap
        Mass by its fractions, all other tissues by their labels.
    """
    fraction = masks.mass_probability.array.astype(np.float32)
    if "mass" in edited:
        fraction = _follow_mask(fraction, masks.mass.array > 0)
    outside = _nearest_compartment(masks.mass.array) == Tissue.MASS_OUTSIDE
    labels = masks.anatomy.array
    coverage = np.zeros((len(Tissue), *labels.shape), dtype=np.float32)
    for tissue in Tissue:
        coverage[tissue] = (labels == tissue) * (1.0 - fraction)
    for mass, heir in ((Tissue.MASS_CANAL, Tissue.EPIDURAL), (Tissue.MASS_OUTSIDE, Tissue.BACKGROUND)):
        coverage[heir] += coverage[mass]
    coverage[Tissue.MASS_CANAL] = np.where(outside, 0.0, fraction)
    coverage[Tissue.MASS_OUTSIDE] = np.where(outside, fraction, 0.0)
    return TissueMap(coverage, masks.anatomy.affine, masks.anatomy.frame_of_reference_uid)


def _follow_mask(fraction: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Change fractions only where they contradict the mask; partial volume along its border stays."""
    inside = np.where(mask & (fraction < _HALF), 1.0, fraction)
    border = ndimage.binary_dilation(mask, np.ones((3, 3, 3), dtype=bool))
    contradicted = ~mask & ((fraction >= _HALF) | ~border)
    return np.where(contradicted, 0.0, inside).astype(np.float32)


def _nearest_compartment(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Carry the compartment of the nearest mass voxel to the partial volume around the mask."""
    if not mask.any():
        return mask
    nearest = ndimage.distance_transform_edt(mask == 0, return_distances=False, return_indices=True)
    compartment: NDArray[np.uint8] = mask[tuple(nearest)]
    return compartment


def recorded_levels(record: LevelsRecord) -> Levels:
    """Return the levels of ``measurements.json`` as they were."""
    return Levels(
        vertebrae=tuple(Vertebra(v.name, v.centre_lps_mm, v.complete, v.confidence) for v in record.vertebrae),
        discs=tuple(Disc(d.name, d.centre_lps_mm) for d in record.discs),
        numbering=record.numbering,
        anchor=record.anchor,
        confidence=record.confidence,
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
