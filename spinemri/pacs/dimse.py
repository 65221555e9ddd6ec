"""An archive asked by DIMSE: C-FIND, then C-GET or C-MOVE (DICOM PS3.4 Annex C)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import build_context, build_role
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from spinemri.errors import PeerError
from spinemri.pacs.answers import found_series, found_study
from spinemri.pacs.archive import Archive, incomplete
from spinemri.pacs.association import Handlers, association, stopped
from spinemri.pacs.images import IMAGE_CLASSES, TRANSFER_SYNTAXES
from spinemri.pacs.inbox import Inbox
from spinemri.pacs.peer import DimsePeer
from spinemri.pacs.policy import Interrupted, Policy
from spinemri.pacs.query import FoundSeries, FoundStudy, StudyQuery
from spinemri.pacs.receiver import Receiver, keep_event, receiving
from spinemri.pacs.statuses import status_meaning

__all__ = ["dimse_archive"]

_FIND = str(StudyRootQueryRetrieveInformationModelFind)
_GET = str(StudyRootQueryRetrieveInformationModelGet)
_MOVE = str(StudyRootQueryRetrieveInformationModelMove)
_PENDING = {0xFF00, 0xFF01}
_DONE = {0x0000, 0xB000}
"""0xB000: some sub-operations failed; whether one of ours did is seen in the inbox."""

_UNKNOWN_DESTINATION = 0xA801

Answers = Iterator[tuple[Dataset, Dataset | None]]


@contextmanager
def dimse_archive(peer: DimsePeer, policy: Policy) -> Iterator[Archive]:
    """Give an archive; where it shall send images to us, listen for them meanwhile.

    Raises
    ------
    UsageError
        BAD_LISTENER if the port cannot be opened.
    """
    if peer.receiver is None:
        yield _Getting(peer, policy)
    else:
        with receiving(peer.receiver, peer, policy) as inlet:
            yield _Moving(peer, policy, inlet)


class _Finding:
    """Queries; an association for each, so that an archive that hangs up costs one of them."""

    def __init__(self, peer: DimsePeer, policy: Policy) -> None:
        self._peer = peer
        self._policy = policy

    def studies(self, query: StudyQuery) -> list[FoundStudy]:
        """Find the studies of a query (C-FIND)."""
        keys = Dataset()
        keys.QueryRetrieveLevel = "STUDY"
        keys.StudyInstanceUID = list(query.study_uids) or ""
        keys.PatientID = query.patient_id
        keys.AccessionNumber = query.accession_number
        keys.StudyDate = query.date_range
        keys.ModalitiesInStudy = ""
        return [found_study(answer) for answer in self._find([keys])]

    def series(self, study_uid: str) -> list[FoundSeries]:
        """Find the MR series of a study (C-FIND)."""
        keys = Dataset()
        keys.QueryRetrieveLevel = "SERIES"
        keys.StudyInstanceUID = study_uid
        keys.SeriesInstanceUID = ""
        keys.Modality = "MR"
        uids = [str(one.SeriesInstanceUID) for one in self._find([keys]) if one.get("Modality") == "MR"]
        return [found_series(study_uid, uid, self._find([_image_keys(study_uid, uid)])) for uid in uids]

    def _find(self, queries: list[Dataset]) -> list[Dataset]:
        with association(self._peer, [build_context(_FIND)], self._policy) as link:
            return [
                identifier
                for keys in queries
                for _, identifier in self._answers(link.send_c_find(keys, _FIND))
                if identifier is not None
            ]

    def _answers(self, answers: Answers) -> Answers:
        """Pass on pending answers until the last one; raise if that is a failure."""
        start = time.monotonic()
        for status, identifier in answers:
            if "Status" not in status:
                raise stopped(self._peer, time.monotonic() - start, self._policy)
            if status.Status in _PENDING:
                yield status, identifier
            elif status.Status not in _DONE:
                raise self._refusal(int(status.Status))
            start = time.monotonic()

    def _refusal(self, status: int) -> PeerError | Interrupted:
        message = f"{self._peer} does not answer the query: 0x{status:04X}, {status_meaning(status)}."
        error = PeerError("PACS_QUERY_FAILED", message, "Ask whoever runs the archive for its log.")
        return Interrupted(error) if 0xA700 <= status <= 0xA7FF else error


def _image_keys(study_uid: str, series_uid: str) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel = "IMAGE"
    keys.StudyInstanceUID = study_uid
    keys.SeriesInstanceUID = series_uid
    keys.SOPInstanceUID = ""
    keys.SOPClassUID = ""
    return keys


def _series_keys(series: FoundSeries) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel = "SERIES"
    keys.StudyInstanceUID = series.study_uid
    keys.SeriesInstanceUID = series.series_uid
    return keys


class _Getting(_Finding):
    """Images on the association that asks for them."""

    def retrieve(self, series: FoundSeries, inbox: Inbox) -> None:
        """Fetch a series over the same association (C-GET)."""
        # One context for each syntax, so that the archive need not convert what it holds; 128 are allowed.
        pairs = product(IMAGE_CLASSES, TRANSFER_SYNTAXES)
        contexts = [build_context(_GET), *(build_context(uid, syntax) for uid, syntax in pairs)]
        roles: list[SCP_SCU_RoleSelectionNegotiation] = [build_role(uid, scp_role=True) for uid in IMAGE_CLASSES]
        handlers: Handlers = [(evt.EVT_C_STORE, lambda event: keep_event(event, inbox))]
        with association(self._peer, contexts, self._policy, roles=roles, handlers=handlers) as link:
            if not _offers(link, _GET):
                message = f"{self._peer} does not offer C-GET."
                raise PeerError("PACS_NO_GET", message, "Give --listen AET:port, so that it can send to us by C-MOVE.")
            for _ in self._answers(link.send_c_get(_series_keys(series), _GET)):
                pass
        if inbox.missing(series):
            raise incomplete(inbox.missing(series), len(series.instance_uids))


class _Moving(_Finding):
    """Images on associations that the archive opens to us."""

    def __init__(self, peer: DimsePeer, policy: Policy, inlet: Receiver) -> None:
        super().__init__(peer, policy)
        self._inlet = inlet

    def retrieve(self, series: FoundSeries, inbox: Inbox) -> None:
        """Have a series sent to our own storage (C-MOVE)."""
        self._inlet.inbox = inbox
        with association(self._peer, [build_context(_MOVE)], self._policy) as link:
            moving = link.send_c_move(_series_keys(series), self._inlet.ae_title, _MOVE)
            for _ in self._answers(moving):
                pass
        if inbox.missing(series):
            raise incomplete(inbox.missing(series), len(series.instance_uids))

    def _refusal(self, status: int) -> PeerError | Interrupted:
        remedy = "Have it entered in the archive with address and port, or leave --listen out (C-GET)."
        if status == _UNKNOWN_DESTINATION:
            message = f"{self._peer} does not know where {self._inlet.ae_title} is."
            return PeerError("PACS_NO_DESTINATION", message, remedy)
        refusal = super()._refusal(status)
        if isinstance(refusal, Interrupted):
            return refusal
        # Some archives say no more than this of a destination that they do not know.
        message = f"{self._peer} does not send to {self._inlet.ae_title}: 0x{status:04X}, {status_meaning(status)}."
        return PeerError(refusal.code, message, remedy)


def _offers(link: Association, service: str) -> bool:
    return any(context.abstract_syntax == service for context in link.accepted_contexts)
