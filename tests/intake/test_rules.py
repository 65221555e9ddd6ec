"""Words and header values: how a series is recognised."""

# The Turkish dotless i is meant.
# ruff: noqa: RUF001

import pytest

from spinemri.intake.classify import (
    Kind,
    contrast_of,
    fat_suppression_of,
    is_other_body_part,
    is_spine_study,
    is_uncorrected,
    kind_of,
    region_of,
    weighting_of,
)
from spinemri.intake.model import Weighting
from spinemri.intake.rules import find_words, load_rules, normalised_words
from spinemri.intake.tags import SeriesTags

RULES = load_rules()


def spin_echo(tr, te, ti=None, **more):
    sequence = ("SE", "IR") if ti else ("SE",)
    return SeriesTags(scanning_sequence=sequence, repetition_ms=tr, echo_ms=te, inversion_ms=ti, **more)


def gradient_echo(tr, te, flip, **more):
    return SeriesTags(scanning_sequence=("GR",), repetition_ms=tr, echo_ms=te, flip_deg=flip, **more)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("T1_TSE-sag  +C", ("t1", "tse", "sag", "+c")),
        ("T1 + Gd", ("t1", "+gd")),
        ("t1_C+", ("t1", "c+")),
        ("Yağ Baskılı", ("yag", "baskili")),
        ("Après injection", ("apres", "injection")),
        ("", ()),
    ],
)
def test_descriptions_are_compared_without_case_accents_and_separators(text, words):
    assert normalised_words(text) == words


def test_a_phrase_matches_only_whole_consecutive_words():
    assert find_words("SAG T1 FAT SATURATED", ("fat sat*",)) == "fat saturated"
    assert find_words("SAG FAT T1 SAT", ("fat sat*",)) == ""
    assert find_words("company", ("comp",)) == ""


@pytest.mark.parametrize(
    ("tags", "weighting"),
    [
        (spin_echo(3500, 100), Weighting.T2),
        (spin_echo(1500, 130), Weighting.T2),
        (spin_echo(600, 11), Weighting.T1),
        (spin_echo(2000, 9, 860), Weighting.T1),
        (spin_echo(4000, 40, 150), Weighting.STIR),
        (spin_echo(9000, 120, 2500), Weighting.OTHER),
        (spin_echo(2500, 25), Weighting.OTHER),
        (spin_echo(4000, 90, 110, description="T2 SPAIR"), Weighting.T2),
        (gradient_echo(300, 2.5, 80), Weighting.T1),
        (gradient_echo(5, 2.3, 10), Weighting.T1),
        (gradient_echo(700, 17, 25), Weighting.OTHER),
        (SeriesTags(scanning_sequence=("EP",), repetition_ms=4000, echo_ms=80), Weighting.OTHER),
        (spin_echo(600, 11, description="t2_tse_sag"), Weighting.T1),
        (SeriesTags(acquisition_contrast="STIR", repetition_ms=600, echo_ms=11), Weighting.STIR),
        (SeriesTags(description="SAG STIR"), Weighting.STIR),
        (SeriesTags(description="t2_tirm_sag"), Weighting.STIR),
        (SeriesTags(description="sagT1"), Weighting.T1),
        (SeriesTags(description="T2* ax"), Weighting.OTHER),
        (SeriesTags(file_name="acq-sag_T2w"), Weighting.T2),
        (SeriesTags(description="unknown"), Weighting.OTHER),
    ],
)
def test_weighting_comes_from_timing_before_words(tags, weighting):
    assert weighting_of(tags, RULES)[0] is weighting


def test_evidence_says_when_words_contradict_the_header():
    _, evidence = weighting_of(spin_echo(600, 11, description="t2_tse_sag"), RULES)
    assert "TR 600 ms, TE 11 ms" in evidence
    assert "'t2', but header values come first" in evidence


