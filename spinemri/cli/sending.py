"""From the options of ``send`` to a transfer, and from its outcomes to the terminal and the exit status."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spinemri.cli.archives import extra_installed
from spinemri.cli.summary import flag_lines
from spinemri.errors import UsageError
from spinemri.measure.record import FlagRecord

if TYPE_CHECKING:
    from spinemri.pacs import DimsePeer, Outcome, WebPeer

__all__ = ["destination", "finish_send", "outcome_flags", "send_with_progress"]

_EXIT_FINDINGS = 1


def destination(to: str | None, stow: str | None, aet: str) -> DimsePeer | WebPeer:
    """Read ``--to`` or ``--stow``.

    Raises
    ------
    UsageError
        NO_DESTINATION if there is not exactly one; BAD_PEER or BAD_AE_TITLE.
    """
    from spinemri.pacs import parse_peer, parse_url

    if to is not None and stow is None:
        return parse_peer(to, own=aet)
    if stow is not None and to is None:
        return parse_url(stow)
    found = "Both --to and --stow were given." if to else "No destination was named."
    raise UsageError("NO_DESTINATION", found, "Give --to AET@host:port or --stow URL.")


def send_with_progress(
    out: Path,
    peer: DimsePeer | WebPeer,
    *,
    timeout_s: float,
    retries: int,
    receipt: Path | None,
    again: bool,
    quiet: bool,
    json_log: bool,
) -> tuple[Outcome, ...]:
    """Send results while a bar shows how far it is."""
    from spinemri.cli.progress import counting

    with extra_installed(), counting("send", quiet=quiet, json_log=json_log) as listener:
        from spinemri.pacs import Policy, send_results

        policy = Policy(timeout_s=timeout_s, attempts=retries + 1)
        return send_results(out, peer, policy, receipt=receipt, again=again, listener=listener)


def finish_send(outcomes: Sequence[Outcome], peer: DimsePeer | WebPeer, receipt: Path, *, quiet: bool) -> None:
    """Print what became of each object, and end with the exit status of that.

    Raises
    ------
    typer.Exit
        Status 1 if an object was not stored, or not as it was sent.
    """
    flags = outcome_flags(outcomes)
    stored = sum(outcome.verdict.is_stored for outcome in outcomes)
    line = f"{stored} of {len(outcomes)} objects stored at {peer}"
    if not outcomes:
        line = f"{peer} has all objects already; nothing was sent. --again sends them again"
    if not quiet:
        typer.echo("\n".join([f"{line}.", *flag_lines(flags), f"Receipt: {receipt}"]))
    if any(flag.severity != "info" for flag in flags):
        raise typer.Exit(_EXIT_FINDINGS)


def outcome_flags(outcomes: Sequence[Outcome]) -> list[FlagRecord]:
    """Turn what an archive said of the objects into findings; mere success is none."""
    flags = []
    for outcome in outcomes:
        words = f"{outcome.item.name}: {', '.join(part for part in (outcome.status_text, outcome.meaning) if part)}."
        if not outcome.verdict.is_stored:
            flags.append(FlagRecord(code="PACS_NOT_STORED", message=words, severity="warning"))
        elif outcome.status == 0xB000:
            flags.append(FlagRecord(code="PACS_COERCED", message=words, severity="info"))
        elif outcome.status:
            flags.append(FlagRecord(code="PACS_ALTERED", message=words, severity="warning"))
    return flags
