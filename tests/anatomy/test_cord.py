"""The border of the cord between network and signal: a round cord in fluid, outlined too large."""

import numpy as np
import pytest

from spinemri.anatomy.cord import settle_cord
from spinemri.anatomy.model import TissueMap
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume

STEP_MM = 0.8
AFFINE = np.diag([STEP_MM, STEP_MM, STEP_MM, 1.0])
SHAPE = (41, 41, 60)
CORD_MM, SAC_MM = 4.5, 8.5


def disc(radius_mm):
    """Coverage of every voxel by a cylinder along the canal, partial volume included."""
    fine = (np.arange(41 * 5) - 102) * STEP_MM / 5
    inside = (np.hypot(*np.meshgrid(fine, fine, indexing="ij")) <= radius_mm).astype(np.float32)
    plane = inside.reshape(41, 5, 41, 5).mean((1, 3))
    return np.repeat(plane[:, :, None], SHAPE[2], 2)


def outlined(cord_mm):
    cord, sac = disc(cord_mm), disc(SAC_MM)
    soft = 0.7 * cord + 0.3 * disc(cord_mm + 0.8)
    coverage = np.zeros((len(Tissue), *SHAPE), np.float32)
    coverage[Tissue.CORD] = soft
    coverage[Tissue.DURAL_SAC] = np.maximum(sac - soft, 0)
    coverage[Tissue.EPIDURAL] = 1 - coverage.sum(0)
    return TissueMap(coverage, AFFINE)


def image(cord_signal=100.0, fluid_signal=400.0, noise=15.0):
    cord, sac = disc(CORD_MM), disc(SAC_MM)
    array = cord * cord_signal + (sac - cord) * fluid_signal + (1 - sac) * 150.0
    array = array + np.random.default_rng(4).normal(0, noise, SHAPE)
    return Volume(array.astype(np.float32), AFFINE)


def area_mm2(tissues):
    return float(tissues.coverage[Tissue.CORD].sum()) / SHAPE[2] * STEP_MM**2


@pytest.mark.parametrize("signals", [(100.0, 400.0), (300.0, 90.0)], ids=["T2", "T1"])
def test_a_cord_outlined_too_large_or_too_small_comes_nearer_to_the_truth(signals):
    true = np.pi * CORD_MM**2
    for cord_mm in (3.9, 5.0):
        before = outlined(cord_mm)
        after = settle_cord(before, image(*signals))
        assert abs(area_mm2(after) - true) < 0.75 * abs(area_mm2(before) - true)


def test_cord_and_sac_together_and_all_else_stay():
    before = outlined(5.0)
    after = settle_cord(before, image())
    both = [Tissue.CORD, Tissue.DURAL_SAC]
    assert np.allclose(after.coverage[both].sum(0), before.coverage[both].sum(0), atol=1e-6)
    others = [tissue for tissue in Tissue if tissue not in both]
    assert np.array_equal(after.coverage[others], before.coverage[others])
    sure = before.coverage[Tissue.CORD] > 0.95
    assert np.allclose(after.coverage[Tissue.CORD][sure], before.coverage[Tissue.CORD][sure])


def test_where_cord_and_fluid_look_alike_nothing_changes():
    before = outlined(5.0)
    assert np.allclose(settle_cord(before, image(200.0, 230.0)).coverage, before.coverage, atol=1e-6)


def test_where_there_is_no_fluid_the_outline_stays():
    before = outlined(5.0)
    coverage = before.coverage.copy()
    low = (Tissue.EPIDURAL, slice(None), slice(None), slice(0, 20))
    coverage[low] += coverage[(Tissue.DURAL_SAC, *low[1:])]
    coverage[(Tissue.DURAL_SAC, *low[1:])] = 0
    after = settle_cord(TissueMap(coverage, AFFINE), image()).coverage[Tissue.CORD]
    assert np.allclose(after[..., :6], coverage[Tissue.CORD][..., :6], atol=1e-6)
    assert not np.allclose(after[..., 30:], coverage[Tissue.CORD][..., 30:], atol=1e-2)


def test_without_a_cord_there_is_nothing_to_settle():
    tissues = TissueMap(np.zeros((len(Tissue), *SHAPE), np.float32), AFFINE)
    assert settle_cord(tissues, image()) is tissues
