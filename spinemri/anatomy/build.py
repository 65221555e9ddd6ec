"""From tissues to the anatomy of a study; poor anatomy gives flags, never an exception."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from spinemri.anatomy.centreline import MIN_LENGTH_MM, find_centreline
from spinemri.anatomy.levels import LevelHints, name_levels
from spinemri.anatomy.model import Anatomy, Levels, TissueMap
from spinemri.anatomy.plausibility import COLUMN, spine_doubt, upside_down_doubt
from spinemri.errors import Flag, Severity
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume

__all__ = ["build_anatomy"]


def build_anatomy(
    tissues: TissueMap,
    *,
    hints: LevelHints,
    model_sha256: str = "",
    column: Collection[Tissue] = COLUMN,
    all_along: bool = True,
) -> Anatomy:
    """Find the canal's centreline and name the levels, if what was segmented can be a spine.

    Parameters
    ----------
    tissues : TissueMap
        On the primary sagittal stack's canonical grid.
    hints : LevelHints
    model_sha256 : str
        Of the network that made the tissues; empty for masks from elsewhere.
    column : collection of Tissue
        What is expected in front of the canal; none for masks that do not outline it.
    all_along : bool
        See `spine_doubt`.

    Returns
    -------
    Anatomy
        Without a centreline and with ``numbering="unknown"`` where less than 30 mm of canal is visible, or where
        tissues lie in an order that no spine has; a flag of severity ``error`` says which.

    Raises
    ------
    UsageError
        LEVEL_UNKNOWN if the user named a level that does not exist.
    """
    centreline = find_centreline(tissues)
    if centreline is None:
        message = f"Less than {MIN_LENGTH_MM:.0f} mm of spinal canal was found; nothing along it can be measured."
        return _nothing(tissues, model_sha256, Flag("NO_CANAL", message, Severity.ERROR))
    doubt = spine_doubt(tissues, centreline, column, all_along=all_along)
    if doubt is not None:
        return _nothing(tissues, model_sha256, doubt)
    levels, level_map = name_levels(tissues, centreline, hints)
    doubt = upside_down_doubt(tissues, levels, level_map, centreline)
    if doubt is not None:
        return _nothing(tissues, model_sha256, doubt)
    return Anatomy(tissues, centreline, levels, level_map, model_sha256)


def _nothing(tissues: TissueMap, model_sha256: str, why: Flag) -> Anatomy:
    """Keep the tissues, for whoever looks at them, and nothing that rests on them."""
    empty = Volume(np.zeros(tissues.grid.shape, np.uint8), tissues.affine, tissues.frame_of_reference_uid)
    return Anatomy(tissues, None, Levels((), (), "unknown", "none", 0.0), empty, model_sha256, (why,))
