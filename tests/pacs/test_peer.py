import pytest

from spinemri.errors import UsageError
from spinemri.pacs import DimsePeer, Listener, parse_listener, parse_peer, parse_url


@pytest.mark.parametrize(
    ("text", "title", "host", "port"),
    [
        ("ARCHIVE@pacs.example:104", "ARCHIVE", "pacs.example", 104),
        (" MY PACS@10.0.0.7:11112", "MY PACS", "10.0.0.7", 11112),
        ("A@[fe80::1]:104", "A", "fe80::1", 104),
    ],
)
def test_a_peer_is_title_host_and_port(text: str, title: str, host: str, port: int) -> None:
    assert parse_peer(text, own="US") == DimsePeer(title, host, port, "US")


def test_a_listener_may_name_its_address() -> None:
    assert parse_listener("US:11112") == Listener("US", 11112)
    assert parse_listener("US@127.0.0.1:11112") == Listener("US", 11112, "127.0.0.1")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ARCHIVE", "BAD_PEER"),
        ("ARCHIVE@host", "BAD_PEER"),
        ("@host:104", "BAD_PEER"),
        ("A@host:0", "BAD_PEER"),
        ("A@host:65536", "BAD_PEER"),
        ("A@ho st:104", "BAD_PEER"),
        ("SEVENTEEN_LETTERS@host:104", "BAD_AE_TITLE"),
        ("A\\B@host:104", "BAD_AE_TITLE"),
        ("  @host:104", "BAD_PEER"),
    ],
)
def test_what_is_no_peer_is_refused(text: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_peer(text, own="US")
    assert caught.value.code == code


def test_our_own_title_is_checked_too() -> None:
    with pytest.raises(UsageError, match="is no AE title"):
        parse_peer("A@host:104", own="")


@pytest.mark.parametrize(
    "text", ["pacs.example/dicom-web", "ftp://pacs.example", "https://", "https://host:99999/x", "https://host/x?y=1"]
)
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(text)
    assert caught.value.code == "BAD_PEER"


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        parse_url("https://me:hunter2@pacs.example/dicom-web")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8042/dicom-web", True),
        ("http://localhost/dicom-web/", True),
        ("http://[::1]:8042/dicom-web", True),
        ("http://10.0.0.7/dicom-web", False),
        ("http://localhost.example/dicom-web", False),
    ],
)
def test_local_services_are_known(url: str, local: bool) -> None:
    assert parse_url(url).is_local is local
