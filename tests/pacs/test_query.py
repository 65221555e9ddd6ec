import pytest

from spinemri.errors import PeerError, UsageError
from spinemri.pacs.query import FoundStudy, StudyQuery, chosen_studies, study_query

EARLY = FoundStudy("1.2.1", "4711", "A1", "20240301", ("MR", "SR"))
LATE = FoundStudy("1.2.2", "4711", "A2", "20240320", ("MR",))
OTHER = FoundStudy("1.2.3", "0815", "A3", "20240310", ("MR",))
X_RAY = FoundStudy("1.2.4", "4711", "A4", "20240302", ("CR",))
ALL = (LATE, OTHER, X_RAY, EARLY)


def test_a_day_is_a_range_of_one() -> None:
    assert study_query([], patient="4711", day="2024-03-01").date_range == "20240301"
    assert study_query([], patient="4711", day="2024-03-01..2024-03-31").date_range == "20240301-20240331"
    assert study_query(["1.2"]).date_range == ""


@pytest.mark.parametrize(
    ("studies", "values", "code"),
    [
        ([], {}, "BAD_QUERY"),
        ([], {"day": "2024-03-01"}, "BAD_QUERY"),
        (["1.2.x"], {}, "BAD_QUERY"),
        (["1." * 40 + "1"], {}, "BAD_QUERY"),
        ([], {"patient": "47*"}, "BAD_QUERY"),
        ([], {"accession": "A?"}, "BAD_QUERY"),
        ([], {"patient": "4711\\4712"}, "BAD_QUERY"),
        ([], {"patient": "4711", "day": "1.3.2024"}, "BAD_DATE"),
        ([], {"patient": "4711", "day": "2024-03-01.."}, ""),
    ],
)
def test_queries_are_checked(studies: list[str], values: dict[str, str], code: str) -> None:
    if not code:
        assert study_query(studies, **values).dates == ("20240301", "20240301")
        return
    with pytest.raises(UsageError) as caught:
        study_query(studies, **values)
    assert caught.value.code == code


def test_an_archive_that_ignores_keys_does_not_lead_to_another_patient() -> None:
    assert chosen_studies(ALL, study_query([], accession="A2"), several=False) == (LATE,)
    assert chosen_studies(ALL, study_query(["1.2.3"]), several=False) == (OTHER,)
    with pytest.raises(PeerError) as caught:
        chosen_studies(ALL, study_query(["1.2.3"], patient="4711"), several=False)
    assert caught.value.code == "PACS_NO_MATCH"


def test_several_studies_come_in_order_of_time_without_those_that_hold_no_mr() -> None:
    assert chosen_studies(ALL, study_query([], patient="4711"), several=True) == (EARLY, LATE)
    only = study_query([], patient="4711", day="2024-03-10..2024-03-31")
    assert chosen_studies(ALL, only, several=False) == (LATE,)


def test_a_study_without_a_date_is_in_no_range() -> None:
    undated = FoundStudy("1.2.5", "4711")
    with pytest.raises(PeerError):
        chosen_studies([undated], study_query([], patient="4711", day="2024-03-01"), several=False)
    assert chosen_studies([undated], study_query([], patient="4711"), several=False) == (undated,)


def test_an_ambiguous_query_lists_what_was_found_and_names_nobody() -> None:
    with pytest.raises(UsageError) as caught:
        chosen_studies(ALL, study_query([], patient="4711"), several=False)
    assert caught.value.code == "PACS_SEVERAL_STUDIES"
    text = str(caught.value)
    assert text.index("1.2.1, 20240301, MR/SR") < text.index("1.2.2, 20240320, MR")
    assert "4711" not in text
    assert "A1" not in text


def test_long_lists_are_cut() -> None:
    many = [FoundStudy(f"1.2.{number}", "4711", "", "20240301") for number in range(50)]
    with pytest.raises(UsageError) as caught:
        chosen_studies(many, StudyQuery(patient_id="4711"), several=False)
    assert str(caught.value).count("\n") == 21
    assert "and 30 more" in str(caught.value)


def test_no_mr_images_is_said() -> None:
    with pytest.raises(PeerError, match="1 studies match, none with MR images"):
        chosen_studies(ALL, study_query([], accession="A4"), several=False)
