import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from synthetic_result import make_comparison, make_followup, make_result, make_unmeasured

from spinemri.intake.model import Role
from spinemri.measure.record import LevelsRecord
from spinemri.report import write_report
from spinemri.volume import Volume

BANNER = "For research use only. Not a medical device; not for diagnosis."


class Page(HTMLParser):
    """Visible text and tags of a page."""

    def __init__(self, html):
        super().__init__()
        self.words, self.tags, self._code = [], [], False
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._code = tag in {"style", "script"}

    def handle_endtag(self, tag):
        self._code = False

    def handle_data(self, data):
        if not self._code:
            self.words.append(data)


@pytest.fixture(scope="module")
def html(compared):
    return (compared.folder / "report.html").read_text(encoding="utf-8")


def render(tmp_path, results, comparison=None):
    write_report(results, comparison, tmp_path)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_banner_and_verdict_come_first(html):
    text = Page(html).text
    assert text.index(BANNER) < text.index("Decreased by 16.") < text.index("Findings to check")
    headings = ["Findings to check", "Key images", "Profile along the canal", "Change", "Measurements", "Series"]
    places = [html.index(f"<h2>{heading}</h2>") for heading in headings]
    assert places == sorted(places)


def test_warnings_come_before_notes_and_shared_ones_once(html):
    text = Page(html).text
    assert text.count("signal ratios are null") == 1
    assert "Warning (all 2 visits)" in text
    assert text.index("SIGNAL_NOT_MEASURED") < text.index("PAIRED_AXIAL")


def test_nothing_is_loaded_from_elsewhere(html):
    tags = Page(html).tags
    assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in tags}
    assert not any("href" in attrs for _, attrs in tags)
    # Scripts are part of the page; what they do not ask for either, the browser tests see.
    assert [attrs for tag, attrs in tags if tag == "script" and "src" in attrs] == []
    assert not re.search(r"url\(|@import", re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL))
    sources = [attrs["src"] for tag, attrs in Page(html).tags if tag == "img"]
    assert sources
    assert all(source.startswith(("data:image/jpeg;base64,", "data:image/png;base64,")) for source in sources)


def test_every_figure_has_an_alternative_text_and_a_file(compared, html):
    images = [attrs for tag, attrs in Page(html).tags if tag == "img"]
    assert all(len(attrs["alt"]) > 20 for attrs in images)
    files = sorted(path.name for path in (compared.folder / "figures").iterdir())
    assert len(files) == len(images)
    # Three sagittal sequences, an axial and a reformatted section; two visits; bare and outlined; one profile.
    assert len(files) == 5 * 2 * 2 + 1


def test_visits_stand_side_by_side(html):
    row = re.search(r"Volume</th>.*?</tr>", html, re.DOTALL).group(0)
    values = re.findall(r"<td>([\d.]+) <small>", row)
    assert len(values) == 2
    assert float(values[0]) > float(values[1])


def test_what_comes_from_files_is_escaped(html):
    assert "<b>&" not in html
    assert "&lt;b&gt;&amp; co&lt;/b&gt;" in html
    assert "&lt;T4-T9&gt;" in html


def test_the_same_input_gives_the_same_bytes(compared, tmp_path):
    first, second = make_result(), make_followup()
    write_report([first, second], make_comparison(first, second), tmp_path)
    folder = compared.folder
    once = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert once == again


def test_two_visits_take_under_twelve_seconds_of_one_core(compared):
    assert compared.seconds < 12


@pytest.mark.parametrize("status", ["not_assessable", "not_found"])
def test_a_study_without_any_number_still_reads_well(tmp_path, status):
    text = Page(render(tmp_path, [make_unmeasured(status)])).text
    assert "not assessable" in text
    assert not re.search(r"\b(None|nan|null)\b", text)
    assert "Not assessable: no canal was measured." in text


def test_unanchored_levels_carry_a_question_mark(tmp_path):
    result = make_result()
    levels = LevelsRecord(**{**result.measurements.levels.model_dump(), "numbering": "relative"})
    doubtful = replace(
        result,
        images={Role.SAGITTAL_T2: result.primary_image},
        measurements=result.measurements.model_copy(update={"levels": levels}),
        anatomy=replace(result.anatomy, levels=replace(result.anatomy.levels, numbering="relative")),
    )
    text = Page(render(tmp_path, [doubtful])).text
    assert "mass T5?\N{EN DASH}T8?, worst at T6/7?" in text
    assert "T6/7?, outlined" in text


def test_three_visits_are_compared_too_and_a_missing_sequence_is_named(tmp_path):
    first, second = make_result(), make_followup()
    comparison = make_comparison(first, second)
    three = comparison.model_copy(update={"timepoints": (*comparison.timepoints, comparison.timepoints[1])})
    fewer = replace(second, images={r: second.images[r] for r in (Role.SAGITTAL_T2, Role.AXIAL_T2)})
    text = Page(render(tmp_path, [first, second, fewer], three)).text
    assert "follow-up 1" in text
    assert text.count("Not shown, no such image at the level: 2024-03-20, follow-up 2.") == 2


def test_no_outline_is_drawn_across_frames_of_reference(tmp_path):
    result = make_result()
    elsewhere = result.images[Role.AXIAL_T2]
    moved = Volume(elsewhere.array, elsewhere.affine, "9.9.9")
    images = {Role.SAGITTAL_T2: result.primary_image, Role.AXIAL_T2: moved}
    page = render(tmp_path, [replace(result, images=images)])
    assert Page(page).text.count("not outlined: another frame of reference") == 1
    assert "<h2>Change</h2>" not in page
    assert "Posterior epidural mass T5" in page


def test_a_comparison_of_other_visits_is_refused(tmp_path):
    first, second = make_result(), make_followup()
    with pytest.raises(ValueError, match="one result for each visit"):
        write_report([first], make_comparison(first, second), tmp_path)


def test_the_page_opens_in_a_browser(compared, chromium_program, tmp_path):
    shot = tmp_path / "page.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
    flags += ["--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,1600"]
    page = (compared.folder / "report.html").as_uri()
    subprocess.run(
        [chromium_program, *flags, f"--screenshot={shot}", page], check=True, capture_output=True, timeout=60
    )
    picture = np.asarray(Image.open(shot).convert("L"))
    assert picture.shape == (1600, 1200)
    # A page with text, white paper and dark images: many dark pixels, and many light ones.
    assert (picture < 60).mean() > 0.05
    assert (picture > 240).mean() > 0.2
