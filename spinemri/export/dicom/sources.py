"""The DICOM images that a measurement came from, and how they are kept for the next one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from spinemri.errors import InputError
from spinemri.export.jsonfile import Json, write_json
from spinemri.intake.model import Role, SourceInstance
from spinemri.measure.result import StudyResult

__all__ = ["Sources", "all_headers", "read_sources", "source_problem", "sources_of", "write_sources"]

Sources = Mapping[Role, tuple[SourceInstance, ...]]
"""The files behind every image that was used; empty for NIfTI."""

_NAME = "sources.json"


def sources_of(result: StudyResult) -> Sources:
    """Read the headers behind every image that was used.

    Parameters
    ----------
    result : StudyResult

    Returns
    -------
    mapping of Role to tuple of SourceInstance
        Roles without DICOM files are left out.

    Raises
    ------
    OSError
        If a file has gone since the study was read.
    """
    stacks = {role: result.study.by_role(role) for role in sorted(result.images)}
    found = {role: stack.instances() for role, stack in stacks.items() if stack is not None}
    return {role: instances for role, instances in found.items() if instances}


def source_problem(sources: Sources, primary: Role) -> str:
    """Say why DICOM objects cannot be derived from the sources; empty if they can.

    Parameters
    ----------
    sources : mapping
    primary : Role
        The stack on which the masks lie.
    """
    if primary not in sources:
        return "the images are not DICOM"
    needed = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
    headers = all_headers(sources)
    for keyword in needed:
        if not all(header.get(keyword) for header in headers):
            return f"an image has no {keyword}"
    own = [instance.header for instance in sources[primary]]
    frames = {str(header.get("FrameOfReferenceUID", "")) for header in own}
    if "" in frames or len(frames) > 1:
        return "the images of the primary series do not share one frame of reference"
    if len(own) > 1 and any(instance.frames for instance in sources[primary]):
        return "the primary series lies in several multi-frame files"
    return ""


def all_headers(sources: Sources) -> list[Dataset]:
    """Return the header of every file once, series after series."""
    headers = [instance.header for role in sorted(sources) for instance in sources[role]]
    return list({str(header.get("SOPInstanceUID", "")): header for header in headers}.values())


def write_sources(sources: Sources, folder: Path) -> None:
    """Keep the headers as ``sources.json``, in the DICOM JSON model (PS3.18 F.2), for a later measurement.

    Parameters
    ----------
    sources : mapping
    folder : Path
        Where the objects lie. The file names the patient, as they do.
    """
    content: dict[str, Json] = {
        role.value: [{"frames": list(one.frames), "header": one.header.to_json_dict()} for one in instances]
        for role, instances in sorted(sources.items())
    }
    write_json(content, folder / _NAME)


def read_sources(folder: Path) -> Sources:
    """Read ``sources.json`` back.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    mapping of Role to tuple of SourceInstance
        Empty if there is no such file.

    Raises
    ------
    InputError
        BAD_SOURCES if it is damaged.
    """
    path = folder / _NAME
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {Role(role): tuple(_instance(one) for one in instances) for role, instances in content.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            "BAD_SOURCES", f"dicom/{_NAME} is damaged ({type(error).__name__}).", "Delete it, or run the study again."
        ) from None


def _instance(entry: dict[str, Any]) -> SourceInstance:
    return SourceInstance(Dataset.from_json(entry["header"]), tuple(int(frame) for frame in entry["frames"]))
