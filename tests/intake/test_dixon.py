"""Images of a Dixon series, told apart by Image Type or by words."""

import pytest
from dicom_writer import SeriesHeader, write_sagittal_series

from spinemri.intake import Role, Weighting, read_study
from spinemri.intake.classify import Kind, fat_suppression_of, kind_of
from spinemri.intake.dixon import dixon_image
from spinemri.intake.rules import load_rules
from spinemri.intake.tags import SeriesTags

RULES = load_rules()
OTHER = ("ORIGINAL", "PRIMARY", "OTHER")


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("InPhase: SAG T2 FLEX", "in_phase"),
        ("OutPhase: SAG T2 FLEX", "opposed_phase"),
        ("FAT: SAG T2 FLEX", "fat"),
        ("WATER: SAG T2 FLEX", "water"),
        ("WATER: SAG T2 IDEAL", "water"),
        ("FAT: SAG T2 IDEAL", "fat"),
        ("FAT: SAG T1 FS", "fat"),
        ("FAT SAG T2 IDEAL", "fat"),
        ("WATER__SAG_T2_FLEX_7", "water"),
        ("t2_tse_dixon_sag_in", "in_phase"),
        ("t2_tse_dixon_sag_opp", "opposed_phase"),
        ("t2_tse_dixon_sag_F", "fat"),
        ("t2_tse_dixon_sag_W", "water"),
        ("t2_tse_dixon_sag_F_ND", "fat"),
        ("t2_tse_dixon_sag_W_320_5", "water"),
        ("acq-sag_dixon_F_T2w", "fat"),
        ("acq-dixonFat_T2w", "fat"),
        ("SAG T1 out of phase", "opposed_phase"),
        ("T2 FAT SAT SAG", ""),
        ("FAT SAT SAG T2 FLEX", ""),
        ("SAG T2 IDEAL", ""),
        ("T2 Dixon water fat", ""),
        ("t2_tse_sag_f", ""),
        ("Fat fraction: SAG IDEAL", ""),
        ("t2 tse sag", ""),
        ("", ""),
    ],
)
def test_words_tell_which_image_it_is(text, image):
    assert dixon_image(SeriesTags(description=text, image_type=OTHER), RULES)[0] == image
    assert dixon_image(SeriesTags(file_name=text), RULES)[0] == image


def test_image_type_comes_before_words_and_the_protocol_is_not_asked():
    typed = ("DERIVED", "PRIMARY", "DIXON", "WATER")
    tags = SeriesTags(image_type=typed, description="t2_dixon_F")
    assert dixon_image(tags, RULES) == ("water", "image type holds WATER")
    assert dixon_image(SeriesTags(protocol="t2_dixon_F", description="t2_dixon"), RULES) == ("", "")


def test_words_decide_about_kind_and_fat_as_image_type_does():
    def asked(text, image_type=OTHER):
        tags = SeriesTags(description=text, image_type=image_type)
        return kind_of(tags, RULES)[0], fat_suppression_of(tags, Weighting.T2, RULES)[0]

    assert asked("FAT: SAG T2 FLEX") == (Kind.DIXON_FAT, False)
    assert asked("t2_tse_dixon_sag_opp")[0] is Kind.DIXON_OPPOSED
    assert asked("t2_tse_dixon_sag_W") == (Kind.ORIGINAL, True)
    assert asked("t2_tse_dixon_sag_in") == (Kind.ORIGINAL, False)
    assert asked("WATER: SAG T2 FLEX", ("DERIVED", "SECONDARY", "OTHER")) == (Kind.ORIGINAL, True)


@pytest.mark.parametrize(
    ("in_phase", "others"),
    [
        ("InPhase: SAG T2 FLEX", ("OutPhase: SAG T2 FLEX", "FAT: SAG T2 FLEX", "WATER: SAG T2 FLEX")),
        ("t2_tse_dixon_sag_in", ("t2_tse_dixon_sag_opp", "t2_tse_dixon_sag_F", "t2_tse_dixon_sag_W")),
    ],
)
def test_the_in_phase_image_is_used_and_without_it_the_water_image(tmp_path, make_volume, in_phase, others):
    # All else equal, the series that comes later would be taken: here the fat and water images.
    for number, text in enumerate((in_phase, *others), 1):
        header = SeriesHeader(description=text, image_type=OTHER, number=number)
        write_sagittal_series(make_volume(seed=number), tmp_path / str(number), header)
    stacks = {stack.series_description: stack for stack in read_study(tmp_path).stacks}
    assert stacks[in_phase].role is Role.SAGITTAL_T2
    assert [stacks[text].code for text in others] == ["NO_ROLE", "NO_ROLE", "WORSE_THAN_CHOSEN"]
    for path in (tmp_path / "1").iterdir():
        path.unlink()
    chosen = read_study(tmp_path).by_role(Role.SAGITTAL_T2)
    assert (chosen.series_description, chosen.fat_suppressed) == (others[2], True)
