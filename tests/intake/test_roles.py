"""Choosing among stacks, with a reason for each that is not used."""

from dataclasses import replace

import pytest
from dicom_writer import T1_HEADER, T1_POST_FS_HEADER, SeriesHeader, write_axial_series, write_sagittal_series

from spinemri.intake import Role, Weighting, list_studies, read_study

T2 = SeriesHeader()


@pytest.fixture
def sagittal(make_volume):
    return make_volume(spacing=(3.7, 4.0, 5.0), angles=(3, -2, 4), origin=(-11, -80, -100))


@pytest.fixture
def axial(make_volume):
    return make_volume(shape=(40, 48, 6), spacing=(4.0, 4.0, 4.4), angles=(8, 0, 0), origin=(-80, -80, 0))


def by_number(study):
    return {int(stack.stack_id[1:4]): stack for stack in study.stacks}


def test_a_full_protocol_gets_every_role(tmp_path, sagittal, axial, make_volume):
    for header in (T2, T1_HEADER, T1_POST_FS_HEADER):
        write_sagittal_series(sagittal, tmp_path, header)
    write_axial_series(axial, tmp_path)
    write_axial_series(axial, tmp_path, replace(T1_POST_FS_HEADER, number=7, time="105000"))
    whole = make_volume(shape=(5, 40, 60), spacing=(5, 7, 9), origin=(-12, -140, -250), angles=(0, 0, 0))
    kind = ("ORIGINAL", "PRIMARY", "LOCALIZER")
    write_sagittal_series(whole, tmp_path, description="loc whole spine", number=9, image_type=kind)
    study = read_study(tmp_path)
    assert {number: stack.role for number, stack in by_number(study).items()} == {
        1: Role.SAGITTAL_T2,
        2: Role.SAGITTAL_T1,
        3: Role.AXIAL_T2,
        6: Role.SAGITTAL_T1_POST_FS,
        7: Role.AXIAL_POST_FS,
        9: Role.LOCALIZER,
    }
    assert {stack.code for stack in study.stacks} == {"CHOSEN"}
    assert all(len(stack.evidence) == 6 for stack in study.stacks)
    assert "540" in study.by_role(Role.LOCALIZER).reason
    assert study.by_role(Role.LOCALIZER).region == "whole"


def test_localizer_that_shows_no_more_of_the_spine_is_not_used(tmp_path, sagittal):
    write_sagittal_series(sagittal, tmp_path)
    write_sagittal_series(sagittal, tmp_path, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"), number=9)
    assert by_number(read_study(tmp_path))[9].code == "LOCALIZER"


def test_localizer_of_another_frame_of_reference_is_not_used(tmp_path, sagittal, make_volume):
    write_sagittal_series(sagittal, tmp_path)
    whole = make_volume(shape=(5, 40, 60), spacing=(5, 7, 9), origin=(-12, -140, -250), angles=(0, 0, 0))
    kind = ("ORIGINAL", "PRIMARY", "LOCALIZER")
    write_sagittal_series(whole, tmp_path, number=9, image_type=kind, tags={"FrameOfReferenceUID": "9.9"})
    assert by_number(read_study(tmp_path))[9].role is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"image_type": ("DERIVED", "SECONDARY", "SUBTRACTION")}, "SUBTRACTION"),
        ({"image_type": ("DERIVED", "SECONDARY", "MPR")}, "DERIVED"),
        ({"image_type": ("DERIVED", "SECONDARY", "PROJECTION IMAGE")}, "DERIVED"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "P")}, "NOT_MAGNITUDE"),
        ({"description": "dwi", "scanning_sequence": "EP"}, "NO_ROLE"),
    ],
)
def test_what_is_not_an_original_image_gives_way(tmp_path, sagittal, changes, code):
    write_sagittal_series(sagittal, tmp_path)
    write_sagittal_series(sagittal, tmp_path, number=5, **changes)
    stacks = by_number(read_study(tmp_path))
    assert stacks[1].role is Role.SAGITTAL_T2
    assert (stacks[5].role, stacks[5].code) == (None, code)
    assert stacks[5].reason


def test_reformatted_images_serve_where_there_is_nothing_else(tmp_path, sagittal):
    write_sagittal_series(sagittal, tmp_path, image_type=("DERIVED", "SECONDARY", "MPR"))
    assert "because there is no original" in read_study(tmp_path).by_role(Role.SAGITTAL_T2).reason


