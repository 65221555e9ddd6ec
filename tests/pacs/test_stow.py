"""STOW-RS to services that refuse, drop connections, or answer what nobody asked."""

import json
import socket
from pathlib import Path

import pytest
from archives import HASTY, WebService, free_port, web_service, write_results

from spinemri.errors import PeerError, UsageError
from spinemri.pacs import Policy, Verdict, WebPeer, send_results

PATIENT = Policy(timeout_s=5.0, attempts=3, pause_s=0.01)
JSON = "application/dicom+json"
VARIABLES = ("TOKEN", "USER", "PASSWORD", "CA", "CERT")


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(f"SPINEMRI_DICOMWEB_{name}", raising=False)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def uids(out: Path) -> list[str]:
    return write_results(out)


def uid_in(body: bytes, uids: list[str]) -> str:
    (uid,) = (uid for uid in uids if uid.encode() in body)
    return uid


def answer(stored: dict[str, int], failed: dict[str, int] | None = None) -> bytes:
    """A Store Instances Response; `failed` None leaves the sequence out."""
    content: dict = {"00081199": {"vr": "SQ", "Value": [_item(uid, "00081196", code) for uid, code in stored.items()]}}
    if failed is not None:
        content["00081198"] = {"vr": "SQ", "Value": [_item(uid, "00081197", code) for uid, code in failed.items()]}
        if not failed:
            del content["00081198"]["Value"]
    return json.dumps(content).encode()


def _item(uid: str, tag: str, code: int) -> dict:
    item: dict = {"00081155": {"vr": "UI", "Value": [uid]}}
    return item | ({tag: {"vr": "US", "Value": [code]}} if code else {})


@pytest.mark.parametrize("failed", [None, {}], ids=["no sequence", "empty sequence"])
@pytest.mark.parametrize("kind", [JSON, f"{JSON}; charset=utf-8"])
def test_success_is_success_with_an_empty_sequence_of_failures(
    out: Path, uids: list[str], failed: dict | None, kind: str
) -> None:
    with web_service(lambda _s, _m, _p, body: (200, kind, answer({uid_in(body, uids): 0}, failed))) as service:
        outcomes = send_results(out, WebPeer(service.url), PATIENT)
    assert [outcome.verdict for outcome in outcomes] == [Verdict.STORED] * 4
    assert [(method, path) for method, path, _ in service.requests] == [("POST", "/dicom-web/studies")] * 4


def test_each_object_has_its_own_answer(out: Path, uids: list[str]) -> None:
    codes = dict(zip(uids, (0, 0xB000, 0xB006, 0xA900), strict=True))

    def reply(_service: WebService, _method: str, _path: str, body: bytes):
        uid = uid_in(body, uids)
        if codes[uid] < 0xB000 and codes[uid]:
            return 409, JSON, answer({}, {uid: codes[uid]})
        return (202 if codes[uid] else 200), JSON, answer({uid: codes[uid]}, {})

    with web_service(reply) as service:
        outcomes = send_results(out, WebPeer(service.url), PATIENT)
    assert [outcome.status for outcome in outcomes] == list(codes.values())
    assert [outcome.verdict.value for outcome in outcomes] == ["stored", "stored", "altered", "refused"]
    (destination,) = json.loads((out / "sent.json").read_text())["destinations"]
    assert destination["to"] == service.url
    assert destination["instances"][3]["meaning"] == "data set does not match its SOP class"


@pytest.mark.parametrize(
    ("reply", "meaning"),
    [
        ((200, "text/html", b"<h1>Please log in</h1>"), "the answer does not say that it was stored"),
        ((200, JSON, answer({"1.2.3": 0}, {})), "the answer does not say that it was stored"),
        ((200, JSON, b""), "the answer does not say that it was stored"),
        ((413, "text/plain", b"no"), "too large (413 of HTTP)"),
        ((409, JSON, b"{broken"), "conflict (409 of HTTP)"),
    ],
    ids=["a login", "another object", "nothing", "too large", "broken json"],
)
def test_what_is_not_confirmed_is_not_stored(out: Path, uids: list[str], reply: tuple, meaning: str) -> None:
    with web_service(lambda *_arguments: reply) as service:
        outcomes = send_results(out, WebPeer(service.url), PATIENT)
    assert {(outcome.verdict, outcome.meaning) for outcome in outcomes} == {(Verdict.REFUSED, meaning)}
    assert len(service.requests) == 4


