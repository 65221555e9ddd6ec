"""The printed report: two pages whatever there is to say, readable, without overlaps, the same every time."""

import re
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise

import pytest
from synthetic_result import make_followup, make_result, make_unmeasured

from spinemri.measure.record import FlagRecord, QualityRecord
from spinemri.report import write_report
from spinemri.report.pdf import report_pdf
from spinemri.report.pictures import key_images
from spinemri.report.sheet import Pen, fitted, printable, wrapped
from spinemri.report.summary import RESEARCH
from spinemri.report.visit import visits_of

FINDINGS = 30


@pytest.fixture(scope="session")
def read():
    """Another reader: words of each page, as text or with their boxes in points from the left top corner."""
    program = shutil.which("pdftotext")
    if program is None:
        pytest.skip("pdftotext is absent: install Debian's poppler-utils")

    def text(pdf, *options):
        done = subprocess.run([program, *options, "-", "-"], input=pdf, capture_output=True, check=True)
        # True dashes and minus signs, as a typist would write them.
        return done.stdout.decode("utf-8").replace("\N{EN DASH}", "-").replace("\N{MINUS SIGN}", "-")

    return text


@pytest.fixture(scope="module")
def cases(compared):
    """PDFs of two visits, of one, of nothing, and of more than two pages hold."""
    first, second = compared.results
    flags = tuple(
        FlagRecord(
            code=f"CODE_{number}",
            message=f"Finding number {number}, in a sentence that says at some length what was found, and what to do.",
            severity="error" if number < 3 else "warning",
        )
        for number in range(FINDINGS)
    )
    quality = {"quality": QualityRecord(flags=flags)}
    troubled = replace(first, measurements=first.measurements.model_copy(update=quality))
    points = compared.comparison.timepoints
    course = compared.comparison.model_copy(update={"timepoints": (points[0], *[points[1]] * 9)})
    return {
        "two visits": made([first, second], compared.comparison),
        "one visit": made([first]),
        "nothing measured": made([make_unmeasured()]),
        "no mass": made([make_unmeasured("not_found")]),
        "ten visits, thirty findings": made([troubled, *[second] * 9], course),
        "thirty findings": made([troubled]),
    }


CASES = ["two visits", "one visit", "nothing measured", "no mass", "ten visits, thirty findings", "thirty findings"]


def made(results, comparison=None):
    visits = visits_of(results)
    return report_pdf(visits, comparison, key_images(visits))


def pages(read, pdf):
    return read(pdf, "-layout").split("\f")[:-1]


def boxes(read, pdf):
    """Word and box of every word, page after page."""
    word = re.compile(r'<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">(.*?)</word>')
    parts = read(pdf, "-bbox").split("<page ")[1:]
    return [[(found[4], *map(float, found[:4])) for found in word.findall(part)] for part in parts]


@pytest.mark.parametrize("case", CASES)
def test_there_are_two_pages_that_say_research(cases, read, case):
    found = pages(read, cases[case])
    assert len(found) == 2
    assert all(page.count(RESEARCH) == 2 for page in found)


@pytest.mark.parametrize("case", CASES)
def test_no_words_overlap_or_leave_the_margins(cases, read, case):
    for words in boxes(read, cases[case]):
        assert len(words) > 60
        for _, left, top, right, bottom in words:
            # A4 is 595 by 842 points; margins of 15 mm beside, and what the footer needs below.
            assert (left > 42, right < 553.5, top > 30, bottom < 825) == (True,) * 4
        # Boxes are as high as the font allows any letter to be; letters of two words may not share the middle.
        middle = sorted(
            ((top + bottom) / 2, left, right, bottom - top, word) for word, left, top, right, bottom in words
        )
        for number, (y, left, right, height, word) in enumerate(middle):
            for other in middle[number + 1 :]:
                if other[0] - y > 0.45 * min(height, other[3]):
                    break
                assert min(right, other[2]) - max(left, other[1]) < 0.5, (word, other[4])


