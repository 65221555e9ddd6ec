"""What the name of a NIfTI image and its JSON sidecar say (BIDS, and the sidecars that dcm2niix writes)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from spinemri.intake.model import Plane
from spinemri.intake.sources import Source
from spinemri.intake.tags import SeriesTags

__all__ = [
    "NiftiName",
    "named_plane",
    "parse_name",
    "read_sidecar",
    "sidecar_tags",
    "sidecar_time",
    "study_key",
    "subject_key",
    "with_option",
]

_MASK = re.compile(r"(_|-|^)(dseg|probseg|msk|mask|seg|segmentation|labels?)(_|-|$)", re.IGNORECASE)
_SUFFIXES = {"t1w", "t2w", "t1", "t2", "stir", "t2star", "pdw", "t1c", "tirm"}
_MS_PER_S = 1000.0


@dataclass(frozen=True)
class NiftiName:
    """The parts of a file name.

    Attributes
    ----------
    stem : str
        Without folder and extension.
    entities : tuple of (str, str)
        BIDS entities such as ``("ce", "gadolinium")``.
    suffix : str
        ``"T2w"``; empty if the name does not end in a BIDS suffix.
    words : str
        The stem without subject and session, to look for words in.
    is_mask : bool
    """

    stem: str
    entities: tuple[tuple[str, str], ...]
    suffix: str
    words: str
    is_mask: bool

    def entity(self, key: str) -> str:
        """Return the value of an entity; empty if absent."""
        return dict(self.entities).get(key, "")


def parse_name(source: Source) -> NiftiName:
    """Split a file name into BIDS entities, suffix and words."""
    stem = re.sub(r"\.nii(\.gz)?$", "", source.name.rsplit("/", 1)[-1], flags=re.IGNORECASE)
    parts = stem.split("_")
    pairs = tuple((key, value) for key, dash, value in (part.partition("-") for part in parts) if dash)
    last = parts[-1]
    words = "_".join(part for part in parts if not part.lower().startswith(("sub-", "ses-", "run-")))
    suffix = last if last.lower() in _SUFFIXES else ""
    return NiftiName(stem, pairs, suffix, words, bool(_MASK.search(stem)))


def study_key(source: Source, name: NiftiName) -> tuple[str, str, str]:
    """Return (subject, session, folder) that keep studies apart; folder only where the name is not BIDS.

    Names such as ``p07_T2w`` without BIDS entities keep subjects apart by their first part if it has a digit.
    """
    folder = source.name.rpartition("/")[0]
    path = dict(part.partition("-")[::2] for part in folder.split("/") if part.startswith(("sub-", "ses-")))
    subject = name.entity("sub") or path.get("sub", "")
    session = name.entity("ses") or path.get("ses", "")
    if subject:
        return subject, session, ""
    first, *rest = name.stem.split("_")
    prefix = first if name.suffix and rest and re.search(r"\d", first) and not _is_contrast(first) else ""
    return "", session, f"{folder}/{prefix}"


def _is_contrast(word: str) -> bool:
    return re.match(r"(?i)^(sag|ax|tra|cor)?t[12]", word) is not None


def subject_key(subject: str) -> str:
    """Return the patient key of a BIDS subject; empty for none."""
    return hashlib.sha256(f"{subject}\nBIDS".encode()).hexdigest() if subject else ""


def named_plane(name: NiftiName) -> Plane | None:
    """Return the plane that the ``acq`` entity or a word of the name says."""
    said = f"{name.entity('acq')}_{name.words}".lower()
    for pattern, plane in (
        (r"(^|[^a-z])(sag|sagittal)", Plane.SAGITTAL),
        (r"(^|[^a-z])(ax|axial|tra|transv)", Plane.AXIAL),
        (r"(^|[^a-z])(cor|coronal)([^d]|$)", Plane.CORONAL),
    ):
        if re.search(pattern, said):
            return plane
    return None


def read_sidecar(source: Source | None) -> Mapping[str, Any]:
    """Return the JSON object of a sidecar; empty if there is none or it is not readable."""
    if source is None:
        return {}
    try:
        values = json.loads(source.read())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def sidecar_tags(sidecar: Mapping[str, Any], name: NiftiName) -> SeriesTags:
    """Return what sidecar and name say about contrast and purpose; sidecar times are in s.

    Parameters
    ----------
    sidecar : mapping
        As `read_sidecar` gives it.
    name : NiftiName

    Returns
    -------
    SeriesTags
    """
    return SeriesTags(
        description=_text(sidecar, "SeriesDescription"),
        protocol=_text(sidecar, "ProtocolName"),
        study_description=_text(sidecar, "StudyDescription") or _text(sidecar, "ProcedureStepDescription"),
        body_part=(_text(sidecar, "BodyPartExamined") or _text(sidecar, "BodyPart")).upper(),
        image_type=_words(sidecar, "ImageType"),
        scanning_sequence=_words(sidecar, "ScanningSequence"),
        scan_options=_words(sidecar, "ScanOptions"),
        sequence_name=_text(sidecar, "SequenceName"),
        repetition_ms=_milliseconds(sidecar, "RepetitionTime"),
        echo_ms=_milliseconds(sidecar, "EchoTime"),
        inversion_ms=_milliseconds(sidecar, "InversionTime"),
        flip_deg=_number(sidecar, "FlipAngle"),
        contrast_agent=_text(sidecar, "ContrastBolusIngredient")
        or _text(sidecar, "ContrastBolusAgent")
        or name.entity("ce"),
        file_name=name.words,
    )


def with_option(tags: SeriesTags, option: str) -> SeriesTags:
    """Return the tags with the contrast that the user gave: ``T1``, ``T2``, ``STIR`` or ``T1c``."""
    if option == "T1c":
        return replace(tags, acquisition_contrast="T1", contrast_agent="given by the user")
    return replace(tags, acquisition_contrast=option)


def sidecar_time(sidecar: Mapping[str, Any]) -> str:
    """Return when the image was acquired as ``YYYYMMDDHHMMSS.ffffff``; a time of day alone as ``00000000HHMMSS``."""
    stamp = re.sub(r"[-:T ]", "", _text(sidecar, "AcquisitionDateTime"))
    if len(stamp) >= 8:
        return stamp
    time = _text(sidecar, "AcquisitionTime").replace(":", "")
    date = re.sub(r"\D", "", _text(sidecar, "AcquisitionDate") or _text(sidecar, "StudyDate"))
    return f"{date or '00000000'}{time}" if time or date else ""


def _text(sidecar: Mapping[str, Any], key: str) -> str:
    value = sidecar.get(key, "")
    return value.strip() if isinstance(value, str) else ""


def _words(sidecar: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = sidecar.get(key, ())
    parts = re.split(r"[\\_/, ]", value) if isinstance(value, str) else value
    return tuple(str(part).strip().upper() for part in parts if str(part).strip()) if parts else ()


def _number(sidecar: Mapping[str, Any], key: str) -> float | None:
    value = sidecar.get(key)
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _milliseconds(sidecar: Mapping[str, Any], key: str) -> float | None:
    value = _number(sidecar, key)
    return None if value is None else value * _MS_PER_S
