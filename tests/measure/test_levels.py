"""Levels along the canal."""

import numpy as np

from spinemri.measure.levels import arc_position_mm, levels_record, vertebra_of_sections, vertebra_positions_mm


def test_positions_follow_the_canal_and_go_on_beyond_its_ends(patient):
    anatomy, _ = patient()
    points = np.array([[3.0, -20.0, 10.4], [0.0, 5.0, 120.0], [0.0, 0.0, -100.0]])
    # The canal starts at z = 93 and runs straight down.
    assert np.allclose(arc_position_mm(points, anatomy.centreline), [82.6, -27.0, 193.0])


def test_vertebrae_lie_at_their_middles_and_share_discs_by_halves(patient):
    anatomy, _ = patient()
    middles = vertebra_positions_mm(anatomy.levels, anatomy.centreline)
    assert np.allclose(middles, 93 + 22.0 * (np.arange(8) - 3.5))
    names = [
        anatomy.levels.vertebrae[i].name if i >= 0 else None
        for i in vertebra_of_sections(anatomy.levels, anatomy.centreline)
    ]
    # The disc T6/7 is centred at 93 mm; T3 reaches 12 mm above its middle at 16 mm.
    assert names[91:96] == ["T6", "T6", "T7", "T7", "T7"]
    assert names[2:6] == [None, None, "T3", "T3"]


def test_levels_without_names_keep_their_places(patient):
    anatomy, _ = patient(names=(None,) * 8)
    record = levels_record(anatomy.levels, anatomy.level_map)
    assert record.numbering == "unknown"
    assert [v.id for v in record.vertebrae] == [None] * 8
    assert record.vertebrae[2].centre_lps_mm == anatomy.levels.vertebrae[2].centre_lps_mm


def test_ids_follow_verse(patient):
    anatomy = patient()[0]
    record = levels_record(anatomy.levels, anatomy.level_map)
    assert [v.id for v in record.vertebrae] == list(range(10, 18))
    assert record.discs[3].name == "T6/7"
