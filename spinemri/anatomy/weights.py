"""The networks that ship with the package: their files, and the sessions that run them (onnxruntime; no torch)."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources

import onnxruntime

from spinemri.errors import InternalError

__all__ = ["session", "sha256"]


@lru_cache
def _content(name: str) -> bytes:
    file = resources.files("spinemri").joinpath("models", name)
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise InternalError(
            "MODEL_MISSING", f"The network {name} is not in this installation.", "Install spinemri again."
        ) from None


@lru_cache
def session(name: str) -> onnxruntime.InferenceSession:
    """Return what runs a network on one thread.

    Parameters
    ----------
    name : str
        File in ``spinemri/models``.

    Raises
    ------
    InternalError
        MODEL_MISSING if the installation is incomplete.
    """
    options = onnxruntime.SessionOptions()
    # Two slices at once on a thread each take less time than one after the other on two threads.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(_content(name), options, providers=["CPUExecutionProvider"])


def sha256(name: str) -> str:
    """Return the SHA-256 of a network's file; errors as for `session`."""
    return hashlib.sha256(_content(name)).hexdigest()
