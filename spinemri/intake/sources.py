"""Where bytes come from: files in any nesting, and members of zip archives read in memory, never extracted."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from spinemri.errors import InputError
from spinemri.intake.model import Rejected

__all__ = ["Source", "contents_sha256", "find_sources"]

_MAX_MEMBER_BYTES = 4 * 1024**3
_MAX_ARCHIVE_BYTES = 64 * 1024**3
_MAX_RATIO = 200.0
_MAX_NESTED_BYTES = 1024**3
_CHUNK = 1 << 20
_JUNK = {"thumbs.db", ".ds_store", "desktop.ini"}


@dataclass(frozen=True, order=True)
class Source:
    """One readable file.

    Attributes
    ----------
    name : str
        Relative to the folder that was given, with ``/``; a member of an archive follows the archive's name.
    path : Path
        The file, or the archive that holds it.
    members : tuple of str
        Path through nested archives; empty for a plain file.
    """

    name: str
    path: Path
    members: tuple[str, ...] = ()

    def open(self) -> BinaryIO:
        """Open for reading; a member of an archive is unpacked into memory.

        Raises
        ------
        OSError, zipfile.BadZipFile
            If it cannot be read.
        """
        if not self.members:
            return self.path.open("rb")
        return io.BytesIO(self.read())

    def read(self) -> bytes:
        """Return the whole content."""
        if not self.members:
            return self.path.read_bytes()
        content: BinaryIO = self.path.open("rb")
        for member in self.members:
            with content, zipfile.ZipFile(content) as archive:
                content = io.BytesIO(archive.read(member))
        with content:
            return content.read()

    def sha256(self) -> str:
        """Return the SHA-256 of the content, read in pieces."""
        digest = hashlib.sha256()
        with self.open() as stream:
            while piece := stream.read(_CHUNK):
                digest.update(piece)
        return digest.hexdigest()


def contents_sha256(sources: Iterable[Source]) -> str:
    """Hash the contents of files in an order that does not depend on their names; equal files count once."""
    digests = sorted({source.sha256() for source in set(sources)})
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def find_sources(path: Path) -> tuple[tuple[Source, ...], tuple[Rejected, ...]]:
    """List every file below a folder, every member of archives among them, or the one file that was given.

    Parameters
    ----------
    path : Path
        A folder, a file, a zip archive, or a DICOMDIR (which stands for its folder).

    Returns
    -------
    sources : tuple of Source
        Sorted by name.
    rejected : tuple of Rejected
        Archives and members that could not be used.

    Raises
    ------
    InputError
        NOT_FOUND, or EMPTY_FOLDER if there is no file at all.
    """
    if not path.exists():
        raise InputError("NOT_FOUND", "The input does not exist.", "Check the path.")
    if path.is_file() and path.name.upper() == "DICOMDIR":
        path = path.absolute().parent
    files = _walk(path) if path.is_dir() else [Source(path.name, path)]
    sources: list[Source] = []
    rejected: list[Rejected] = []
    for source in files:
        for found in _expand(source):
            (rejected if isinstance(found, Rejected) else sources).append(found)  # type: ignore[arg-type]
    if not sources and not rejected:
        raise InputError("EMPTY_FOLDER", "The input holds no file.", "Give the folder that holds the images.")
    return tuple(sorted(sources)), tuple(rejected)


def _walk(folder: Path) -> list[Source]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__MACOSX"]
        here = Path(root)
        for name in names:
            file = here / name
            if name.lower() not in _JUNK and not name.startswith("._") and file.is_file():
                found.append(Source(file.relative_to(folder).as_posix(), file))
    return found


def _expand(source: Source) -> Iterator[Source | Rejected]:
    """Yield the file itself, or what the archive holds."""
    try:
        with source.open() as stream:
            if stream.read(4) != b"PK\x03\x04":
                yield source
                return
            stream.seek(0)
            with zipfile.ZipFile(stream) as archive:
                yield from _members(source, archive.infolist())
    except (OSError, zipfile.BadZipFile) as error:
        yield Rejected(source.name, "CORRUPT_FILE", f"cannot be read ({type(error).__name__})")


def _members(source: Source, entries: list[zipfile.ZipInfo]) -> Iterator[Source | Rejected]:
    if sum(entry.file_size for entry in entries) > _MAX_ARCHIVE_BYTES:
        size = sum(entry.file_size for entry in entries)
        yield Rejected(source.name, "ARCHIVE_TOO_LARGE", f"would unpack to {size / 1024**3:.0f} GiB")
        return
    for entry in entries:
        name = entry.filename.rsplit("/", 1)[-1]
        if entry.is_dir() or name.lower() in _JUNK or name.startswith("._"):
            continue
        member = Source(f"{source.name}/{entry.filename}", source.path, (*source.members, entry.filename))
        problem = _member_problem(entry)
        if problem is not None:
            yield Rejected(member.name, *problem)
        elif name.lower().endswith(".zip") and not source.members and entry.file_size <= _MAX_NESTED_BYTES:
            yield from _expand(member)
        else:
            yield member


def _member_problem(entry: zipfile.ZipInfo) -> tuple[str, str] | None:
    if entry.flag_bits & 0x1:
        return "ENCRYPTED", "the archive member is encrypted; unpack it first"
    ratio = entry.file_size / max(entry.compress_size, 1)
    if entry.file_size > _MAX_MEMBER_BYTES or (ratio > _MAX_RATIO and entry.file_size > _MAX_NESTED_BYTES):
        return "ARCHIVE_TOO_LARGE", f"would unpack to {entry.file_size / 1024**2:.0f} MiB"
    return None
