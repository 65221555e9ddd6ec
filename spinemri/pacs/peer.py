"""Where another system is: ``AET@host:port`` of DIMSE, or the URL of a DICOMweb service."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from spinemri.errors import UsageError

__all__ = ["DimsePeer", "Listener", "WebPeer", "ae_title", "parse_listener", "parse_peer", "parse_url"]

_PEER = re.compile(r"(?P<aet>[^@]+)@(?P<host>\[[0-9a-fA-F:.]+\]|[^:@\[\]\s]+):(?P<port>\d{1,5})")
_LISTENER = re.compile(r"(?P<aet>[^@:]+)(@(?P<host>\[[0-9a-fA-F:.]+\]|[^:@\[\]\s]+))?:(?P<port>\d{1,5})")


@dataclass(frozen=True)
class Listener:
    """Where images come in that another system was asked to send.

    Attributes
    ----------
    ae_title : str
        The name under which the other system knows this address.
    port : int
    host : str
        Address to listen at; empty for the one from which the other system is reached.
    """

    ae_title: str
    port: int
    host: str = ""


@dataclass(frozen=True)
class DimsePeer:
    """An application entity that takes associations.

    Attributes
    ----------
    ae_title : str
        Of the other side, the *called* AE title.
    host : str
    port : int
    own_ae_title : str
        The *calling* AE title: what the other side knows us as.
    receiver : Listener or None
        Where it shall send images that we ask for (C-MOVE); None: on our own association (C-GET).
    """

    ae_title: str
    host: str
    port: int
    own_ae_title: str
    receiver: Listener | None = None

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.host}:{self.port}"


@dataclass(frozen=True)
class WebPeer:
    """A DICOMweb service.

    Attributes
    ----------
    url : str
        Its base, without slash at the end and without credentials.
    """

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def is_local(self) -> bool:
        """Whether the service runs on this machine, so that nothing crosses a network."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def ae_title(text: str) -> str:
    """Check an AE title (DICOM PS3.5 6.2: at most 16 characters, no backslash, no control characters).

    Raises
    ------
    UsageError
        BAD_AE_TITLE.

    Examples
    --------
    >>> ae_title(" SPINEMRI ")
    'SPINEMRI'
    """
    title = text.strip()
    if not title or len(title) > 16 or "\\" in title or not (title.isascii() and title.isprintable()):
        raise UsageError(
            "BAD_AE_TITLE", f"{text!r} is no AE title.", "An AE title has 1 to 16 characters, letters and digits."
        )
    return title


def parse_peer(text: str, *, own: str, receiver: Listener | None = None) -> DimsePeer:
    """Read ``AET@host:port``.

    Parameters
    ----------
    text : str
        The host may be a name, an IPv4 address or an IPv6 address in brackets.
    own : str
        Our AE title.
    receiver : Listener or None

    Raises
    ------
    UsageError
        BAD_PEER or BAD_AE_TITLE.

    Examples
    --------
    >>> str(parse_peer("ARCHIVE@pacs.example:104", own="SPINEMRI"))
    'ARCHIVE@pacs.example:104'
    """
    found = _PEER.fullmatch(text.strip())
    if found is None:
        raise UsageError("BAD_PEER", f"{text!r} names no archive.", "Write AET@host:port, or a URL of DICOMweb.")
    host = found["host"].strip("[]")
    return DimsePeer(ae_title(found["aet"]), host, _port(found["port"]), ae_title(own), receiver)


def parse_listener(text: str) -> Listener:
    """Read ``AET:port`` or ``AET@host:port``.

    Raises
    ------
    UsageError
        BAD_PEER or BAD_AE_TITLE.

    Examples
    --------
    >>> parse_listener("SPINEMRI:11112").port
    11112
    """
    found = _LISTENER.fullmatch(text.strip())
    if found is None:
        raise UsageError("BAD_PEER", f"--listen got {text!r}.", "Write AET:port, as the archive knows this machine.")
    return Listener(ae_title(found["aet"]), _port(found["port"]), (found["host"] or "").strip("[]"))


def parse_url(text: str) -> WebPeer:
    """Check the URL of a DICOMweb service.

    Raises
    ------
    UsageError
        BAD_PEER, also if it holds credentials: a command line can be read by others.
    """
    try:
        parts = urlsplit(text.strip())
        port_is_fine = parts.port != 0
    except ValueError:
        parts, port_is_fine = urlsplit(""), False
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_fine or parts.query or parts.fragment:
        raise UsageError("BAD_PEER", "The URL names no DICOMweb service.", "Write https://host/path, without query.")
    if parts.username or parts.password:
        raise UsageError(
            "BAD_PEER", "The URL holds credentials, which others could read.", "Put them into the environment."
        )
    return WebPeer(parts.geturl().rstrip("/"))


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise UsageError("BAD_PEER", f"{text} is no port.", "A port lies between 1 and 65535.")
    return port
