"""Names of levels on columns with known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinemri.anatomy.build import build_anatomy
from spinemri.anatomy.levels import LevelHints
from spinemri.anatomy.model import Levels, TissueMap, Vertebra
from spinemri.anatomy.sections import level_of_sections
from spinemri.errors import UsageError
from spinemri.nomenclature import REGULAR_COLUMN, Tissue, disc_id, vertebra_id

NO_HINTS = LevelHints()


def named(levels):
    return {vertebra.name: np.array(vertebra.centre_lps_mm) for vertebra in levels.vertebrae}


def codes(levels):
    return {flag.code for flag in levels.flags}


def replaced(tissues, old, new, where):
    """Return the map with one tissue's share given to another inside a mask."""
    coverage = tissues.coverage.copy()
    coverage[new] += np.where(where, coverage[old], 0.0)
    coverage[old] = np.where(where, 0.0, coverage[old])
    return TissueMap(coverage, tissues.affine, tissues.frame_of_reference_uid)


def without_disc(column, name, *, into=Tissue.BODY):
    """Turn one disc into another tissue."""
    labels = column.tissues.labels
    index = np.moveaxis(np.indices(labels.shape), 0, -1).astype(float)
    near = np.linalg.norm(labels.grid.to_lps(index) - column.disc_centres[name], axis=-1) < 26.0
    others = [
        np.linalg.norm(labels.grid.to_lps(index) - c, axis=-1) for n, c in column.disc_centres.items() if n != name
    ]
    mine = np.linalg.norm(labels.grid.to_lps(index) - column.disc_centres[name], axis=-1) < np.min(others, axis=0)
    return replaced(column.tissues, Tissue.DISC, into, near & mine)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"first": "T9", "spacing": (1.2, 0.9, 0.9), "slices": 19},
        {"first": "T10", "scoliosis_mm": 10.0, "oblique_deg": 12.0},
        {"first": "T8", "scale": 0.75, "kyphosis_deg": -35.0},
        {"blur_voxels": 1.5},
    ],
    ids=["thick", "thin", "scoliosis", "child", "blurred"],
)
def test_counts_from_the_sacrum(make_column, settings):
    column = make_column(**settings)
    levels = build_anatomy(column.tissues, hints=NO_HINTS).levels
    assert (levels.numbering, levels.anchor) == ("absolute", "sacrum")
    # One column in ten has one vertebra more or less above the sacrum, and nothing in these shows that it is none.
    assert 0.8 < levels.confidence < 0.99
    assert levels.alternative is not None
    assert levels.alternative.probability < 1.0 - levels.confidence + 1e-6
    found = named(levels)
    assert set(found) == set(column.body_centres) | {"S1"}
    # The centroid of an oblique slab differs from the point on the axis by a few mm at the most.
    assert max(np.linalg.norm(found[name] - column.body_centres[name]) for name in column.body_centres) < 4.0


def test_counts_from_the_axis(make_column):
    column = make_column(first="C2", last="T6", kyphosis_deg=30.0, slices=13, margin_mm=30.0)
    levels = build_anatomy(_beheaded(column), hints=NO_HINTS).levels
    assert (levels.numbering, levels.anchor) == ("absolute", "C2")
    assert set(named(levels)) >= set(column.body_centres) - {"T6"}


def _beheaded(column):
    """Give C2 a dens: as much bone again above its body, without a disc."""
    axes = column.tissues.affine[:3, :3] / np.linalg.norm(column.tissues.affine[:3, :3], axis=0)
    index = np.moveaxis(np.indices(column.tissues.grid.shape), 0, -1).astype(float)
    offset = (column.tissues.grid.to_lps(index) - column.body_centres["C2"]) @ axes
    dens = (np.abs(offset[..., 0]) < 8) & (np.abs(offset[..., 1]) < 7) & (offset[..., 2] > 0) & (offset[..., 2] < 22)
    return replaced(column.tissues, Tissue.BACKGROUND, Tissue.BODY, dens)


def test_whole_column_confirms_both_ways(make_column):
    column = make_column(first="C2", spacing=(4.0, 1.1, 1.1), slices=13, kyphosis_deg=10.0, margin_mm=30.0)
    levels = build_anatomy(_beheaded(column), hints=NO_HINTS).levels
    assert set(named(levels)) == set(column.body_centres) | {"S1"}
    # What is left is a sacrum whose border was taken one disc too high or too low.
    assert levels.confidence > 0.9
    assert codes(levels) == set()


def test_thoracic_view_without_anchor_is_relative(make_column):
    column = make_column(first="T2", last="L1", kyphosis_deg=35.0, margin_mm=-4.0)
    levels = build_anatomy(column.tissues, hints=NO_HINTS).levels
    assert (levels.numbering, levels.anchor) == ("relative", "none")
    assert levels.confidence < 0.9
    assert "NO_LEVEL_ANCHOR" in codes(levels)
    names = [vertebra.name for vertebra in levels.vertebrae]
    assert len(set(names)) == len(names) == 12
    assert None not in names


