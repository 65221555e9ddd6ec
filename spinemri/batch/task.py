"""One unit of work and what became of it: plain data that travels between machines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spinemri.batch.model import Visit
from spinemri.config import Config

if TYPE_CHECKING:
    from spinemri.followup import Radiotherapy

__all__ = ["Kind", "Orders", "Outcome", "State", "Task"]

Kind = Literal["visit", "comparison"]
State = Literal["done", "failed", "killed", "timeout", "stopped"]


@dataclass(frozen=True)
class Orders:
    """What a user asks of every study.

    Attributes
    ----------
    config : Config
    contrast : str or None
        What NIfTI images show, where nothing tells.
    with_mass, dicom : bool
    key_file : Path or None
        Secret behind pseudonyms; results are de-identified if given.
    software : tuple of str
        Version and hash of the network, so that all workers measure alike.
    """

    config: Config
    contrast: str | None = None
    with_mass: bool = True
    dicom: bool = True
    key_file: Path | None = None
    software: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Task:
    """One study to measure, or all studies of a subject to compare.

    Attributes
    ----------
    name : str
        ``sub-<label>/ses-<label>`` or ``sub-<label>``; says where the results lie.
    kind : {"visit", "comparison"}
    visits : tuple of Visit
        One, or two and more in order of time.
    out : Path
    orders : Orders
    radiotherapy : Radiotherapy or None
    remeasure : bool
        Measure what is in `out` again, with the masks that a person has corrected there.
    work : str
        ``module:function`` that does it.
    earlier : tuple of Path
        See `Options`; of a comparison's visits.
    memory_mb, threads : int
        What it needs.
    timeout_s : float
    """

    name: str
    kind: Kind
    visits: tuple[Visit, ...]
    out: Path
    orders: Orders
    radiotherapy: Radiotherapy | None = None
    remeasure: bool = False
    work: str = "spinemri.batch.work:perform"
    earlier: tuple[Path, ...] = ()
    memory_mb: int = 2000
    threads: int = 1
    timeout_s: float = 3600.0


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes
    ----------
    state : {"done", "failed", "killed", "timeout", "stopped"}
        ``killed``: its process died without a word. ``stopped``: its worker had to end.
    code, message, remedy : str
        Why it failed.
    seconds, peak_mb : float
        Of the process, start included.
    content_sha256 : str
        Of the input as it was read.
    input_bytes, output_bytes : int
    """

    state: State
    code: str = ""
    message: str = ""
    remedy: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0
    content_sha256: str = ""
    input_bytes: int = 0
    output_bytes: int = 0
