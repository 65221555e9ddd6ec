import numpy as np
import pytest
from synthetic_result import make_followup, make_result, make_unmeasured
from synthetic_spine import Spine, axial_grid, sagittal_grid

from spinemri.report.matching import level_arcs, map_arcs, matched_place, worst_place
from spinemri.report.sections import framed, native_axial, native_sagittal, perpendicular
from spinemri.report.visit import anterior_points, level_text, visits_of
from spinemri.report.windows import spine_window
from spinemri.volume import Volume

SPINE = Spine()


def marked(grid, own_mm):
    """A volume of zeros with one bright voxel at a place given in the spine's own left, posterior, superior mm."""
    array = np.zeros(grid.shape, np.float32)
    array[tuple(np.rint(grid.to_index(SPINE.to_lps(own_mm))).astype(int))] = 1.0
    return Volume(array, grid.affine)


def brightest(section):
    row, column = np.unravel_index(int(section.image.argmax()), section.image.shape)
    return column / section.image.shape[1], row / section.image.shape[0]


@pytest.mark.parametrize(
    ("own", "half"), [((15.0, 0.0, 0.0), "right"), ((-15.0, 0.0, 0.0), "left"), ((0.0, 30.0, 0.0), "bottom")]
)
def test_axial_the_patients_left_is_on_the_right_and_posterior_below(own, half):
    section = native_axial(marked(axial_grid(SPINE), (own[0], own[1], 12.0)), SPINE.to_lps([0.0, 0.0, 12.0]))
    across, down = brightest(section)
    assert {"right": across > 0.6, "left": across < 0.4, "bottom": down > 0.6}[half]


@pytest.mark.parametrize(
    ("own", "half"),
    [
        ((0.0, -40.0, 0.0), "left"),
        ((0.0, 40.0, 0.0), "right"),
        ((0.0, 0.0, 50.0), "top"),
        ((0.0, 0.0, -50.0), "bottom"),
    ],
)
def test_sagittal_anterior_is_on_the_left_and_superior_on_top(own, half):
    section = native_sagittal(marked(sagittal_grid(SPINE), own), SPINE.to_lps(own))
    across, down = brightest(section)
    assert {"left": across < 0.3, "right": across > 0.7, "top": down < 0.3, "bottom": down > 0.7}[half]


def test_the_perpendicular_section_has_the_same_sides():
    place = worst_place(make_result())
    # 12 mm to the left, thick enough for the 4 mm voxels.
    volume = marked(sagittal_grid(SPINE), SPINE.to_own(place.point_lps + 12 * place.left + 10 * place.posterior))
    section = perpendicular(volume, place.point_lps, left=place.left, posterior=place.posterior, size_mm=60)
    across, down = brightest(section)
    # 12 mm and 10 mm of 60 mm from the centre; half a voxel is 2 mm across and 0.4 mm down.
    assert across == pytest.approx(0.5 + 12 / 60, abs=2.5 / 60)
    assert down == pytest.approx(0.5 + 10 / 60, abs=1.0 / 60)


def test_size_is_physical_for_anisotropic_voxels():
    section = native_sagittal(Volume(np.zeros((3, 50, 40), np.float32), np.diag([4.0, 0.6, 1.5, 1.0])), np.zeros(3))
    assert section.pixel_mm == pytest.approx((0.6, 1.5))
    assert section.size_mm == pytest.approx((30.0, 60.0))


def test_a_point_projects_to_its_own_pixel():
    volume = marked(sagittal_grid(SPINE), (0.0, 20.0, -30.0))
    point = SPINE.to_lps([0.0, 20.0, -30.0])
    section = native_sagittal(volume, point)
    row, column = np.unravel_index(int(section.image.argmax()), section.image.shape)
    # Half a pixel of rounding.
    assert section.to_pixel(point) == pytest.approx([column, row], abs=0.51)
    assert section.distance_mm(point) <= 2.0
    assert section.points_lps()[row, column] == pytest.approx(point, abs=2.1)
    assert section.sample(volume).argmax() == section.image.argmax()