def test_a_given_level_anchors_a_thoracic_view(make_column):
    column = make_column(first="T2", last="L1", kyphosis_deg=35.0, margin_mm=-4.0)
    point = tuple(column.body_centres["T7"] + [4.0, 3.0, -5.0])
    levels = build_anatomy(column.tissues, hints=LevelHints(user=(("T7", point),))).levels
    assert (levels.numbering, levels.anchor) == ("absolute", "user")
    assert levels.confidence > 0.95
    found = named(levels)
    inner = list(column.body_centres)[1:-1]
    assert max(np.linalg.norm(found[name] - column.body_centres[name]) for name in inner) < 4.0


def test_the_localizer_lends_its_names(make_column):
    settings = {"kyphosis_deg": -35.0, "first": "T6", "oblique_deg": 0.0}
    whole = make_column(**settings, spacing=(5.0, 1.2, 1.2), slices=11)
    reference = build_anatomy(whole.tissues, hints=NO_HINTS).levels
    tissues = _upper_half(make_column(**settings).tissues)
    levels = build_anatomy(tissues, hints=LevelHints(reference=reference)).levels
    assert (levels.numbering, levels.anchor) == ("absolute", "localizer:sacrum")
    found = named(levels)
    assert {"T7", "T8", "T9", "T10", "T11"} <= set(found)
    assert all(np.linalg.norm(found[n] - whole.body_centres[n]) < 5.0 for n in ("T7", "T8", "T9", "T10", "T11"))


def _upper_half(tissues):
    half = tissues.grid.shape[2] // 2
    affine = tissues.affine.copy()
    affine[:3, 3] = tissues.grid.to_lps(np.array([0.0, 0.0, half]))
    return TissueMap(tissues.coverage[..., half:], affine, tissues.frame_of_reference_uid)


@pytest.mark.parametrize("into", [Tissue.BODY, Tissue.BACKGROUND])
def test_a_missed_disc_is_counted_and_flagged(make_column, into):
    column = make_column(first="T9")
    levels = build_anatomy(without_disc(column, "L1", into=into), hints=NO_HINTS).levels
    assert set(named(levels)) == set(column.body_centres) | {"S1"}
    assert "LEVEL_GAP_FILLED" in codes(levels)
    assert levels.confidence < 0.9
    trust = {vertebra.name: vertebra.confidence for vertebra in levels.vertebrae}
    assert trust["L4"] > trust["T10"]


def test_an_extra_lumbar_vertebra_is_flagged(make_column):
    column = make_column(first="T6", margin_mm=-6.0)
    point = tuple(column.body_centres["T9"])
    levels = build_anatomy(column.tissues, hints=LevelHints(user=(("T8", point),))).levels
    assert levels.anchor == "user"
    assert "TRANSITIONAL_SUSPECTED" in codes(levels)
    assert named(levels)["L4"] == pytest.approx(column.body_centres["L5"], abs=4.0)


def test_the_map_holds_each_level_at_its_place(make_column):
    column = make_column(first="T11")
    anatomy = build_anatomy(column.tissues, hints=NO_HINTS)
    grid, array = anatomy.level_map.grid, anatomy.level_map.array
    assert array.dtype == np.uint8
    for name, centre in column.body_centres.items():
        assert array[tuple(np.rint(grid.to_index(centre)).astype(int))] == vertebra_id(name)
    for name, centre in column.disc_centres.items():
        assert array[tuple(np.rint(grid.to_index(centre)).astype(int))] == disc_id(name)


def test_sections_belong_to_discs_within_three_millimetres(make_column):
    column = make_column(first="T11")
    anatomy = build_anatomy(column.tissues, hints=NO_HINTS)
    names = level_of_sections(anatomy.levels, anatomy.level_map, anatomy.centreline)
    # Discs of the column are 5 mm high: 5 + 2 x 3 mm, give or take a sample and the voxel size at either end.
    for name in ("T12/L1", "L1/2", "L3/4"):
        assert 9 <= names.count(name) <= 13
    order = list(dict.fromkeys(name for name in names if name is not None))
    assert order[order.index("T12") : order.index("L3")] == ["T12", "T12/L1", "L1", "L1/2", "L2", "L2/3"]
    first, last = names.index("T12"), len(names) - names[::-1].index("L4")
    assert None not in names[first:last]


def test_a_cut_body_is_not_complete(make_column):
    levels = build_anatomy(make_column(first="T10", margin_mm=-8.0).tissues, hints=NO_HINTS).levels
    assert not levels.vertebrae[0].complete
    assert all(vertebra.complete for vertebra in levels.vertebrae[1:-1])


