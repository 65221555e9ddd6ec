"""Fusing tissue maps: one stays, agreement hardens, disagreement does not, missing data have no say."""

import numpy as np
import pytest

from spinemri.anatomy.model import TissueMap
from spinemri.mass.segment import fuse
from spinemri.nomenclature import Tissue

SHAPE = (3, 4, 5)
MASS, OUTSIDE, SAC, CORD, FAT = (
    int(tissue) for tissue in (Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE, Tissue.DURAL_SAC, Tissue.CORD, Tissue.EPIDURAL)
)


def _map(shares: dict[int, float], affine: np.ndarray | None = None) -> TissueMap:
    coverage = np.zeros((len(Tissue), *SHAPE), dtype=np.float32)
    for tissue, share in shares.items():
        coverage[tissue] = share
    coverage[0] = 1 - sum(shares.values())
    return TissueMap(coverage, np.eye(4) if affine is None else affine, "frame")


def _fused(*shares: dict[int, float], weights: tuple[float, ...] = (1.0, 1.0, 1.0)) -> np.ndarray:
    maps = [_map(each) for each in shares]
    return fuse(zip(maps, weights, strict=False)).coverage[:, 1, 1, 1]


def test_one_map_stays_as_it_is() -> None:
    alone = _map({MASS: 0.7, SAC: 0.2})
    assert fuse([(alone, 0.3)]).coverage is alone.coverage


def test_what_is_fused_sums_to_one_and_does_not_depend_on_the_order() -> None:
    one, other = {MASS: 0.6, SAC: 0.3}, {MASS: 0.2, FAT: 0.7}
    assert _fused(one, other).sum() == pytest.approx(1.0, abs=1e-5)
    assert np.allclose(_fused(one, other), _fused(other, one), atol=1e-6)


def test_maps_that_agree_are_surer_together_on_either_side_of_a_half() -> None:
    assert 0.8 < _fused(*[{MASS: 0.7, SAC: 0.3}] * 3)[MASS] < 0.9
    assert 0.1 < _fused(*[{MASS: 0.3, SAC: 0.7}] * 3)[MASS] < 0.2
    assert _fused(*[{MASS: 0.5, SAC: 0.5}] * 3)[MASS] == pytest.approx(0.5, abs=1e-5)


def test_the_rest_is_shared_as_in_the_mean() -> None:
    out = _fused({MASS: 0.6, SAC: 0.3, FAT: 0.1}, {MASS: 0.2, SAC: 0.4, FAT: 0.4})
    assert out[SAC] / out[FAT] == pytest.approx(0.35 / 0.25, rel=1e-4)
    assert _fused({SAC: 0.7, FAT: 0.3}, {SAC: 0.5, FAT: 0.5})[SAC] == pytest.approx(0.6, abs=1e-5)


def test_three_maps_count_as_two_and_a_half_independent_ones() -> None:
    mass, sac = _fused(*[{MASS: 0.7, SAC: 0.3}] * 3)[[MASS, SAC]]
    assert mass / sac == pytest.approx((0.7 / 0.3) ** 2.5, rel=1e-3)


def test_maps_that_disagree_on_what_is_no_mass_make_none() -> None:
    assert _fused({MASS: 0.3, SAC: 0.7}, {MASS: 0.3, FAT: 0.7})[MASS] < 0.35
    assert _fused({MASS: 0.1, SAC: 0.9}, {MASS: 0.1, FAT: 0.9}, {MASS: 0.1, CORD: 0.9})[MASS] < 0.1


def test_mass_in_the_canal_and_outside_it_is_one_mass() -> None:
    out = _fused({MASS: 0.7, SAC: 0.3}, {OUTSIDE: 0.7, SAC: 0.3})
    assert out[MASS] == pytest.approx(out[OUTSIDE])
    assert out[MASS] + out[OUTSIDE] > 0.75


def test_a_map_of_little_weight_counts_for_little() -> None:
    one, other = {MASS: 0.8, SAC: 0.2}, {SAC: 1.0}
    assert _fused(one, other, weights=(1.0, 0.01))[MASS] == pytest.approx(0.8, abs=0.03)


def test_where_a_map_has_no_data_the_other_stays() -> None:
    away = np.eye(4)
    away[2, 3] = 3.0  # the second map begins at the fourth voxel along k
    out = fuse([(_map({MASS: 0.7, SAC: 0.3}), 1.0), (_map({MASS: 0.7, SAC: 0.3}, away), 1.0)]).coverage[MASS]
    assert out[1, 1, 0] == pytest.approx(0.7, abs=0.02)
    assert out[1, 1, 4] > 0.76


def test_three_maps_with_and_without_data_stay_between_nothing_and_all() -> None:
    rng = np.random.default_rng(0)
    away = np.eye(4)
    away[:3, 3] = 0.6, 1.3, -2.2
    maps = [
        TissueMap(rng.dirichlet([0.2] * len(Tissue), SHAPE).transpose(3, 0, 1, 2).astype(np.float32), affine, "frame")
        for affine in (np.eye(4), away, np.eye(4))
    ]
    out = fuse(zip(maps, (1.0, 0.7, 1.0), strict=True)).coverage
    assert np.isfinite(out).all()
    assert out.min() >= -1e-6
    assert np.allclose(out.sum(0), 1.0, atol=1e-5)
