"""Masks from elsewhere are brought to the primary grid, or refused with a reason."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from damaged import damage_after
from synthetic_spine import Spine, sagittal_grid
from written_study import LEFT_BACK_TO_RIGHT_FRONT, exact_labels, write_labels

from spinemri.errors import UsageError
from spinemri.pipeline.labels import read_labels
from spinemri.volume import Grid


def _save(path: Path, array: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(array, np.diag([4.0, 0.8, 0.8, 1.0])), path)
    return path


def test_a_mask_on_the_primary_grid_comes_through_unchanged(tmp_path: Path) -> None:
    spine = Spine()
    grid = sagittal_grid(spine)
    path = write_labels(tmp_path / "labels.nii.gz", spine, grid)
    np.testing.assert_array_equal(read_labels(path, grid).tissues.array, exact_labels(spine, grid))


def test_a_mask_on_another_grid_lands_at_the_same_place(tmp_path: Path) -> None:
    spine = Spine()
    grid = sagittal_grid(spine)
    fine = np.diag([0.5, 1.25, 1.25, 1.0])
    fine[:3, 3] = [-0.25, 0.125, 0.125]
    other = Grid((24, 128, 160), grid.affine @ fine)
    path = tmp_path / "labels.nii"
    # Axes reversed, too: the order in the file must not matter.
    array = exact_labels(spine, other)[::-1, :, ::-1]
    affine = other.affine @ np.array([[-1, 0, 0, 23], [0, 1, 0, 0], [0, 0, -1, 159], [0, 0, 0, 1]], dtype=float)
    nib.save(nib.Nifti1Image(np.ascontiguousarray(array), LEFT_BACK_TO_RIGHT_FRONT @ affine), path)
    truth = exact_labels(spine, grid)
    # Voxels of 2 x 1 x 1 mm are right within half of one: 98 % of voxels lie farther than that from any border.
    assert (read_labels(path, grid).tissues.array == truth).mean() > 0.95


@pytest.mark.parametrize(
    ("ids", "named"),
    [
        ((0, 1, 2, 100, 201), "1, 2, 100, 201"),
        ((0, 1, 2, 3), "no vertebral body"),
        ((0, 4, 6), "no canal"),
        ((0,), "none"),
    ],
)
def test_foreign_numbering_is_refused_with_the_ids_found(tmp_path: Path, ids: tuple[int, ...], named: str) -> None:
    array = np.resize(np.array(ids, dtype=np.int16), (8, 20, 20))
    with pytest.raises(UsageError, match=named) as caught:
        read_labels(_save(tmp_path / "foreign.nii.gz", array), Grid((8, 20, 20), np.diag([4.0, 0.8, 0.8, 1.0])))
    assert caught.value.code == "BAD_LABELS"


@pytest.mark.parametrize("voxel", [np.dtype([(c, "u1") for c in "RGB"]), np.dtype(np.complex64)])
def test_colours_and_complex_numbers_are_no_labels(tmp_path: Path, voxel: np.dtype) -> None:
    path = _save(tmp_path / "colours.nii.gz", np.zeros((8, 20, 20), dtype=voxel))
    with pytest.raises(UsageError, match="no numbers") as caught:
        read_labels(path, Grid((8, 20, 20), np.diag([4.0, 0.8, 0.8, 1.0])))
    assert caught.value.code == "BAD_LABELS"


def test_a_file_damaged_on_its_way_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.nii.gz"
    damage_after(1000, _save(tmp_path / "labels.nii", np.ones((8, 20, 20), dtype=np.uint8)), path)
    with pytest.raises(UsageError, match="cannot be read") as caught:
        read_labels(path, Grid((8, 20, 20), np.diag([4.0, 0.8, 0.8, 1.0])))
    assert caught.value.code == "BAD_LABELS"


def test_fractions_are_no_labels(tmp_path: Path) -> None:
    path = _save(tmp_path / "p.nii.gz", np.full((4, 5, 6), 0.5, dtype=np.float32))
    with pytest.raises(UsageError, match="fractions"):
        read_labels(path, Grid((4, 5, 6), np.eye(4)))


def test_a_mask_of_another_place_is_refused(tmp_path: Path) -> None:
    spine = Spine()
    grid = sagittal_grid(spine)
    path = write_labels(tmp_path / "labels.nii.gz", spine, grid)
    away = grid.affine.copy()
    away[:3, 3] += 2000
    with pytest.raises(UsageError, match="overlap"):
        read_labels(path, Grid(grid.shape, away))


@pytest.mark.parametrize("content", [b"", b"not a nifti"])
def test_what_is_no_nifti_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "labels.nii.gz"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_labels(path, Grid((4, 5, 6), np.eye(4)))
    assert caught.value.code == "BAD_LABELS"


def test_a_missing_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_labels(tmp_path / "absent.nii.gz", Grid((4, 5, 6), np.eye(4)))
    assert caught.value.code == "BAD_LABELS"


@pytest.mark.parametrize(("value", "named"), [(-1.0, "below 0"), (40000.0, "above 32767"), (np.nan, "no numbers")])
def test_impossible_ids_are_refused(tmp_path: Path, value: float, named: str) -> None:
    array = np.ones((4, 5, 6), dtype=np.float32)
    array[1, 2, 3] = value
    with pytest.raises(UsageError, match=named) as caught:
        read_labels(_save(tmp_path / "odd.nii.gz", array), Grid((4, 5, 6), np.eye(4)))
    assert caught.value.code == "BAD_LABELS"
