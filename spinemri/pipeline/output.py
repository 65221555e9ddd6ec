"""An output folder that appears whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spinemri.errors import UsageError
from spinemri.pipeline.users_files import keep_users_files

__all__ = ["check_apart", "check_free", "output_folder"]

_OURS = ("measurements.json", "comparison.json")
"""A folder that holds one of these and a ``config.yaml`` was made by a run."""

_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def output_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a folder to write into that becomes `out` at the end, and vanishes if the work fails.

    The folder lies beside `out`, so that the last step is a rename. Everything that can be refused is refused
    before the first byte of work.

    Parameters
    ----------
    out : Path
        Where the result shall lie; missing parents are made.
    overwrite : bool
        Replace the results in `out` if an earlier run made them. Files that no run writes stay.

    Yields
    ------
    Path
        Empty folder.

    Raises
    ------
    UsageError
        OUT_NOT_EMPTY, OUT_NOT_OURS, OUT_NOT_WRITABLE or DISK_FULL.
    """
    out = out.resolve()
    check_free(out, overwrite=overwrite)
    made = _make_parents(out)
    staging = out.parent / f".{out.name}.partial-{secrets.token_hex(4)}"
    try:
        with _explained(out):
            staging.mkdir()
            yield staging
            _put_in_place(staging, out)
    except BaseException:
        # Ctrl-C included: a run that dies leaves nothing behind.
        shutil.rmtree(staging, ignore_errors=True)
        _remove_empty(made)
        raise


def check_apart(out: Path, inputs: Iterable[Path]) -> None:
    """Refuse an output folder that lies inside an input, or holds one.

    Raises
    ------
    UsageError
        OUT_OVERLAPS_INPUT. A later run would read its own results, or replacing them would delete the input.
    """
    target = out.resolve()
    for path in inputs:
        source = path.resolve()
        if target == source or (path.is_dir() and source in target.parents) or target in source.parents:
            raise UsageError(
                "OUT_OVERLAPS_INPUT",
                f"the output {out} and the input {path} lie inside one another.",
                "Choose an output folder outside the input.",
            )


def check_free(out: Path, *, overwrite: bool) -> None:
    """Refuse an output folder that holds something, unless an earlier run made it and it may be replaced.

    Raises
    ------
    UsageError
        OUT_NOT_EMPTY, OUT_NOT_OURS or OUT_NOT_WRITABLE.
    """
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise UsageError("OUT_NOT_WRITABLE", f"{out} is a file, not a folder.", "Choose another output folder.")
    if not any(out.iterdir()):
        return
    if not overwrite:
        raise UsageError("OUT_NOT_EMPTY", f"{out} is not empty.", "Choose another folder, or give --overwrite.")
    if not ((out / "config.yaml").is_file() and any((out / name).is_file() for name in _OURS)):
        raise UsageError(
            "OUT_NOT_OURS", f"{out} holds files that no run of spinemri made.", "Choose another output folder."
        )


def _make_parents(out: Path) -> list[Path]:
    """Make missing parents; return those that were made, deepest first."""
    missing = [parent for parent in out.parents if not parent.exists()]
    with _explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _put_in_place(staging: Path, out: Path) -> None:
    """Rename into place, with the user's files; an older result stands aside until the new one is there."""
    if not out.exists():
        staging.rename(out)
        return
    if not any(out.iterdir()):
        # Not renamed over: an empty folder may be a mount point, which has to stay.
        for child in sorted(staging.iterdir()):
            shutil.move(child, out / child.name)
        staging.rmdir()
        return
    keep_users_files(out, staging)
    aside = out.parent / f"{staging.name}.replaced"
    out.rename(aside)
    try:
        staging.rename(out)
    except BaseException:
        aside.rename(out)
        raise
    shutil.rmtree(aside)


@contextmanager
def _explained(out: Path) -> Iterator[None]:
    """Turn faults of the file system at the output into messages that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise UsageError(
                "DISK_FULL", f"no space left for {out}.", "Free some space, or choose another disk."
            ) from error
        # A file that cannot be read elsewhere is another story.
        if error.filename is not None and _belongs_to(out, Path(str(error.filename))):
            what = error.strerror or type(error).__name__
            raise UsageError(
                "OUT_NOT_WRITABLE", f"{out} cannot be written: {what}.", "Choose a folder that you may write to."
            ) from error
        raise


def _belongs_to(out: Path, path: Path) -> bool:
    """Whether a path is the output, one of its parents, or inside it before or after the rename."""
    staged = str(path).startswith(str(out.parent / f".{out.name}.partial-"))
    return staged or path.is_relative_to(out) or out.is_relative_to(path)
