"""What is no spine, or lies the wrong way in the patient, is neither named nor measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from spinemri.anatomy.build import build_anatomy
from spinemri.anatomy.levels import LevelHints
from spinemri.anatomy.model import Anatomy, TissueMap
from spinemri.anatomy.plausibility import growth_per_level
from spinemri.config import MassSettings
from spinemri.mass.find import find_mass
from spinemri.nomenclature import Tissue
from spinemri.volume import Grid, Volume, resample

PITCH_MM = 23.0
THORACIC_MM = (22.7, 23.3, 24.3, 26.0, 27.4, 27.9, 29.3, 30.5, 31.9, 32.8)
"""Depth of T3 to T12 (Panjabi 1991)."""

NO_HINTS = LevelHints()


def oblique_grid(length_mm: float) -> Grid:
    """A sagittal grid of 15 slices, 3.7 mm apart, turned by 9 and tilted by 5 degrees."""
    a, b = np.radians([9.0, 5.0])
    yaw = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = yaw @ tilt @ np.diag([3.7, 1.1, 1.3])
    shape = (15, 140, int((length_mm + 30.0) / 1.3))
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def paint(
    depths_mm: Sequence[float] = THORACIC_MM,
    *,
    signs: tuple[int, int, int] = (1, 1, 1),
    sacrum: bool = False,
    columnless: Sequence[int] = (),
    heights: Sequence[float] | None = None,
) -> TissueMap:
    """Draw a straight spine from above downwards, with a mass; `signs` flips left, back and down."""
    length = PITCH_MM * len(depths_mm) + (60.0 if sacrum else 0.0)
    grid = oblique_grid(length)
    index = np.stack(np.indices(grid.shape), -1).astype(float) - (np.array(grid.shape) - 1) / 2
    left, back, up = np.moveaxis(index * np.array(grid.spacing) * np.array(signs), -1, 0)
    down = length / 2 - up
    level = np.clip(np.floor(down / PITCH_MM), 0, len(depths_mm) - 1).astype(int)
    in_level = down - level * PITCH_MM
    depth = np.array(depths_mm)[level]
    height = np.array(heights if heights is not None else [18.0] * len(depths_mm))[level]
    lumbar = (down >= 0) & (down < PITCH_MM * len(depths_mm)) & ~np.isin(level, columnless)
    column = (back < -9.0) & (back > -9.0 - depth) & (np.abs(left) < 0.6 * depth)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[lumbar & column & (in_level < 18.0) & (in_level >= 18.0 - height)] = Tissue.BODY
    labels[lumbar & column & (in_level >= 18.0)] = Tissue.DISC
    labels[lumbar & (back > 10.0) & (back < 35.0) & (np.abs(left) < 5.0) & (in_level < 12.0)] = (
        Tissue.POSTERIOR_ELEMENTS
    )
    below = (down >= PITCH_MM * len(depths_mm)) & (down < length) & (back < -9.0) & (back > -32.0)
    labels[below & (np.abs(left) < 20.0) & sacrum] = Tissue.SACRUM
    canal = (left / 10.0) ** 2 + (back / 8.0) ** 2 < 1
    labels[canal] = Tissue.EPIDURAL
    labels[(left / 8.0) ** 2 + (back / 6.0) ** 2 < 1] = Tissue.DURAL_SAC
    labels[canal & (back > 2.0) & (np.abs(down - length / 2) < 30.0)] = Tissue.MASS_CANAL
    return TissueMap.from_labels(Volume(labels, grid.affine))


def codes(anatomy: Anatomy) -> set[str]:
    return {flag.code for flag in (*anatomy.flags, *anatomy.levels.flags)}


def assert_nothing_claimed(anatomy: Anatomy) -> None:
    """No level has a name and no mass a volume."""
    assert anatomy.centreline is None
    assert anatomy.levels.vertebrae == ()
    assert anatomy.levels.discs == ()
    assert anatomy.levels.numbering == "unknown"
    assert not anatomy.level_map.array.any()
    mass = find_mass(anatomy.tissues, anatomy.centreline, MassSettings())
    assert mass.status == "not_assessable"
    assert not mass.probability.array.any()


def test_an_upright_spine_is_believed() -> None:
    anatomy = build_anatomy(paint(), hints=NO_HINTS)
    assert anatomy.centreline is not None
    assert len(anatomy.levels.vertebrae) == len(THORACIC_MM)
    assert codes(anatomy) == {"NO_LEVEL_ANCHOR"}


def test_left_and_right_are_alike() -> None:
    plain, mirrored = (build_anatomy(paint(signs=(sign, 1, 1)), hints=NO_HINTS) for sign in (1, -1))
    assert [v.name for v in mirrored.levels.vertebrae] == [v.name for v in plain.levels.vertebrae]
    assert codes(mirrored) == codes(plain)


def test_a_spine_on_its_head_is_neither_named_nor_measured() -> None:
    anatomy = build_anatomy(paint(signs=(1, 1, -1)), hints=NO_HINTS)
    assert codes(anatomy) == {"UPSIDE_DOWN"}
    assert "less deep" in anatomy.flags[0].message
    assert_nothing_claimed(anatomy)


def test_a_sacrum_on_top_tells_where_few_bodies_are_seen() -> None:
    few = THORACIC_MM[-4:]
    anatomy = build_anatomy(paint(few, sacrum=True, signs=(1, 1, -1)), hints=NO_HINTS)
    assert codes(anatomy) == {"UPSIDE_DOWN"}
    assert "sacrum" in anatomy.flags[0].message
    assert_nothing_claimed(anatomy)
    upright = build_anatomy(paint(few, sacrum=True), hints=NO_HINTS)
    assert upright.levels.anchor == "sacrum"


@pytest.mark.parametrize("down", [1, -1])
def test_a_spine_mirrored_front_to_back_is_none(down: int) -> None:
    anatomy = build_anatomy(paint(signs=(1, -1, down)), hints=NO_HINTS)
    assert codes(anatomy) == {"NO_SPINE_SEEN"}
    assert_nothing_claimed(anatomy)


def test_a_person_who_names_a_vertebra_is_believed() -> None:
    tissues = paint(signs=(1, 1, -1))
    middle = tissues.grid.to_lps((np.array(tissues.grid.shape) - 1.0) / 2 + [0.0, -20.0, 8.0])
    hints = LevelHints(user=(("T7", (float(middle[0]), float(middle[1]), float(middle[2]))),))
    assert build_anatomy(tissues, hints=hints).levels.anchor == "user"


def test_collapsed_bodies_are_no_inversion() -> None:
    # Wedged from T8 downwards to half of the height: depth stays.
    heights = [18.0] * 5 + [9.0, 18.0, 9.0, 9.0, 9.0]
    anatomy = build_anatomy(paint(heights=heights), hints=NO_HINTS)
    assert anatomy.centreline is not None
    assert "UPSIDE_DOWN" not in codes(anatomy)


def test_chance_seldom_turns_a_lumbar_spine_over() -> None:
    rng = np.random.default_rng(11)
    truth = 34.0 * np.exp(0.008 * np.arange(6))
    trends = np.array([growth_per_level(dict(enumerate(truth * np.exp(rng.normal(0, 0.05, 6))))) for _ in range(4000)])
    # Least squares would have 0.05 / sqrt(17.5) = 1.2 %; the median of slopes is a little less efficient.
    assert trends.std() == pytest.approx(0.013, abs=0.001)
    assert (trends < -0.02).mean() < 0.03


def test_bodies_missing_along_a_third_of_the_canal_are_no_reason_to_refuse() -> None:
    anatomy = build_anatomy(paint(columnless=(0, 1, 2)), hints=NO_HINTS)
    assert anatomy.centreline is not None
    assert "NO_SPINE_SEEN" not in codes(anatomy)


def test_masks_may_outline_a_few_levels_but_not_on_the_wrong_side() -> None:
    few = paint(columnless=range(7))
    assert codes(build_anatomy(few, hints=NO_HINTS)) == {"NO_SPINE_SEEN"}
    assert build_anatomy(few, hints=NO_HINTS, all_along=False).centreline is not None
    mirrored = paint(columnless=range(7), signs=(1, -1, 1))
    assert codes(build_anatomy(mirrored, hints=NO_HINTS, all_along=False)) == {"NO_SPINE_SEEN"}


def test_a_canal_without_bodies_is_no_spine_unless_masks_leave_them_out() -> None:
    tissues = paint(columnless=range(len(THORACIC_MM)))
    refused = build_anatomy(tissues, hints=NO_HINTS)
    assert codes(refused) == {"NO_SPINE_SEEN"}
    assert "0%" in refused.flags[0].message
    assert_nothing_claimed(refused)
    assert build_anatomy(tissues, hints=NO_HINTS, column=()).centreline is not None


def test_two_bodies_and_their_discs_get_no_likely_name() -> None:
    anatomy = build_anatomy(paint(THORACIC_MM[:2]), hints=NO_HINTS)
    assert {vertebra.name for vertebra in anatomy.levels.vertebrae} <= {None}


@pytest.mark.parametrize("voxels", [1, 2, 40])
def test_specks_of_canal_in_noise_are_none(voxels: int) -> None:
    grid = oblique_grid(100.0)
    rng = np.random.default_rng(voxels)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[tuple(rng.integers(0, n, voxels) for n in grid.shape)] = Tissue.DURAL_SAC
    anatomy = build_anatomy(TissueMap.from_labels(Volume(labels, grid.affine)), hints=NO_HINTS)
    assert codes(anatomy) == {"NO_CANAL"}
    assert_nothing_claimed(anatomy)


def test_random_tissues_are_none() -> None:
    grid = oblique_grid(100.0)
    labels = np.random.default_rng(4).integers(0, len(Tissue), grid.shape).astype(np.uint8)
    anatomy = build_anatomy(TissueMap.from_labels(Volume(labels, grid.affine)), hints=NO_HINTS)
    assert codes(anatomy) <= {"NO_CANAL", "NO_SPINE_SEEN"}
    assert_nothing_claimed(anatomy)


def leaning_out_of_view(tissues: TissueMap, degrees: float, front_voxels: int) -> TissueMap:
    """The map on a grid turned in the sagittal plane, without its front, where a leaning spine leaves the image."""
    grid = tissues.grid
    _, j, k = ((n - 1) / 2 for n in grid.shape)
    steps = np.eye(4)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    steps[1:3, 1:3] = [[cosine, -sine], [sine, cosine]]
    steps[1:3, 3] = np.array([j, k]) - steps[1:3, 1:3] @ [j, k]
    steps = steps @ np.array([[1, 0, 0, 0], [0, 1, 0, front_voxels], [0, 0, 1, 0], [0, 0, 0, 1]])
    ni, nj, nk = grid.shape
    seen = Grid((ni, nj - front_voxels, nk), grid.affine @ steps)
    coverage = np.stack([resample(tissues.fraction(tissue), seen).array for tissue in Tissue])
    coverage[0] += 1 - coverage.sum(0)
    return TissueMap(coverage, seen.affine, tissues.frame_of_reference_uid)


def test_bodies_that_the_field_of_view_cuts_in_front_are_no_inversion() -> None:
    anatomy = build_anatomy(leaning_out_of_view(paint(), 10.0, 36), hints=NO_HINTS)
    assert [vertebra.complete for vertebra in anatomy.levels.vertebrae] == [True] * 5 + [False] * 5
    assert "UPSIDE_DOWN" not in codes(anatomy)
