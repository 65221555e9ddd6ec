"""Frames of Enhanced multi-frame MR: shared and per-frame functional groups (DICOM PS3.3 C.7.6.16, C.8.13)."""

from __future__ import annotations

from dataclasses import replace

from pydicom.dataset import Dataset

from spinemri.intake.fields import (
    classic_frame,
    has_geometry,
    number,
    numbers,
    series_tags,
    text,
    whole,
    words,
)
from spinemri.intake.sources import Source
from spinemri.intake.tags import Frame, SeriesTags

__all__ = ["enhanced_frames", "functional_group"]

_ECHO_PULSE_SEQUENCE = {"SPIN": ("SE",), "GRADIENT": ("GR",), "BOTH": ("GR", "SE")}


def functional_group(dataset: Dataset, index: int, keyword: str) -> Dataset:
    """Return the first item of a functional group for a frame, the shared one if it has none of its own.

    Parameters
    ----------
    dataset : Dataset
        Enhanced multi-frame.
    index : int
        Frame number from 0.
    keyword : str
        For example ``"PlanePositionSequence"``.

    Returns
    -------
    Dataset
        Empty if neither exists.
    """
    own = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for group in [own[index]] if index < len(own) else []:
        if group.get(keyword):
            return group[keyword][0]
    for group in shared:
        if group.get(keyword):
            return group[keyword][0]
    return Dataset()


def enhanced_frames(dataset: Dataset, source: Source) -> list[Frame]:
    """Return the frames that have a place in the patient.

    Parameters
    ----------
    dataset : Dataset
        Header of an Enhanced or Legacy Converted Enhanced MR image.
    source : Source

    Returns
    -------
    list of Frame
        In file order; empty if none has usable geometry.
    """
    top = series_tags(dataset)
    frames = []
    for index in range(int(dataset.get("NumberOfFrames", 1) or 1)):
        flat = _flattened(dataset, index)
        if has_geometry(flat):
            frame = classic_frame(flat, source)
            frames.append(replace(frame, index=index, tags=_frame_tags(dataset, index, top)))
    return frames


def _flattened(dataset: Dataset, index: int) -> Dataset:
    """Return a frame's header as if it were a classic file."""
    flat = Dataset()
    for keyword in (
        "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "StudyDate",
        "SeriesDate", "SeriesTime", "ContentDate", "ContentTime", "AcquisitionDateTime", "SeriesInstanceUID",
        "SeriesNumber", "FrameOfReferenceUID", "Rows", "Columns",
    ):  # fmt: skip
        if keyword in dataset:
            flat[keyword] = dataset[keyword]
    for group in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence"):
        flat.update(functional_group(dataset, index, group))
    content = functional_group(dataset, index, "FrameContentSequence")
    flat.SOPInstanceUID = f"{text(dataset, 'SOPInstanceUID')}.{index + 1}"
    flat.InstanceNumber = whole(content, "InStackPositionNumber") or index + 1
    flat.TemporalPositionIdentifier = whole(content, "TemporalPositionIndex")
    flat.AcquisitionNumber = whole(content, "FrameAcquisitionNumber")
    return flat


def _frame_tags(dataset: Dataset, index: int, top: SeriesTags) -> SeriesTags:
    """Return contrast and purpose of one frame: its own functional groups before the top level."""
    timing = functional_group(dataset, index, "MRTimingAndRelatedParametersSequence")
    modifier = functional_group(dataset, index, "MRModifierSequence")
    kind = functional_group(dataset, index, "MRImageFrameTypeSequence")
    echo = functional_group(dataset, index, "MREchoSequence")
    sequence = _ECHO_PULSE_SEQUENCE.get(text(dataset, "EchoPulseSequence").upper(), ())
    inverted = text(modifier, "InversionRecovery").upper() == "YES"
    times = numbers(modifier, "InversionTimes")
    return replace(
        top,
        image_type=words(kind, "FrameType") or top.image_type,
        scanning_sequence=(*sequence, "IR") if inverted else sequence,
        repetition_ms=number(timing, "RepetitionTime"),
        flip_deg=number(timing, "FlipAngle"),
        echo_ms=number(echo, "EffectiveEchoTime"),
        inversion_ms=times[0] if inverted and times else None,
        fat_suppression=text(modifier, "SpectrallySelectedSuppression").upper() or top.fat_suppression,
        acquisition_contrast=text(kind, "AcquisitionContrast").upper() or top.acquisition_contrast,
        complex_component=text(kind, "ComplexImageComponent").upper() or top.complex_component,
        contrast_agent=top.contrast_agent,
    )
