"""Answers to queries, the same for DIMSE and DICOMweb."""

from __future__ import annotations

from pydicom.dataset import Dataset

from spinemri.pacs.images import IMAGE_CLASSES
from spinemri.pacs.query import FoundSeries, FoundStudy

__all__ = ["found_series", "found_study"]


def found_study(answer: Dataset) -> FoundStudy:
    """Read the answer to a query for studies."""
    modalities = answer.get("ModalitiesInStudy") or ()
    if isinstance(modalities, str):
        modalities = [modalities]
    return FoundStudy(
        str(answer.StudyInstanceUID),
        str(answer.get("PatientID") or "").strip(),
        str(answer.get("AccessionNumber") or "").strip(),
        str(answer.get("StudyDate") or ""),
        tuple(str(modality) for modality in modalities),
    )


def found_series(study_uid: str, series_uid: str, images: list[Dataset]) -> FoundSeries:
    """Read the answer to a query for the instances of a series, and leave out what holds no image."""
    uids = (str(one.SOPInstanceUID) for one in images if str(one.get("SOPClassUID") or "") in {"", *IMAGE_CLASSES})
    return FoundSeries(study_uid, series_uid, frozenset(uids))