def test_no_canal_gives_an_anatomy_that_says_so(make_column):
    tissues = make_column().tissues
    coverage = np.zeros_like(tissues.coverage)
    coverage[0] = 1.0
    anatomy = build_anatomy(TissueMap(coverage, tissues.affine), hints=NO_HINTS)
    assert anatomy.centreline is None
    assert anatomy.levels == Levels((), (), "unknown", "none", 0.0)
    assert [flag.code for flag in anatomy.flags] == ["NO_CANAL"]
    assert not anatomy.level_map.array.any()


def test_canal_without_bodies_gives_unknown_levels(make_column):
    tissues = make_column().tissues
    coverage = tissues.coverage.copy()
    coverage[4:8] = 0.0
    coverage[0] = 1.0 - coverage[1:].sum(0)
    levels = build_anatomy(TissueMap(coverage, tissues.affine), hints=NO_HINTS, column=()).levels
    assert levels.numbering == "unknown"
    assert codes(levels) == {"LEVELS_NOT_FOUND"}


def test_a_level_that_does_not_exist_is_refused(make_column):
    hints = LevelHints(user=(("T14", (0.0, 0.0, 0.0)),))
    with pytest.raises(UsageError, match="T14") as caught:
        build_anatomy(make_column().tissues, hints=hints)
    assert caught.value.code == "LEVEL_UNKNOWN"


def test_same_input_same_output(make_column):
    column = make_column(blur_voxels=1.0)
    one, two = (build_anatomy(column.tissues, hints=NO_HINTS) for _ in range(2))
    assert one.levels == two.levels
    np.testing.assert_array_equal(one.centreline.points_lps, two.centreline.points_lps)
    np.testing.assert_array_equal(one.level_map.array, two.level_map.array)


def test_the_sacral_border_stands_for_a_missing_lumbosacral_disc(make_column):
    column = make_column(first="T11")
    levels = build_anatomy(without_disc(column, "L5"), hints=NO_HINTS).levels
    assert levels.anchor == "sacrum"
    assert named(levels)["L5"] == pytest.approx(column.body_centres["L5"], abs=5.0)


def named_by_masks(column, shift: int) -> LevelHints:
    """The true centres under names `shift` levels farther down, as another tool would give them."""
    order = list(REGULAR_COLUMN)
    vertebrae = tuple(
        Vertebra(order[order.index(name) + shift], tuple(map(float, centre)), complete=True, confidence=0.75)
        for name, centre in column.body_centres.items()
        if name != "S1"
    )
    levels = Levels(vertebrae, (), "absolute", "spineps", 0.75)
    return LevelHints(reference=levels, reference_source="labels")


def test_masks_lend_their_names_to_a_thoracic_view(make_column):
    column = make_column("T3", "T12", kyphosis_deg=35.0)
    levels = build_anatomy(column.tissues, hints=named_by_masks(column, 0)).levels
    assert (levels.numbering, levels.anchor) == ("absolute", "labels:spineps")
    assert {"T4", "T8", "T11"} <= {vertebra.name for vertebra in levels.vertebrae}
    # The sizes of an average column, counted by themselves, speak for the same names.
    assert levels.confidence > build_anatomy(column.tissues, hints=NO_HINTS).levels.confidence


def test_names_that_contradict_the_sizes_are_not_taken_from_masks(make_column):
    # A crop numbered from its top: thoracic bodies under the names C3 to T5.
    column = make_column("T3", "T12", kyphosis_deg=35.0)
    levels = build_anatomy(column.tissues, hints=named_by_masks(column, -7)).levels
    assert levels.numbering == "relative"
    assert "LEVEL_ANCHOR_IMPLAUSIBLE" in codes(levels)


def test_a_sacrum_that_disagrees_with_the_masks_is_a_finding(make_column):
    column = make_column("T11", "S1")
    levels = build_anatomy(column.tissues, hints=named_by_masks(column, -1)).levels
    assert codes(levels) & {"TRANSITIONAL_SUSPECTED", "LEVEL_ANCHOR_IMPLAUSIBLE"}


def test_names_of_masks_without_bodies_are_taken_as_they_are(make_column):
    column = make_column()
    coverage = column.tissues.coverage.copy()
    coverage[4:8] = 0.0
    coverage[0] = 1.0 - coverage[1:].sum(0)
    hints = named_by_masks(column, 0)
    tissues = TissueMap(coverage, column.tissues.affine)
    levels = build_anatomy(tissues, hints=hints, column=()).levels
    assert levels.vertebrae == hints.reference.vertebrae
    assert (levels.anchor, levels.flags) == ("labels:spineps", ())
    pointed = replace(hints, user=(("T12", (0.0, 0.0, 0.0)),))
    assert codes(build_anatomy(tissues, hints=pointed, column=()).levels) == {"LEVEL_HINT_UNMATCHED"}