@pytest.mark.parametrize(
    ("tags", "suppressed"),
    [
        (SeriesTags(description="t2 tse", scan_options=("FS",)), True),
        (SeriesTags(description="t1 sag", fat_suppression="FAT"), True),
        (SeriesTags(description="t1 sag", fat_suppression="NONE"), False),
        (SeriesTags(image_type=("DERIVED", "PRIMARY", "DIXON", "WATER")), True),
        (SeriesTags(image_type=("DERIVED", "PRIMARY", "DIXON", "IN_PHASE")), False),
        *((SeriesTags(description=text), True) for text in (
            "t1_fs_sag", "T1 SPIR", "T2 fat sat", "T1 fettgesättigt", "T1 suppression de graisse", "T1 saturación FS",
            "T1 sat grasso", "T1 yağ baskılı", "T1 καταστολή λίπους", "t1fs",
        )),
        (SeriesTags(description="t1 sag no fs"), False),
        (SeriesTags(description="t1 tse sag"), False),
        (SeriesTags(), None),
    ],
)  # fmt: skip
def test_fat_suppression(tags, suppressed):
    assert fat_suppression_of(tags, Weighting.T1, RULES)[0] is suppressed


def test_stir_is_always_fat_suppressed():
    assert fat_suppression_of(SeriesTags(), Weighting.STIR, RULES)[0] is True


@pytest.mark.parametrize(
    ("tags", "enhanced"),
    [
        (SeriesTags(description="t1 sag", contrast_agent="Gadovist"), True),
        (SeriesTags(description="t1 sag", contrast_agent="NONE"), None),
        *((SeriesTags(description=text), True) for text in (
            "T1 +C", "t1_fs_post", "T1 GD", "T1 nach KM", "T1 KM", "T1 après injection", "T1 gado", "T1 con contraste",
            "T1 con mdc", "T1 pós contraste", "T1 kontrastlı", "T1 με σκιαγραφικό", "T1 CE", "t1_c+",
        )),
        *((SeriesTags(description=text), False) for text in (
            "T1 pre", "T1 without contrast", "T1 nativ", "T1 ohne KM", "T1 sans injection", "T1 sin contraste",
            "T1 senza mdc", "T1 sem contraste", "T1 kontrastsız", "T1 χωρίς σκιαγραφικό",
        )),
        (SeriesTags(description="T1 ohne KM", contrast_agent="Dotarem"), True),
        *((SeriesTags(description="t1 sag", contrast_agent=text), None) for text in (
            "", "no", "NON CONTRAST", "non-contrast", "No contrast given", "noncontrast", "not given", "N/A",
            "WITHOUT CONTRAST", "W/O", "ohne KM", "sans injection", "PRE",
        )),
        *((SeriesTags(description="t1 sag", contrast_agent=text), True) for text in (
            "10 ml GADAVIST", "Gd-DOTA", "Gadovist pre-filled syringe", "contrast", "yes", "given by the user",
        )),
        (SeriesTags(description="t1 sag post", contrast_agent="NON CONTRAST"), True),
        (SeriesTags(description="SAG T1", protocol="T SPINE WITH CONTRAST"), None),
        (SeriesTags(description="SAG T1 POST", protocol="T SPINE W/WO CONTRAST"), True),
        (SeriesTags(description="SAG T1 PRE", protocol="T SPINE WITH CONTRAST"), False),
        (SeriesTags(file_name="sag_t1_gd", protocol="W/WO CONTRAST"), True),
        (SeriesTags(description="t1_tse_sag"), None),
    ],
)  # fmt: skip
def test_contrast_comes_from_the_agent_before_words(tags, enhanced):
    assert contrast_of(tags, RULES)[0] is enhanced


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        (SeriesTags(image_type=("ORIGINAL", "PRIMARY", "M")), Kind.ORIGINAL),
        (SeriesTags(image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")), Kind.LOCALIZER),
        (SeriesTags(description="Übersicht"), Kind.LOCALIZER),
        (SeriesTags(description="repérage"), Kind.LOCALIZER),
        (SeriesTags(image_type=("DERIVED", "SECONDARY", "MPR")), Kind.REFORMATTED),
        (SeriesTags(image_type=("DERIVED", "PRIMARY", "M", "COMPOSED")), Kind.COMPOSED),
        (SeriesTags(image_type=("DERIVED", "PRIMARY", "M"), description="T2 whole spine"), Kind.COMPOSED),
        (SeriesTags(image_type=("DERIVED", "SECONDARY", "SUBTRACTION")), Kind.SUBTRACTION),
        (SeriesTags(description="t1 sag sub"), Kind.SUBTRACTION),
        (SeriesTags(image_type=("DERIVED", "SECONDARY", "PROJECTION IMAGE")), Kind.PROJECTION),
        (SeriesTags(image_type=("DERIVED", "PRIMARY", "DIXON", "FAT")), Kind.DIXON_FAT),
        (SeriesTags(image_type=("DERIVED", "PRIMARY", "DIXON", "WATER")), Kind.ORIGINAL),
        (SeriesTags(image_type=("ORIGINAL", "PRIMARY", "P")), Kind.NOT_MAGNITUDE),
        (SeriesTags(complex_component="PHASE"), Kind.NOT_MAGNITUDE),
        (SeriesTags(image_type=("DERIVED", "PRIMARY")), Kind.DERIVED),
        (SeriesTags(), Kind.ORIGINAL),
    ],
)
def test_kind(tags, kind):
    assert kind_of(tags, RULES)[0] is kind


