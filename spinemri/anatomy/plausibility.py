"""Whether what was segmented can be a spine at all, and stands the right way up.

A network finds tissues in anything. What it draws into a head, a bottle or a spine that lies the wrong way in the
patient gives itself away by the order of the parts: bodies and discs lie in front of the canal, the arches behind it,
the sacrum at the bottom, and bodies grow from above downwards. A spine mirrored left to right looks like any other:
nothing here can tell.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.curve import Curve, SectionShape, inside
from spinemri.anatomy.model import Centreline, Levels, TissueMap
from spinemri.errors import Flag, Severity
from spinemri.nomenclature import Tissue, vertebra_id
from spinemri.volume import Volume, sample_at

__all__ = ["COLUMN", "REFUSALS", "growth_per_level", "spine_doubt", "upside_down_doubt"]

COLUMN = (Tissue.BODY, Tissue.DISC, Tissue.SACRUM)
"""What lies in front of the canal."""

REFUSALS = frozenset({"NO_SPINE_SEEN", "UPSIDE_DOWN"})
"""Codes of findings after which nothing is measured."""

_MIN_SHARE = 0.4
_FILLED = 0.5
_SAMPLES = 20_000
_MIN_VOLUME_MM3 = 1000.0

# Distances behind the centre of the canal in mm, negative in front.
_CANAL_MM = (-25.0, 25.0)
_COLUMN_MM = (-62.0, 0.0)
_ARCH_MM = (-15.0, 70.0)
_LATERAL_MM = 35.0
_BEYOND_MM = 20.0

_SECTION = SectionShape.box((-60.0, 0.0), (-8.0, 8.0), 4.0)
_MIN_COLUMN_MM = 8.0

_MIN_BODIES = 6
_SHRINKAGE = -0.02
_MIDPLANE_MM = 6.0
_WAIST_MM = 5.0
_SACRUM_SHARE = 0.15


def spine_doubt(
    tissues: TissueMap, centreline: Centreline, column: Collection[Tissue] = COLUMN, *, all_along: bool = True
) -> Flag | None:
    """Say why what was found along a canal is no spine.

    In a spine nearly all of each tissue lies where it belongs: the canal along one line, bodies and discs in front of
    it all the way, posterior elements beside and behind it. Less than 40 % of any of these is no spine: segmented scans
    of four regions and contrasts reached 86 % or more, a head 28 % at most.

    Parameters
    ----------
    tissues : TissueMap
    centreline : Centreline
    column : collection of Tissue
        What is expected in front of the canal; none for masks that do not outline it.
    all_along : bool
        It is expected in front of the whole canal; a person may have outlined a few levels only.

    Returns
    -------
    Flag or None
    """
    curve = Curve(centreline.points_lps, centreline.tangent, centreline.posterior, centreline.left)
    checks = [
        (_share_near(tissues.canal, curve, _CANAL_MM), "of the canal lies along one line"),
        (_share_near(tissues.fraction(Tissue.POSTERIOR_ELEMENTS), curve, _ARCH_MM), "of the arches lies behind it"),
    ]
    if column:
        bony = tissues.fraction(*column)
        checks.append((_share_near(bony, curve, _COLUMN_MM), "of bodies and discs lies in front of the canal"))
        if all_along:
            checks.append((_share_of_sections(bony, curve), "of the canal has bodies and discs in front of it"))
    failed = [f"{share:.0%} {what}" for share, what in checks if share is not None and share < _MIN_SHARE]
    return _refusal("; ".join(failed)) if failed else None


def _share_near(fraction: Volume, curve: Curve, back_mm: tuple[float, float]) -> float | None:
    """Part of a tissue's voxels whose distance behind the canal's centre lies in a range; None where there are few."""
    voxels = np.argwhere(fraction.array >= _FILLED)
    if len(voxels) * fraction.grid.voxel_volume_mm3 < _MIN_VOLUME_MM3:
        return None
    some = voxels[:: max(1, len(voxels) // _SAMPLES)]
    along, back, left = curve.coordinates(fraction.grid.to_lps(some.astype(float))).T
    beside = (np.abs(left) < _LATERAL_MM) & (along > -_BEYOND_MM) & (along < len(curve) + _BEYOND_MM)
    return float((beside & (back > back_mm[0]) & (back < back_mm[1])).mean())


def _share_of_sections(bony: Volume, curve: Curve) -> float:
    """Part of the canal's length in front of which 8 mm of column lie, seen over 16 mm of width."""
    places = _SECTION.points(curve)
    fraction = sample_at(bony, places) * inside(bony.grid, places)
    depth_mm = fraction.sum(1) * _SECTION.step_mm / len(np.unique(_SECTION.left))
    return float((depth_mm >= _MIN_COLUMN_MM).mean())


