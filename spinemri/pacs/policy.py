"""How long to wait for another system, and how often to try again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from spinemri.errors import PeerError

__all__ = ["Interrupted", "Policy", "retried"]

_LONGEST_PAUSE_S = 30.0

T = TypeVar("T")


@dataclass(frozen=True)
class Policy:
    """Patience with another system.

    Attributes
    ----------
    timeout_s : float
        Longest silence of the other side, in seconds.
    attempts : int
        Attempts in a row that may bring nothing new.
    pause_s : float
        Before the second attempt, in seconds; doubles with each one more, up to half a minute.
    """

    timeout_s: float = 30.0
    attempts: int = 3
    pause_s: float = 1.0

    def pause(self, failures: int) -> None:
        """Wait after so many attempts in a row that brought nothing new."""
        time.sleep(min(self.pause_s * 2 ** max(0, failures - 1), _LONGEST_PAUSE_S))


class Interrupted(Exception):  # noqa: N818 - it is a reason to try again; the error is what it holds
    """Something that may go better the next time.

    Parameters
    ----------
    error : PeerError
        What to report when it does not.
    """

    def __init__(self, error: PeerError) -> None:
        super().__init__(str(error))
        self.error = error


def retried(step: Callable[[], T], policy: Policy) -> T:
    """Do something, again where it is interrupted.

    Parameters
    ----------
    step : callable
        May raise `Interrupted`.
    policy : Policy

    Returns
    -------
    object
        What `step` returns.

    Raises
    ------
    PeerError
        Of the last attempt.
    """
    for failures in range(1, policy.attempts):
        try:
            return step()
        except Interrupted:
            policy.pause(failures)
    try:
        return step()
    except Interrupted as interrupted:
        raise interrupted.error from None