def test_few_slices(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path)
    write_sagittal_series(make_volume(shape=(4, 40, 48)), tmp_path, number=5)
    stack = by_number(read_study(tmp_path))[5]
    assert (stack.code, stack.reason) == ("TOO_FEW_SLICES", "4 of at least 5 sagittal slices")


def test_stir_serves_as_t2_only_where_there_is_none(tmp_path, sagittal):
    stir = SeriesHeader(description="stir sag", scanning_sequence="IR", inversion_ms=150, echo_ms=50, number=4)
    write_sagittal_series(sagittal, tmp_path / "a", stir)
    chosen = read_study(tmp_path / "a").by_role(Role.SAGITTAL_T2)
    assert chosen.weighting is Weighting.STIR
    assert "there is no T2" in chosen.reason
    write_sagittal_series(sagittal, tmp_path / "a")
    stacks = by_number(read_study(tmp_path / "a"))
    assert stacks[1].role is Role.SAGITTAL_T2
    assert stacks[4].code == "WORSE_THAN_CHOSEN"
    assert "more suitable contrast" in stacks[4].reason


def test_post_contrast_without_fat_suppression_serves_where_there_is_none_with_it(tmp_path, sagittal):
    write_sagittal_series(sagittal, tmp_path)
    write_sagittal_series(sagittal, tmp_path, T1_HEADER, contrast_agent="GADOTERATE", number=5)
    assert "without fat suppression" in read_study(tmp_path).by_role(Role.SAGITTAL_T1_POST_FS).reason
    write_sagittal_series(sagittal, tmp_path, T1_POST_FS_HEADER)
    assert by_number(read_study(tmp_path))[6].role is Role.SAGITTAL_T1_POST_FS


def test_of_two_equal_series_the_repeat_is_used(tmp_path, sagittal):
    write_sagittal_series(sagittal, tmp_path, time="101500")
    write_sagittal_series(sagittal, tmp_path, number=4, time="103000")
    stacks = by_number(read_study(tmp_path))
    assert stacks[4].role is Role.SAGITTAL_T2
    assert stacks[1].reason == "s004_1 serves as sagittal T2: it was acquired later"


def test_of_several_regions_the_one_with_companions_is_used(tmp_path, sagittal, axial, make_volume):
    lumbar = make_volume(spacing=(3.7, 4.0, 6.0), angles=(0, 0, 0), origin=(-11, -80, -500))
    write_sagittal_series(lumbar, tmp_path, number=8, description="t2 sag lumbar", time="110000")
    write_sagittal_series(sagittal, tmp_path)
    write_axial_series(axial, tmp_path)
    study = read_study(tmp_path)
    assert by_number(study)[1].role is Role.SAGITTAL_T2
    assert by_number(study)[8].reason == "s001_1 serves as sagittal T2: it has more other stacks beside it"


def test_stack_that_shows_another_region_gets_no_role(tmp_path, sagittal, make_volume):
    write_sagittal_series(sagittal, tmp_path)
    elsewhere = make_volume(shape=(40, 48, 6), spacing=(4.0, 4.0, 4.4), angles=(0, 0, 0), origin=(-80, -80, -600))
    write_axial_series(elsewhere, tmp_path)
    assert by_number(read_study(tmp_path))[3].code == "NO_OVERLAP"


def test_other_frame_of_reference_is_used_with_a_flag(tmp_path, sagittal):
    write_sagittal_series(sagittal, tmp_path)
    write_sagittal_series(sagittal, tmp_path, T1_HEADER, tags={"FrameOfReferenceUID": "9.9"})
    stack = read_study(tmp_path).by_role(Role.SAGITTAL_T1)
    assert [flag.code for flag in stack.flags] == ["DIFFERENT_FRAME_OF_REFERENCE"]


def test_blank_agent_t1_after_a_named_one_is_after_contrast(tmp_path, sagittal, axial):
    write_sagittal_series(sagittal, tmp_path, T1_HEADER, time="101000", scan_options="")
    write_sagittal_series(sagittal, tmp_path, T1_HEADER, time="105000", number=6, scan_options="FS")
    write_axial_series(axial, tmp_path, replace(T1_POST_FS_HEADER, time="104000", number=5))
    stacks = by_number(read_study(tmp_path))
    assert (stacks[2].contrast_enhanced, stacks[2].role) == (False, Role.SAGITTAL_T1)
    assert (stacks[6].contrast_enhanced, stacks[6].role) == (True, Role.SAGITTAL_T1_POST_FS)
    assert any("acquired after a series that names contrast" in sentence for sentence in stacks[6].evidence)


