"""From tissues to the anatomy of a study; poor anatomy gives flags, never an exception."""

from __future__ import annotations

import numpy as np

from spinemri.anatomy.centreline import MIN_LENGTH_MM, find_centreline
from spinemri.anatomy.levels import LevelHints, name_levels
from spinemri.anatomy.model import Anatomy, Levels, TissueMap
from spinemri.errors import Flag, Severity
from spinemri.volume import Volume

__all__ = ["build_anatomy"]


def build_anatomy(tissues: TissueMap, *, hints: LevelHints, model_sha256: str = "") -> Anatomy:
    """Find the canal's centreline and name the levels.

    Parameters
    ----------
    tissues : TissueMap
        On the primary sagittal stack's canonical grid.
    hints : LevelHints
    model_sha256 : str
        Of the network that made the tissues; empty for masks from elsewhere.

    Returns
    -------
    Anatomy
        Without a centreline and with ``numbering="unknown"`` where less than 30 mm of canal is visible.

    Raises
    ------
    UsageError
        LEVEL_UNKNOWN if the user named a level that does not exist.
    """
    centreline = find_centreline(tissues)
    if centreline is None:
        message = f"Less than {MIN_LENGTH_MM:.0f} mm of spinal canal was found; nothing along it can be measured."
        flag = Flag("NO_CANAL", message, Severity.ERROR)
        nothing = Volume(np.zeros(tissues.grid.shape, np.uint8), tissues.affine, tissues.frame_of_reference_uid)
        return Anatomy(tissues, None, Levels((), (), "unknown", "none", 0.0), nothing, model_sha256, (flag,))
    levels, level_map = name_levels(tissues, centreline, hints)
    return Anatomy(tissues, centreline, levels, level_map, model_sha256)
