import io

import numpy as np
import pytest
from PIL import Image

from spinemri.report.drawing import MASS_COLOUR, Outline, draw_section, orientation_letters
from spinemri.report.sections import native_axial
from spinemri.volume import Volume


def section(marker=None):
    array = np.full((60, 60, 3), 20.0, np.float32)
    if marker:
        array[marker] = 100.0
    return native_axial(Volume(array, np.diag([1.0, 0.5, 4.0, 1.0])), np.array([30.0, 15.0, 4.0]))


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_a_picture_has_the_physical_aspect():
    picture = pixels(draw_section(section(), (0, 100), pixels_per_mm=5))
    # 60 x 30 mm at 5 pixels a mm.
    assert picture.shape == (150, 300, 3)


def test_a_marker_on_the_patients_left_lands_on_the_pictures_right():
    picture = pixels(draw_section(section((slice(48, 54), slice(8, 12), 1)), (0, 100), pixels_per_mm=5))
    # The marker lies at x = 48..53 mm of 60 and y = 4..6 mm of 30; letters and bar stay away from there.
    assert picture[22:28, 245:265].mean() > 150
    assert picture[22:28, 35:55].mean() < 100


def test_an_outline_is_drawn_in_its_colour_where_the_fraction_is_one_half():
    fraction = np.zeros((60, 60), np.float32)
    fraction[20:40, 20:40] = 1
    picture = pixels(draw_section(section(), (0, 100), outlines=(Outline(fraction, MASS_COLOUR),), pixels_per_mm=5))
    orange = (picture[..., 0] > 180) & (picture[..., 2] < 90)
    rows, columns = np.nonzero(orange)
    # The border runs between pixels 19 and 20, and 39 and 40: 20 and 40 mm across, 10 and 20 mm down; half a line each.
    assert (columns.min() / 5, columns.max() / 5) == pytest.approx((20, 40), abs=0.6)
    assert (rows.min() / 5, rows.max() / 5) == pytest.approx((10, 20), abs=0.6)


def test_an_empty_and_a_full_fraction_draw_nothing():
    bare = draw_section(section(), (0, 100), pixels_per_mm=5)
    for value in (0.0, 1.0):
        outline = Outline(np.full((60, 60), value, np.float32), MASS_COLOUR)
        assert draw_section(section(), (0, 100), outlines=(outline,), pixels_per_mm=5) == bare


@pytest.mark.parametrize(
    ("direction", "letter"),
    [([1, 0.2, 0], "L"), ([-1, 0, 0.5], "R"), ([0, 2, 1], "P"), ([0, -2, 1], "A"), ([0, 0, 1], "S"), ([0, 0, -1], "I")],
)
def test_letters_follow_lps(direction, letter):
    assert orientation_letters(np.array(direction, dtype=float)) == letter
