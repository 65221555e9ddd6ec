"""Objects to an archive by STOW-RS (DICOM PS3.18 10.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import requests
from dicomweb_client import DICOMwebClient
from pydicom import Dataset, dcmread

from spinemri.pacs.objects import Outgoing
from spinemri.pacs.peer import WebPeer
from spinemri.pacs.policy import Policy
from spinemri.pacs.statuses import Outcome, Verdict, outcome_of
from spinemri.pacs.web import explained, http_status, web_client

__all__ = ["stow", "stow_outcome"]

_ABOUT_THE_OBJECT = {400: "bad request", 409: "conflict", 413: "too large", 415: "unsupported media type"}
"""Statuses of HTTP that refuse one object, not the connection."""

_PROCESSING_FAILURE = 0x0110


def stow(items: Sequence[Outgoing], peer: WebPeer, policy: Policy) -> Iterator[Outcome]:
    """Offer objects, one request each, so that every answer is about one of them.

    Parameters
    ----------
    items : sequence of Outgoing
    peer : WebPeer
    policy : Policy

    Yields
    ------
    Outcome
        For each object, in order.

    Raises
    ------
    PeerError
        If the service refuses.
    Interrupted
        If it cannot be reached, or stops.
    """
    with web_client(peer, policy) as client:
        for item in items:
            with explained(peer, policy):
                outcome = _store(client, item)
            yield outcome


def _store(client: DICOMwebClient, item: Outgoing) -> Outcome:
    try:
        answer = client.store_instances([dcmread(item.path)])
    except requests.HTTPError as error:
        status = http_status(error)
        if status not in _ABOUT_THE_OBJECT:
            raise
        return stow_outcome(item, _answer(error.response), refusal=f"{_ABOUT_THE_OBJECT[status]} ({status} of HTTP)")
    return stow_outcome(item, answer)


def stow_outcome(item: Outgoing, answer: Dataset, refusal: str = "") -> Outcome:
    """Read the answer to one object.

    Archives also write an empty Failed SOP Sequence: what counts is whether a sequence has an item for the object
    (DICOM PS3.18 I.2). An answer that does not mention the object, such as the page of a login, is no success.

    Parameters
    ----------
    item : Outgoing
    answer : Dataset
        Store Instances Response.
    refusal : str
        What HTTP says, if it refused the object.
    """
    for failed in answer.get("FailedSOPSequence") or ():
        if failed.get("ReferencedSOPInstanceUID") == item.sop_instance_uid:
            return outcome_of(item, int(failed.get("FailureReason") or _PROCESSING_FAILURE))
    for stored in answer.get("ReferencedSOPSequence") or ():
        if stored.get("ReferencedSOPInstanceUID") == item.sop_instance_uid and not refusal:
            return outcome_of(item, int(stored.get("WarningReason") or 0))
    return Outcome(item, Verdict.REFUSED, None, refusal or "the answer does not say that it was stored")


def _answer(response: requests.Response | None) -> Dataset:
    """Read the body of a refusal; one that cannot be read says nothing about the object."""
    try:
        return Dataset.from_json(response.json() if response is not None else {})
    except (ValueError, KeyError, TypeError):
        return Dataset()
