"""One level that a person names renumbers all, without segmenting again."""

from __future__ import annotations

import pytest

from spinemri.anatomy.model import Disc, Levels, Vertebra
from spinemri.errors import UsageError
from spinemri.pipeline.renumber import renumbered, shift_between, shifted


def column(*names: str | None, anchor: str = "none") -> Levels:
    """Bodies 22 mm apart from above downwards, on an oblique line, with the discs between them."""
    places = [(3.0 + 0.5 * n, -40.0 + 2.0 * n, 200.0 - 22.0 * n) for n in range(len(names))]
    vertebrae = tuple(
        Vertebra(name, place, complete=True, confidence=0.4) for name, place in zip(names, places, strict=True)
    )
    discs = tuple(
        Disc(f"{a}/{b}", ((p[0] + q[0]) / 2, (p[1] + q[1]) / 2, (p[2] + q[2]) / 2))
        for a, b, p, q in zip(names[:-1], names[1:], places[:-1], places[1:], strict=True)
    )
    return Levels(vertebrae, discs, "relative", anchor, 0.4)


def test_one_name_moves_all_of_them() -> None:
    levels = renumbered(column("T6", "T7", "T8", "T9"), [("t8", (4.0, -36.0, 182.0))])
    assert [v.name for v in levels.vertebrae] == ["T7", "T8", "T9", "T10"]
    assert [d.name for d in levels.discs] == ["T7/8", "T8/9", "T9/10"]
    assert (levels.numbering, levels.anchor) == ("absolute", "user")


def test_an_extra_vertebra_can_be_named() -> None:
    levels = renumbered(column("L4", "L5", "S1"), [("L6", (3.5, -38.0, 178.0))])
    assert [v.name for v in levels.vertebrae] == ["L5", "L6", "S1"]
    assert [d.name for d in levels.discs] == ["L5/6", "L6/S1"]


def test_unnamed_levels_get_names_and_beyond_the_column_there_are_none() -> None:
    levels = renumbered(column(None, None, None), [("L5", (3.0, -40.0, 200.0))])
    assert [v.name for v in levels.vertebrae] == ["L5", "S1", None]


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ([("T8", (0.0, 0.0, 0.0))], "LEVEL_HINT_UNMATCHED"),
        ([("T14", (3.0, -40.0, 200.0))], "LEVEL_UNKNOWN"),
        ([("T6", (3.0, -40.0, 200.0)), ("T9", (3.5, -38.0, 178.0))], "LEVEL_HINTS_DISAGREE"),
    ],
)
def test_what_cannot_be_is_refused(named: list[tuple[str, tuple[float, float, float]]], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        renumbered(column("T6", "T7", "T8"), named)
    assert caught.value.code == code


def test_a_follow_up_moves_with_the_first_visit() -> None:
    before = column("T6", "T7", "T8", "T9")
    after = renumbered(before, [("T8", (4.0, -36.0, 178.0))])
    assert shift_between(before, after) == 1
    moved = shifted(column("T5", "T6", "T7", anchor="baseline"), 1)
    assert [v.name for v in moved.vertebrae] == ["T6", "T7", "T8"]
    assert moved.anchor == "baseline"
