"""What a header says about a series and its images, in one form for classic, Enhanced and NIfTI sources.

Words used here
---------------
frame
    One image plane: a classic DICOM file, or one frame of an Enhanced multi-frame file.
tags
    The header values that describe contrast and purpose; equal for all frames of one stack.
"""

from __future__ import annotations

from dataclasses import dataclass

from spinemri.intake.sources import Source

__all__ = ["Frame", "Identity", "SeriesTags", "Vector"]

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class SeriesTags:
    """Contrast and purpose of a series.

    Attributes
    ----------
    image_type : tuple of str
        Capitals; Image Type or, where present, Frame Type.
    repetition_ms, echo_ms, inversion_ms, flip_deg : float or None
        None where absent or zero.
    fat_suppression : str
        Spectrally Selected Suppression of Enhanced MR: ``"FAT"``, ``"NONE"``, ... or empty.
    acquisition_contrast : str
        Acquisition Contrast of Enhanced MR: ``"T1"``, ``"STIR"``, ... or empty.
    file_name : str
        Of a NIfTI image, which is often all that is known about it; empty for DICOM.
    """

    description: str = ""
    protocol: str = ""
    study_description: str = ""
    body_part: str = ""
    image_type: tuple[str, ...] = ()
    scanning_sequence: tuple[str, ...] = ()
    scan_options: tuple[str, ...] = ()
    sequence_name: str = ""
    repetition_ms: float | None = None
    echo_ms: float | None = None
    inversion_ms: float | None = None
    flip_deg: float | None = None
    echo_number: int = 0
    contrast_agent: str = ""
    fat_suppression: str = ""
    acquisition_contrast: str = ""
    complex_component: str = ""
    file_name: str = ""

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """What people wrote about the series: (where, text), the most specific first."""
        return (
            ("description", self.description),
            ("file name", self.file_name),
            ("protocol name", self.protocol),
        )


@dataclass(frozen=True)
class Identity:
    """Whose image it is and where it belongs; never shown to anyone.

    Attributes
    ----------
    patient_key, issuer_key : str
        See `spinemri.intake.model.Study`.
    person_key : str
        SHA-256 of name and birth date: tells people apart where the patient id is blank.
    study_date : str
        ISO date or empty.
    """

    patient_key: str
    issuer_key: str
    person_key: str
    study_uid: str
    study_date: str


@dataclass(frozen=True)
class Frame:
    """One image plane and where it lies.

    Attributes
    ----------
    index : int
        Number of the frame within its file, from 0.
    position, orientation : tuple of float
        Image Position and Image Orientation (Patient), LPS.
    rows, columns : int
    pixel_spacing : tuple of float
        Distance between rows, between columns, in mm.
    slice_thickness_mm : float
        0 where unknown.
    acquired : str
        ``YYYYMMDDHHMMSS.ffffff`` or empty.
    repeat : tuple of int
        Temporal position, acquisition number: what tells repeats at one place apart.
    """

    source: Source
    index: int
    identity: Identity
    series_uid: str
    series_number: int
    sop_uid: str
    instance_number: int
    frame_of_reference_uid: str
    tags: SeriesTags
    position: Vector
    orientation: tuple[float, float, float, float, float, float]
    rows: int
    columns: int
    pixel_spacing: tuple[float, float]
    slice_thickness_mm: float
    acquired: str
    repeat: tuple[int, int]