def test_repeated_fat_suppressed_t1_is_taken_for_post_contrast_with_a_flag(tmp_path, sagittal):
    plain = replace(T1_POST_FS_HEADER, contrast_agent="", description="t1_tse_fs_sag")
    write_sagittal_series(sagittal, tmp_path, replace(plain, number=4, time="101000"))
    write_sagittal_series(sagittal, tmp_path, plain)
    stacks = by_number(read_study(tmp_path))
    assert (stacks[4].contrast_enhanced, stacks[4].role) == (False, Role.SAGITTAL_T1)
    assert (stacks[6].contrast_enhanced, stacks[6].role) == (True, Role.SAGITTAL_T1_POST_FS)
    assert [flag.code for flag in stacks[6].flags] == ["CONTRAST_INFERRED"]


def test_single_fat_suppressed_t1_without_any_word_of_contrast_is_not_called_post_contrast(tmp_path, sagittal):
    write_sagittal_series(sagittal, tmp_path)
    plain = replace(T1_POST_FS_HEADER, contrast_agent="", description="t1_tse_fs_sag")
    write_sagittal_series(sagittal, tmp_path, plain)
    study = read_study(tmp_path)
    assert study.by_role(Role.SAGITTAL_T1_POST_FS) is None
    assert by_number(study)[6].contrast_enhanced is None


def test_lone_axial_t1_before_contrast_has_no_role(tmp_path, axial):
    write_axial_series(axial, tmp_path, T1_HEADER)
    ((stack,),) = (study.stacks for study in list_studies(tmp_path))
    assert (stack.code, stack.reason) == ("NO_ROLE", "axial T1 without known contrast is not used")


@pytest.mark.parametrize(
    ("plain", "corrected"),
    [
        ({"image_type": ("ORIGINAL", "PRIMARY", "M", "ND")}, {"image_type": ("ORIGINAL", "PRIMARY", "M", "DIS2D")}),
        ({"description": "t2_tse_sag_ND"}, {}),
    ],
)
def test_of_a_pair_the_images_corrected_for_distortion_are_used(tmp_path, sagittal, plain, corrected):
    write_sagittal_series(sagittal, tmp_path, number=5, **corrected)
    write_sagittal_series(sagittal, tmp_path, number=6, **plain)
    stacks = by_number(read_study(tmp_path))
    assert stacks[5].role is Role.SAGITTAL_T2
    assert stacks[6].reason == "s005_1 serves as sagittal T2: it is corrected for distortion"


def test_protocol_of_the_whole_examination_makes_nothing_post_contrast(tmp_path, sagittal):
    tags = {"ProtocolName": "T SPINE WITH CONTRAST"}
    write_sagittal_series(sagittal, tmp_path, description="SAG T2", tags=tags)
    write_sagittal_series(sagittal, tmp_path, T1_HEADER, description="SAG T1", tags=tags)
    study = read_study(tmp_path)
    assert {number: stack.role for number, stack in by_number(study).items()} == {
        1: Role.SAGITTAL_T2,
        2: Role.SAGITTAL_T1,
    }
    assert {stack.contrast_enhanced for stack in study.stacks} == {None}


def test_brain_series_of_the_same_examination_get_no_role(tmp_path, sagittal):
    tags = {"StudyDescription": "MR brain and spine with contrast"}
    write_sagittal_series(sagittal, tmp_path, tags=tags)
    brain = {"body_part": "BRAIN", "description": "t1 sag whole +gd", "tags": tags}
    write_sagittal_series(sagittal, tmp_path, T1_POST_FS_HEADER, **brain)
    study = read_study(tmp_path)
    assert by_number(study)[6].code == "NOT_SPINE"
    assert study.by_role(Role.SAGITTAL_T1_POST_FS) is None


def test_study_description_counts_where_every_series_has_another_body_part(tmp_path, sagittal):
    for header in (T2, T1_HEADER):
        write_sagittal_series(sagittal, tmp_path, header, body_part="CHEST", tags={"StudyDescription": "MR spine"})
    assert {stack.code for stack in read_study(tmp_path).stacks} == {"CHOSEN"}
