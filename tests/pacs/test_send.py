"""C-STORE to services that refuse, stop, or say nothing."""

import json
import socket
import time
from pathlib import Path

import pytest
from archives import HASTY, OUR_TITLE, c_store_service, free_port, write_results
from pydicom import Dataset, dcmread
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import build_context, evt

from spinemri.errors import InputError, PeerError, UsageError
from spinemri.pacs import DimsePeer, Policy, Verdict, send_results
from spinemri.pacs.objects import outgoing_objects
from spinemri.pacs.statuses import status_meaning, status_verdict
from spinemri.pacs.store import storage_contexts

PATIENT = Policy(timeout_s=5.0, attempts=3, pause_s=0.01)
"""For services that do answer, on a machine that may be busy."""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def uids(out: Path) -> list[str]:
    return write_results(out)


def receipt(out: Path) -> dict[str, str]:
    """Verdict of each instance at the only destination."""
    (destination,) = json.loads((out / "sent.json").read_text())["destinations"]
    return {entry["sop_instance_uid"]: entry["verdict"] for entry in destination["instances"]}


def test_all_objects_arrive_on_one_association(out: Path, uids: list[str]) -> None:
    heard: list[tuple[int, int]] = []
    with c_store_service() as service:
        outcomes = send_results(out, service.peer, PATIENT, listener=lambda done, total: heard.append((done, total)))
    assert service.associations == [uids]
    assert [outcome.verdict for outcome in outcomes] == [Verdict.STORED] * 4
    assert heard == [(done, 4) for done in range(5)]
    assert receipt(out) == dict.fromkeys(uids, "stored")


def test_what_arrives_is_what_was_sent(out: Path, uids: list[str]) -> None:
    arrived = []
    with c_store_service(lambda _service, event: arrived.append(event.dataset) or 0x0000) as service:
        send_results(out, service.peer, PATIENT)
    assert arrived == [Dataset(dcmread(path)) for path in sorted((out / "dicom").iterdir())]
    assert len(arrived) == len(uids)


def test_contexts_are_those_of_the_files_and_the_default(out: Path, uids: list[str]) -> None:
    contexts = {
        (context.abstract_syntax, *context.transfer_syntax) for context in storage_contexts(outgoing_objects(out))
    }
    assert contexts == {
        ("1.2.840.10008.1.1", ImplicitVRLittleEndian),
        (SecondaryCaptureImageStorage, ExplicitVRLittleEndian),
        (SecondaryCaptureImageStorage, ImplicitVRLittleEndian),
    }


def test_an_archive_that_knows_the_default_syntax_only_gets_that(out: Path, uids: list[str]) -> None:
    contexts = [build_context(SecondaryCaptureImageStorage, ImplicitVRLittleEndian)]
    with c_store_service(contexts=contexts) as service:
        outcomes = send_results(out, service.peer, PATIENT)
    assert service.received == uids
    assert {outcome.verdict for outcome in outcomes} == {Verdict.STORED}


def test_the_receipt_is_the_same_whenever_and_names_nobody(out: Path, uids: list[str], tmp_path: Path) -> None:
    with c_store_service() as service:
        send_results(out, service.peer, PATIENT)
        send_results(out, service.peer, PATIENT, receipt=tmp_path / "other.json")
    assert (out / "sent.json").read_bytes() == (tmp_path / "other.json").read_bytes()
    assert "ecret" not in (out / "sent.json").read_text()
    assert sorted(path.name for path in out.iterdir()) == ["dicom", "sent.json"]


