"""Pictures are named after what they show, not after the role that a series has."""

from dataclasses import replace

import pytest
from synthetic_result import make_comparison, make_followup, make_result

from spinemri.intake.model import Role, Weighting
from spinemri.report import write_report
from spinemri.report.pictures import REFORMATTED, key_images
from spinemri.report.print_images import key_panels
from spinemri.report.visit import visits_of
from spinemri.report.wording import series_title


def with_stack(result, of_role, **changes):
    """Return a result whose series of a role is of another kind."""
    stacks = tuple(replace(stack, **changes) if stack.role is of_role else stack for stack in result.study.stacks)
    return replace(result, study=replace(result.study, stacks=stacks))


@pytest.mark.parametrize(
    ("role", "changes", "wanted"),
    [
        (Role.SAGITTAL_T2, {}, "Sagittal T2"),
        (Role.SAGITTAL_T2, {"fat_suppressed": True}, "Sagittal T2, fat-suppressed"),
        (Role.SAGITTAL_T2, {"weighting": Weighting.STIR, "fat_suppressed": True}, "Sagittal STIR"),
        (
            Role.SAGITTAL_T1_POST_FS,
            {"weighting": Weighting.T1, "contrast_enhanced": True, "fat_suppressed": True},
            "Sagittal T1 post-contrast, fat-suppressed",
        ),
        (
            Role.SAGITTAL_T1_POST_FS,
            {"weighting": Weighting.T1, "contrast_enhanced": True, "fat_suppressed": False},
            "Sagittal T1 post-contrast",
        ),
        (Role.AXIAL_T2, {"fat_suppressed": None, "contrast_enhanced": None}, "Axial T2"),
        (Role.SAGITTAL_T1, {"weighting": Weighting.OTHER, "fat_suppressed": None}, "Sagittal image"),
    ],
)
def test_a_title_says_plane_weighting_contrast_and_fat_suppression(role, changes, wanted):
    assert series_title(with_stack(make_result(), role, **changes), role) == wanted


def test_the_localizer_is_named_after_its_use():
    result = with_stack(make_result(), Role.SAGITTAL_T1, role=Role.LOCALIZER)
    assert series_title(result, Role.LOCALIZER) == "Counting localizer"


@pytest.fixture(scope="module")
def results():
    """Two visits, of which the second has a STIR in place of the T2."""
    stir = {"weighting": Weighting.STIR, "fat_suppressed": True}
    return [make_result(), with_stack(make_followup(), Role.SAGITTAL_T2, **stir)]


def test_each_picture_says_what_it_shows_itself(results):
    visits = visits_of(results)
    blocks = key_images(visits)
    first = blocks[0]
    assert first.titles == ("Sagittal T2", "Sagittal STIR")
    assert [picture.alt.partition(",")[0] for picture in first.pictures] == ["Sagittal T2"] * 2 + ["Sagittal STIR"] * 2
    assert blocks[-1].titles == (REFORMATTED,)
    assert [picture.alt.partition(",")[2].split(", ")[0] for picture in blocks[-1].pictures[::2]] == [
        " reformatted from sagittal T2",
        " reformatted from sagittal STIR",
    ]
    sagittal = [column[0] for column in key_panels(visits, blocks)[:2]]
    assert [panel.detail.partition(",")[0] for panel in sagittal] == ["Sagittal T2", "Sagittal STIR"]


def test_page_and_viewer_name_the_stand_in(results, tmp_path):
    write_report(results, make_comparison(*results), tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h3>Sagittal T2 / Sagittal STIR</h3>" in text
    assert "<figcaption>Sagittal STIR, " in text
    assert '"role":"sagittal_t2","name":"Sagittal STIR"' in text
