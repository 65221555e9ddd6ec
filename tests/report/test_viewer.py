"""The interactive viewer, in a browser: an oblique anisotropic spine at two visits."""

import base64
import gzip
import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from playwright.sync_api import sync_playwright
from scipy import ndimage
from synthetic_result import make_unmeasured
from synthetic_spine import Spine

from spinemri.intake.model import Role
from spinemri.nomenclature import Tissue
from spinemri.report.linking import common_line
from spinemri.report.sections import native_axial, native_sagittal
from spinemri.report.stacks import WHITE, shown_stacks
from spinemri.report.viewer import viewer_data
from spinemri.report.visit import visits_of
from spinemri.report.windows import spine_window
from spinemri.volume import Volume

# WebGL by software: no graphics card, no driver.
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PANES = [(column, plane) for column in (0, 1) for plane in ("sagittal", "axial")]


@pytest.fixture(scope="module")
def opened(compared, chromium_program):
    """The page with its viewer ready, and every address that it asked for."""
    asked = []
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=chromium_program, args=FLAGS)
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.on("request", lambda request: asked.append(request.url))
        page.goto((compared.folder / "report.html").as_uri())
        page.wait_for_function("spinemriViewer.ready || spinemriViewer.problem", timeout=120_000)
        assert page.evaluate("spinemriViewer.problem") is None
        yield page, asked
        browser.close()


@pytest.fixture
def page(opened):
    """The page as it was when it opened."""
    found = opened[0]
    found.evaluate(
        """() => {
          for (const box of document.querySelectorAll("#viewer input[type=checkbox]")) {
            if (box.checked !== box.defaultChecked) box.click();
          }
          spinemriViewer.worst();
        }"""
    )
    return found


def act(page, name, value=None):
    """Press a button or a box of the viewer, or give a slider or a list a value."""
    page.evaluate(
        """([name, value]) => {
          const control = document.querySelector(`#viewer [data-act="${name}"]`);
          if (value === null) return control.click();
          control.value = value;
          control.dispatchEvent(new Event(control.type === "range" ? "input" : "change"));
        }""",
        [name, value],
    )


def shown(page, column, plane):
    """What a pane draws, (rows, columns, 3) in pixels of its canvas."""
    pixels, width, height = page.evaluate(
        """([column, plane]) => {
          const nv = spinemriViewer.columns[column][plane].nv;
          const { drawingBufferWidth: width, drawingBufferHeight: height } = nv.gl;
          const pixels = new Uint8Array(4 * width * height);
          nv.drawScene();
          nv.gl.readPixels(0, 0, width, height, nv.gl.RGBA, nv.gl.UNSIGNED_BYTE, pixels);
          const parts = [];
          for (let at = 0; at < pixels.length; at += 8192) {
            parts.push(String.fromCharCode(...pixels.subarray(at, at + 8192)));
          }
          return [btoa(parts.join("")), width, height];
        }""",
        [column, plane],
    )
    picture = np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(height, width, 4)
    # WebGL counts rows from below.
    return picture[::-1, :, :3].astype(float)


def cross_lps(page, column, plane):
    """Where the cross of a pane lies, LPS mm."""
    pane = f"spinemriViewer.columns[{column}].{plane}.nv"
    x, y, z = page.evaluate(f"Array.from({pane}.frac2mm({pane}.scene.crosshairPos, 0, true)).slice(0, 3)")
    return np.array([-x, -y, z])


def places_lps(page, column, plane, points):
    """The places in the patient under points of a pane, in pixels of its canvas; NaN outside the image."""
    found = page.evaluate(
        """([column, plane, points]) => {
          const nv = spinemriViewer.columns[column][plane].nv;
          return points.map((point) => {
            const fraction = nv.canvasPos2frac(point);
            return fraction[0] < 0 ? null : Array.from(nv.frac2mm(fraction, 0, true)).slice(0, 3);
          });
        }""",
        [column, plane, points],
    )
    return np.array([[np.nan] * 3 if place is None else [-place[0], -place[1], place[2]] for place in found])


def native(result, plane):
    return result.images[Role.SAGITTAL_T2 if plane == "sagittal" else Role.AXIAL_T2]


def test_nothing_is_asked_of_a_network(opened):
    page, asked = opened
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [page.url]


@pytest.mark.parametrize(("column", "plane"), PANES)
def test_no_pane_is_blank(page, column, plane):
    picture = shown(page, column, plane)
    # An image with black air, grey bodies and bright fluid.
    assert picture.std() > 20
    assert len(np.unique(picture[..., 0])) > 60


