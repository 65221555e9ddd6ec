"""Studies from an archive into a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spinemri.errors import PeerError
from spinemri.pacs.archive import Archive
from spinemri.pacs.inbox import Inbox
from spinemri.pacs.peer import DimsePeer, WebPeer
from spinemri.pacs.policy import Policy, retried
from spinemri.pacs.query import StudyQuery, chosen_studies

__all__ = ["fetch_studies"]


def _ignore(_done: int, _total: int) -> None:
    """Listen to nothing."""


def fetch_studies(
    peer: DimsePeer | WebPeer,
    query: StudyQuery,
    folder: Path,
    policy: Policy | None = None,
    *,
    several: bool = False,
    listener: Callable[[int, int], None] = _ignore,
) -> tuple[Path, ...]:
    """Get the MR series of studies, all of them or none.

    Parameters
    ----------
    peer : DimsePeer or WebPeer
    query : StudyQuery
    folder : Path
        Exists and is empty; gets one folder for each study.
    policy : Policy, optional
    several : bool
        Whether more than one study may be meant.
    listener : callable
        Called with how many images have come, and of how many.

    Returns
    -------
    tuple of Path
        Of each study, in order of time.

    Raises
    ------
    UsageError
        PACS_SEVERAL_STUDIES, or BAD_LISTENER if nothing can be received.
    PeerError
        PACS_NO_MATCH, PACS_INCOMPLETE, or what else keeps the archive from answering.
    """
    policy = policy or Policy()
    with _archive(peer, policy) as archive:
        studies = chosen_studies(retried(lambda: archive.studies(query), policy), query, several=several)
        folders = {study.study_uid: folder / f"study_{number}" for number, study in enumerate(studies, start=1)}
        wanted = [
            series
            for uid in folders
            for series in retried(lambda uid=uid: archive.series(uid), policy)  # type: ignore[misc]
            if series.instance_uids
        ]
        if not wanted:
            raise PeerError("PACS_NO_MATCH", "The study has no MR images.", "Check which study was meant.")
        for path in folders.values():
            path.mkdir()
        inbox = Inbox(folders, wanted, listener)
        for series in wanted:
            retried(lambda series=series: archive.retrieve(series, inbox), policy)  # type: ignore[misc]
    return tuple(folders.values())


@contextmanager
def _archive(peer: DimsePeer | WebPeer, policy: Policy) -> Iterator[Archive]:
    if isinstance(peer, DimsePeer):
        from spinemri.pacs.dimse import dimse_archive  # noqa: PLC0415 - one library for each way

        with dimse_archive(peer, policy) as archive:
            yield archive
    else:
        from spinemri.pacs.dicomweb import web_archive  # noqa: PLC0415

        with web_archive(peer, policy) as archive:
            yield archive
