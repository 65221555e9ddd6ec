"""The canal's contents decided once more, by this patient's own signals.

The network knows what tissues look like in general. In one examination the mass, the cord, the CSF and the epidural
fat each look like themselves, in every sequence, and what the network is sure of says how. Near a mass that was
found, the signals of all sequences together are therefore described by one normal distribution per tissue with a
common covariance (linear discriminant analysis, Fisher 1936), fitted by expectation-maximisation (Dempster, Laird
and Rubin 1977) with the network's coverages as prior. A common covariance puts the border between two tissues where
the signal is half way, which is where half of the voxel is filled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.centreline import find_centreline
from spinemri.anatomy.model import Centreline, TissueMap
from spinemri.anatomy.preparation import flatten_illumination
from spinemri.mass.find import MassThresholds, find_mass
from spinemri.mass.model import Mass
from spinemri.nomenclature import Tissue
from spinemri.volume import Grid, Volume, box_around, resample

__all__ = ["refine_canal", "refine_where_found"]

FloatArray = NDArray[np.float64]

_CLASSES: tuple[tuple[Tissue, ...], ...] = (
    (Tissue.CORD,),
    (Tissue.DURAL_SAC,),
    (Tissue.EPIDURAL,),
    (Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE),
)
_REACH_MM = 15.0
_SURROUNDINGS_MM = 50.0
_BESIDE_MM = 25.0
_CANAL = 0.3
_MINIMUM_COVERED = 0.8
_PRIOR_FLOOR = 0.02
_LARGEST_SEPARATION = 20.0
_SMOOTHING_VOXELS = 0.6
_ROUNDS = 6
_MINIMUM_VOXELS = 30.0
_VARIANCE_FLOOR = 1e-3
_LEAST_SEPARATION_ALONE = 2.0
_SPLIT_FLOOR = 1e-3
_SUSPECTED = 0.02
_SUSPECTED_ML = 0.3
_CLICK_MM = 3.0
_CLICK_SHARE = 0.9
_CLICK_REACH_MM = 40.0

Point = tuple[float, float, float]


def refine_where_found(
    tissues: TissueMap,
    images: Sequence[Volume],
    settings: MassThresholds,
    click_lps_mm: Point | None = None,
    centreline: Centreline | None = None,
) -> TissueMap:
    """Look for a mass and, where there is one, decide once more how much of the canal near it is mass.

    Parameters
    ----------
    tissues : TissueMap
        From the network, all sequences fused.
    images : sequence of Volume
        What they were fused from.
    settings : MassThresholds
        A fiftieth of the probability is enough for a second look, at 0.3 ml or more: sequences that disagree blur what
        is there.
    click_lps_mm : (x, y, z), optional
        A point in the mass, LPS mm. Where nothing was found, what lies there is taken for mass, and one sequence is
        enough.
    centreline : Centreline, optional
        Of the canal, if it is known; else it is found.

    Returns
    -------
    TissueMap
    """
    canal = _canal(tissues.coverage) > _CANAL
    if not canal.any():
        return tissues
    box = box_around(canal, tissues.grid.spacing, _BESIDE_MM)
    part = replace(tissues, coverage=tissues.coverage[(slice(None), *box)], affine=tissues.grid.part(box).affine)
    line = centreline or find_centreline(part)
    # A second look makes small specks of healthy canals surer than they are.
    least_ml = max(settings.minimum_volume_ml, _SUSPECTED_ML if click_lps_mm is None else 0.0)
    mass = find_mass(part, line, _Suspicion(_SUSPECTED * settings.existence_threshold, least_ml))
    if click_lps_mm is None or _holds(mass, click_lps_mm):
        refined = refine_canal(part, mass, images)
    else:
        refined = _at_click(part, images, settings, click_lps_mm)
    if refined is part:
        return tissues
    coverage = tissues.coverage.copy()
    coverage[(slice(None), *box)] = refined.coverage
    return replace(tissues, coverage=coverage)


def _at_click(tissues: TissueMap, images: Sequence[Volume], settings: MassThresholds, click_lps_mm: Point) -> TissueMap:
    """Outline what a person points at where nothing was found."""
    told = _told(tissues, click_lps_mm)
    mass = find_mass(told, find_centreline(told), settings)
    return refine_canal(told, mass, images, least_separation=0.0, reach_mm=_CLICK_REACH_MM)


@dataclass(frozen=True)
class _Suspicion:
    """When the canal is looked at once more."""

    existence_threshold: float
    minimum_volume_ml: float


def _holds(mass: Mass, point_lps_mm: Point) -> bool:
    """Tell whether a point lies in the mass or next to it."""
    voxels = np.argwhere(mass.mask.array > 0)
    if not len(voxels):
        return False
    away = np.linalg.norm(mass.mask.grid.to_lps(voxels.astype(float)) - np.array(point_lps_mm), axis=1)
    return bool(away.min() <= _CLICK_MM)


def _told(tissues: TissueMap, click_lps_mm: Point) -> TissueMap:
    """Take what lies in the canal next to a point for mass."""
    index = np.argwhere(_canal(tissues.coverage) > _CANAL)
    away = np.linalg.norm(tissues.grid.to_lps(index.astype(float)) - np.array(click_lps_mm), axis=1)
    near = tuple(index[away <= _CLICK_MM].T)
    coverage = tissues.coverage.copy()
    contents = [int(group[0]) for group in _CLASSES[:-1]]
    taken = _CLICK_SHARE * coverage[contents][(slice(None), *near)]
    for row, tissue in enumerate(contents):
        coverage[(tissue, *near)] -= taken[row]
    coverage[(int(Tissue.MASS_CANAL), *near)] += taken.sum(0)
    return replace(tissues, coverage=coverage)


def refine_canal(
    tissues: TissueMap,
    mass: Mass,
    images: Sequence[Volume],
    *,
    least_separation: float = _LEAST_SEPARATION_ALONE,
    reach_mm: float = _REACH_MM,
) -> TissueMap:
    """Decide once more how much of the canal near a mass is mass.

    Bone, disc, mass and everything else outside the canal keep their coverage, and the canal as a whole keeps its own:
    only its division changes, and only near the mass. One sequence alone may not tell mass from cord at all, as T1
    before contrast agent: then nothing changes. After contrast agent it tells them well, and outlines a mass better
    than the network does (`docs/results.md`).

    Parameters
    ----------
    tissues : TissueMap
        From the network, all sequences fused.
    mass : Mass
        Found in `tissues`, on its grid. Without one, nothing changes.
    images : sequence of Volume
        Aligned canonical images of one visit, any intensity scale; one that misses much of the region is not used.
    least_separation : float
        Squared Mahalanobis distance between the mass and what resembles it most, below which one sequence alone
        changes nothing.
    reach_mm : float
        Distance from the mass up to which the division changes.

    Returns
    -------
    TissueMap
    """
    seed = mass.mask.array > 0
    if mass.status != "measured" or not seed.any():
        return tissues
    box = box_around(seed, tissues.grid.spacing, _SURROUNDINGS_MM)
    distance = ndimage.distance_transform_edt(~seed[box], sampling=tissues.grid.spacing)
    region = (_canal(tissues.coverage[(slice(None), *box)]) > _CANAL) & (distance <= _SURROUNDINGS_MM)
    signals, region = _signals(images, tissues.grid, box, region)
    if signals.shape[1] == 0:
        return tissues
    before = _by_class(tissues.coverage[(slice(None), *box)], region)
    after, separation = _shares(before, signals, region)
    if signals.shape[1] == 1 and separation < least_separation:
        return tissues
    near = (distance <= reach_mm)[region][:, None]
    return _with_mass(tissues, box, region, before, np.where(near, after, before))


def _canal(coverage: NDArray[np.float32]) -> NDArray[np.float32]:
    members = [int(tissue) for group in _CLASSES for tissue in group]
    total: NDArray[np.float32] = coverage[members].sum(0)
    return total


def _by_class(coverage: NDArray[np.float32], region: NDArray[np.bool_]) -> FloatArray:
    """Coverage of each class in each voxel of the region, (voxels, classes)."""
    columns = [coverage[[int(tissue) for tissue in group]].sum(0)[region] for group in _CLASSES]
    return np.stack(columns, axis=1).astype(np.float64)


def _signals(
    images: Sequence[Volume], grid: Grid, box: tuple[slice, ...], region: NDArray[np.bool_]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Signals of the sequences that cover most of the region, (voxels, sequences), and the part they all cover."""
    moved = [resample(flatten_illumination(image), grid.part(box), outside=-1.0).array for image in images]
    used = [image for image in moved if float((image[region] >= 0.0).mean()) >= _MINIMUM_COVERED]
    covered = region & np.logical_and.reduce([image >= 0.0 for image in used]) if used else region
    columns = [image[covered].astype(np.float64) for image in used]
    return np.stack(columns, axis=1) if columns else np.zeros((int(covered.sum()), 0)), covered