@pytest.mark.parametrize(
    ("tags", "height_mm", "region"),
    [
        (SeriesTags(description="HWS t2 sag"), 250, "cervical"),
        (SeriesTags(description="T2 SAG DORSAL"), 300, "thoracic"),
        (SeriesTags(description="t2 sag", body_part="LSPINE"), 300, "lumbar"),
        (SeriesTags(description="t2 sag lumbar", body_part="TSPINE"), 300, "lumbar"),
        (SeriesTags(description="t2 sag", study_description="MR Thoracic Spine"), 300, "thoracic"),
        (SeriesTags(description="t2 sag lumbar"), 600, "whole"),
        (SeriesTags(), 300, ""),
    ],
)
def test_region(tags, height_mm, region):
    assert region_of(tags, height_mm, RULES)[0] == region


@pytest.mark.parametrize(
    ("tags", "other"),
    [
        (SeriesTags(body_part="BRAIN", description="t1 sag"), True),
        (SeriesTags(body_part="BRAIN", description="t1 sag post", study_description="MR brain and spine"), True),
        (SeriesTags(body_part="BRAIN", description="t1 sag whole brain"), True),
        (SeriesTags(body_part="BRAIN", description="t1 sag", protocol="BRAIN AND C SPINE"), True),
        (SeriesTags(body_part="CHEST", description="t2 sag", study_description="MR spine"), True),
        (SeriesTags(body_part="HEAD", description="HWS t2 sag"), False),
        (SeriesTags(body_part="HEAD", description="t2 sag cervical"), False),
        (SeriesTags(body_part="CHEST", description="t2 sag", protocol="T SPINE"), False),
        (SeriesTags(body_part="ABDOMEN", file_name="lumbar_T2w"), False),
        (SeriesTags(body_part="SPINE"), False),
        (SeriesTags(), False),
    ],
)
def test_another_body_part_is_recognised_unless_the_series_itself_names_the_spine(tags, other):
    assert is_other_body_part(tags, RULES) is other


@pytest.mark.parametrize(
    ("text", "spine"), [("MR spine", True), ("MR brain and spine", False), ("MR brain", False), ("", False)]
)
def test_a_study_is_of_the_spine_if_its_description_names_nothing_else(text, spine):
    assert is_spine_study(SeriesTags(study_description=text), RULES) is spine


@pytest.mark.parametrize(
    ("tags", "uncorrected"),
    [
        (SeriesTags(image_type=("ORIGINAL", "PRIMARY", "M", "ND")), True),
        (SeriesTags(image_type=("ORIGINAL", "PRIMARY", "M", "NORM", "DIS2D")), False),
        (SeriesTags(description="t2_tse_sag_ND"), True),
        (SeriesTags(image_type=("ORIGINAL", "PRIMARY", "M", "DIS3D"), description="t2_tse_sag_ND"), False),
        (SeriesTags(description="t2_tse_sag", protocol="t2_tse_sag_ND"), False),
        (SeriesTags(), False),
    ],
)
def test_the_copy_without_correction_of_distortion_is_recognised(tags, uncorrected):
    assert is_uncorrected(tags, RULES) is uncorrected