class TestSecondTime:
    def test_what_was_stored_is_not_sent_again_unless_asked(self, out: Path, uids: list[str]) -> None:
        with c_store_service() as service:
            send_results(out, service.peer, PATIENT)
            assert send_results(out, service.peer, PATIENT) == ()
            assert len(service.associations) == 1
            assert len(send_results(out, service.peer, PATIENT, again=True)) == 4
        assert service.received == 2 * uids

    def test_another_destination_has_an_entry_of_its_own(self, out: Path, uids: list[str]) -> None:
        with c_store_service() as first, c_store_service() as second:
            send_results(out, first.peer, PATIENT)
            send_results(out, second.peer, PATIENT)
        assert second.received == uids
        destinations = json.loads((out / "sent.json").read_text())["destinations"]
        assert {one["to"] for one in destinations} == {str(first.peer), str(second.peer)}

    def test_a_changed_file_is_sent_again(self, out: Path, uids: list[str]) -> None:
        with c_store_service() as service:
            send_results(out, service.peer, PATIENT)
            path = out / "dicom" / "object_2.dcm"
            dataset = dcmread(path)
            dataset.SeriesDescription = "corrected"
            dataset.save_as(path)
            assert [outcome.item.name for outcome in send_results(out, service.peer, PATIENT)] == ["dicom/object_2.dcm"]


class TestHalfWay:
    def test_an_archive_that_aborts_gets_the_rest_on_a_new_association(self, out: Path, uids: list[str]) -> None:
        def abort_once(service, event):
            if len(service.associations) == 1 and len(service.associations[0]) == 2:
                event.assoc.abort()
            return 0x0000

        with c_store_service(abort_once) as service:
            outcomes = send_results(out, service.peer, PATIENT)
        assert [outcome.verdict for outcome in outcomes] == [Verdict.STORED] * 4
        # The third was under way when the archive hung up: nobody knows whether it was kept, so it is sent again.
        assert service.associations == [uids[:3], uids[2:]]

    def test_one_that_always_aborts_is_given_up_and_the_next_call_sends_the_rest(
        self, out: Path, uids: list[str]
    ) -> None:
        full = True

        def abort_when_full(service, event):
            if full and event.request.AffectedSOPInstanceUID in uids[2:]:
                event.assoc.abort()
            return 0x0000

        before = {path.name: path.read_bytes() for path in (out / "dicom").iterdir()}
        with c_store_service(abort_when_full) as service:
            with pytest.raises(PeerError) as caught:
                send_results(out, service.peer, PATIENT)
            assert caught.value.code == "PACS_STOPPED"
            assert caught.value.exit_status == 3
            assert "2 of 4 objects are through" in caught.value.message
            # Once with progress, then as many without as the policy allows.
            assert len(service.associations) == 1 + PATIENT.attempts
            assert receipt(out) == dict.fromkeys(uids[:2], "stored")
            assert {path.name: path.read_bytes() for path in (out / "dicom").iterdir()} == before
            full = False
            send_results(out, service.peer, PATIENT)
            assert service.associations[-1] == uids[2:]
        assert receipt(out) == dict.fromkeys(uids, "stored")

    def test_a_progress_of_one_object_a_time_is_enough(self, out: Path, uids: list[str]) -> None:
        def abort_after_one(service, event):
            if service.associations[-1]:
                event.assoc.abort()
            return 0x0000

        with c_store_service(abort_after_one) as service:
            assert len(send_results(out, service.peer, PATIENT)) == 4
        assert len(service.associations) == 4

    def test_silence_is_a_timeout(self, out: Path, uids: list[str]) -> None:
        def sleep_over_the_third(service, event):
            if event.request.AffectedSOPInstanceUID == uids[2]:
                time.sleep(1.5 * HASTY.timeout_s)
            return 0x0000

        with c_store_service(sleep_over_the_third) as service, pytest.raises(PeerError) as caught:
            send_results(out, service.peer, Policy(HASTY.timeout_s, attempts=1))
        assert caught.value.code == "PACS_TIMEOUT"
        assert receipt(out) == dict.fromkeys(uids[:2], "stored")


