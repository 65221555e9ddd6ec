"""An archive asked by DICOMweb: QIDO-RS, then WADO-RS (DICOM PS3.18 10.6 and 10.4)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from dicomweb_client import DICOMwebClient
from pydicom import Dataset, dcmwrite

from spinemri.pacs.answers import found_series, found_study
from spinemri.pacs.archive import Archive, incomplete
from spinemri.pacs.inbox import Inbox, uids_of
from spinemri.pacs.peer import WebPeer
from spinemri.pacs.policy import Policy
from spinemri.pacs.query import FoundSeries, FoundStudy, StudyQuery
from spinemri.pacs.web import explained, web_client

__all__ = ["web_archive"]

_AS_STORED = (("application/dicom", "*"),)
"""Media type and transfer syntax: whatever the archive holds, nothing is converted."""


@contextmanager
def web_archive(peer: WebPeer, policy: Policy) -> Iterator[Archive]:
    """Give an archive."""
    with web_client(peer, policy) as client:
        yield _Web(client, peer, policy)


class _Web:
    def __init__(self, client: DICOMwebClient, peer: WebPeer, policy: Policy) -> None:
        self._client = client
        self._peer = peer
        self._policy = policy

    def studies(self, query: StudyQuery) -> list[FoundStudy]:
        """Find the studies of a query (QIDO-RS)."""
        filters = {
            "PatientID": query.patient_id,
            "AccessionNumber": query.accession_number,
            "StudyDate": query.date_range,
        }
        filters = {key: value for key, value in filters.items() if value}
        found = []
        for uid in query.study_uids or ("",):
            own = filters | ({"StudyInstanceUID": uid} if uid else {})
            search = partial(self._client.search_for_studies, search_filters=own, fields=["ModalitiesInStudy"])
            found += [found_study(answer) for answer in self._all(search, "StudyInstanceUID")]
        return found

    def series(self, study_uid: str) -> list[FoundSeries]:
        """Find the MR series of a study (QIDO-RS)."""
        search = partial(self._client.search_for_series, study_uid, search_filters={"Modality": "MR"})
        found = [one for one in self._all(search, "SeriesInstanceUID") if one.get("Modality") == "MR"]
        return [self._with_instances(study_uid, str(one.SeriesInstanceUID)) for one in found]

    def _with_instances(self, study_uid: str, series_uid: str) -> FoundSeries:
        search = partial(self._client.search_for_instances, study_uid, series_uid)
        return found_series(study_uid, series_uid, self._all(search, "SOPInstanceUID"))

    def _all(self, search: Callable[..., list[dict[str, dict[str, Any]]]], key: str) -> list[Dataset]:
        """Ask for page after page until one brings nothing new: services may ignore the offset and start over."""
        found: dict[str, Dataset] = {}
        while True:
            with explained(self._peer, self._policy):
                answers = [Dataset.from_json(one) for one in search(offset=len(found) or None)]
            new = {str(one[key].value): one for one in answers if str(one[key].value) not in found}
            if not new:
                return list(found.values())
            found |= new

    def retrieve(self, series: FoundSeries, inbox: Inbox) -> None:
        """Fetch a series as it is stored (WADO-RS)."""
        with explained(self._peer, self._policy):
            for dataset in self._client.iter_series(series.study_uid, series.series_uid, media_types=_AS_STORED):
                content = io.BytesIO()
                dcmwrite(content, dataset)
                inbox.keep(uids_of(dataset), content.getvalue())
        if inbox.missing(series):
            raise incomplete(inbox.missing(series), len(series.instance_uids))