class TestHalfWay:
    def test_a_service_that_drops_gets_the_rest_again(self, out: Path, uids: list[str]) -> None:
        def drop_the_third(service: WebService, _method: str, _path: str, body: bytes):
            return None if len(service.requests) == 3 else (200, JSON, answer({uid_in(body, uids): 0}, {}))

        with web_service(drop_the_third) as service:
            outcomes = send_results(out, WebPeer(service.url), PATIENT)
        assert [outcome.verdict for outcome in outcomes] == [Verdict.STORED] * 4
        assert len(service.requests) == 5

    def test_one_that_always_drops_is_given_up_and_the_next_call_goes_on(self, out: Path, uids: list[str]) -> None:
        broken = True

        def drop_the_third(_service: WebService, _method: str, _path: str, body: bytes):
            uid = uid_in(body, uids)
            return None if broken and uid == uids[2] else (200, JSON, answer({uid: 0}, {}))

        with web_service(drop_the_third) as service:
            with pytest.raises(PeerError) as caught:
                send_results(out, WebPeer(service.url), PATIENT)
            assert caught.value.code == "PACS_STOPPED"
            assert "2 of 4" in caught.value.message
            assert len(service.requests) == 3 + PATIENT.attempts
            broken = False
            service.requests.clear()
            assert len(send_results(out, WebPeer(service.url), PATIENT)) == 2
            assert len(service.requests) == 2

    @pytest.mark.parametrize("status", [429, 503])
    def test_a_busy_service_is_asked_again(self, out: Path, uids: list[str], status: int) -> None:
        def busy_at_first(service: WebService, _method: str, _path: str, body: bytes):
            if len(service.requests) <= 2:
                return status, "text/plain", b""
            return 200, JSON, answer({uid_in(body, uids): 0}, {})

        with web_service(busy_at_first) as service:
            assert len(send_results(out, WebPeer(service.url), PATIENT)) == 4
        assert len(service.requests) == 6

    def test_and_given_up_in_the_end(self, out: Path, uids: list[str]) -> None:
        with web_service(lambda *_arguments: (503, "text/plain", b"")) as service, pytest.raises(PeerError) as caught:
            send_results(out, WebPeer(service.url), PATIENT)
        assert caught.value.code == "PACS_BUSY"
        assert len(service.requests) == PATIENT.attempts


class TestNoService:
    def test_nobody_listens(self, out: Path, uids: list[str]) -> None:
        with pytest.raises(PeerError) as caught:
            send_results(out, WebPeer(f"http://127.0.0.1:{free_port()}/dicom-web"), PATIENT)
        assert caught.value.code == "PACS_UNREACHABLE"

    def test_silence(self, out: Path, uids: list[str]) -> None:
        with socket.socket() as dumb:
            dumb.bind(("127.0.0.1", 0))
            dumb.listen()
            peer = WebPeer(f"http://127.0.0.1:{dumb.getsockname()[1]}/dicom-web")
            with pytest.raises(PeerError) as caught:
                send_results(out, peer, Policy(HASTY.timeout_s, attempts=1))
        assert caught.value.code == "PACS_TIMEOUT"

    def test_https_where_there_is_none(self, out: Path, uids: list[str]) -> None:
        with web_service(lambda *_arguments: (200, JSON, b"")) as service, pytest.raises(PeerError) as caught:
            send_results(out, WebPeer(service.url.replace("http:", "https:")), PATIENT)
        assert caught.value.code == "PACS_TLS"
        assert service.requests == []

    @pytest.mark.parametrize(
        ("status", "code"),
        [(401, "PACS_DENIED"), (403, "PACS_DENIED"), (404, "PACS_NO_SERVICE"), (405, "PACS_REFUSED")],
    )
    def test_refusals_are_not_repeated(self, out: Path, uids: list[str], status: int, code: str) -> None:
        reply = (status, "text/plain", b"")
        with web_service(lambda *_arguments: reply) as service, pytest.raises(PeerError) as caught:
            send_results(out, WebPeer(service.url), PATIENT)
        assert caught.value.code == code
        assert len(service.requests) == 1


class TestCredentials:
    def _headers(self, out: Path, uids: list[str]) -> dict[str, str]:
        with web_service(lambda _s, _m, _p, body: (200, JSON, answer({uid_in(body, uids): 0}))) as service:
            send_results(out, WebPeer(service.url), PATIENT)
        return service.requests[0][2]

    def test_none_by_default(self, out: Path, uids: list[str]) -> None:
        assert "Authorization" not in self._headers(out, uids)

    def test_a_token(self, out: Path, uids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SPINEMRI_DICOMWEB_TOKEN", "abc")
        assert self._headers(out, uids)["Authorization"] == "Bearer abc"

    def test_a_name_and_a_password(self, out: Path, uids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SPINEMRI_DICOMWEB_USER", "me")
        monkeypatch.setenv("SPINEMRI_DICOMWEB_PASSWORD", "hunter2")
        # base64 of "me:hunter2"
        assert self._headers(out, uids)["Authorization"] == "Basic bWU6aHVudGVyMg=="

    def test_never_in_clear_over_a_network(self, out: Path, uids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SPINEMRI_DICOMWEB_TOKEN", "abc")
        with pytest.raises(UsageError) as caught:
            send_results(out, WebPeer("http://pacs.invalid/dicom-web"), PATIENT)
        assert caught.value.code == "BAD_CREDENTIALS"
        assert "abc" not in str(caught.value)

    @pytest.mark.parametrize("name", ["CA", "CERT"])
    def test_certificates_have_to_exist(
        self, out: Path, uids: list[str], monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setenv(f"SPINEMRI_DICOMWEB_{name}", "/no/such/file.pem")
        with pytest.raises(UsageError) as caught:
            send_results(out, WebPeer("https://pacs.invalid/dicom-web"), PATIENT)
        assert caught.value.code == "BAD_CREDENTIALS"
        assert f"SPINEMRI_DICOMWEB_{name}" in caught.value.message
