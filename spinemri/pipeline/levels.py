"""An anatomy under other level names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.model import Anatomy, Disc, Levels, Vertebra
from spinemri.nomenclature import disc_id, vertebra_id

__all__ = ["with_levels"]

_SAME_MM = 8.0
"""Two centres closer than this are those of one vertebra or disc: discs lie about 20 mm apart."""


def with_levels(anatomy: Anatomy, levels: Levels) -> Anatomy:
    """Give an anatomy other levels, and renumber its level map to match.

    A structure keeps its voxels; its id becomes that of the new level whose centre lies nearest, and 0 where there
    is none.

    Parameters
    ----------
    anatomy : Anatomy
    levels : Levels
        In the patient space of `anatomy`.

    Returns
    -------
    Anatomy
    """
    new_ids = np.zeros(256, dtype=np.uint8)
    old, new = anatomy.levels, levels
    for before, after in ((old.vertebrae, new.vertebrae), (old.discs, new.discs)):
        for level in before:
            if level.name is not None:
                new_ids[_id(level)] = _nearest_id(level, after)
    level_map = anatomy.level_map
    return replace(anatomy, levels=levels, level_map=level_map.with_array(new_ids[level_map.array]))


def _id(level: Vertebra | Disc) -> int:
    """Id of a named vertebra, or of the disc below the vertebra that its name starts with."""
    name = level.name or ""
    return disc_id(name.split("/")[0]) if isinstance(level, Disc) else vertebra_id(name)


def _nearest_id(level: Vertebra | Disc, candidates: Sequence[Vertebra | Disc]) -> int:
    named = [candidate for candidate in candidates if candidate.name is not None]
    if not named:
        return 0
    centres: NDArray[np.float64] = np.array([candidate.centre_lps_mm for candidate in named])
    distance = np.linalg.norm(centres - np.array(level.centre_lps_mm), axis=1)
    nearest = int(distance.argmin())
    return _id(named[nearest]) if distance[nearest] <= _SAME_MM else 0
