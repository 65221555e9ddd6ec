"""Where the spinal cord ends, in levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.curve import Curve, SectionShape
from spinemri.anatomy.instances import Chain
from spinemri.anatomy.model import Centreline, TissueMap
from spinemri.nomenclature import Tissue
from spinemri.volume import sample_at

__all__ = ["CordEnd", "find_cord_end"]

_CORD_SECTION = SectionShape.box((-6.0, 6.0), (-6.0, 6.0), 2.0)
_MIN_CORD_MM2 = 16.0
_MAX_CORD_GAP_MM = 8
_MIN_CORD_MM = 40
_SEEN_BELOW_CORD_MM = 25


@dataclass(frozen=True)
class CordEnd:
    """How far down the cord is seen.

    Attributes
    ----------
    reaches : float or None
        The most caudal place with cord, in bodies of the chain (2.5: middle of the third); None without any cord.
    seen_below : bool
        The canal goes on below it: this is the conus, not the edge of the image.
    """

    reaches: float | None
    seen_below: bool = False


def find_cord_end(chain: Chain, centreline: Centreline, tissues: TissueMap) -> CordEnd:
    """Find the lower end of the cord among the levels.

    Parameters
    ----------
    chain : Chain
    centreline : Centreline
    tissues : TissueMap

    Returns
    -------
    CordEnd
    """
    curve = Curve(centreline.points_lps, centreline.tangent, centreline.posterior, centreline.left)
    fraction = sample_at(tissues.fraction(Tissue.CORD), _CORD_SECTION.points(curve))
    end = _end_of_longest_run(fraction.sum(1) * _CORD_SECTION.step_mm**2 > _MIN_CORD_MM2)
    if end is None:
        return CordEnd(None)
    along = float(chain.column.axis.coordinates(centreline.points_lps[end : end + 1])[0, 0])
    edges = [disc.position_mm for disc in chain.discs]
    pitch = chain.row.spacing_mm(along)
    level = float(np.interp(along, [edges[0] - pitch, *edges, edges[-1] + pitch], range(len(edges) + 2)))
    return CordEnd(level, end < len(centreline) - _SEEN_BELOW_CORD_MM)


def _end_of_longest_run(cord: NDArray[np.bool_]) -> int | None:
    """Caudal end of the longest stretch of cord; strands of the cauda equina taken for cord come in shorter ones."""
    present = np.flatnonzero(cord)
    if not len(present):
        return None
    runs = np.split(present, np.flatnonzero(np.diff(present) > _MAX_CORD_GAP_MM) + 1)
    longest = max(runs, key=len)
    return int(longest[-1]) if len(longest) >= _MIN_CORD_MM else None
