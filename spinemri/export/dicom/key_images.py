"""The images that matter: the report's figures as secondary captures, and a selection that points at the sources."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from highdicom.base import SOPClass
from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, SecondaryCaptureImageStorage

from spinemri.export.dicom.codes import dcm
from spinemri.export.dicom.groups import device_observer
from spinemri.export.dicom.identity import (
    RESEARCH,
    Context,
    Kind,
    acquisition_equipment,
    common_arguments,
    new_object,
)
from spinemri.export.dicom.planes import ImagePlane

__all__ = ["CAPTURES", "SELECTION", "Figure", "capture", "key_selection"]

CAPTURES = Kind("key_image_sc", 9107, "key images")
SELECTION = Kind("key_images_ko", 9108, "selection of key images")

_BAND_PIXELS = 22
_FONT_PIXELS = 13
_QUALITY = 92
_HALF_CHROMA = 1


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure of the report.

    Attributes
    ----------
    name : str
        File name without ending.
    data : bytes
        Any format that Pillow reads.
    plane : ImagePlane
        The source image that it shows, or the nearest one.
    """

    name: str
    data: bytes
    plane: ImagePlane


def capture(figure: Figure, context: Context, instance: int) -> SOPClass:
    """Make a secondary capture (DICOM PS3.3 A.8.1), with the research wording in its pixels.

    Parameters
    ----------
    figure : Figure
    context : Context
    instance : int
        Number within the series, from 1.

    Returns
    -------
    SOPClass
        JPEG baseline, lossy as the figure itself.
    """
    pixels, size = _labelled(figure.data)
    made = new_object(
        context,
        CAPTURES,
        SecondaryCaptureImageStorage,
        "OT",
        instance=instance,
        also=pixels,
    )
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.ConversionType = "WSD"
    made.BodyPartExamined = "SPINE"
    made.PatientOrientation = ""
    made.BurnedInAnnotation = "NO"
    made.ImageComments = f"{RESEARCH} {figure.name.replace('_', ' ')}"
    made.DerivationDescription = "Drawn by spinemri with outlines of its segmentation"
    made.SourceImageSequence = [_reference(figure.plane)]
    made.SamplesPerPixel, made.PlanarConfiguration = 3, 0
    made.PhotometricInterpretation = "YBR_FULL_422"
    made.Columns, made.Rows = size
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.LossyImageCompression = "01"
    made.LossyImageCompressionMethod = "ISO_10918_1"
    made.LossyImageCompressionRatio = f"{3 * size[0] * size[1] / len(pixels):.2f}"
    made.PixelData = encapsulate([pixels])
    made["PixelData"].is_undefined_length = True
    return made


def _labelled(data: bytes) -> tuple[bytes, tuple[int, int]]:
    """Add a band with the research wording below a picture; return JPEG bytes and (columns, rows)."""
    with Image.open(io.BytesIO(data)) as picture:
        figure = picture.convert("RGB")
    canvas = Image.new("RGB", (figure.width, figure.height + _BAND_PIXELS), "black")
    canvas.paste(figure, (0, 0))
    text, font = "RESEARCH ONLY, NOT FOR DIAGNOSIS", ImageFont.load_default(_FONT_PIXELS)
    place = (canvas.width / 2, figure.height + _BAND_PIXELS / 2)
    ImageDraw.Draw(canvas).text(place, text, fill="#F0E442", font=font, anchor="mm")
    out = io.BytesIO()
    canvas.save(out, "JPEG", quality=_QUALITY, subsampling=_HALF_CHROMA)
    return out.getvalue(), canvas.size


def _reference(plane: ImagePlane) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = plane.header.SOPClassUID
    item.ReferencedSOPInstanceUID = plane.header.SOPInstanceUID
    if plane.frame:
        item.ReferencedFrameNumber = plane.frame
    return item


def key_selection(
    images: Sequence[Dataset], captures: Sequence[Dataset], context: Context, words: str
) -> KeyObjectSelectionDocument:
    """Select the source images through the worst section and the captures made of them.

    Parameters
    ----------
    images : sequence of Dataset
        Headers; at least one.
    captures : sequence of Dataset
    context : Context
    words : str
        What the selection shows.

    Returns
    -------
    KeyObjectSelectionDocument
    """
    selected = [*images, *captures]
    uids = " ".join(str(one.SOPInstanceUID) for one in selected)
    content = KeyObjectSelection(
        dcm("ForResearch"), selected, observer_device_context=device_observer(), description=f"{RESEARCH} {words}"
    )
    made = KeyObjectSelectionDocument(
        evidence=selected,
        content=content,
        contributing_equipment=acquisition_equipment(context.header),
        **common_arguments(context, SELECTION, also=uids.encode()),
    )
    made.copy_patient_and_study_information(context.header)
    return made