class TestNoAssociation:
    @pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # pynetdicom leaves it to its end
    def test_nobody_listens(self, out: Path, uids: list[str]) -> None:
        peer = DimsePeer("ARCHIVE", "127.0.0.1", free_port(), OUR_TITLE)
        with pytest.raises(PeerError) as caught:
            send_results(out, peer, PATIENT)
        assert caught.value.code == "PACS_UNREACHABLE"
        assert "0 of 4" in caught.value.message

    def test_no_such_host(self, out: Path, uids: list[str]) -> None:
        with pytest.raises(PeerError) as caught:
            send_results(out, DimsePeer("ARCHIVE", "no-such-host.invalid", 104, OUR_TITLE), PATIENT)
        assert caught.value.code == "PACS_UNREACHABLE"

    def test_somebody_listens_and_says_nothing(self, out: Path, uids: list[str]) -> None:
        with socket.socket() as dumb:
            dumb.bind(("127.0.0.1", 0))
            dumb.listen()
            peer = DimsePeer("ARCHIVE", "127.0.0.1", dumb.getsockname()[1], OUR_TITLE)
            with pytest.raises(PeerError) as caught:
                send_results(out, peer, Policy(HASTY.timeout_s, attempts=1))
        assert caught.value.code == "PACS_TIMEOUT"

    @pytest.mark.parametrize(
        ("settings", "code", "said"),
        [
            ({"require_called_aet": True}, "PACS_CALLED_AE", "AE title WRONG"),
            ({"require_calling_aet": ["SOMEBODY"]}, "PACS_CALLING_AE", OUR_TITLE),
        ],
    )
    def test_wrong_titles_are_said_at_once(
        self, out: Path, uids: list[str], settings: dict, code: str, said: str
    ) -> None:
        title = "WRONG" if code == "PACS_CALLED_AE" else "ARCHIVE"
        with c_store_service(**settings) as service, pytest.raises(PeerError) as caught:
            send_results(out, DimsePeer(title, "127.0.0.1", service.peer.port, OUR_TITLE), PATIENT)
        assert caught.value.code == code
        assert said in caught.value.message
        assert service.associations == []

    @pytest.mark.parametrize(("result", "attempts"), [(1, 1), (2, PATIENT.attempts)], ids=["for good", "for now"])
    def test_a_refusal_is_repeated_only_if_it_is_for_now(
        self, out: Path, uids: list[str], result: int, attempts: int
    ) -> None:
        asked = []

        def refuse(event):
            asked.append(event)
            event.assoc.acse.send_reject(result, 0x01, 0x01)
            event.assoc.kill()

        with c_store_service(handlers=[(evt.EVT_REQUESTED, refuse)]) as service, pytest.raises(PeerError) as caught:
            send_results(out, service.peer, PATIENT)
        assert caught.value.code == "PACS_REFUSED"
        assert len(asked) == attempts

    def test_no_service_that_is_needed(self, out: Path, uids: list[str]) -> None:
        with c_store_service(contexts=[build_context(MRImageStorage)]) as service, pytest.raises(PeerError) as caught:
            send_results(out, service.peer, PATIENT)
        assert caught.value.code == "PACS_NO_CONTEXT"


