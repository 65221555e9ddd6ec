"""Coverages are rounded before anything is measured, and stored as they were measured."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spinemri.anatomy.model import TissueMap
from spinemri.errors import InputError
from spinemri.pipeline.coverage import quantised, read_coverage, write_coverage


@pytest.fixture
def tissues() -> TissueMap:
    """Random fractions on an oblique anisotropic grid, most voxels of few tissues."""
    random = np.random.default_rng(5).dirichlet(np.full(10, 0.15), size=(7, 11, 13))
    affine = np.array([[3.9, 0.1, 0, -20], [-0.4, 0.7, 0.02, 5], [0, -0.03, 0.7, 80], [0, 0, 0, 1.0]])
    return TissueMap(np.moveaxis(random, -1, 0).astype(np.float32), affine, "1.2.3")


def test_rounding_keeps_the_whole_and_stays_within_a_step(tissues: TissueMap) -> None:
    rounded = quantised(tissues)
    steps = rounded.coverage * 255
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)
    np.testing.assert_allclose(rounded.coverage.sum(0), 1.0, atol=1e-6)
    # Half a step each; the largest may lose up to nine halves when all others were rounded up.
    assert np.abs(rounded.coverage - tissues.coverage)[1:].max() <= 5 / 255


def test_tissues_that_round_up_together_do_not_exceed_the_whole(tissues: TissueMap) -> None:
    coverage = np.zeros_like(tissues.coverage)
    coverage[1:3] = 0.5
    rounded = quantised(replace(tissues, coverage=coverage))
    assert rounded.coverage.sum(0).max() <= 1.0 + 1e-6
    assert rounded.coverage.min() >= 0.0


def test_what_was_stored_comes_back_exactly(tissues: TissueMap, tmp_path: Path) -> None:
    rounded = quantised(tissues)
    write_coverage(rounded, tmp_path)
    again = read_coverage(tmp_path, rounded.labels)
    np.testing.assert_array_equal(again.coverage, rounded.coverage)
    assert again.grid.same_as(rounded.grid)
    np.testing.assert_array_equal(quantised(again).coverage, rounded.coverage)


@pytest.mark.parametrize(("content", "code"), [(None, "MASK_MISSING"), (b"broken", "NIFTI_UNREADABLE")])
def test_what_cannot_be_read_is_named(tissues: TissueMap, tmp_path: Path, content: bytes | None, code: str) -> None:
    if content is not None:
        (tmp_path / "anatomy_probseg.nii.gz").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_coverage(tmp_path, tissues.labels)
    assert caught.value.code == code


def test_another_grid_is_refused(tissues: TissueMap, tmp_path: Path) -> None:
    write_coverage(quantised(tissues), tmp_path)
    smaller = TissueMap(tissues.coverage[:, :-1], tissues.affine)
    with pytest.raises(InputError, match="GRID_MISMATCH"):
        read_coverage(tmp_path, smaller.labels)
