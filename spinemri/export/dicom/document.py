"""The printed report as an encapsulated PDF (DICOM PS3.3 A.45.1)."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.base import SOPClass
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from spinemri.export.dicom.identity import RESEARCH, Context, Kind, new_object

__all__ = ["DOCUMENT", "encapsulated_pdf"]

DOCUMENT = Kind("report_pdf", 9109, "report")


def encapsulated_pdf(pdf: bytes, context: Context, images: Sequence[Dataset]) -> SOPClass:
    """Wrap a PDF.

    Parameters
    ----------
    pdf : bytes
    context : Context
    images : sequence of Dataset
        Headers of the images that it was made from.

    Returns
    -------
    SOPClass
    """
    made = new_object(context, DOCUMENT, EncapsulatedPDFStorage, "DOC", also=pdf)
    made.ConversionType = "WSD"
    made.BurnedInAnnotation = "YES"
    made.RecognizableVisualFeatures = "NO"
    made.AcquisitionDateTime = ""
    made.DocumentTitle = f"RESEARCH spinemri report. {RESEARCH}"
    made.ConceptNameCodeSequence = []
    made.SourceInstanceSequence = [_reference(image) for image in images]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    made.EncapsulatedDocumentLength = len(pdf)
    return made


def _reference(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = image.SOPClassUID
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    return item
