"""Our own storage service: takes images that an archive was asked to send, and no others."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from pynetdicom import evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from spinemri.errors import UsageError
from spinemri.pacs.association import application_entity
from spinemri.pacs.images import IMAGE_CLASSES, TRANSFER_SYNTAXES
from spinemri.pacs.inbox import Inbox, uids_of
from spinemri.pacs.peer import DimsePeer, Listener
from spinemri.pacs.policy import Policy

__all__ = ["Receiver", "keep_event", "receiving"]

_SUCCESS = 0x0000
_NOT_AUTHORISED = 0x0124
_OUT_OF_RESOURCES = 0xA700


class Receiver:
    """Where images come in.

    Attributes
    ----------
    ae_title : str
    inbox : Inbox or None
        Who takes them; until there is one, nothing is taken.
    """

    def __init__(self, ae_title: str) -> None:
        self.ae_title = ae_title
        self.inbox: Inbox | None = None

    def store(self, event: evt.Event) -> int:
        """Answer a C-STORE request."""
        return _NOT_AUTHORISED if self.inbox is None else keep_event(event, self.inbox)


@contextmanager
def receiving(listener: Listener, peer: DimsePeer, policy: Policy) -> Iterator[Receiver]:
    """Listen.

    Parameters
    ----------
    listener : Listener
    peer : DimsePeer
        Who will send; decides at which address to listen, if none was given.
    policy : Policy

    Yields
    ------
    Receiver

    Raises
    ------
    UsageError
        BAD_LISTENER if the port cannot be opened.
    """
    entity = application_entity(listener.ae_title, policy)
    entity.require_called_aet = True
    entity.add_supported_context(Verification)
    for uid in IMAGE_CLASSES:
        entity.add_supported_context(uid, list(TRANSFER_SYNTAXES))
    receiver = Receiver(listener.ae_title)
    address = (listener.host or _facing(peer), listener.port)
    try:
        server = entity.start_server(address, block=False, evt_handlers=[(evt.EVT_C_STORE, receiver.store)])
    except OSError as error:
        what = f"--listen cannot use port {address[1]} at {address[0]} ({error.strerror or type(error).__name__})."
        raise UsageError("BAD_LISTENER", what, "Name a free port that the archive may reach.") from None
    try:
        yield receiver
    finally:
        if server is not None:
            server.shutdown()


def keep_event(event: evt.Event, inbox: Inbox) -> int:
    """Keep what a C-STORE request brings, byte for byte, and return the status of the answer."""
    try:
        return _SUCCESS if inbox.keep(uids_of(event.dataset), event.encoded_dataset()) else _NOT_AUTHORISED
    except UsageError:
        return _OUT_OF_RESOURCES


def _facing(peer: DimsePeer) -> str:
    """Return our address on the way to a peer; connecting a datagram socket sends nothing."""
    try:
        family, _, _, _, address = socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1"
