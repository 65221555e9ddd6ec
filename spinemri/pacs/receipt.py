"""What was sent where: a file beside the results, which also lets a stopped transfer go on.

It holds no times, so that the same transfer leaves the same file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from spinemri.errors import InputError, UsageError
from spinemri.export.jsonfile import as_json, json_text
from spinemri.pacs.objects import Outgoing
from spinemri.pacs.statuses import Outcome, Verdict

__all__ = ["RECEIPT", "Receipt"]

RECEIPT = "sent.json"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Entry(_Strict):
    file: str
    sop_class_uid: str
    sop_instance_uid: str
    sha256: str
    status: str | None
    verdict: Verdict
    meaning: str


class _Destination(_Strict):
    to: str
    instances: tuple[_Entry, ...]


class _Content(_Strict):
    schema_version: Literal["1"] = "1"
    destinations: tuple[_Destination, ...] = ()


class Receipt:
    """What one destination has answered; every answer is on disk before the next object leaves.

    Parameters
    ----------
    path : Path
        The file; may not exist yet.
    destination : str
        As given on the command line, without credentials.

    Raises
    ------
    InputError
        BAD_RECEIPT if the file is not one of ours.
    UsageError
        OUT_NOT_WRITABLE if it could not be kept: then nothing is sent.
    """

    def __init__(self, path: Path, destination: str) -> None:
        self._path = path
        self._destination = destination
        content = _read(path)
        self._others = tuple(one for one in content.destinations if one.to != destination)
        own = next((one.instances for one in content.destinations if one.to == destination), ())
        self._entries = {entry.sop_instance_uid: entry for entry in own}
        self._write()

    def is_stored(self, item: Outgoing) -> bool:
        """Whether the destination has already taken this very file."""
        entry = self._entries.get(item.sop_instance_uid)
        return entry is not None and entry.verdict.is_stored and entry.sha256 == item.sha256

    def note(self, outcome: Outcome) -> None:
        """Keep an answer."""
        item = outcome.item
        self._entries[item.sop_instance_uid] = _Entry(
            file=item.name,
            sop_class_uid=item.sop_class_uid,
            sop_instance_uid=item.sop_instance_uid,
            sha256=item.sha256,
            status=outcome.status_text or None,
            verdict=outcome.verdict,
            meaning=outcome.meaning,
        )
        self._write()

    def _write(self) -> None:
        entries = tuple(sorted(self._entries.values(), key=lambda entry: (entry.file, entry.sop_instance_uid)))
        own = _Destination(to=self._destination, instances=entries)
        known = (*self._others, own) if entries else self._others
        content = _Content(destinations=tuple(sorted(known, key=lambda one: one.to)))
        partial = self._path.with_name(f".{self._path.name}.partial")
        try:
            partial.write_text(json_text(as_json(content)), encoding="utf-8", newline="\n")
            partial.replace(self._path)
        except OSError as error:
            what = f"{self._path} cannot be written ({error.strerror or type(error).__name__})."
            raise UsageError("OUT_NOT_WRITABLE", what, "Name another file with --receipt.") from None


def _read(path: Path) -> _Content:
    if not path.exists():
        return _Content()
    try:
        return _Content.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        what = f"{path} is no receipt of spinemri ({type(error).__name__})."
        raise InputError("BAD_RECEIPT", what, "Move it away, or name another file with --receipt.") from None
