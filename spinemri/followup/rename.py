"""An anatomy under other level names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from spinemri.anatomy.model import Anatomy, Disc, Levels, Vertebra
from spinemri.nomenclature import Tissue, disc_id, vertebra_id

__all__ = ["rename_levels"]

_REACH_MM = {Tissue.BODY: 25.0, Tissue.DISC: 25.0}


def rename_levels(anatomy: Anatomy, levels: Levels) -> Anatomy:
    """Give an anatomy's vertebrae and discs new names, in the level map too.

    Voxels keep their vertebra or disc. One that had no name so far gets the body or disc voxels nearest to its
    centre.

    Parameters
    ----------
    anatomy : Anatomy
    levels : Levels
        The same vertebrae and discs in the same order, under new names.

    Returns
    -------
    Anatomy

    Raises
    ------
    ValueError
        If the numbers of vertebrae or of discs differ.
    """
    old = anatomy.levels
    before: tuple[Vertebra | Disc, ...] = (*old.vertebrae, *old.discs)
    after: tuple[Vertebra | Disc, ...] = (*levels.vertebrae, *levels.discs)
    if (len(old.vertebrae), len(old.discs)) != (len(levels.vertebrae), len(levels.discs)):
        raise ValueError(
            f"levels have {len(levels.vertebrae)} vertebrae and {len(levels.discs)} discs, "
            f"the anatomy {len(old.vertebrae)} and {len(old.discs)}"
        )
    table = np.zeros(256, np.uint8)
    for first, second in zip(before, after, strict=True):
        table[_id(first)] = _id(second)
    table[0] = 0
    ids = table[anatomy.level_map.array]
    for tissue, unnamed, named in (
        (Tissue.BODY, old.vertebrae, levels.vertebrae),
        (Tissue.DISC, old.discs, levels.discs),
    ):
        _fill(ids, anatomy, tissue, unnamed, named)
    return replace(anatomy, levels=levels, level_map=anatomy.level_map.with_array(ids))


def _id(level: Vertebra | Disc) -> int:
    """Return the id of a vertebra, or of a disc by the vertebra above it; 0 without a name."""
    if level.name is None:
        return 0
    return disc_id(level.name.split("/")[0]) if isinstance(level, Disc) else vertebra_id(level.name)


def _fill(
    ids: NDArray[np.uint8],
    anatomy: Anatomy,
    tissue: Tissue,
    before: Sequence[Vertebra | Disc],
    after: Sequence[Vertebra | Disc],
) -> None:
    """Give unclaimed voxels of a tissue to newly named levels."""
    if not any(_id(a) and not _id(b) for a, b in zip(after, before, strict=True)):
        return
    where = np.argwhere((anatomy.tissues.labels.array == tissue) & (ids == 0))
    if not len(where):
        return
    centres = np.array([level.centre_lps_mm for level in after])
    distance, nearest = cKDTree(centres).query(anatomy.level_map.grid.to_lps(where.astype(float)))
    new = np.array([0 if _id(b) else _id(a) for a, b in zip(after, before, strict=True)], np.uint8)[nearest]
    ids[tuple(where.T)] = np.where(distance <= _REACH_MM[tissue], new, 0)
