"""C-FIND, C-GET and C-MOVE with an archive that does not always do its part."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from archives import OUR_TITLE, WebService, free_port, listening, small_object, web_service
from pydicom import Dataset, dcmread
from pydicom.uid import MRImageStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from spinemri.errors import PeerError, UsageError
from spinemri.pacs import DimsePeer, Listener, Policy, WebPeer, fetch_studies, study_query

PATIENT = Policy(timeout_s=5.0, attempts=3, pause_s=0.01)
QUERY = study_query([], patient="4711")


def image(number: int, *, study: str = "1.2.1", series: str = "1.2.1.1", modality: str = "MR") -> Dataset:
    made = small_object(number)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = MRImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = f"{series}.{number}"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.Modality = study, series, modality
    made.PatientID, made.AccessionNumber, made.StudyDate = "4711", "A1", "20240301"
    return made


def study(uid: str = "1.2.1", count: int = 3) -> list[Dataset]:
    """Two MR series, and a report that is none of our business."""
    images = [image(number, study=uid, series=f"{uid}.{series}") for series in (1, 2) for number in range(count)]
    return [*images, image(0, study=uid, series=f"{uid}.9", modality="SR")]


@dataclass
class Archive:
    """Query/retrieve on the loopback interface; every behaviour can be exchanged."""

    held: list[Dataset]
    services: tuple[str, ...] = (
        StudyRootQueryRetrieveInformationModelFind,
        StudyRootQueryRetrieveInformationModelGet,
        StudyRootQueryRetrieveInformationModelMove,
    )
    destination: tuple[str, int] | None = None
    lose: int = 0
    intrude: bool = False
    abort_at_find: int = 0
    finds: int = 0
    retrieved: list[str] = field(default_factory=list)
    peer: DimsePeer = field(default_factory=lambda: DimsePeer("ARCHIVE", "127.0.0.1", free_port(), OUR_TITLE))

    def find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        self.finds += 1
        if self.finds <= self.abort_at_find:
            event.assoc.abort()
            return
        keys = event.identifier
        level = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
        own = level[keys.QueryRetrieveLevel]
        for one in {one[own].value: one for one in self._selected(keys)}.values():
            answer = Dataset()
            for element in keys:
                if element.keyword in one:
                    answer[element.keyword] = one[element.keyword]
            yield 0xFF00, answer

    def _selected(self, keys: Dataset) -> list[Dataset]:
        names = ("StudyInstanceUID", "SeriesInstanceUID", "PatientID")
        return [one for one in self.held if all(keys.get(name) in {"", None, one.get(name)} for name in names)]

    def _sent(self, event: evt.Event) -> Iterator[object]:
        self.retrieved.append(event.identifier.SeriesInstanceUID)
        images = self._selected(event.identifier)
        lost, self.lose = self.lose, max(0, self.lose - len(images))
        images = images[lost:] if lost else images
        if self.intrude:
            images = [*images, image(99, series="6.6.6")]
        yield len(images)
        for one in images:
            yield 0xFF00, one

    def get(self, event: evt.Event) -> Iterator[object]:
        yield from self._sent(event)

    def move(self, event: evt.Event) -> Iterator[object]:
        if self.destination is None or event.move_destination != self.destination[0]:
            yield None, None
            return
        yield "127.0.0.1", self.destination[1]
        yield from self._sent(event)


@contextmanager
def running(archive: Archive) -> Iterator[Archive]:
    entity = AE("ARCHIVE")
    for service in archive.services:
        entity.add_supported_context(service)
    entity.add_supported_context(MRImageStorage, scu_role=True, scp_role=True)
    entity.add_requested_context(MRImageStorage)
    entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = 5
    handlers = [(evt.EVT_C_FIND, archive.find), (evt.EVT_C_GET, archive.get), (evt.EVT_C_MOVE, archive.move)]
    with listening(entity, archive.peer.port, handlers):
        yield archive


def moving(archive: Archive) -> DimsePeer:
    """Our side of C-MOVE: the archive knows us, and we listen."""
    port = free_port()
    archive.destination = (OUR_TITLE, port)
    return replace(archive.peer, receiver=Listener(OUR_TITLE, port))


def uids_in(folder: Path) -> set[str]:
    return {dcmread(path).SOPInstanceUID for path in folder.iterdir()}


WANTED = {f"1.2.1.{series}.{number}" for series in (1, 2) for number in range(3)}


@pytest.mark.parametrize("way", ["get", "move"])
def test_the_mr_series_of_the_study_come_whole(tmp_path: Path, way: str) -> None:
    heard = []
    with running(Archive(study())) as archive:
        peer = archive.peer if way == "get" else moving(archive)
        (folder,) = fetch_studies(peer, QUERY, tmp_path, PATIENT, listener=lambda *counts: heard.append(counts))
    assert uids_in(folder) == WANTED
    assert heard == [(done, 6) for done in range(1, 7)]
    assert archive.retrieved == ["1.2.1.1", "1.2.1.2"]
    (one,) = (dcmread(path) for path in folder.iterdir() if dcmread(path).SOPInstanceUID == "1.2.1.2.1")
    wanted = image(1, series="1.2.1.2")
    assert {element.tag: element.value for element in one} == {element.tag: element.value for element in wanted}


@pytest.mark.parametrize("way", ["get", "move"])
def test_what_was_not_asked_for_is_not_kept(tmp_path: Path, way: str) -> None:
    with running(Archive(study(), intrude=True)) as archive:
        peer = archive.peer if way == "get" else moving(archive)
        (folder,) = fetch_studies(peer, QUERY, tmp_path, PATIENT)
    assert uids_in(folder) == WANTED


@pytest.mark.parametrize("way", ["get", "move"])
def test_what_is_lost_once_is_asked_for_again(tmp_path: Path, way: str) -> None:
    with running(Archive(study(), lose=2)) as archive:
        peer = archive.peer if way == "get" else moving(archive)
        (folder,) = fetch_studies(peer, QUERY, tmp_path, PATIENT)
    assert uids_in(folder) == WANTED
    assert archive.retrieved == ["1.2.1.1", "1.2.1.1", "1.2.1.2"]


def test_a_series_that_never_comes_whole_stops_all(tmp_path: Path) -> None:
    with running(Archive(study(), lose=100)) as archive, pytest.raises(PeerError) as caught:
        fetch_studies(archive.peer, QUERY, tmp_path, PATIENT)
    assert caught.value.code == "PACS_INCOMPLETE"
    assert "3 of 3 images" in caught.value.message
    assert len(archive.retrieved) == PATIENT.attempts


def test_a_query_that_breaks_off_is_asked_again_with_a_limit(tmp_path: Path) -> None:
    with running(Archive(study(), abort_at_find=2)) as archive:
        assert len(fetch_studies(archive.peer, QUERY, tmp_path, PATIENT)) == 1
    with running(Archive(study(), abort_at_find=100)) as archive, pytest.raises(PeerError) as caught:
        fetch_studies(archive.peer, QUERY, tmp_path / "other", PATIENT)
    assert caught.value.code == "PACS_STOPPED"
    assert archive.finds == PATIENT.attempts


def test_several_studies_are_refused_or_taken_in_order(tmp_path: Path) -> None:
    later = study("1.2.0")
    for one in later:
        one.StudyDate = "20240320"
    with running(Archive([*later, *study()])) as archive:
        with pytest.raises(UsageError) as caught:
            fetch_studies(archive.peer, QUERY, tmp_path, PATIENT)
        assert caught.value.code == "PACS_SEVERAL_STUDIES"
        assert list(tmp_path.iterdir()) == []
        first, second = fetch_studies(archive.peer, QUERY, tmp_path, PATIENT, several=True)
    assert (len(uids_in(first)), {dcmread(path).StudyDate for path in second.iterdir()}) == (6, {"20240320"})


def test_a_list_of_study_uids_is_one_query(tmp_path: Path) -> None:
    with running(Archive([*study(), *study("1.2.7")])) as archive, pytest.raises(PeerError) as caught:
        # This archive compares UIDs as text and so ignores lists: nothing else may come instead.
        fetch_studies(archive.peer, study_query(["1.2.5"]), tmp_path, PATIENT)
    assert caught.value.code == "PACS_NO_MATCH"


def test_an_archive_without_c_get_is_named_with_the_way_out(tmp_path: Path) -> None:
    services = (StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelMove)
    with running(Archive(study(), services=services)) as archive, pytest.raises(PeerError) as caught:
        fetch_studies(archive.peer, QUERY, tmp_path, PATIENT)
    assert caught.value.code == "PACS_NO_GET"
    assert "--listen" in caught.value.remedy


def test_a_destination_that_the_archive_does_not_know(tmp_path: Path) -> None:
    with running(Archive(study())) as archive, pytest.raises(PeerError) as caught:
        fetch_studies(replace(archive.peer, receiver=Listener("STRANGER", free_port())), QUERY, tmp_path, PATIENT)
    assert caught.value.code == "PACS_NO_DESTINATION"
    assert "STRANGER" in caught.value.message


def test_an_archive_without_queries(tmp_path: Path) -> None:
    with running(Archive(study(), services=())) as archive, pytest.raises(PeerError) as caught:
        fetch_studies(archive.peer, QUERY, tmp_path, PATIENT)
    assert caught.value.code == "PACS_NO_CONTEXT"


def test_a_query_that_the_archive_cannot_answer(tmp_path: Path) -> None:
    archive = Archive(study())
    archive.find = lambda _event: iter([(0xA900, None)])  # type: ignore[method-assign]
    with running(archive), pytest.raises(PeerError) as caught:
        fetch_studies(archive.peer, QUERY, tmp_path, PATIENT)
    assert caught.value.code == "PACS_QUERY_FAILED"
    assert "0xA900" in caught.value.message


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with running(Archive(study())) as archive, pytest.raises(UsageError) as caught:
        fetch_studies(replace(archive.peer, receiver=Listener(OUR_TITLE, archive.peer.port)), QUERY, tmp_path, PATIENT)
    assert caught.value.code == "BAD_LISTENER"


def test_nothing_keeps_running(tmp_path: Path) -> None:
    before = threading.active_count()
    with running(Archive(study())) as archive:
        fetch_studies(moving(archive), QUERY, tmp_path, PATIENT)
    assert threading.active_count() <= before + 1


class TestWeb:
    def test_a_service_that_breaks_off_in_the_middle_is_given_up(self, tmp_path: Path) -> None:
        def reply(_service: WebService, _method: str, path: str, _body: bytes):
            held = [image(number) for number in range(2)]
            if "/instances" in path:
                return 200, "application/dicom+json", json.dumps([_answer(one) for one in held]).encode()
            if path.split("?", maxsplit=1)[0].endswith(("/series", "/studies")):
                return 200, "application/dicom+json", json.dumps([_answer(held[0])]).encode()
            return None

        with web_service(reply) as service, pytest.raises(PeerError) as caught:
            fetch_studies(WebPeer(service.url), QUERY, tmp_path, PATIENT)
        assert caught.value.code == "PACS_STOPPED"
        wado = [path for _, path, _ in service.requests if path.endswith("/series/1.2.1.1")]
        assert len(wado) == PATIENT.attempts

    def test_nothing_found(self, tmp_path: Path) -> None:
        nothing = (200, "application/dicom+json", b"[]")
        with web_service(lambda *_arguments: nothing) as service, pytest.raises(PeerError) as caught:
            fetch_studies(WebPeer(service.url), QUERY, tmp_path, PATIENT)
        assert caught.value.code == "PACS_NO_MATCH"
        ((_, path, _),) = service.requests
        assert "PatientID=4711" in path


def _answer(dataset: Dataset) -> dict:
    wanted = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "PatientID")
    answer = Dataset()
    for name in wanted:
        answer[name] = dataset[name]
    return answer.to_json_dict()
