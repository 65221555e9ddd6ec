"""Anatomy from the masks of other tools: tissues in our ids, and the levels that their numbers name."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.centreline import find_centreline
from spinemri.anatomy.curve import Curve
from spinemri.anatomy.model import Disc, Levels, TissueMap, Vertebra
from spinemri.anatomy.numberings import Scheme, sct_level
from spinemri.nomenclature import REGULAR_COLUMN, Tissue, disc_name
from spinemri.volume import Volume

__all__ = ["levels_of_bodies", "levels_of_cord", "levels_of_discs", "to_tissues"]

_SCT_CONFIDENCE = 0.9

_FRONT_PERCENTILE = 2.0
_FRONT_WINDOW_MM = 5


def to_tissues(labels: Volume, scheme: Scheme) -> Volume:
    """Translate a mask to our tissue ids.

    Parameters
    ----------
    labels : Volume
        Ids of `scheme`, canonical.
    scheme : Scheme

    Returns
    -------
    Volume
        uint8, `Tissue` ids. Vertebrae that the scheme numbers as a whole are divided at the front of the sac.
    """
    table = np.zeros(max(scheme.tissues) + 1, dtype=np.uint8)
    for number, tissue in scheme.tissues.items():
        table[number] = int(tissue)
    tissues = labels.with_array(table[labels.array.astype(np.intp)])
    return _divided(tissues) if scheme.whole_vertebrae else tissues


def _divided(tissues: Volume) -> Volume:
    """Call posterior elements what lies behind the front of the sac, where that is known."""
    centreline = find_centreline(TissueMap.from_labels(tissues))
    if centreline is None:
        return tissues
    curve = Curve(centreline.points_lps, centreline.tangent, centreline.posterior, centreline.left)
    index = np.argwhere(tissues.array == Tissue.BODY)
    along, back, _ = curve.coordinates(tissues.grid.to_lps(index.astype(float))).T
    behind = back > np.interp(along, np.arange(len(curve)), _sac_front_mm(tissues, curve))
    array = tissues.array.copy()
    array[tuple(index[behind].T)] = Tissue.POSTERIOR_ELEMENTS
    return tissues.with_array(array)


def _sac_front_mm(tissues: Volume, curve: Curve) -> NDArray[np.float64]:
    """Distance of the sac's front from the centre line, negative in front of it, per mm of canal (n,)."""
    index = np.argwhere((tissues.array == Tissue.CORD) | (tissues.array == Tissue.DURAL_SAC))
    along, back, _ = curve.coordinates(tissues.grid.to_lps(index.astype(float))).T
    places = np.arange(len(curve), dtype=float)
    front = np.full(len(curve), np.nan)
    for place in range(len(curve)):
        near = np.abs(along - place) <= _FRONT_WINDOW_MM
        if near.any():
            front[place] = np.percentile(back[near], _FRONT_PERCENTILE)
    known = ~np.isnan(front)
    return np.asarray(np.interp(places, places[known], front[known]))


def levels_of_bodies(instances: Volume, tissues: Volume, scheme: Scheme) -> Levels | None:
    """Name vertebrae after the instances of a mask.

    Parameters
    ----------
    instances : Volume
        Ids of vertebrae, whole or bodies alone.
    tissues : Volume
        Our tissue ids on the same grid.
    scheme : Scheme

    Returns
    -------
    Levels or None
        Centres of bodies in LPS mm, from cranial to caudal, no discs; None where no body has a name.
    """
    bodies = np.where(tissues.array == Tissue.BODY, instances.array, 0)
    centres = {
        name: instances.grid.to_lps(np.argwhere(bodies == number).mean(0))
        for number, name in scheme.vertebrae.items()
        if (bodies == number).any()
    }
    return _levels(centres, {}, scheme.key, scheme.name_confidence)


def levels_of_discs(marks: Volume, source: str) -> Levels | None:
    """Name the vertebrae between the marked discs of the Spinal Cord Toolbox.

    Parameters
    ----------
    marks : Volume
        One voxel or more for each disc, numbered as the vertebra below it.
    source : str
        For `Levels.anchor`.

    Returns
    -------
    Levels or None
        Every vertebra lies halfway between its discs; None where no two neighbouring discs are marked.
    """
    places = _places(marks)
    discs = {name: place.mean(0) for name, place in places.items()}
    centres = {above: (discs[above] + discs[below]) / 2 for above, below in _neighbours(discs)}
    return _levels(centres, discs, source, _SCT_CONFIDENCE)


def levels_of_cord(labelled: Volume, source: str) -> Levels | None:
    """Name levels after a cord whose voxels carry the number of the vertebra around them.

    Parameters
    ----------
    labelled : Volume
        Numbers of the Spinal Cord Toolbox.
    source : str
        For `Levels.anchor`.

    Returns
    -------
    Levels or None
        Centres lie in the cord; discs where one number gives way to the next. None without any number.
    """
    places = _places(labelled)
    centres = {name: place.mean(0) for name, place in places.items()}
    discs = {below: _border(places[above], places[below]) for above, below in _neighbours(centres)}
    return _levels(centres, discs, source, _SCT_CONFIDENCE)


def _places(volume: Volume) -> dict[str, NDArray[np.float64]]:
    """Voxel centres (n, 3) in LPS mm by the vertebra whose number they carry."""
    index = np.argwhere(volume.array > 0)
    numbers = volume.array[tuple(index.T)].astype(int)
    lps = volume.grid.to_lps(index.astype(float))
    named = {int(number): sct_level(int(number)) for number in np.unique(numbers)}
    return {name: lps[numbers == number] for number, name in named.items() if name is not None}


def _neighbours(levels: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(above, below) for above, below in pairwise(REGULAR_COLUMN) if above in levels and below in levels]


def _border(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Point between two levels, midway between the last voxel of one and the first of the other."""
    start, end = above.mean(0), below.mean(0)
    direction = (end - start) / np.linalg.norm(end - start)
    reach = ((above - start) @ direction).max() + ((below - start) @ direction).min()
    return np.asarray(start + direction * reach / 2)


def _levels(
    centres: Mapping[str, NDArray[np.float64]],
    below: Mapping[str, NDArray[np.float64]],
    source: str,
    confidence: float,
) -> Levels | None:
    """Order levels from cranial to caudal; `below` holds discs by the vertebra under them."""
    if not centres:
        return None
    column = list(REGULAR_COLUMN)
    order = sorted(centres, key=lambda name: -centres[name][2])
    vertebrae = tuple(Vertebra(name, _point(centres[name]), complete=True, confidence=confidence) for name in order)
    discs = tuple(
        Disc(disc_name(column[column.index(name) - 1], name), _point(below[name]))
        for name in sorted(below, key=lambda name: -below[name][2])
        # There is no disc above the axis.
        if column.index(name) > column.index("C2")
    )
    return Levels(vertebrae, discs, "absolute", source, confidence)


def _point(lps: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = lps
    return float(x), float(y), float(z)