def test_the_answer_comes_first(cases, read):
    text = " ".join(pages(read, cases["two visits"])[0].split())
    order = ["Epidural mass in spine MRI: follow-up", RESEARCH, "Decreased by 16.2", "95 % CI", "T5-T8", "MCC", "MSCC"]
    places = [text.index(part) for part in [*order, "ESCC", "Findings that need a person"]]
    assert places == sorted(places)
    assert "worst at T6/7" in text
    assert "Radiotherapy: 2024-03-02 to 2024-03-13, 20 Gy" in text
    assert "Warning (all 2 visits): No unaffected marrow outside <T4-T9>" in text


def test_the_second_page_holds_levels_course_and_methods(cases, read):
    text = pages(read, cases["two visits"])[1]
    for heading in (
        "Profile along the canal",
        "By level",
        "Course",
        "How the numbers are defined",
        "Limits",
        "Made by",
    ):
        assert heading in text
    levels = re.findall(r"^ *([TL]\d+(?:/\d+)?) +\d", text, re.MULTILINE)
    assert {"T5", "T6", "T6/7", "T7", "T8"} <= set(levels)
    assert re.search(r"2024-03-20 +19 +6\.18 \(5\.50-6\.95\) +-16\.2 \(-22\.3 to -9\.3\) +decreased", text)


@pytest.mark.parametrize("case", ["thirty findings", "ten visits, thirty findings"])
def test_what_has_no_room_is_counted(cases, read, case):
    text = pages(read, cases[case])[0]
    shown = set(re.findall(r"\[(CODE_\d+)\]", text))
    (rest,) = re.findall(r"and (\d+) more, see report\.html", text)
    assert len(shown) > 3
    # The follow-ups have one warning of their own.
    assert len(shown) + int(rest) == FINDINGS + ("visits" in case)
    assert shown == {f"CODE_{number}" for number in range(len(shown))}


def test_of_many_visits_the_first_and_the_last_are_listed(cases, read):
    front, back = pages(read, cases["ten visits, thirty findings"])
    assert "8 more between them" in front
    assert "and 4 more between" in back


def test_a_study_without_numbers_has_no_empty_ones(cases, read):
    text = "".join(pages(read, cases["nothing measured"]))
    assert "Epidural mass not assessable." in text
    assert "No canal was found in the primary stack. [NO_CANAL]" in text
    assert not re.search(r"\b(None|nan|null)\b", text)
    assert "sagittal t2" in text


def test_the_same_input_gives_the_same_bytes(compared, cases):
    assert (compared.folder / "report.pdf").read_bytes() == cases["two visits"]
    assert b"/CreationDate (D:2000" in cases["two visits"]


def test_pictures_go_in_as_they_are(cases):
    # Lossy only once: two sagittal and two axial pictures as JPEG, and the reformatted pair where there is room.
    assert cases["two visits"].count(b"/DCTDecode") in {4, 6}
    assert len(cases["two visits"]) < 1_000_000


def test_letters_that_the_page_lacks_are_replaced():
    text = "T5\N{EN DASH}T8, \N{MINUS SIGN}15.2 %, mm\N{SUPERSCRIPT TWO}"
    assert printable(text) == text
    assert printable("Ǻ ≥ 漢") == "A >= ?"


def test_lines_break_at_spaces_and_end_in_an_ellipsis():
    pen = Pen(9)
    words = " ".join(f"word{number}" for number in range(60))
    lines = wrapped(words, pen, 60.0, 3)
    assert len(lines) == 3
    assert all(pen.width_mm(line) <= 60.0 for line in lines)
    assert lines[-1].endswith("\N{HORIZONTAL ELLIPSIS}")
    assert all(words.index(a.split()[0]) < words.index(b.split()[0]) for a, b in pairwise(lines))
    assert fitted("short", pen, 60.0) == "short"
    assert pen.width_mm(fitted("x" * 200, pen, 30.0)) <= 30.0


def test_it_names_no_identifier_of_the_study(tmp_path, read):
    result = make_followup()
    write_report([result], None, tmp_path)
    text = read((tmp_path / "report.pdf").read_bytes())
    assert result.study.study_instance_uid not in text
    assert make_result().study.patient_key not in text
