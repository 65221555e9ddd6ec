"""Identifiers that depend on nothing but what they identify."""

from __future__ import annotations

import hashlib

__all__ = ["IMPLEMENTATION_UID", "derived_uid"]

IMPLEMENTATION_UID = "2.25.286140219117214418239468430424518735271"
"""DICOM Implementation Class UID of everything that spinemri writes."""


def derived_uid(*parts: object) -> str:
    """Return a UID under 2.25 that depends on the parts only (DICOM PS3.5 B.2).

    Parameters
    ----------
    *parts : object
        Taken as text, in order.

    Returns
    -------
    str
        At most 44 characters.

    Examples
    --------
    >>> derived_uid("a", 1) == derived_uid("a", "1"), derived_uid("a", 1) == derived_uid("a1")
    (True, False)
    """
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
