"""An anatomy under other level names."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_result import make_result

from spinemri.anatomy.model import Anatomy, Disc, Levels, Vertebra
from spinemri.nomenclature import REGULAR_COLUMN, vertebra_id
from spinemri.pipeline.levels import with_levels


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return make_result().anatomy


def _shift(name: str | None, by: int) -> str | None:
    """Move a vertebra's or disc's name along the thoracic column."""
    if name is None:
        return None
    if "/" in name:
        upper, lower = name[1:].split("/")
        return f"T{int(upper) + by}/{int(lower) + by}"
    return REGULAR_COLUMN[REGULAR_COLUMN.index(name) + by]


def _shifted(levels: Levels, by: int) -> Levels:
    vertebrae = tuple(replace(v, name=_shift(v.name, by)) for v in levels.vertebrae)
    return replace(levels, vertebrae=vertebrae, discs=tuple(replace(d, name=_shift(d.name, by)) for d in levels.discs))


def test_every_structure_keeps_its_voxels_under_the_new_id(anatomy: Anatomy) -> None:
    renamed = with_levels(anatomy, _shifted(anatomy.levels, 1))
    old, new = anatomy.level_map.array, renamed.level_map.array
    np.testing.assert_array_equal(new[old > 0], old[old > 0] + 1)
    assert not new[old == 0].any()
    assert renamed.levels.vertebrae[0].name == "T5"


def test_a_structure_that_the_new_levels_lack_is_unnamed(anatomy: Anatomy) -> None:
    levels = replace(anatomy.levels, vertebrae=anatomy.levels.vertebrae[1:])
    renamed = with_levels(anatomy, levels)
    assert not (renamed.level_map.array == vertebra_id("T4")).any()
    assert (renamed.level_map.array == vertebra_id("T5")).any()


def test_without_names_the_map_is_empty(anatomy: Anatomy) -> None:
    nameless = Levels((Vertebra(None, (0, 0, 0), True, 0.0),), (Disc(None, (0, 0, 0)),), "unknown", "none", 0.0)
    assert not with_levels(anatomy, nameless).level_map.array.any()
