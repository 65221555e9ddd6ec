import re

from spinemri.uids import IMPLEMENTATION_UID, derived_uid


def test_a_uid_depends_on_its_parts_and_their_order_only() -> None:
    assert derived_uid("study", 1) == derived_uid("study", 1)
    assert len({derived_uid("a", "b"), derived_uid("b", "a"), derived_uid("ab"), derived_uid("a", "b", "")}) == 4


def test_a_uid_is_one_of_those_that_stand_for_a_uuid() -> None:
    for uid in (IMPLEMENTATION_UID, *(derived_uid("any", number) for number in range(50))):
        # DICOM PS3.5 B.2: 2.25 and an integer of at most 39 digits, 64 characters in all.
        assert re.fullmatch(r"2\.25\.(0|[1-9]\d{0,38})", uid)


def test_uids_stay_what_they_were() -> None:
    # Objects of earlier runs refer to one another by them.
    assert derived_uid("root", "baseline") == "2.25.181695168810723068574582895599895460377"
