"""Whether an input is still what it was: by sizes and times of its files first, by their content if those differ."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from spinemri.batch.model import Visit

__all__ = ["content_sha256", "input_bytes", "stamp"]

_CHUNK = 1 << 20
_MASKS = "masks of the user"


def _files(visit: Visit) -> Iterator[tuple[str, Path]]:
    """Yield the files of a visit in order, each under its name within it."""
    if visit.files:
        yield from ((str(number), file) for number, file in enumerate(visit.files))
    elif visit.path.is_dir():
        for folder, folders, names in os.walk(visit.path):
            folders.sort()
            for name in sorted(names):
                file = Path(folder) / name
                yield file.relative_to(visit.path).as_posix(), file
    elif visit.path.exists():
        yield visit.path.name, visit.path
    if visit.labels is not None and visit.labels.is_file():
        yield f"{_MASKS}/{visit.labels.name}", visit.labels


def stamp(visits: Iterable[Visit]) -> str:
    """Hash names, sizes and times of change of all files: quick, and enough where nothing was touched."""
    digest = hashlib.sha256()
    for visit in visits:
        for name, file in _files(visit):
            found = file.stat()
            digest.update(f"{name}\x1f{found.st_size}\x1f{found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def content_sha256(visits: Iterable[Visit]) -> str:
    """Hash what the files hold, whatever their names and times; visits in their order."""
    digest = hashlib.sha256()
    for visit in visits:
        found = sorted(f"{name.partition('/')[0] == _MASKS} {_sha256(file)}" for name, file in _files(visit))
        digest.update("\n".join([*found, ""]).encode())
    return digest.hexdigest()


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def input_bytes(visits: Iterable[Visit]) -> int:
    """Return the size of all files."""
    return sum(file.stat().st_size for visit in visits for _, file in _files(visit))