@pytest.mark.parametrize(("column", "plane"), PANES)
def test_the_grey_values_are_those_of_the_slice_through_the_worst_point(compared, page, column, plane):
    result = compared.results[column]
    act(page, "mass")
    colours = shown(page, column, plane)
    picture = colours.mean(-1)
    rows, columns = np.mgrid[12 : picture.shape[0] - 24 : 9, 12 : picture.shape[1] - 12 : 7]
    points = np.stack([columns.ravel(), rows.ravel()], 1)
    places = places_lps(page, column, plane, (points + 0.5).tolist())
    # Not the cross, which is yellow.
    grey = np.ptp(colours[rows.ravel(), columns.ravel()], axis=-1) < 3
    inside = np.isfinite(places[:, 0]) & grey
    volume, ours = native(result, plane), picture[rows.ravel(), columns.ravel()]
    cut, axis = (native_sagittal, 0) if plane == "sagittal" else (native_axial, 2)
    low, high = spine_window(volume, result.anatomy.centreline)
    found = []
    for step in (-1, 0, 1):
        section = cut(volume, cross_lps(page, column, plane) + step * volume.affine[:3, axis])
        at = section.to_pixel(places[inside])[:, ::-1].T
        values = ndimage.map_coordinates(section.image, at, order=1, mode="nearest")
        found.append(np.corrcoef(np.clip(values, low, high), ours[inside])[0, 1])
    assert inside.sum() > 200
    # The letters at the border remain. Each slice has noise of its own, so that its neighbours agree less.
    assert found[1] > 0.8
    assert found[1] == max(found)


@pytest.mark.parametrize("plane", ["sagittal", "axial"])
def test_the_worst_level_is_where_the_measurement_says(compared, page, plane):
    result = compared.results[0]
    page.evaluate("spinemriViewer.level('T4')")
    away = cross_lps(page, 0, plane)
    act(page, "worst")
    worst = np.array(result.measurements.compromise.worst_point_lps_mm)
    assert np.linalg.norm(away - worst) > 20
    grid = native(result, plane).grid
    offset = np.abs(grid.to_index(cross_lps(page, 0, plane)) - grid.to_index(worst))
    axis = 0 if plane == "sagittal" else 2
    # Across the slices the cross sits on the nearest slice; within it, places are given to 0.01 mm.
    assert offset[axis] <= 0.5 + 1e-4
    assert np.delete(offset, axis).max() < 0.05
    cut = native_sagittal if plane == "sagittal" else native_axial
    section = cut(native(result, plane), cross_lps(page, 0, plane))
    said = page.locator(f".viewer-column >> nth=0 >> .viewer-pane.{plane} >> .say").inner_text()
    assert f"slice {section.number} of {section.count}" in said
    assert page.locator(".viewer-facts strong").first.inner_text() == "T6/7"


@pytest.mark.parametrize(
    ("plane", "across", "down"), [("sagittal", (1, 1.0), (2, -1.0)), ("axial", (0, 1.0), (1, 1.0))]
)
def test_sides_are_those_of_radiology(page, plane, across, down):
    middle = [120, 140]
    here, right, below = places_lps(page, 0, plane, [middle, [160, 140], [120, 180]])
    # Sagittal: posterior on the right, caudal below. Axial: the patient's left on the right, posterior below.
    assert (right - here)[across[0]] * across[1] > 5
    assert (below - here)[down[0]] * down[1] > 5


