"""Which numbering the visible levels make likely by themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.curve import Curve, SectionShape
from spinemri.anatomy.instances import Chain
from spinemri.anatomy.model import Centreline, TissueMap
from spinemri.anatomy.norms import offset_probabilities
from spinemri.nomenclature import Tissue
from spinemri.volume import sample_at

__all__ = ["likely_offsets"]

_CORD_SECTION = SectionShape.box((-6.0, 6.0), (-6.0, 6.0), 2.0)
_MIN_CORD_MM2 = 16.0
_MAX_CORD_GAP_MM = 8
_MIN_CORD_MM = 40
_SEEN_BELOW_CORD_MM = 25


def likely_offsets(chain: Chain, centreline: Centreline, tissues: TissueMap) -> dict[int, float]:
    """Weigh every numbering by the sizes of the levels and the end of the cord.

    Parameters
    ----------
    chain : Chain
    centreline : Centreline
    tissues : TissueMap

    Returns
    -------
    dict of int to float
        Probability by the index in ``REGULAR_COLUMN`` of the chain's first body; empty where no numbering fits.
    """
    pitch = np.diff([disc.position_mm for disc in chain.discs])
    last = chain.bodies[-1]
    presacral = len(chain.bodies) - (last is None or last.sacral)
    conus, reaches = _cord_end(chain, centreline, tissues)
    return offset_probabilities(pitch, 1, presacral, conus, reaches)


def _cord_end(chain: Chain, centreline: Centreline, tissues: TissueMap) -> tuple[float | None, float | None]:
    """Where the cord ends, in bodies of the chain, and how far down it is seen; None for what is not seen."""
    curve = Curve(centreline.points_lps, centreline.tangent, centreline.posterior, centreline.left)
    fraction = sample_at(tissues.fraction(Tissue.CORD), _CORD_SECTION.points(curve))
    end = _end_of_longest_run(fraction.sum(1) * _CORD_SECTION.step_mm**2 > _MIN_CORD_MM2)
    if end is None:
        return None, None
    along = float(chain.column.axis.coordinates(centreline.points_lps[end : end + 1])[0, 0])
    edges = [disc.position_mm for disc in chain.discs]
    pitch = chain.row.spacing_mm(along)
    level = float(np.interp(along, [edges[0] - pitch, *edges, edges[-1] + pitch], range(len(edges) + 2)))
    seen_below = end < len(centreline) - _SEEN_BELOW_CORD_MM
    return (level if seen_below else None), level


def _end_of_longest_run(cord: NDArray[np.bool_]) -> int | None:
    """Caudal end of the longest stretch of cord; strands of the cauda equina taken for cord come in shorter ones."""
    present = np.flatnonzero(cord)
    if not len(present):
        return None
    runs = np.split(present, np.flatnonzero(np.diff(present) > _MAX_CORD_GAP_MM) + 1)
    longest = max(runs, key=len)
    return int(longest[-1]) if len(longest) >= _MIN_CORD_MM else None
