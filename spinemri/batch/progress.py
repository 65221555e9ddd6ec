"""How far a batch is, as events for whoever shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from spinemri.batch.obstacles import Obstacle
from spinemri.batch.task import Outcome, Task

__all__ = ["BatchEvent", "Listener", "Tally"]


@dataclass(frozen=True)
class BatchEvent:
    """One thing that happened; names of tasks hold no patient's name.

    Attributes
    ----------
    event : str
        ``"start"``, ``"done"``, ``"failed"``, ``"again"``, ``"paused"`` or ``"resumed"``.
    task, code, message : str
    running : tuple of str
        Tasks under way.
    done, failed, total : int
    left_s : float or None
        Seconds until all is done, as far as can be told.
    """

    event: str
    task: str
    code: str
    message: str
    running: tuple[str, ...]
    done: int
    failed: int
    total: int
    left_s: float | None


Listener = Callable[[BatchEvent], None]


@dataclass(frozen=True)
class Tally:
    """What has ended so far."""

    total: int = 0
    done: int = 0
    failed: int = 0
    began: float = field(default_factory=time.monotonic)

    def with_end(self, outcome: Outcome) -> Tally:
        """Count one more end."""
        if outcome.state == "done":
            return replace(self, done=self.done + 1)
        return replace(self, failed=self.failed + 1)

    def event(
        self,
        event: str,
        running: tuple[str, ...],
        *,
        task: Task | None = None,
        outcome: Outcome | None = None,
        obstacle: Obstacle | None = None,
    ) -> BatchEvent:
        """Return an event with the state of things."""
        code, message = "", ""
        if obstacle is not None:
            code, message = obstacle.code, f"{obstacle.message} {obstacle.remedy}"
        elif outcome is not None:
            code, message = outcome.code, outcome.message
        name = task.name if task else ""
        return BatchEvent(event, name, code, message, running, self.done, self.failed, self.total, self._left_s())

    def _left_s(self) -> float | None:
        ended = self.done + self.failed
        if not ended:
            return None
        return (time.monotonic() - self.began) / ended * max(self.total - ended, 0)
