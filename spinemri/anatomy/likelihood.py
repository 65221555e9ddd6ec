"""Which numbering the visible levels make likely by themselves."""

from __future__ import annotations

import numpy as np

from spinemri.anatomy.curve import Curve, SectionShape
from spinemri.anatomy.instances import Chain
from spinemri.anatomy.model import Centreline, TissueMap
from spinemri.anatomy.norms import offset_probabilities
from spinemri.nomenclature import Tissue
from spinemri.volume import sample_at

__all__ = ["likely_offsets"]

_CORD_SECTION = SectionShape.box((-6.0, 6.0), (-6.0, 6.0), 2.0)
_MIN_CORD_MM2 = 10.0
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
    cord = np.flatnonzero(fraction.sum(1) * _CORD_SECTION.step_mm**2 > _MIN_CORD_MM2)
    if len(cord) < _MIN_CORD_MM:
        return None, None
    end = int(cord[-1])
    along = float(chain.column.axis.coordinates(centreline.points_lps[end : end + 1])[0, 0])
    edges = [disc.position_mm for disc in chain.discs]
    pitch = chain.row.spacing_mm(along)
    level = float(np.interp(along, [edges[0] - pitch, *edges, edges[-1] + pitch], range(len(edges) + 2)))
    seen_below = end < len(centreline) - _SEEN_BELOW_CORD_MM
    return (level if seen_below else None), level
