"""The same place of the spine at two visits, by level names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.model import Centreline, Disc, Vertebra
from spinemri.measure.result import StudyResult

__all__ = ["Place", "level_arcs", "map_arcs", "matched_place", "worst_place"]


@dataclass(frozen=True, eq=False)
class Place:
    """Where pictures of a study are cut.

    Attributes
    ----------
    point_lps : (3,) ndarray
    left, posterior : (3,) ndarray
        Axes of the perpendicular section.
    """

    point_lps: NDArray[np.float64]
    left: NDArray[np.float64]
    posterior: NDArray[np.float64]


def _landmarks(result: StudyResult) -> dict[str, tuple[float, float, float]]:
    levels = result.anatomy.levels
    entries: tuple[Vertebra | Disc, ...] = (*levels.vertebrae, *levels.discs)
    return {entry.name: entry.centre_lps_mm for entry in entries if entry.name}


def level_arcs(result: StudyResult) -> dict[str, float]:
    """Return the distance along the canal, in mm, of every named vertebra and disc; empty without a centreline."""
    line, landmarks = result.anatomy.centreline, _landmarks(result)
    if line is None or not landmarks:
        return {}
    nearest = line.nearest(np.array(list(landmarks.values())))
    return {name: float(line.arc_length_mm[i]) for name, i in zip(landmarks, nearest, strict=True)}


def map_arcs(source: StudyResult, target: StudyResult) -> Callable[[NDArray[np.float64]], NDArray[np.float64]] | None:
    """Return the map from distances along one visit's canal to the other's.

    Between landmarks of the same name it is linear; beyond the last it keeps the offset. None where fewer than two
    names are shared.
    """
    one, two = level_arcs(source), level_arcs(target)
    pairs = sorted((one[name], two[name]) for name in one.keys() & two.keys())
    if len(pairs) < 2:
        return None
    x, y = np.array(pairs).T

    def mapped(arcs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map arc lengths; beyond the ends one to one."""
        beyond = arcs - np.clip(arcs, x[0], x[-1])
        result: NDArray[np.float64] = np.interp(arcs, x, y) + beyond
        return result

    return mapped


def _place_at(line: Centreline, index: int) -> Place:
    return Place(line.points_lps[index], line.left[index], line.posterior[index])


def _middle_of_image(result: StudyResult) -> Place:
    grid = result.primary_image.grid
    centre = grid.to_lps((np.array(grid.shape, dtype=float) - 1) / 2)
    return Place(centre, np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))


def worst_place(result: StudyResult) -> Place:
    """Return the worst section's place; without one the middle of the canal, without a canal that of the image."""
    line, worst = result.anatomy.centreline, result.measurements.compromise.worst_point_lps_mm
    if line is None or not len(line):
        return _middle_of_image(result)
    index = len(line) // 2 if worst is None else int(line.nearest(np.array(worst)))
    return _place_at(line, index)


def matched_place(baseline: StudyResult, followup: StudyResult) -> Place:
    """Return the place of a follow-up that matches the baseline's worst section by level names.

    Without shared names it is the follow-up's own worst place.
    """
    mapped = map_arcs(baseline, followup)
    one, two = baseline.anatomy.centreline, followup.anatomy.centreline
    if mapped is None or one is None or two is None:
        return worst_place(followup)
    arc = one.arc_length_mm[int(one.nearest(worst_place(baseline).point_lps))]
    index = int(np.clip(np.rint(mapped(np.array([arc]))[0] / two.step_mm), 0, len(two) - 1))
    return _place_at(two, index)
