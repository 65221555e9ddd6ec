"""The pages of a cohort in a browser, opened from a file."""

import csv
import json
import shutil

import pytest
from batch_cohort import BROKEN, Ran
from playwright.sync_api import sync_playwright

from spinemri.batch.pages.plots import agreement
from spinemri.batch.pages.svg import Axis, Plot, ticks
from spinemri.batch.ratings import read_ratings


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Ran:
    ran = Ran(tmp_path_factory.mktemp("pages"))
    ran.run()
    return ran


@pytest.fixture(scope="module")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((path for name in names if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("no headless Chromium on this machine")
    with sync_playwright() as tool:
        opened = tool.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, whole):
    """Open a page in a browser that remembers nothing, without a network; returns it and what it asked for."""
    contexts = []

    def go(name: str):
        context = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True, offline=True)
        contexts.append(context)
        page, asked = context.new_page(), []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: asked.append(f"error: {error}"))
        page.goto((whole.out / name).as_uri())
        return page, asked

    yield go
    for context in contexts:
        context.close()


def test_the_cohort_page_asks_for_nothing_but_itself(visit):
    page, asked = visit("cohort.html")
    assert asked == [page.url]
    assert "research use only" in page.locator(".banner").first.inner_text().lower()


def test_one_bar_for_each_subject_from_growth_to_loss_with_its_interval(visit):
    page, _ = visit("cohort.html")
    bars = page.locator("#waterfall rect.mark")
    said = [bars.nth(number).locator("title").text_content() for number in range(bars.count())]
    # S5's mass is gone at its last visit and has no per cent; S4 and S6 have one visit.
    assert [text.split(",")[0] for text in said] == ["S2", "S3", "S1"]
    assert "-61.0 % (95 % -71.0 to -55.0), decreased" in said[2]
    boxes = [bars.nth(number).bounding_box() for number in range(3)]
    zero = boxes[0]["y"] + boxes[0]["height"]
    assert boxes[2]["y"] == pytest.approx(zero, abs=1.0)
    # Heights are those of the changes, 22.375 and 61 per cent.
    assert boxes[2]["height"] / boxes[0]["height"] == pytest.approx(61.0 / 22.375, rel=0.03)
    assert page.locator("#waterfall polyline").count() == 3 + 1
    assert page.locator("#waterfall a").nth(2).get_attribute("href") == "visits/sub-S1/ses-3/report.html"


def test_courses_are_split_by_what_their_days_count_from(visit):
    page, _ = visit("cohort.html")
    plots = page.locator(".svg.course")
    assert plots.count() == 2
    names = [plots.nth(n).locator("polyline.course title").all_text_contents() for n in range(2)]
    assert names == [["S1", "S2"], ["S3", "S5"]]
    dots = plots.nth(0).locator("circle title").all_text_contents()
    assert dots[:3] == ["S1: day -31, 100 %", "S1: day +29, 70 %", "S1: day +182, 30 %"]
    # Gone is nothing left, and not a gap.
    assert plots.nth(1).locator("circle title").all_text_contents()[-1] == "S5: day +151, 0 %"


def test_agreement_is_shown_where_three_pairs_are(visit):
    page, _ = visit("cohort.html")
    titles = page.locator(".block h3").all_inner_texts()
    assert titles == ["Change, paired and by two outlines (4 pairs)", "Volume, measured and by a reader (9 pairs)"]
    assert page.locator(".svg.agreement").nth(1).locator("circle").count() == 9


def test_every_visit_and_failure_has_its_row_and_every_link_its_folder(visit, whole):
    page, _ = visit("cohort.html")
    assert page.locator("#visits tbody tr").count() == 11
    links = page.locator("#visits a").evaluate_all("found => found.map((link) => link.getAttribute('href'))")
    assert all((whole.out / link).parent.is_dir() for link in links)
    failed = page.locator("#failures tbody tr")
    assert failed.count() == len(BROKEN)
    assert "NO_SPINE_SERIES" in failed.first.inner_text()
    assert "Give another study." in failed.first.inner_text()