def _shares(coverage: FloatArray, signals: FloatArray, region: NDArray[np.bool_]) -> tuple[FloatArray, float]:
    """Fit the mixture; return new coverages, (voxels, classes), the same sum per voxel, and the least separation."""
    total = coverage.sum(1, keepdims=True)
    prior = coverage / np.maximum(total, 1e-6)
    log_prior = np.log((prior + _PRIOR_FLOOR) / (1 + prior.shape[1] * _PRIOR_FLOOR))
    share, separation = prior, 0.0
    for _ in range(_ROUNDS):
        weight = share**2 * total
        if weight[:, -1].sum() < _MINIMUM_VOXELS:
            return coverage, 0.0
        density, separation = _log_likelihood(signals, weight)
        evidence = _smooth(density, region)
        log_share = log_prior + evidence
        share = np.exp(log_share - log_share.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
    return share * total, separation


def _log_likelihood(signals: FloatArray, weight: FloatArray) -> tuple[FloatArray, float]:
    """Log density of each voxel under each class, (voxels, classes), and how far the nearest class lies from the mass.

    Scaled down where classes lie so far apart that a voxel half filled would be given away whole: at a squared
    Mahalanobis distance of about 5 the share follows the filling; up to four times that, grown and generated masses
    were outlined better.
    """
    amount = weight.sum(0)
    means = (weight.T @ signals) / np.maximum(amount, 1.0)[:, None]
    centred = signals[:, None] - means
    covariance = np.einsum("nc,nci,ncj->ij", weight, centred, centred) / weight.sum()
    inverse = np.linalg.inv(covariance + _VARIANCE_FLOOR * np.eye(signals.shape[1]))
    apart = means[:-1] - means[-1]
    separation = np.einsum("ci,ij,cj->c", apart, inverse, apart)
    scale = min(1.0, _LARGEST_SEPARATION / max(float(separation.max()), 1e-6))
    density: FloatArray = -0.5 * scale * np.einsum("nci,ij,ncj->nc", centred, inverse, centred)
    present = separation[amount[:-1] >= _MINIMUM_VOXELS]
    return density, float(present.min()) if present.size else 0.0


def _smooth(values: FloatArray, region: NDArray[np.bool_]) -> FloatArray:
    """Average over neighbours in the slice that belong to the region, against noise."""
    sigma = (0.0, _SMOOTHING_VOXELS, _SMOOTHING_VOXELS)
    share = ndimage.gaussian_filter(region.astype(np.float32), sigma)[region]
    smooth = np.empty_like(values)
    plane = np.zeros(region.shape, dtype=np.float32)
    for column in range(values.shape[1]):
        plane[region] = values[:, column]
        smooth[:, column] = ndimage.gaussian_filter(plane, sigma)[region] / share
    return smooth


def _with_mass(
    tissues: TissueMap, box: tuple[slice, ...], region: NDArray[np.bool_], before: FloatArray, after: FloatArray
) -> TissueMap:
    """Put the new mass in; cord, sac and epidural space share what is left as they did before.

    Between those three the signals do not decide: a cord that is pressed flat and the little CSF beside it share too
    few voxels to have a look of their own. Mass outside the canal keeps its coverage.
    """
    coverage = tissues.coverage.copy()
    part = coverage[(slice(None), *box)]
    outside = part[int(Tissue.MASS_OUTSIDE)][region]
    in_canal = np.maximum(after[:, -1] - outside, 0.0)
    left = np.maximum(before.sum(1) - outside - in_canal, 0.0)
    others = before[:, :-1].sum(1)
    unsplit = others < _SPLIT_FLOOR
    split = np.where(unsplit[:, None], after[:, :-1], before[:, :-1])
    split /= np.maximum(split.sum(1, keepdims=True), 1e-9)
    for column, group in enumerate(_CLASSES[:-1]):
        part[int(group[0])][region] = split[:, column] * left
    part[int(Tissue.MASS_CANAL)][region] = in_canal
    return replace(tissues, coverage=coverage)
