"""Give every object of a result to an archive, and know of each what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from spinemri.errors import PeerError
from spinemri.pacs.objects import Outgoing, outgoing_objects
from spinemri.pacs.peer import DimsePeer, WebPeer
from spinemri.pacs.policy import Interrupted, Policy
from spinemri.pacs.receipt import RECEIPT, Receipt
from spinemri.pacs.statuses import Outcome, Verdict

__all__ = ["Deliver", "deliver_all", "send_results"]

Deliver = Callable[[Sequence[Outgoing]], Iterator[Outcome]]
Listen = Callable[[int, int], None]


def _ignore(_done: int, _total: int) -> None:
    """Listen to nothing."""


def send_results(
    out: Path,
    peer: DimsePeer | WebPeer,
    policy: Policy | None = None,
    *,
    receipt: Path | None = None,
    again: bool = False,
    listener: Listen = _ignore,
) -> tuple[Outcome, ...]:
    """Send the DICOM objects of a run or a comparison.

    Parameters
    ----------
    out : Path
        Results.
    peer : DimsePeer or WebPeer
        By C-STORE or by STOW-RS.
    policy : Policy, optional
    receipt : Path or None
        Where to keep what was sent; ``sent.json`` in `out` by default.
    again : bool
        Send also what the destination has taken before.
    listener : callable
        Called with how many objects are through, and of how many.

    Returns
    -------
    tuple of Outcome
        Of the objects that were sent now; in the order in which they lie in the results.

    Raises
    ------
    InputError
        If there is nothing to send.
    PeerError
        If the archive cannot be reached, refuses, or stops half way; the receipt knows what it has.
    """
    items = outgoing_objects(out)
    record = Receipt(receipt or out / RECEIPT, str(peer))
    waiting = [item for item in items if again or not record.is_stored(item)]
    through = len(items) - len(waiting)

    def hear(outcome: Outcome) -> None:
        """Note an outcome and tell how far things are."""
        nonlocal through
        record.note(outcome)
        through += outcome.verdict is not Verdict.POSTPONED
        listener(through, len(items))

    listener(through, len(items))
    return deliver_all(waiting, _deliverer(peer, policy or Policy()), policy or Policy(), hear)


def _deliverer(peer: DimsePeer | WebPeer, policy: Policy) -> Deliver:
    if isinstance(peer, DimsePeer):
        from spinemri.pacs.store import c_store  # noqa: PLC0415 - one library for each way

        return lambda items: c_store(items, peer, policy)
    from spinemri.pacs.stow import stow  # noqa: PLC0415

    return lambda items: stow(items, peer, policy)


def deliver_all(
    items: Sequence[Outgoing], deliver: Deliver, policy: Policy, hear: Callable[[Outcome], None]
) -> tuple[Outcome, ...]:
    """Deliver, again where the other side stopped or asked for patience, until nothing new gets through.

    Parameters
    ----------
    items : sequence of Outgoing
    deliver : callable
        Offers objects one after the other; raises `Interrupted` where another attempt may help.
    policy : Policy
        An attempt that got an object through starts the count anew.
    hear : callable
        Called with every answer, as it comes.

    Returns
    -------
    tuple of Outcome
        The last answer to each object.

    Raises
    ------
    PeerError
        If the other side stopped for good.
    """
    answers: dict[str, Outcome] = {}
    waiting, failures, trouble = list(items), 0, None
    while waiting and failures < policy.attempts:
        if answers or failures:
            policy.pause(failures)
        before, trouble = len(waiting), None
        try:
            for outcome in deliver(waiting):
                answers[outcome.item.sop_instance_uid] = outcome
                hear(outcome)
        except Interrupted as interrupted:
            trouble = interrupted.error
        waiting = [item for item in waiting if _is_open(answers.get(item.sop_instance_uid))]
        failures = failures + 1 if len(waiting) == before else 0
    if trouble is not None and waiting:
        raise _half_way(trouble, len(items) - len(waiting), len(items))
    return tuple(answers[item.sop_instance_uid] for item in items)


def _is_open(answer: Outcome | None) -> bool:
    return answer is None or answer.verdict is Verdict.POSTPONED


def _half_way(trouble: PeerError, done: int, total: int) -> PeerError:
    message = f"{trouble.message} {done} of {total} objects are through; the results stay where they are."
    return PeerError(trouble.code, message, f"{trouble.remedy} The same command then sends the rest.".strip())