class TestStatuses:
    @pytest.mark.parametrize(
        ("status", "verdict", "meaning"),
        [
            (0x0000, Verdict.STORED, "success"),
            (0xB000, Verdict.STORED, "stored, with some elements coerced"),
            (0xB006, Verdict.ALTERED, "stored, with some elements discarded"),
            (0xB007, Verdict.ALTERED, "stored, though the data set does not match its SOP class"),
            (0xA700, Verdict.POSTPONED, "out of resources"),
            (0xA9FF, Verdict.REFUSED, "data set does not match its SOP class"),
            (0xC123, Verdict.REFUSED, "cannot be understood"),
            (0x0124, Verdict.REFUSED, "not authorised"),
            (0xFE00, Verdict.REFUSED, "failure of unknown kind"),
        ],
    )
    def test_every_status_has_a_meaning(self, status: int, verdict: Verdict, meaning: str) -> None:
        assert (status_verdict(status), status_meaning(status)) == (verdict, meaning)

    def test_one_refused_object_does_not_keep_the_others(self, out: Path, uids: list[str]) -> None:
        def refuse_second(_service, event):
            return 0xA900 if event.request.AffectedSOPInstanceUID == uids[1] else 0xB000

        with c_store_service(refuse_second) as service:
            outcomes = send_results(out, service.peer, PATIENT)
        assert [outcome.status_text for outcome in outcomes] == ["0xB000", "0xA900", "0xB000", "0xB000"]
        assert len(service.associations) == 1
        assert receipt(out)[uids[1]] == "refused"

    def test_want_of_resources_is_waited_for(self, out: Path, uids: list[str]) -> None:
        def short_at_first(service, _event):
            return 0xA700 if len(service.associations) == 1 else 0x0000

        with c_store_service(short_at_first) as service:
            outcomes = send_results(out, service.peer, PATIENT)
        assert [outcome.verdict for outcome in outcomes] == [Verdict.STORED] * 4
        assert service.associations == [uids, uids]

    def test_and_given_up_in_the_end(self, out: Path, uids: list[str]) -> None:
        with c_store_service(lambda _service, _event: 0xA700) as service:
            outcomes = send_results(out, service.peer, PATIENT)
        assert [outcome.verdict for outcome in outcomes] == [Verdict.POSTPONED] * 4
        assert len(service.associations) == PATIENT.attempts
        assert set(receipt(out).values()) == {"postponed"}

    def test_a_class_or_syntax_that_is_not_taken_is_said(self, out: Path, uids: list[str]) -> None:
        path = out / "dicom" / "object_3.dcm"
        dataset = dcmread(path)
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
        dataset.PixelData = bytes.fromhex("feff00e000000000feffdde000000000")
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(path)
        path = out / "dicom" / "object_1.dcm"
        dataset = dcmread(path)
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = MRImageStorage
        dataset.save_as(path)
        with c_store_service(contexts=[build_context(SecondaryCaptureImageStorage)]) as service:
            first, second, third, fourth = send_results(out, service.peer, PATIENT)
        assert (first.verdict, third.verdict) == (Verdict.STORED, Verdict.STORED)
        assert (second.status, second.meaning) == (None, "the archive does not take MR Image Storage")
        assert fourth.meaning.startswith("the archive does not take the transfer syntax JPEG 2000")


class TestBeforeAnythingLeaves:
    def test_there_has_to_be_something(self, tmp_path: Path) -> None:
        with pytest.raises(InputError) as caught:
            send_results(tmp_path, DimsePeer("A", "127.0.0.1", 1, "US"), PATIENT)
        assert caught.value.code == "NOTHING_TO_SEND"

    def test_a_damaged_object_stops_all(self, out: Path, uids: list[str]) -> None:
        (out / "dicom" / "object_1.dcm").write_bytes(b"half of it")
        with c_store_service() as service, pytest.raises(InputError) as caught:
            send_results(out, service.peer, PATIENT)
        assert caught.value.code == "BAD_OBJECT"
        assert service.received == []

    @pytest.mark.parametrize("text", ["{}x", "[]", '{"schema_version": "2"}', '{"destinations": [{"to": 1}]}'])
    def test_a_foreign_receipt_is_not_overwritten(self, out: Path, uids: list[str], text: str) -> None:
        (out / "sent.json").write_text(text)
        with c_store_service() as service, pytest.raises(InputError) as caught:
            send_results(out, service.peer, PATIENT)
        assert caught.value.code == "BAD_RECEIPT"
        assert (out / "sent.json").read_text() == text
        assert service.received == []

    def test_a_receipt_that_cannot_be_kept_stops_all(self, out: Path, uids: list[str], tmp_path: Path) -> None:
        with c_store_service() as service, pytest.raises(UsageError) as caught:
            send_results(out, service.peer, PATIENT, receipt=tmp_path / "absent" / "sent.json")
        assert caught.value.code == "OUT_NOT_WRITABLE"
        assert service.received == []

    def test_objects_of_a_comparison_come_visit_by_visit(self, tmp_path: Path) -> None:
        for folder in ("timepoint_2", "timepoint_1", "."):
            write_results(tmp_path / folder, 1)
        assert [item.name for item in outgoing_objects(tmp_path)] == [
            "timepoint_1/dicom/object_0.dcm",
            "timepoint_2/dicom/object_0.dcm",
            "dicom/object_0.dcm",
        ]
