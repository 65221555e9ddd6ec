"""Associations with another application entity, and why there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from spinemri.errors import PeerError
from spinemri.pacs.peer import DimsePeer
from spinemri.pacs.policy import Interrupted, Policy
from spinemri.uids import IMPLEMENTATION_UID

__all__ = ["Handlers", "answer_status", "application_entity", "association", "stopped"]

Handlers = list[tuple[evt.EventType, Callable[..., Any]] | tuple[evt.EventType, Callable[..., Any], list[Any]]]

_TRANSIENT = 2
_CALLING_UNKNOWN = (1, 3)
_CALLED_UNKNOWN = (1, 7)
"""Source and reason of a rejection (DICOM PS3.8 table 9-21)."""


def application_entity(own_ae_title: str, policy: Policy) -> AE:
    """Return our side of an association, with the time-outs of a policy."""
    entity = AE(own_ae_title)
    entity.implementation_class_uid = IMPLEMENTATION_UID
    entity.implementation_version_name = "SPINEMRI"
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = policy.timeout_s
    entity.network_timeout = 2 * policy.timeout_s
    return entity


@contextmanager
def association(
    peer: DimsePeer,
    contexts: Sequence[PresentationContext],
    policy: Policy,
    *,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Handlers | None = None,
) -> Iterator[Association]:
    """Open an association, and release it at the end.

    Parameters
    ----------
    peer : DimsePeer
    contexts : sequence of PresentationContext
    policy : Policy
    roles : sequence of SCP_SCU_RoleSelectionNegotiation
    handlers : Handlers, optional

    Yields
    ------
    Association

    Raises
    ------
    PeerError
        PACS_CALLED_AE, PACS_CALLING_AE, PACS_REFUSED or PACS_NO_CONTEXT.
    Interrupted
        PACS_UNREACHABLE, PACS_TIMEOUT, PACS_STOPPED or a refusal for the time being.
    """
    connected: list[bool] = []
    heard: Handlers = [(evt.EVT_CONN_OPEN, lambda _event: connected.append(True)), *(handlers or [])]
    start = time.monotonic()
    try:
        link = application_entity(peer.own_ae_title, policy).associate(
            peer.host,
            peer.port,
            contexts=list(contexts),
            ae_title=peer.ae_title,
            ext_neg=list(roles),
            evt_handlers=heard,
        )
    except OSError:
        raise Interrupted(_unreachable(peer)) from None
    if not link.is_established:
        _explain(link, peer, was_connected=bool(connected), waited=time.monotonic() - start, policy=policy)
    try:
        yield link
    finally:
        if link.is_established:
            link.release()


def answer_status(request: Callable[[], Dataset], link: Association, peer: DimsePeer, policy: Policy) -> int:
    """Send a request and return the status of its answer.

    Raises
    ------
    Interrupted
        PACS_STOPPED or PACS_TIMEOUT if there is no answer.
    """
    start = time.monotonic()
    try:
        answer = request()
    except RuntimeError:
        # The association went away between two requests.
        raise stopped(peer, 0.0, policy) from None
    if "Status" not in answer:
        if link.is_established:
            link.abort()
        raise stopped(peer, time.monotonic() - start, policy)
    return int(answer.Status)


def stopped(peer: DimsePeer, waited_s: float, policy: Policy) -> Interrupted:
    """Return what to raise when the other side goes silent in the middle."""
    if waited_s >= policy.timeout_s:
        return Interrupted(_timeout(peer, policy))
    message = f"{peer} ended the association in the middle."
    return Interrupted(PeerError("PACS_STOPPED", message, "Ask whoever runs the archive for its log."))


def _explain(link: Association, peer: DimsePeer, *, was_connected: bool, waited: float, policy: Policy) -> NoReturn:
    """Raise why an association was not established."""
    if link.is_rejected:
        error, transient = _rejection(link, peer)
        raise Interrupted(error) if transient else error
    if waited >= policy.timeout_s:
        raise Interrupted(_timeout(peer, policy))
    if not was_connected:
        raise Interrupted(_unreachable(peer))
    if link.acceptor.primitive is not None and not link.accepted_contexts:
        message = f"{peer} offers none of the services that are needed."
        raise PeerError("PACS_NO_CONTEXT", message, "Ask whoever runs the archive which services it offers.")
    raise stopped(peer, 0.0, policy)


def _rejection(link: Association, peer: DimsePeer) -> tuple[PeerError, bool]:
    """Return the reason of a rejection, and whether it is one for the time being."""
    answer = link.acceptor.primitive
    reason = (getattr(answer, "result_source", 0), getattr(answer, "diagnostic", 0))
    if reason == _CALLED_UNKNOWN:
        message = f"{peer.host}:{peer.port} does not answer to the AE title {peer.ae_title}."
        return PeerError("PACS_CALLED_AE", message, "Check the AE title of the archive."), False
    if reason == _CALLING_UNKNOWN:
        message = f"{peer} does not know our AE title, {peer.own_ae_title}."
        remedy = "Have it entered in the archive, or give with --aet the one that is."
        return PeerError("PACS_CALLING_AE", message, remedy), False
    transient = getattr(answer, "result", 0) == _TRANSIENT
    words = getattr(answer, "reason_str", "") or "no reason given"
    message = f"{peer} refuses the association{' for now' if transient else ''}: {words}."
    return PeerError("PACS_REFUSED", message, "Ask whoever runs the archive to allow this machine."), transient


def _unreachable(peer: DimsePeer) -> PeerError:
    message = f"Nobody answers at {peer.host}:{peer.port}."
    return PeerError("PACS_UNREACHABLE", message, "Check host, port and firewall.")


def _timeout(peer: DimsePeer, policy: Policy) -> PeerError:
    message = f"{peer} was silent for {policy.timeout_s:g} seconds."
    return PeerError("PACS_TIMEOUT", message, "Try later, or give more time with --timeout.")
