"""Objects to an archive by C-STORE (DICOM PS3.4 Annex B)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from spinemri.pacs.association import answer_status, association
from spinemri.pacs.objects import Outgoing
from spinemri.pacs.peer import DimsePeer
from spinemri.pacs.policy import Policy
from spinemri.pacs.statuses import Outcome, Verdict, outcome_of

__all__ = ["c_store"]


def c_store(items: Sequence[Outgoing], peer: DimsePeer, policy: Policy) -> Iterator[Outcome]:
    """Offer objects on one association, after a C-ECHO.

    Parameters
    ----------
    items : sequence of Outgoing
    peer : DimsePeer
    policy : Policy

    Yields
    ------
    Outcome
        For each object, in order.

    Raises
    ------
    PeerError
        If the archive refuses the association.
    Interrupted
        If it cannot be reached, or stops.
    """
    with association(peer, storage_contexts(items), policy) as link:
        _verify(link, peer, policy)
        for item in items:
            yield _store(link, item, peer, policy)


def storage_contexts(items: Sequence[Outgoing]) -> list[PresentationContext]:
    """Return contexts for exactly what is to be sent, and for verification.

    What is not compressed is also offered in Implicit VR Little Endian, the one transfer syntax that every archive
    has to know (DICOM PS3.5 10.1).
    """
    wanted: dict[tuple[str, str], None] = {(str(Verification), str(ImplicitVRLittleEndian)): None}
    for item in items:
        wanted[item.sop_class_uid, item.transfer_syntax_uid] = None
        if not UID(item.transfer_syntax_uid).is_compressed:
            wanted[item.sop_class_uid, str(ImplicitVRLittleEndian)] = None
    return [build_context(sop_class, syntax) for sop_class, syntax in wanted]


def _verify(link: Association, peer: DimsePeer, policy: Policy) -> None:
    if any(context.abstract_syntax == Verification for context in link.accepted_contexts):
        answer_status(link.send_c_echo, link, peer, policy)


def _store(link: Association, item: Outgoing, peer: DimsePeer, policy: Policy) -> Outcome:
    if not any(context.abstract_syntax == item.sop_class_uid for context in link.accepted_contexts):
        return Outcome(item, Verdict.REFUSED, None, f"the archive does not take {UID(item.sop_class_uid).name}")
    try:
        status = answer_status(lambda: link.send_c_store(item.path), link, peer, policy)
    except ValueError:
        syntax = UID(item.transfer_syntax_uid).name
        return Outcome(item, Verdict.REFUSED, None, f"the archive does not take the transfer syntax {syntax}")
    return outcome_of(item, status)