def _refusal(why: str) -> Flag:
    message = (
        f"What was found is no plausible spine ({why}): nothing is named or measured. Check that the series shows the "
        "spine and is not mirrored front to back."
    )
    return Flag("NO_SPINE_SEEN", message, Severity.ERROR)


def upside_down_doubt(tissues: TissueMap, levels: Levels, level_map: Volume, centreline: Centreline) -> Flag | None:
    """Say why a spine seems to stand on its head, where nothing anchors the count.

    Bodies grow in depth from C3 to L4, by 1 % a level in the lumbar and by 5 % in the thoracic spine (Panjabi et al.,
    Spine 1991;16:861-869, 1992;17:299-306); depth, unlike height, survives fractures. With six bodies, levels that
    vary by 5 % give the trend a standard error of 1.3 % a level: -2 % is rare in a spine that stands upright.

    Parameters
    ----------
    tissues : TissueMap
    levels : Levels
        Those with an absolute numbering are not doubted.
    level_map : Volume
    centreline : Centreline

    Returns
    -------
    Flag or None
    """
    if levels.numbering == "absolute":
        return None
    curve = Curve(centreline.points_lps, centreline.tangent, centreline.posterior, centreline.left)
    if _sacrum_on_top(tissues, curve):
        return _inverted("the sacrum lies above the bodies")
    trend = _depth_trend(levels, level_map, curve)
    if trend is not None and trend < _SHRINKAGE:
        return _inverted(f"bodies become {-trend:.1%} less deep with every level downwards")
    return None


def _sacrum_on_top(tissues: TissueMap, curve: Curve) -> bool:
    """Whether a sacrum of some size lies nearer to the upper end of the canal than nine tenths of the bodies."""
    labels = tissues.labels
    sacrum, bodies = (np.argwhere(labels.array == tissue) for tissue in (Tissue.SACRUM, Tissue.BODY))
    if len(sacrum) <= _SACRUM_SHARE * len(bodies) or not len(bodies):
        return False
    middle, highest = (
        np.percentile(curve.coordinates(labels.grid.to_lps(voxels.astype(float)))[:, 0], percentile)
        for voxels, percentile in ((sacrum, 50.0), (bodies, 10.0))
    )
    return bool(middle < highest)


def _depth_trend(levels: Levels, level_map: Volume, curve: Curve) -> float | None:
    """Growth of depth per level; None with too few whole bodies. The outermost may be something else."""
    names = [vertebra.name if vertebra.complete else None for vertebra in levels.vertebrae[1:-1]]
    depths = {number: _depth_mm(level_map, vertebra_id(name), curve) for number, name in enumerate(names) if name}
    known = {number: depth for number, depth in depths.items() if depth is not None}
    return growth_per_level(known) if len(known) >= _MIN_BODIES else None


def growth_per_level(sizes: Mapping[int, float]) -> float:
    """Relative growth of a size from level to level, whatever single levels do.

    The median of the slopes between all pairs of logarithms (Theil 1950; Sen, *J Am Stat Assoc* 1968;63:1379-1389).

    Parameters
    ----------
    sizes : mapping of int to float
        By level, counted downwards; two or more.

    Examples
    --------
    >>> round(growth_per_level({0: 20.0, 1: 21.0, 2: 30.0, 3: 23.15}), 3)
    0.049
    """
    logs = sorted((number, float(np.log(size))) for number, size in sizes.items())
    return float(np.median([(b - a) / (j - i) for (i, a), (j, b) in combinations(logs, 2)]))


def _depth_mm(level_map: Volume, number: int, curve: Curve) -> float | None:
    """Antero-posterior depth of a body at its waist, in the plane of the canal."""
    index = np.argwhere(level_map.array == number)
    if not len(index):
        return None
    along, back, left = curve.coordinates(level_map.grid.to_lps(index.astype(float))).T
    waist = back[(np.abs(left) < _MIDPLANE_MM) & (np.abs(along - np.median(along)) < _WAIST_MM)]
    return _extent_mm(waist)


def _extent_mm(values: NDArray[np.float64]) -> float | None:
    low, high = np.percentile(values, [3.0, 97.0]) if len(values) else (0.0, 0.0)
    return float(high - low) if high > low else None


def _inverted(why: str) -> Flag:
    message = (
        f"The spine seems to stand upside down ({why}): nothing is named or measured. Check the orientation in the "
        "header; if it is right, name a vertebra with --level."
    )
    return Flag("UPSIDE_DOWN", message, Severity.ERROR)
