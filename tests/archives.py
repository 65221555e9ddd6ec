"""Archives for the tests: some that misbehave, made of pynetdicom and http.server, and a real one, Orthanc."""

from __future__ import annotations

import http.server
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.transport import ThreadedAssociationServer

from spinemri.pacs import DimsePeer, Policy
from spinemri.uids import derived_uid

HASTY = Policy(timeout_s=1.0, attempts=3, pause_s=0.01)
"""Patience of the tests."""

OUR_TITLE = "SPINEMRI"
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def small_object(number: int) -> Dataset:
    """Return a secondary capture of 2 x 3 pixels."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = SecondaryCaptureImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = derived_uid("small object", number)
    made.StudyInstanceUID, made.SeriesInstanceUID = derived_uid("small study"), derived_uid("small series")
    made.PatientName, made.PatientID, made.Modality = "Secret^Name", "secret-id", "OT"
    made.Rows, made.Columns, made.SamplesPerPixel, made.PhotometricInterpretation = 2, 3, 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.PixelData = bytes(range(6))
    return made


def write_results(out: Path, count: int = 4) -> list[str]:
    """Write what looks like the objects of a run; return their instance UIDs in the order of their files."""
    (out / "dicom").mkdir(parents=True)
    objects = [small_object(number) for number in range(count)]
    for number, made in enumerate(objects):
        made.save_as(out / "dicom" / f"object_{number}.dcm", enforce_file_format=True)
    return [str(made.SOPInstanceUID) for made in objects]


@dataclass
class Service:
    """A C-STORE service and what it was given, association by association."""

    peer: DimsePeer
    associations: list[list[str]] = field(default_factory=list)

    @property
    def received(self) -> list[str]:
        return [uid for association in self.associations for uid in association]


@contextmanager
def c_store_service(
    answer: Callable[[Service, evt.Event], int] = lambda _service, _event: 0x0000,
    *,
    contexts: Sequence[object] = AllStoragePresentationContexts,
    handlers: Sequence[tuple[object, Callable[..., object]]] = (),
    **settings: object,
) -> Iterator[Service]:
    """Run a service on the loopback interface that answers every object as `answer` says."""
    entity = AE("ARCHIVE")
    entity.supported_contexts = list(contexts)
    entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = 5
    for name, value in settings.items():
        setattr(entity, name, value)
    service = Service(DimsePeer("ARCHIVE", "127.0.0.1", free_port(), OUR_TITLE))

    def store(event: evt.Event) -> int:
        status = answer(service, event)
        service.associations[-1].append(str(event.request.AffectedSOPInstanceUID))
        return status

    own = [(evt.EVT_C_STORE, store), (evt.EVT_ESTABLISHED, lambda _event: service.associations.append([]))]
    with listening(entity, service.peer.port, [*own, *handlers]):
        yield service


@contextmanager
def listening(entity: AE, port: int, handlers: list[tuple[object, Callable[..., object]]]) -> Iterator[None]:
    """Let an entity take associations on the loopback interface; as `AE.start_server`, but quick to stop."""
    server = entity.make_server(("127.0.0.1", port), evt_handlers=handlers, server_class=ThreadedAssociationServer)
    entity._servers.append(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


@dataclass
class WebService:
    """A DICOMweb service and the requests that it saw: method, path, headers."""

    url: str
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


Reply = tuple[int, str, bytes] | None


@contextmanager
def web_service(reply: Callable[[WebService, str, str, bytes], Reply]) -> Iterator[WebService]:
    """Run a service that replies with status, type and body as `reply` says; None drops the connection."""
    service = WebService("")

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_arguments: object) -> None:
            pass

        def _serve(self) -> None:
            body = self._body()
            service.requests.append((self.command, self.path, dict(self.headers)))
            answer = reply(service, self.command, self.path, body)
            if answer is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, kind, content = answer
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        do_GET = do_POST = _serve  # noqa: N815 - http.server looks for these names

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_address[1]}/dicom-web"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc that knows us under `OUR_TITLE`."""

    http_port: int
    dicom_port: int
    our_port: int

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    @property
    def peer(self) -> str:
        return f"ARCHIVE@127.0.0.1:{self.dicom_port}"

    def rest(self, path: str, method: str = "GET") -> object:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
            return json.load(answer)


@contextmanager
def orthanc(folder: Path) -> Iterator[Orthanc]:
    """Run Orthanc with its storage in a folder, closed to all but this machine."""
    program = shutil.which("Orthanc")
    if program is None or not PLUGIN.exists():
        pytest.skip("Orthanc is absent: install Debian's orthanc and orthanc-dicomweb")
    made = Orthanc(free_port(), free_port(), free_port())
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        # It listens on all interfaces, whatever is written here, and turns away all that is not local.
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "HttpPort": made.http_port,
        "DicomPort": made.dicom_port,
        "DicomAet": "ARCHIVE",
        "DicomCheckCalledAet": True,
        "DicomModalities": {"us": [OUR_TITLE, "127.0.0.1", made.our_port]},
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([program, str(path)], stdout=log, stderr=log)
        try:
            _wait_for(made, process)
            yield made
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait_for(made: Orthanc, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, "Orthanc did not start"
        try:
            made.rest("/system")
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("Orthanc does not answer")