def test_the_gallery_asks_only_for_pictures_beside_it_and_shows_them(visit, whole):
    page, asked = visit("gallery.html")
    page.locator(".case").last.scroll_into_view_if_needed()
    page.wait_for_function("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    folder = (whole.out / "gallery").as_uri() + "/"
    assert {url for url in asked if not url.startswith(folder)} == {page.url}
    assert page.locator(".case").count() == 11
    assert page.locator(".case img").count() == 22
    assert len(list((whole.out / "gallery").iterdir())) == 22


def test_ratings_are_exported_and_steer_the_next_batch(visit, whole, tmp_path):
    page, _ = visit("gallery.html")
    page.locator(".case").nth(0).locator("button.pass").click()
    page.locator(".case").nth(1).locator("button.exclude").click()
    page.keyboard.press("j")
    page.keyboard.press("f")
    page.locator(".case").nth(2).locator("input").fill('moved, "much"')
    page.locator(".case").nth(2).locator("input").blur()
    assert page.locator("#tally").inner_text() == "pass 1, fix 1, exclude 1, not rated 8"
    files = {}
    for kind in ("json", "csv"):
        with page.expect_download() as waiting:
            page.locator(f"[data-act={kind}]").click()
        files[kind] = tmp_path / f"ratings.{kind}"
        waiting.value.save_as(files[kind])
    ratings = read_ratings(files["json"])
    assert read_ratings(files["csv"]) == ratings
    assert [(r.subject, r.visit, r.rating, r.note) for r in ratings] == [
        ("S1", "1", "pass", ""),
        ("S1", "2", "exclude", ""),
        ("S1", "3", "fix", 'moved, "much"'),
    ]
    shutil.copytree(whole.source.parent, tmp_path / "source")
    shutil.copytree(whole.out, tmp_path / "out")
    again = Ran(tmp_path)
    again.run(ratings=ratings)
    assert again.done == ["sub-S1", "sub-S1/ses-3"]
    rows = {(row["subject"], row["visit"]): row["rating"] for row in again.table()}
    assert ("S1", "2") not in rows
    assert (rows["S1", "1"], rows["S1", "3"], rows["S2", "1"]) == ("pass", "fix", "")


def test_ratings_outlast_the_page_and_can_be_loaded_and_taken_back(visit, tmp_path):
    page, _ = visit("gallery.html")
    page.locator(".case").nth(3).locator("button.fix").click()
    page.reload()
    assert page.locator(".case").nth(3).get_attribute("class") == "case fix"
    assert page.locator(".case").nth(3).locator("button.fix").get_attribute("aria-pressed") == "true"
    page.locator(".case").nth(3).locator("button.fix").click()
    assert page.locator("#tally").inner_text() == "pass 0, fix 0, exclude 0, not rated 11"
    rows = [{"subject": "S3", "visit": "2", "rating": "exclude", "note": "coil", "rated": "t"}]
    (tmp_path / "r.json").write_text(json.dumps({"ratings": rows}))
    page.locator("[data-act=load]").set_input_files(tmp_path / "r.json")
    page.wait_for_selector(".case.exclude")
    assert page.evaluate("spinemriGallery.exported()") == rows


def test_what_is_shown_can_be_chosen(visit):
    page, _ = visit("gallery.html")
    page.locator(".case").nth(0).locator("button.pass").click()
    page.locator("[data-act=filter]").select_option("pass")
    assert page.locator(".case").count() == 1
    page.locator("[data-act=filter]").select_option("")
    assert page.locator(".case").count() == 10
    page.locator("[data-act=filter]").select_option("flags")
    assert page.locator(".case").count() == 11


class TestPlots:
    def test_agreement_is_that_of_bland_and_altman(self):
        found = agreement([("a", 10.0, 9.0), ("b", 12.0, 12.5), ("c", 14.0, 13.0), ("d", None, 1.0)])
        assert found.mean == (9.5, 12.25, 13.5)
        assert found.bias == pytest.approx(0.5)
        # Standard deviation of 1, -0.5 and 1 is 0.8660.
        assert found.limits == pytest.approx((0.5 - 1.96 * 0.8660254, 0.5 + 1.96 * 0.8660254))

    def test_two_pairs_are_too_few(self):
        assert agreement([("a", 1.0, 2.0), ("b", 1.0, 2.0)]) is None

    @pytest.mark.parametrize(
        ("low", "high", "expected"),
        [(-30.0, 70.0, [-20.0, 0.0, 20.0, 40.0, 60.0]), (0.1, 0.32, [0.1, 0.15, 0.2, 0.25, 0.3])],
    )
    def test_ticks_are_round(self, low, high, expected):
        assert ticks(low, high) == pytest.approx(expected)

    def test_equal_values_have_an_axis(self):
        axis = Axis.around("x", [5.0, 5.0])
        assert axis.low < 5.0 < axis.high

    def test_names_are_escaped(self):
        plot = Plot(Axis("x", 0, 1), Axis("y", 0, 1), "<b>")
        plot.dot(0.5, 0.5, "#000", "<script>", 'a"b')
        assert "<script>" not in plot.svg()
        assert "<b>" not in plot.svg()
        assert 'href="a&quot;b"' in plot.svg()


def test_the_same_rows_give_the_same_pages(whole, tmp_path):
    first = {name: (whole.out / name).read_bytes() for name in ("cohort.html", "gallery.html")}
    again = Ran(tmp_path)
    again.run()
    assert {name: (again.out / name).read_bytes() for name in first} == first
    with (again.out / "cohort.csv").open() as table:
        assert len(list(csv.DictReader(table))) == 11
