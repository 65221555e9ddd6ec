"""How a command ends when it cannot do its work."""

from __future__ import annotations

import json
import logging
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import typer
from rich.console import Console

from spinemri.errors import InternalError, SpineMRIError

__all__ = ["EXIT_INTERRUPTED", "guarded", "stop_on_termination"]

EXIT_INTERRUPTED = 130
_EXIT_TERMINATED = 143


@contextmanager
def guarded(*, debug: bool, json_log: bool = False, stopped: str = "nothing was written") -> Iterator[None]:
    """Turn whatever goes wrong into one message on stderr and the exit status that belongs to it.

    Warnings of libraries are silenced unless `debug`: they may quote headers that identify a patient, and every
    finding that matters is reported as a flag.

    Parameters
    ----------
    debug : bool
        Show the traceback, too.
    json_log : bool
        Write the message as a JSON line.
    stopped : str
        What to say of the work when Ctrl-C stops it.

    Raises
    ------
    typer.Exit
        With the exit status.
    """
    logging.getLogger("pydicom").setLevel(logging.NOTSET if debug else logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.simplefilter("ignore")
            yield
    except SpineMRIError as error:
        _fail(error, debug=debug, json_log=json_log)
    except KeyboardInterrupt:
        Console(stderr=True).print(f"Stopped; {stopped}.")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except typer.Exit:
        raise
    except Exception as error:  # noqa: BLE001 - the last line before the user: nothing may escape as a traceback
        what = f"{type(error).__name__}: {error}" if debug else type(error).__name__
        fault = InternalError(
            "INTERNAL_FAULT", f"spinemri failed unexpectedly ({what}).", "Run again with --debug and report it."
        )
        _fail(fault, debug=debug, json_log=json_log)


def _fail(error: SpineMRIError, *, debug: bool, json_log: bool) -> NoReturn:
    if debug:
        traceback.print_exc()
    if json_log:
        line = {"event": "error", "code": error.code, "message": error.message, "remedy": error.remedy}
        sys.stderr.write(json.dumps(line) + "\n")
    else:
        # No markup: a code in brackets would be taken for a style.
        Console(stderr=True, soft_wrap=True, highlight=False).print(str(error), markup=False)
    raise typer.Exit(error.exit_status)


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(_EXIT_TERMINATED)


def stop_on_termination() -> None:
    """Make SIGTERM unwind the program as Ctrl-C does, so that no half-written folder stays."""
    signal.signal(signal.SIGTERM, _terminate)