def test_framing_keeps_places_and_pads_with_black():
    volume = marked(sagittal_grid(SPINE), (0.0, 0.0, 0.0))
    whole = native_sagittal(volume.with_array(volume.array + 1), SPINE.to_lps([0.0, 0.0, 0.0]))
    part = framed(whole, np.array([-10.0, 20.0]), np.array([200.0, 60.0]))
    assert part.size_mm == pytest.approx((200.0, 60.0), abs=0.8)
    assert part.image[:, :12].max() == 0
    assert part.image[:, 200:].max() == 0
    lps = SPINE.to_lps([0.0, 5.0, 7.0])
    # One pixel of 0.8 mm: corners are rounded to whole pixels.
    assert part.to_mm(lps) == pytest.approx(whole.to_mm(lps) + np.array([10.0, -20.0]), abs=0.8)


def test_a_frame_outside_the_image_is_black():
    whole = native_sagittal(Volume(np.ones((3, 5, 5), np.float32), np.eye(4)), np.zeros(3))
    assert framed(whole, np.array([50.0, 50.0]), np.array([4.0, 4.0])).image.max() == 0


def test_no_axial_slice_is_shown_where_the_stack_does_not_reach():
    volume = marked(axial_grid(SPINE), (0.0, 0.0, 11.0))
    assert native_axial(volume, SPINE.to_lps([0.0, 0.0, 11.0 + 40.0])) is None
    assert native_axial(volume, SPINE.to_lps([80.0, 0.0, 11.0])) is None
    assert native_axial(volume, SPINE.to_lps([0.0, 0.0, 11.0 + 30.0])) is not None


def test_the_matched_place_of_a_repositioned_visit_is_the_same_place_of_the_spine():
    baseline, followup = make_result(), make_followup()
    moved = Spine(6.6, tilt_deg=3.0, shift_mm=(-1.0, -14.0, 28.0))
    own = moved.to_own(matched_place(baseline, followup).point_lps)
    # One step of the centreline is 1 mm, and level centres fall between its points.
    assert own[2] == pytest.approx(11.0, abs=1.6)


def test_arcs_map_by_names_and_beyond_them():
    baseline, followup = make_result(), make_followup()
    mapped = map_arcs(followup, baseline)
    one, two = level_arcs(baseline), level_arcs(followup)
    assert mapped(np.array([two["T7"]])) == pytest.approx([one["T7"]])
    assert mapped(np.array([-5.0]))[0] - mapped(np.array([-6.0]))[0] == pytest.approx(1.0)


def test_names_stand_in_front_of_the_bodies():
    result = make_result()
    points = anterior_points(result)
    assert set(points) == {"T4", "T5", "T6", "T7", "T8", "T9", "T10"}
    front = SPINE.to_own(points["T7"])
    # The body's front is 36 mm before the canal's centre at y = 12; the canal's tilt moves the box by up to 3 mm.
    assert front[1] == pytest.approx(12 - 36, abs=3)
    assert front[2] == pytest.approx(0, abs=3)
    assert level_text(result, "T7") == "T7"


def test_the_window_is_robust_against_a_bright_spot_and_an_empty_image():
    result = make_result()
    array = result.primary_image.array.copy()
    array[0, :3, :3] = 1e6
    low, high = spine_window(result.primary_image.with_array(array), result.anatomy.centreline)
    assert 0 <= low < 60
    assert 300 < high < 500
    low, high = spine_window(Volume(np.zeros((3, 3, 3), np.float32), np.eye(4)), None)
    assert low < high


def test_titles_tell_visits_apart():
    assert [v.title for v in visits_of([make_result()])] == ["2024-03-01"]
    titles = [v.title for v in visits_of([make_result(), make_followup()])]
    assert titles == ["2024-03-01, baseline", "2024-03-20, follow-up"]


def test_the_window_leaves_out_bright_fat_far_behind_the_spine():
    result = make_result()
    grid = result.primary_image.grid
    own = SPINE.to_own(grid.to_lps(np.stack(np.indices(grid.shape), -1).astype(float)))
    bright = result.primary_image.with_array(np.where(own[..., 1] > 45, 5000, result.primary_image.array))
    # The centreline lies at y = 12 mm at most: 45 mm is 33 mm behind it.
    assert spine_window(bright, result.anatomy.centreline)[1] < 500


def test_only_a_measured_worst_section_is_marked():
    assert visits_of([make_result()])[0].marked
    assert not visits_of([make_unmeasured()])[0].marked
