"""What keeps two visits together in the viewer: each canal laid along the baseline's by level names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemri.report.matching import Place, map_arcs
from spinemri.report.visit import Visit

__all__ = ["CommonLine", "common_line"]

_STEP_MM = 2.0


@dataclass(frozen=True, eq=False)
class CommonLine:
    """Points along a visit's canal with the baseline's distance that each corresponds to.

    Attributes
    ----------
    arc_mm : (n,) ndarray
        Increasing; distance along the baseline's canal from its cranial end.
    points_lps, left, posterior : (n, 3) ndarray
        Centre and axes of the section there.
    """

    arc_mm: NDArray[np.float64]
    points_lps: NDArray[np.float64]
    left: NDArray[np.float64]
    posterior: NDArray[np.float64]


def common_line(visit: Visit, baseline: Visit) -> CommonLine:
    """Return how places of a visit correspond to places of the baseline.

    Between levels of the same name the canal is stretched; without two shared names it is shifted so that the places
    shown in the pictures coincide. A visit without a canal has the one point of its pictures.

    Parameters
    ----------
    visit, baseline : Visit
        May be the same.

    Returns
    -------
    CommonLine
    """
    line, arc = visit.result.anatomy.centreline, _arc(baseline)
    if line is None or not len(line):
        return _single(visit.place, arc)
    mapped = map_arcs(visit.result, baseline.result)
    own = line.arc_length_mm
    arcs = mapped(own) if mapped else own - own[int(line.nearest(visit.place.point_lps))] + arc
    step = max(1, round(_STEP_MM / line.step_mm))
    keep = np.unique([*range(0, len(line), step), len(line) - 1])
    return CommonLine(arcs[keep], line.points_lps[keep], line.left[keep], line.posterior[keep])


def _arc(visit: Visit) -> float:
    """Return the distance of a visit's place along its canal."""
    line = visit.result.anatomy.centreline
    return 0.0 if line is None or not len(line) else float(line.arc_length_mm[int(line.nearest(visit.place.point_lps))])


def _single(place: Place, arc_mm: float) -> CommonLine:
    return CommonLine(np.array([arc_mm]), place.point_lps[None], place.left[None], place.posterior[None])
