"""The user points at the mass, or asks for none."""

from dataclasses import replace

import numpy as np
import pytest

from spinemri.anatomy.model import TissueMap
from spinemri.config import MassSettings
from spinemri.nomenclature import Tissue
from spinemri.pipeline.seed import accept_any, keep_nearest, without_mass
from spinemri.volume import Grid, Volume


@pytest.fixture
def tissues() -> TissueMap:
    """Two masses in one canal, 40 mm apart, on an oblique anisotropic grid."""
    angle = np.deg2rad(8.0)
    affine = np.eye(4)
    affine[:3, :3] = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    affine[:3, :3] = affine[:3, :3] @ np.diag([4.0, 0.8, 0.8])
    affine[:3, 3] = [-20.0, 5.0, 100.0]
    labels = np.zeros((8, 30, 120), dtype=np.uint8)
    labels[2:6, 5:25] = Tissue.DURAL_SAC
    labels[3:5, 18:25, 20:40] = Tissue.MASS_CANAL
    labels[5:7, 18:25, 85:95] = Tissue.MASS_OUTSIDE
    return TissueMap.from_labels(Volume(labels, affine))


def _centre(grid: Grid, index: tuple[float, float, float]) -> tuple[float, float, float]:
    x, y, z = grid.to_lps(np.array(index))
    return float(x), float(y), float(z)


def test_the_nearest_component_stays_and_the_other_becomes_its_surroundings(tissues: TissueMap) -> None:
    seed = _centre(tissues.grid, (4.0, 22.0, 30.0))
    kept, flags = keep_nearest(tissues, seed)
    assert flags == ()
    assert kept.coverage[Tissue.MASS_CANAL].sum() == tissues.coverage[Tissue.MASS_CANAL].sum()
    assert kept.coverage[Tissue.MASS_OUTSIDE].sum() == 0
    np.testing.assert_allclose(kept.coverage.sum(0), 1.0, atol=1e-6)
    other, _ = keep_nearest(tissues, _centre(tissues.grid, (6.0, 22.0, 90.0)))
    assert other.coverage[Tissue.MASS_CANAL].sum() == 0
    # The canal keeps its size: what was mass in it is epidural space now.
    np.testing.assert_allclose(other.canal.array, tissues.canal.array)


@pytest.mark.parametrize(("gap_mm", "one"), [(12, True), (18, False)])
@pytest.mark.parametrize("faint", [False, True])
def test_parts_before_and_behind_the_sac_are_one_mass(
    tissues: TissueMap, gap_mm: float, one: bool, faint: bool
) -> None:
    labels = tissues.labels.array.copy()
    labels[np.isin(labels, (Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE))] = Tissue.DURAL_SAC
    front = slice(25 - round(gap_mm / 0.8), 27 - round(gap_mm / 0.8))
    labels[3:5, 27:30, 20:40] = labels[3:5, front, 20:40] = Tissue.MASS_CANAL
    ring = TissueMap.from_labels(tissues.labels.with_array(labels))
    if faint:
        ring.coverage[Tissue.DURAL_SAC, 3:5, front, 20:40] = 0.6
        ring.coverage[Tissue.MASS_CANAL, 3:5, front, 20:40] = 0.4
    kept, _ = keep_nearest(ring, _centre(ring.grid, (4.0, 28.0, 30.0)))
    # A part without a core is left out: what a person points at counts however faint, what lies beside it does not.
    assert kept.coverage[Tissue.MASS_CANAL].sum() == 2 * 3 * 20 + 2 * 2 * 20 * (one and not faint)


def test_a_seed_far_from_any_mass_is_reported_with_the_distance(tissues: TissueMap) -> None:
    seed = _centre(tissues.grid, (4.0, 22.0, 30.0 + 19 + 45 / 0.8 + 45 / 0.8))
    kept, flags = keep_nearest(tissues, seed)
    assert [flag.code for flag in flags] == ["MASS_SEED_FAR"]
    assert kept.fraction(Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE).array.sum() == 0
    _, flags = keep_nearest(without_mass(tissues), seed)
    assert "none was segmented" in flags[0].message


def test_a_seed_on_what_fills_no_voxel_by_half_is_reported(tissues: TissueMap) -> None:
    coverage = tissues.coverage.copy()
    coverage[Tissue.EPIDURAL] += 0.6 * coverage[Tissue.MASS_CANAL]
    coverage[Tissue.MASS_CANAL] *= 0.4
    _, flags = keep_nearest(replace(tissues, coverage=coverage), _centre(tissues.grid, (4.0, 22.0, 30.0)))
    assert [flag.code for flag in flags] == ["MASS_SEED_FAINT"]


def test_without_mass_nothing_else_changes(tissues: TissueMap) -> None:
    bare = without_mass(tissues)
    assert bare.fraction(Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE).array.sum() == 0
    np.testing.assert_allclose(bare.canal.array, tissues.canal.array)
    np.testing.assert_array_equal(bare.coverage[Tissue.DURAL_SAC], tissues.coverage[Tissue.DURAL_SAC])


def test_what_the_user_names_is_accepted_however_small() -> None:
    settings = accept_any(MassSettings())
    assert settings.existence_threshold == 0.0
    assert settings.minimum_volume_ml == 0.0
