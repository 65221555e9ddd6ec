"""Other tools that segment a spine, run as processes of their own where a user has installed them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from spinemri.errors import InputError, UsageError
from spinemri.pipeline.labels import GivenAnatomy, read_labels
from spinemri.volume import Volume

__all__ = ["SEGMENTERS", "Segmenter", "check_installed", "run_segmenter"]

_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SCANNER_ANATOMICAL = 1
_GRACE_S = 5.0
_NOWHERE = "http://127.0.0.1:9"
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy")


@dataclass(frozen=True)
class Segmenter:
    """How to call one tool.

    Attributes
    ----------
    title : str
    arguments : tuple of str
        The command; ``{image}``, ``{output}`` and ``{weighting}`` (``t1w`` or ``t2w``) are filled in.
    remedy : str
        How to get it.
    """

    title: str
    arguments: tuple[str, ...]
    remedy: str

    @property
    def program(self) -> str:
        """Name of the executable."""
        return self.arguments[0]


SEGMENTERS: dict[str, Segmenter] = {
    "totalspineseg": Segmenter(
        "TotalSpineSeg",
        ("totalspineseg", "{image}", "{output}"),
        "Install TotalSpineSeg with its weights and put it on the PATH, or leave out --segmenter.",
    ),
    "spineps": Segmenter(
        "SPINEPS",
        (
            *("spineps", "sample", "-i", "{image}", "-model_semantic", "{weighting}"),
            *("-model_instance", "instance", "-ignore_inference_compatibility"),
        ),
        "Install SPINEPS with its weights and put it on the PATH, or leave out --segmenter.",
    ),
    "sct": Segmenter(
        "Spinal Cord Toolbox",
        ("sct_deepseg", "spine", "-i", "{image}", "-label-vert", "1"),
        "Install the Spinal Cord Toolbox with its model 'spine' and put it on the PATH, or leave out --segmenter.",
    ),
}
"""By the value of ``--segmenter``."""


def check_installed(key: str) -> Segmenter:
    """Return a tool, if it can be called.

    Parameters
    ----------
    key : str
        Of `SEGMENTERS`.

    Raises
    ------
    UsageError
        SEGMENTER_MISSING.
    """
    segmenter = SEGMENTERS[key]
    if shutil.which(segmenter.program) is None:
        raise UsageError(
            "SEGMENTER_MISSING", f"{segmenter.program} ({segmenter.title}) is not on the PATH.", segmenter.remedy
        )
    return segmenter


def run_segmenter(key: str, image: Volume, weighting: str, *, timeout_s: float) -> GivenAnatomy:
    """Segment an image with another tool.

    The tool sees one NIfTI with a neutral name in a temporary folder, which is removed whatever happens. It runs with
    proxies that lead nowhere, so that it fails rather than fetch anything.

    Parameters
    ----------
    key : str
        Of `SEGMENTERS`.
    image : Volume
        Canonical sagittal stack.
    weighting : str
        ``"T1"`` or ``"T2"``; the tool's T2 model serves for anything else.
    timeout_s : float
        After this time in s it is stopped.

    Returns
    -------
    GivenAnatomy

    Raises
    ------
    UsageError
        SEGMENTER_MISSING.
    InputError
        SEGMENTER_FAILED if it ends with an error or leaves no usable masks, SEGMENTER_TIMEOUT.
    """
    segmenter = check_installed(key)
    suffix = "T1w" if weighting == "T1" else "T2w"
    with tempfile.TemporaryDirectory(prefix="spinemri-", ignore_cleanup_errors=True) as name:
        folder = Path(name) / "study"
        path = folder / "input" / f"sub-study_{suffix}.nii.gz"
        path.parent.mkdir(parents=True)
        _write(image, path)
        names = {"image": str(path), "output": str(folder / "output"), "weighting": suffix.lower()}
        _call(segmenter, [part.format(**names) for part in segmenter.arguments], folder, timeout_s)
        try:
            return read_labels(folder, image.grid)
        except UsageError as error:
            raise InputError("SEGMENTER_FAILED", f"{segmenter.title} left no usable masks: {error.message}") from None


def _write(image: Volume, path: Path) -> None:
    file = nib.Nifti1Image(image.array.astype(np.float32), _RAS_FROM_LPS @ image.affine)
    file.set_sform(file.affine, code=_SCANNER_ANATOMICAL)
    file.set_qform(file.affine, code=_SCANNER_ANATOMICAL)
    nib.save(file, path)


def _call(segmenter: Segmenter, command: list[str], folder: Path, timeout_s: float) -> None:
    with _process(command, folder) as process:
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise InputError(
                "SEGMENTER_TIMEOUT",
                f"{segmenter.title} was stopped after {timeout_s / 60:g} minutes.",
                "Raise segmentation.timeout_minutes, or run it beforehand and give its masks with --labels.",
            ) from None
    if status != 0:
        raise InputError(
            "SEGMENTER_FAILED",
            f"{segmenter.title} ended with status {status}.",
            f"Run {segmenter.program} on an image by hand to see what it says; its weights must be there already.",
        )


@contextmanager
def _process(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process with children of its own, and leave none of them behind."""
    process = subprocess.Popen(  # noqa: S603 - the command is one of ours, found on the user's PATH
        command,
        cwd=folder,
        env=_without_network(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _stop(process)


def _without_network() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.lower() not in {*_PROXIES, "no_proxy"}}
    return kept | {spelled: _NOWHERE for name in _PROXIES for spelled in (name, name.upper())}


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole group: tools start workers that outlive them."""
    _signal(process, signal.SIGTERM)
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