@pytest.mark.parametrize(("column", "plane"), PANES)
def test_the_mask_covers_the_mass_and_nothing_else(compared, page, column, plane):
    result = compared.results[column]
    with_mass = shown(page, column, plane)
    act(page, "mass")
    rows, columns = np.nonzero(np.abs(shown(page, column, plane) - with_mass).max(-1) > 25)
    assert len(rows) > 300
    keep = slice(None, None, max(1, len(rows) // 400))
    points = np.stack([columns[keep] + 0.5, rows[keep] + 0.5], 1)
    fraction = result.mass.probability
    index = np.rint(fraction.grid.to_index(places_lps(page, column, plane, points.tolist()))).astype(int)
    # The voxel itself, or one beside it that the border crosses.
    around = ndimage.maximum_filter(fraction.array, size=3)
    assert (around[tuple(index.T)] > 0).mean() > 0.98
    act(page, "mass")
    assert np.abs(shown(page, column, plane) - with_mass).max() == 0


def test_opacity_and_anatomy_change_what_is_seen(page):
    usual = shown(page, 0, "sagittal")
    act(page, "mass-opacity", "100")
    strong = shown(page, 0, "sagittal")
    act(page, "mass-opacity", "45")
    act(page, "tissues")
    tissues = shown(page, 0, "sagittal")
    assert np.abs(strong - usual).max() > 60
    # Bodies, discs, canal and arches: far more of the picture than the mass.
    assert (np.abs(tissues - usual).max(-1) > 15).mean() > 3 * (np.abs(strong - usual).max(-1) > 15).mean() > 0


def test_visits_stay_locked_by_level_names(compared, page):
    first, second = compared.results
    canvas = page.locator(".viewer-pane.sagittal canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    before = cross_lps(page, 1, "sagittal")
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.22 * box["height"])
    moved = np.array(page.evaluate("spinemriViewer.columns[0].mm"))
    worst = np.array(first.measurements.compromise.worst_point_lps_mm)
    assert np.linalg.norm(moved - worst) > 20
    # The follow-up is the same spine, tilted by 3 degrees and shifted: the same place in its own coordinates. Centres
    # of levels carry the link: 1 mm along the canal between two of them, and as much for the frames of the sections.
    expected = Spine(6.6, tilt_deg=3.0, shift_mm=(-1.0, -14.0, 28.0)).to_lps(Spine().to_own(moved))
    assert np.array(page.evaluate("spinemriViewer.columns[1].mm")) == pytest.approx(expected, abs=2.0)
    spacing = native(second, "sagittal").spacing
    assert np.linalg.norm(cross_lps(page, 1, "sagittal") - expected) < 2.0 + spacing[0] / 2
    assert np.linalg.norm(cross_lps(page, 1, "sagittal") - before) > 20
    act(page, "linked")
    stays = cross_lps(page, 1, "sagittal")
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.7 * box["height"])
    assert cross_lps(page, 1, "sagittal") == pytest.approx(stays)
    act(page, "linked")
    assert np.linalg.norm(cross_lps(page, 1, "sagittal") - stays) > 20


def test_there_and_back_between_visits_is_the_same_place(page):
    gap = page.evaluate(
        """() => {
          const { toCanal, fromCanal, data } = spinemriViewer;
          const [one, two] = data.visits.map((visit) => visit.line);
          return data.visits[0].levels.map(({ centre }) => {
            const back = fromCanal(one, toCanal(two, fromCanal(two, toCanal(one, centre))));
            return Math.hypot(...back.map((value, i) => value - centre[i]));
          });
        }"""
    )
    # Half the 2 mm between points of the line, where a straight piece stands for a bend.
    assert len(gap) > 8
    assert max(gap) < 1.0


def test_level_names_stand_beside_their_bodies(compared, page):
    names = page.locator(".viewer-column >> nth=0 >> .viewer-pane.sagittal >> .names span")
    texts = names.all_inner_texts()
    assert {"T5", "T6", "T7", "T8"} <= set(texts)
    assert page.locator(".viewer-column >> nth=0 >> .names .here").all_inner_texts() == ["T6", "T7"]
    heights = [names.nth(number).bounding_box()["y"] for number in range(len(texts))]
    assert heights == sorted(heights)
    act(page, "level", "T5")
    centre = {level.name: level.centre_lps_mm for level in compared.results[0].anatomy.levels.vertebrae}["T5"]
    # The cross goes to the canal at the level: its height is that of the body, but for the tilt of the section.
    assert cross_lps(page, 0, "sagittal")[2] == pytest.approx(centre[2], abs=8.0)


def test_other_series_are_shown_at_the_same_place(page):
    before, place = shown(page, 0, "sagittal"), cross_lps(page, 0, "sagittal")
    act(page, "sagittal", "sagittal_t1")
    page.evaluate("spinemriViewer.settled")
    assert page.locator(".viewer-pane.sagittal .say").first.inner_text().startswith("Sagittal T1, slice")
    assert cross_lps(page, 0, "sagittal") == pytest.approx(place, abs=0.01)
    assert np.abs(shown(page, 0, "sagittal") - before).max() > 60
    act(page, "sagittal", "sagittal_t2")
    page.evaluate("spinemriViewer.settled")
    assert np.abs(shown(page, 0, "sagittal") - before).max() == 0


def test_while_it_loads_it_says_so_and_nothing_else(opened, compared):
    page = opened[0].context.browser.new_page()
    page.add_init_script(
        """window.said = [];
        new MutationObserver(() => {
          for (const line of document.querySelectorAll("#viewer .say")) said.push(line.textContent);
        }).observe(document, { childList: true, subtree: true });"""
    )
    page.goto((compared.folder / "report.html").as_uri())
    page.wait_for_function("spinemriViewer.ready", timeout=120_000)
    said = [line.split(",")[0] for line in page.evaluate("said") if line]
    page.close()
    assert said[0] == "Loading the images."
    assert {"Sagittal T2", "Axial T2"} <= set(said)
    assert not [line for line in said if line.startswith("No such series")]


def test_without_webgl_one_line_says_so(opened, compared):
    page = opened[0].context.browser.new_page()
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto((compared.folder / "report.html").as_uri())
    assert page.locator(".viewer-off").inner_text().startswith("This browser offers no WebGL 2")
    assert page.locator(".viewer-on").is_hidden()
    assert page.locator("figure img").count() == 21
    page.close()


def volumes(results):
    return json.loads(viewer_data(visits_of(results)))


def test_images_are_where_they_were(compared):
    """Read back by another reader, cut and quantised images lie where the originals do."""
    result = compared.results[0]
    (visit,) = volumes([result])["visits"]
    assert {stack["role"] for stack in visit["stacks"]} == {role.value for role in result.images}
    for stack in visit["stacks"]:
        image = nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(stack["image"])))
        original = result.images[Role(stack["role"])]
        lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
        start = original.grid.to_index(lps[:3, 3])
        assert start == pytest.approx(np.rint(start), abs=1e-3)
        box = tuple(slice(int(a), int(a) + n) for a, n in zip(np.rint(start), image.shape, strict=True))
        low, high = spine_window(original, result.anatomy.centreline)
        expected = np.clip((original.array[box] - low) / (high - low) * WHITE, 0, 255)
        # Rounding to whole grey levels.
        assert np.abs(np.asarray(image.dataobj) - expected).max() <= 0.51
        assert np.prod(image.shape) <= np.prod(original.shape)


