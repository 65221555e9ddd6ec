"""Numberings weighed against one another."""

from __future__ import annotations

import numpy as np
import pytest

from spinemri.anatomy.conus import CordEnd
from spinemri.anatomy.norms import COLUMNS, DEPTH_MM, PITCH_MM, TILT_DEG
from spinemri.anatomy.readings import Claim, Evidence, Seen, weigh_readings
from spinemri.anatomy.traits import Traits
from spinemri.nomenclature import REGULAR_COLUMN

NO_CORD = CordEnd(None)


def average(first: str, last: str, *, size: float = 1.0, turned_deg: float = 0.0, cord: CordEnd = NO_CORD) -> Seen:
    """The bodies of an average adult from `first` to `last`, of another size, lying otherwise in the scanner."""
    names = REGULAR_COLUMN[REGULAR_COLUMN.index(first) : REGULAR_COLUMN.index(last) + 1]
    traits = Traits(
        size * np.array([PITCH_MM[name] for name in names[1:-1]]),
        size * np.array([DEPTH_MM[name] for name in names[:-1]]),
        turned_deg + np.array([TILT_DEG[name] for name in names[:-1]]),
    )
    return Seen((True,) * len(names), (False,) * len(names), traits, cord)


def says(body: int, name: str | None, probability: float, source: str = "sacrum") -> Evidence:
    return Evidence(source, (Claim(body, name, probability),))


def test_prevalences_sum_to_one():
    assert sum(kind.prevalence for kind in COLUMNS) == pytest.approx(1.0)
    assert all(kind.names[: kind.presacral][-1][0] == "L" for kind in COLUMNS)


@pytest.mark.parametrize(("first", "last"), [("T2", "T12"), ("T8", "L4"), ("C3", "T5")])
@pytest.mark.parametrize(("size", "turned_deg"), [(1.0, 0.0), (0.96, 3.0)])
def test_an_average_column_is_read_right_without_an_anchor(first, last, size, turned_deg):
    readings = weigh_readings(average(first, last, size=size, turned_deg=turned_deg), [])
    assert (readings[0].names[0], readings[0].names[-1]) == (first, last)
    # Nobody could be sure of it: the next numbering is one level off.
    assert 0.3 < readings[0].probability < 0.97
    assert sum(reading.probability for reading in readings) == pytest.approx(1.0)


def test_short_pieces_are_less_sure_than_long_ones():
    short, long = (weigh_readings(average(first, "T11"), [])[0].probability for first in ("T8", "T2"))
    assert short < long


def test_the_sacrum_leaves_the_chance_of_an_unusual_column():
    readings = weigh_readings(average("T11", "L5"), [says(6, None, 0.95)])
    assert readings[0].names[-1] == "L5"
    # One column in ten is unusual, and average sizes and tilts speak for a regular one a little more.
    assert 0.85 < readings[0].probability < 0.99
    assert {reading.names[-1] for reading in readings[1:4]} <= {"L4", "L5", "L6"}


def test_both_ends_show_an_extra_vertebra():
    # 25 vertebrae from C1 to the last one above the sacrum: the twenty-fifth is L6 rather than a T13 above L1.
    count = 24
    seen = Seen((True,) * count, (False,) * count, Traits(*(np.full(n, np.nan) for n in (22, 23, 23))), NO_CORD)
    readings = weigh_readings(seen, [says(0, "C2", 0.95, "C2"), says(count - 1, None, 0.95)])
    assert readings[0].names[-2:] == ("L5", "L6")
    assert readings[1].names[18:20] == ("T13", "L1")
    # The shares of the two columns decide: 4.5 to 1.5.
    assert readings[0].probability / readings[1].probability == pytest.approx(3.0, rel=0.05)
    assert readings[0].remark == "six lumbar vertebrae"


def test_the_conus_moves_the_reading():
    # The usual end of the cord, at the lower third of L1, and one level farther down.
    usual, low = (average("T9", "L2", cord=CordEnd(at, seen_below=True)) for at in (4.8, 5.8))
    chance = [sum(r.probability for r in weigh_readings(seen, []) if r.names[0] == "T9") for seen in (usual, low)]
    assert chance[0] > chance[1] + 0.05


def test_a_person_outweighs_everything():
    readings = weigh_readings(average("T4", "T12"), [says(2, "L2", 1.0, "user")])
    assert readings[0].names[2] == "L2"
    assert readings[0].agreement == (1.0,)
