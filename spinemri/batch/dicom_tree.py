"""Subjects and visits in a tree of DICOM files, told apart by what the headers say and not by names of folders."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from spinemri.batch.looking import frame_voxels
from spinemri.batch.model import Visit
from spinemri.errors import InputError
from spinemri.intake.headers import read_headers
from spinemri.intake.model import Study
from spinemri.intake.pseudonyms import Deidentification, pseudonyms_for
from spinemri.intake.sources import Source, find_sources

__all__ = ["find_dicom_visits"]

_NAME_DIGITS = 10
_NO_IMAGES = {".txt", ".csv", ".tsv", ".json", ".md", ".pdf", ".xml", ".html", ".yaml", ".yml", ".jpg", ".png"}
_JUNK = {"dicomdir", "thumbs.db", ".ds_store", "desktop.ini", "readme", "license"}

_MANY_FILES = 4000
_FOLDERS_AT_ONCE = 8

Listener = Callable[[int], None]
Unit = tuple[Path, list[Source]]


@dataclass
class _Found:
    """One study while it is being gathered: what its headers say, and its files by folder."""

    patient_key: str = ""
    issuer_key: str = ""
    date: str = ""
    voxels: int = 0
    files: dict[Path, list[Path]] = field(default_factory=lambda: defaultdict(list))

    def add(self, other: _Found) -> None:
        """Take up what was found elsewhere."""
        self.patient_key = self.patient_key or other.patient_key
        self.issuer_key = self.issuer_key or other.issuer_key
        self.date = self.date or other.date
        self.voxels += other.voxels
        for place, files in other.files.items():
            self.files[place] += files


def find_dicom_visits(
    root: Path, deidentification: Deidentification | None = None, listener: Listener = lambda _files: None
) -> list[Visit]:
    """Find every DICOM study below a folder; a folder of images without any is a visit, too, and will say why.

    Subjects are called after the hash of their patient id, or its pseudonym if results are de-identified; visits after
    their date, or a keyed hash.

    Parameters
    ----------
    root : Path
    deidentification : Deidentification or None
    listener : callable
        Hears how many files were looked at so far.

    Returns
    -------
    list of Visit
    """
    studies: dict[str, _Found] = defaultdict(_Found)
    silent: list[Path] = []
    seen = 0
    units = list(_units(root))
    for (place, sources), found in zip(units, _looks(units), strict=True):
        for uid, study in found.items():
            studies[uid].add(study)
        if not found:
            silent.append(place)
        seen += len(sources)
        listener(seen)
    visits = _named(root, studies, deidentification)
    return visits + _unusable(root, _beside(silent, visits), studies, deidentification)


def _looks(units: Sequence[Unit]) -> Iterator[dict[str, _Found]]:
    """Look at each folder; at many files with all cores, since headers take a millisecond each."""
    if sum(len(sources) for _, sources in units) < _MANY_FILES:
        yield from map(_look, units)
        return
    # Not forked: this process may have threads.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_look, units, chunksize=_FOLDERS_AT_ONCE)


def _look(unit: Unit) -> dict[str, _Found]:
    """Return the studies of one folder by their UID."""
    place, sources = unit
    studies: dict[str, _Found] = {}
    for frame in read_headers(sources).frames:
        identity, path = frame.identity, frame.source.path
        found = studies.setdefault(identity.study_uid, _Found())
        known = found.files[place]
        # A multi-frame file, and an archive, has many frames.
        files = {place: [] if known and known[-1] == path else [path]}
        found.add(
            _Found(
                identity.patient_key,
                identity.issuer_key,
                identity.study_date,
                frame_voxels([frame]),
                defaultdict(list, files),
            )
        )
    return {uid: replace(found, files=dict(found.files)) for uid, found in studies.items()}


def _units(root: Path) -> Iterator[Unit]:
    """Yield each folder with its own files, and each zip archive with its members."""
    for folder, folders, names in os.walk(root, onerror=_unreadable):
        folders.sort()
        plain = []
        for name in sorted(names):
            file = Path(folder) / name
            if name.startswith(".") or name.lower() in _JUNK or file.suffix.lower() in _NO_IMAGES:
                continue
            if file.suffix.lower() == ".zip":
                yield file, _members(file)
            else:
                plain.append(Source(name, file))
        if plain:
            yield Path(folder), plain


def _unreadable(error: OSError) -> None:
    raise InputError(
        "SOURCE_UNREADABLE",
        f"A folder of the source cannot be read ({error.strerror or type(error).__name__}).",
        "Check the share and the permissions, then run the same command again.",
    ) from error


def _members(file: Path) -> list[Source]:
    try:
        return list(find_sources(file)[0])
    except (InputError, OSError):
        return []


def _named(root: Path, studies: dict[str, _Found], deidentification: Deidentification | None) -> list[Visit]:
    """Name each study and find the smallest folder that holds it and no other."""
    places: dict[Path, set[str]] = defaultdict(set)
    for uid, found in studies.items():
        for place in found.files:
            for folder in (place, *_parents(place, root)):
                places[folder].add(uid)
    owners, visits = _owners(studies), []
    for uid, found in sorted(studies.items()):
        path = _folder(found.files, root, places)
        alone = places[path] == {uid}
        files = () if alone else tuple(sorted({file for listed in found.files.values() for file in listed}))
        subject, name = _subject(uid, owners[uid], deidentification), _hashed(uid, deidentification)
        visits.append(Visit(subject, name, path, files, uid, found.date, found.voxels))
    return visits if deidentification else _dated(visits)


def _parents(place: Path, root: Path) -> list[Path]:
    return [root, *(root / parent for parent in place.relative_to(root).parents)] if place != root else []


def _folder(own: Mapping[Path, object], root: Path, places: Mapping[Path, set[str]]) -> Path:
    """Return the folder of a study; that of its only series gives way to the one around it, if no other shares it."""
    common = Path(os.path.commonpath([str(place) for place in own]))
    above = common.parent
    is_series = common in own and common.is_dir() and root not in {common, above}
    return above if is_series and len(places[above]) == 1 else common


def _owners(studies: Mapping[str, _Found]) -> dict[str, str]:
    """Return whose each study is, empty where no header says; an id from two issuers stands for two patients."""
    issuers: dict[str, set[str]] = defaultdict(set)
    for found in studies.values():
        issuers[found.patient_key] |= {found.issuer_key} - {""}
    return {uid: _owner(found, several=len(issuers[found.patient_key]) > 1) for uid, found in studies.items()}


def _owner(found: _Found, *, several: bool) -> str:
    if not (several and found.patient_key and found.issuer_key):
        return found.patient_key
    return hashlib.sha256(f"{found.patient_key} {found.issuer_key}".encode()).hexdigest()


def _subject(uid: str, owner: str, deidentification: Deidentification | None) -> str:
    if deidentification is not None:
        stub = Study(uid, "", owner, (), (), uid)
        return pseudonyms_for([stub], deidentification).patient_id.replace("-", "")[: _NAME_DIGITS + 1]
    return f"P{owner[:_NAME_DIGITS]}" if owner else f"U{_hashed(uid)}"


def _hashed(text: str, deidentification: Deidentification | None = None) -> str:
    """Hash what may be guessed, such as a UID or a path: with the key, where results are de-identified."""
    if deidentification is not None:
        return pseudonyms_for([], deidentification).digest("name", text)[:_NAME_DIGITS]
    return hashlib.sha256(text.encode()).hexdigest()[:_NAME_DIGITS]


def _dated(visits: list[Visit]) -> list[Visit]:
    """Call visits after their dates; where a subject has two on one day, their hash follows."""
    days: dict[tuple[str, str], int] = defaultdict(int)
    for visit in visits:
        days[visit.subject, visit.date] += 1
    named = []
    for visit in visits:
        day = visit.date.replace("-", "")
        alone = day and days[visit.subject, visit.date] == 1
        name = day if alone else f"{day}{visit.name}"
        named.append(replace(visit, name=name))
    return named


def _beside(silent: Sequence[Path], visits: Sequence[Visit]) -> list[Path]:
    """Leave out folders within that of a study: its run gives a reason for each of their files."""
    own = {visit.path for visit in visits if not visit.files}
    return [place for place in silent if own.isdisjoint((place, *place.parents))]


def _unusable(
    root: Path, silent: list[Path], studies: dict[str, _Found], deidentification: Deidentification | None
) -> list[Visit]:
    """Make a visit of each highest folder that holds files, but no MR image anywhere below it."""
    useful = {folder for found in studies.values() for place in found.files for folder in (place, *place.parents)}
    tops = set()
    for place in silent:
        if place in useful:
            continue
        top = place
        while top.parent not in useful and root not in (top.parent, top):
            top = top.parent
        tops.add(top)
    names = {top: f"X{_hashed(top.relative_to(root).as_posix(), deidentification)}" for top in sorted(tops)}
    return [Visit(name, "1", top) for top, name in names.items()]