def test_a_small_budget_makes_coarser_images_of_the_same_extent(compared):
    visits = visits_of(compared.results)
    fine, coarse = shown_stacks(visits), shown_stacks(visits, budget=200_000)
    assert sum(stack.image.array.size for own in coarse for stack in own) <= 200_000
    for one, two in zip(fine[0], coarse[0], strict=True):
        assert two.image.spacing[:2] != one.image.spacing[:2]
        ends = [
            volume.grid.to_lps(np.array([[-0.5] * 3, np.array(volume.shape) - 0.5]))
            for volume in (one.image, two.image)
        ]
        assert ends[1] == pytest.approx(ends[0], abs=1e-6)
        # Noise below black is cut before it is counted, and there is less of it after averaging.
        assert two.image.array.mean() == pytest.approx(one.image.array.mean(), rel=0.15)


def test_beyond_every_budget_the_visits_between_have_no_images(compared):
    first, second = compared.results
    own = shown_stacks(visits_of([first, second, second]), budget=1)
    assert [bool(stacks) for stacks in own] == [True, False, True]


def test_masks_on_other_coordinates_are_left_out(compared):
    result = compared.results[0]
    axial = result.images[Role.AXIAL_T2]
    images = {Role.SAGITTAL_T2: result.primary_image, Role.AXIAL_T2: Volume(axial.array, axial.affine, "9.9.9")}
    (visit,) = volumes([replace(result, images=images)])["visits"]
    assert [stack["mass"] is None for stack in visit["stacks"]] == [False, True]


def test_tissues_of_axial_images_are_those_of_the_sagittal_masks(compared):
    result = compared.results[0]
    ((*_, axial),) = shown_stacks(visits_of([result]))
    labels, tissues = axial.tissues, result.anatomy.tissues
    assert axial.role is Role.AXIAL_T2
    cord = labels.array == Tissue.CORD
    centres = labels.grid.to_lps(np.argwhere(cord).astype(float))
    index = np.rint(tissues.grid.to_index(centres)).astype(int)
    inside = (index >= 0).all(1) & (index < tissues.grid.shape).all(1)
    assert cord.sum() > 100
    # The voxel itself or one beside it: borders are interpolated.
    assert (tissues.fraction(Tissue.CORD).array[tuple(index[inside].T)] > 0).mean() > 0.95
    assert not np.isin(labels.array, (Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE)).any()


def test_the_common_line_runs_down_the_baseline(compared):
    visits = visits_of(compared.results)
    for visit in visits:
        line = common_line(visit, visits[0])
        assert (np.diff(line.arc_mm) > 0).all()
        assert len(line.arc_mm) == len(line.points_lps) == len(line.left) == len(line.posterior)
    arcs = common_line(visits[0], visits[0]).arc_mm
    assert arcs[0] == pytest.approx(0.0, abs=1e-9)


def test_a_visit_without_a_canal_is_shown_as_it_is():
    (visit,) = volumes([make_unmeasured()])["visits"]
    assert (visit["levels"], visit["profile"], visit["worst"]) == ([], [], None)
    assert len(visit["line"]["arc"]) == 1
    assert len(visit["stacks"]) == 4


def test_nothing_of_the_data_can_end_the_script(compared):
    text = viewer_data(visits_of(compared.results))
    assert "<" not in text
    assert compared.results[0].study.study_instance_uid not in text
