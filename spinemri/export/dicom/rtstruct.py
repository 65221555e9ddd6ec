"""RT Structure Set of the mass (DICOM PS3.3 A.19): closed planar contours on the images of the primary series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from highdicom.base import SOPClass
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage

from spinemri.export.dicom.codes import sct
from spinemri.export.dicom.contours import Ring, closed_contours
from spinemri.export.dicom.identity import RESEARCH, Context, Kind, new_object
from spinemri.export.dicom.planes import ImagePlane, on_planes
from spinemri.volume import Volume, apply_affine

__all__ = ["STRUCTURES", "structure_set"]

STRUCTURES = Kind("mass_rtstruct", 9104, "contours of the epidural mass")

_DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"
_ROI_NAME = "Epidural mass (RESEARCH)"
_ORANGE = [230, 159, 0]


def structure_set(mask: Volume, planes: Sequence[ImagePlane], context: Context) -> SOPClass:
    """Make the structure set.

    Parameters
    ----------
    mask : Volume
        Canonical, nonzero in the mass, on the grid of the primary stack.
    planes : sequence of ImagePlane
        Of the primary series.
    context : Context

    Returns
    -------
    SOPClass
        With one region of interest. Its interpreted type is left empty: what is to be treated is not ours to say.
    """
    made = new_object(context, STRUCTURES, RTStructureSetStorage, "RTSTRUCT")
    made.OperatorsName = ""
    made.StructureSetLabel = "RESEARCH"
    made.StructureSetName = "RESEARCH epidural mass"
    made.StructureSetDescription = RESEARCH
    made.StructureSetDate, made.StructureSetTime = context.moment
    made.FrameOfReferenceUID = context.header.FrameOfReferenceUID
    made.PositionReferenceIndicator = context.header.get("PositionReferenceIndicator", "")
    made.ReferencedFrameOfReferenceSequence = [_referenced_images(planes, context)]
    made.StructureSetROISequence = [_region(context)]
    made.ROIContourSequence = [_contours(mask, planes)]
    made.RTROIObservationsSequence = [_observation()]
    made.ApprovalStatus = "UNAPPROVED"
    return made


def _item(**values: Any) -> Dataset:  # noqa: ANN401 - as DICOM has them
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _image_reference(plane: ImagePlane) -> Dataset:
    item = _item(
        ReferencedSOPClassUID=plane.header.SOPClassUID,
        ReferencedSOPInstanceUID=plane.header.SOPInstanceUID,
    )
    if plane.frame:
        item.ReferencedFrameNumber = plane.frame
    return item


def _referenced_images(planes: Sequence[ImagePlane], context: Context) -> Dataset:
    header = context.header
    series = _item(
        SeriesInstanceUID=header.SeriesInstanceUID,
        ContourImageSequence=[_image_reference(plane) for plane in planes if plane.used],
    )
    study = _item(
        ReferencedSOPClassUID=_DETACHED_STUDY,
        ReferencedSOPInstanceUID=header.StudyInstanceUID,
        RTReferencedSeriesSequence=[series],
    )
    return _item(FrameOfReferenceUID=header.FrameOfReferenceUID, RTReferencedStudySequence=[study])


def _region(context: Context) -> Dataset:
    return _item(
        ROINumber=1,
        ReferencedFrameOfReferenceUID=context.header.FrameOfReferenceUID,
        ROIName=_ROI_NAME,
        ROIDescription=RESEARCH,
        ROIGenerationAlgorithm="SEMIAUTOMATIC" if context.edited else "AUTOMATIC",
        ROIGenerationDescription=f"spinemri {context.software.version}",
    )


def _contours(mask: Volume, planes: Sequence[ImagePlane]) -> Dataset:
    images = on_planes(mask, planes)
    contours = [
        _contour(ring, plane) for plane, image in zip(planes, images, strict=True) for ring in closed_contours(image)
    ]
    return _item(ReferencedROINumber=1, ROIDisplayColor=_ORANGE, ContourSequence=contours)


def _contour(ring: Ring, plane: ImagePlane) -> Dataset:
    points = apply_affine(plane.affine, np.column_stack([ring, np.zeros(len(ring))]))
    return _item(
        ContourImageSequence=[_image_reference(plane)],
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=len(ring),
        # A decimal string holds 16 characters at most; a ten-thousandth of a millimetre is plenty.
        ContourData=[f"{value:.4f}" for value in points.ravel()],
    )


def _observation() -> Dataset:
    return _item(
        ObservationNumber=1,
        ReferencedROINumber=1,
        ROIObservationLabel="RESEARCH",
        ROIObservationDescription=RESEARCH,
        RTROIIdentificationCodeSequence=[CodedConcept.from_code(sct("Mass"))],
        RTROIInterpretedType="",
        ROIInterpreter="",
    )
