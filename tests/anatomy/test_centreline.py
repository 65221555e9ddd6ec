"""The canal's centre on curved, oblique, anisotropic columns of which the course is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from spinemri.anatomy.centreline import find_centreline
from spinemri.anatomy.model import TissueMap
from spinemri.nomenclature import Tissue

CASES = {
    "lumbosacral": {},
    "kyphosis": {"first": "T2", "last": "T12", "kyphosis_deg": 60.0},
    "scoliosis": {"first": "T4", "last": "L3", "scoliosis_mm": 18.0, "slices": 21},
    "thin slices": {"spacing": (1.2, 0.9, 0.9), "slices": 19, "oblique_deg": 3.0},
    "steeply oblique": {"first": "T4", "last": "L1", "oblique_deg": 20.0},
}


def errors_mm(centreline, truth):
    """Distance of each point of the centreline from the true course."""
    distance, _ = cKDTree(truth).query(centreline.points_lps)
    return distance


@pytest.mark.parametrize("case", CASES)
def test_runs_through_the_middle_of_the_bony_canal(make_column, case):
    column = make_column(**CASES[case])
    centreline = find_centreline(column.tissues)
    error = errors_mm(centreline, column.canal_lps)
    # The course is sampled every mm, so 0.5 mm is the floor; the ends are cut obliquely by the field of view.
    assert np.median(error) < 0.8
    assert error[8:-8].max() < 2.0
    assert error.max() < 4.0


def test_frame_is_orthonormal_caudal_posterior_and_to_the_patients_left(make_column):
    centreline = find_centreline(make_column(oblique_deg=15.0).tissues)
    frame = np.stack([centreline.left, centreline.tangent, centreline.posterior])
    gram = np.einsum("aik,bik->iab", frame, frame)
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(3), gram.shape), atol=1e-9)
    # left x caudal = posterior is the right-handed order of LPS with the third axis reversed twice.
    np.testing.assert_allclose(np.cross(centreline.left, centreline.tangent), centreline.posterior, atol=1e-9)
    assert (centreline.left[:, 0] > 0.9).all()
    assert (centreline.posterior[:, 1] > 0.3).all()
    assert (centreline.tangent[:, 2] < 0).all()


def test_points_are_one_millimetre_apart(make_column):
    centreline = find_centreline(make_column().tissues)
    step = np.linalg.norm(np.diff(centreline.points_lps, axis=0), axis=1)
    np.testing.assert_allclose(step, centreline.step_mm, atol=0.01)


def test_a_mass_in_the_canal_does_not_move_the_line(make_column):
    settings = {"first": "T3", "last": "T11", "kyphosis_deg": 30.0}
    bare = find_centreline(make_column(**settings).tissues)
    filled = find_centreline(make_column(**settings, mass_mm=(70.0, 150.0)).tissues)
    assert errors_mm(filled, bare.points_lps).max() < 0.1


def test_bridges_gaps_and_ignores_islands(make_column):
    column = make_column(first="T4", last="L2", kyphosis_deg=30.0)
    coverage = column.tissues.coverage.copy()
    canal_ids = [Tissue.CORD, Tissue.DURAL_SAC, Tissue.EPIDURAL]
    rows = coverage.shape[3]
    gap = slice(rows // 2, rows // 2 + 25)
    coverage[0, ..., gap] += coverage[canal_ids][..., gap].sum(0)
    coverage[canal_ids, ..., gap] = 0.0
    coverage[:, 6:9, 2:22, 60:80] = 0.0
    coverage[Tissue.DURAL_SAC, 6:9, 2:22, 60:80] = 1.0
    broken = TissueMap(coverage, column.tissues.affine)
    centreline = find_centreline(broken)
    error = errors_mm(centreline, column.canal_lps)
    assert len(centreline) > 0.95 * len(find_centreline(column.tissues))
    assert error[8:-8].max() < 2.5


def test_lateral_exit_from_the_slab_biases_by_less_than_half_a_canal(make_column):
    column = make_column(first="T4", last="L3", scoliosis_mm=26.0, slices=13)
    error = errors_mm(find_centreline(column.tissues), column.canal_lps)
    assert np.median(error) < 1.5
    assert error.max() < 8.0


@pytest.mark.parametrize("rows", [0, 20])
def test_too_little_canal_gives_none(make_column, rows):
    tissues = make_column().tissues
    coverage = tissues.coverage.copy()
    kept = coverage[1:4].copy()
    coverage[1:4] = 0.0
    coverage[1:4, ..., 60 : 60 + rows] = kept[..., 60 : 60 + rows]
    coverage[0] = 1.0 - coverage[1:].sum(0)
    assert find_centreline(TissueMap(coverage, tissues.affine)) is None
