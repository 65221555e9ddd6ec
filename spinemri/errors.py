"""Every exception and finding of spinemri.

Hierarchy::

    SpineMRIError                 exit status 4 unless a subclass says otherwise
    |-- UsageError                2  the command line or the configuration is wrong
    |-- InputError                3  the input cannot be used
    |-- PeerError                 3  another system cannot be reached, or refuses
    `-- InternalError             4  a fault of this program

A finding that does not stop the work is not an exception but a `Flag`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Flag", "InputError", "InternalError", "PeerError", "Severity", "SpineMRIError", "UsageError"]


class Severity(StrEnum):
    """How much a finding matters to the person who reads the result."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Flag:
    """A finding with a stable code, kept beside the result it qualifies.

    Attributes
    ----------
    code : str
        Stable identifier in capitals, e.g. ``"NO_LEVEL_ANCHOR"``.
    message : str
        What was found, with the value, and what to do.
    severity : Severity
        ``info`` leaves the exit status alone; ``warning`` and ``error`` ask for a person (exit status 1).
    """

    code: str
    message: str
    severity: Severity = Severity.WARNING


class SpineMRIError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    code : str
        Stable identifier in capitals, e.g. ``"EMPTY_FOLDER"``.
    message : str
        What was found, with the offending value.
    remedy : str
        What the user can do about it.
    """

    exit_status = 4

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        tail = f" {self.remedy}" if self.remedy else ""
        return f"[{self.code}] {self.message}{tail}"


class UsageError(SpineMRIError):
    """The command line or the configuration asks for something impossible."""

    exit_status = 2


class InputError(SpineMRIError):
    """The input cannot be read, or holds nothing that can be measured."""

    exit_status = 3


class PeerError(SpineMRIError):
    """Another system, such as an archive, cannot be reached, refuses, or stops half way."""

    exit_status = 3


class InternalError(SpineMRIError):
    """A fault of this program: worth a bug report."""

    exit_status = 4
