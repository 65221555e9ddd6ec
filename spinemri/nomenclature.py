"""Names and numbers of vertebral levels and tissues.

Vertebra ids follow VerSe (C1-C7 1-7, T1-T12 8-19, L1-L5 20-24, L6 25, S1 26, T13 28); a disc is 100 plus the id
of the vertebra above it. Outside this module a level is always a name: ``"T7"``, ``"T6/7"``.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["REGULAR_COLUMN", "Tissue", "disc_id", "disc_name", "vertebra_id", "vertebra_name"]


class Tissue(IntEnum):
    """Tissue ids of ``anatomy_dseg`` and ``mass_dseg``; the bony canal is 1 + 2 + 3 + 8."""

    BACKGROUND = 0
    CORD = 1
    DURAL_SAC = 2
    EPIDURAL = 3
    BODY = 4
    POSTERIOR_ELEMENTS = 5
    DISC = 6
    SACRUM = 7
    MASS_CANAL = 8
    MASS_OUTSIDE = 9


_IDS: dict[str, int] = (
    {f"C{n}": n for n in range(1, 8)}
    | {f"T{n}": 7 + n for n in range(1, 13)}
    | {f"L{n}": 19 + n for n in range(1, 7)}
    | {"S1": 26, "T13": 28}
)
_NAMES: dict[int, str] = {number: name for name, number in _IDS.items()}

REGULAR_COLUMN: tuple[str, ...] = (
    *(f"C{n}" for n in range(1, 8)),
    *(f"T{n}" for n in range(1, 13)),
    *(f"L{n}" for n in range(1, 6)),
    "S1",
)
"""The usual column from cranial to caudal: 7 cervical, 12 thoracic, 5 lumbar vertebrae and the first sacral."""


def vertebra_id(name: str) -> int:
    """Return the VerSe id of a vertebra.

    Parameters
    ----------
    name : str
        For example ``"T7"``.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the name is not a vertebra's.

    Examples
    --------
    >>> vertebra_id("T7")
    14
    """
    try:
        return _IDS[name.strip().upper()]
    except KeyError:
        raise ValueError(f"{name!r} is not a vertebra; expected a name such as 'T7'") from None


def vertebra_name(number: int) -> str:
    """Return the name of a vertebra from its VerSe id.

    Raises
    ------
    ValueError
        If no vertebra has this id.

    Examples
    --------
    >>> vertebra_name(20)
    'L1'
    """
    try:
        return _NAMES[number]
    except KeyError:
        raise ValueError(f"{number} is not a vertebra id; expected 1-26 or 28") from None


def disc_name(above: str, below: str) -> str:
    """Return the name of the disc between two neighbouring vertebrae.

    Parameters
    ----------
    above, below : str
        Vertebra names, the cranial one first.

    Examples
    --------
    >>> disc_name("T6", "T7"), disc_name("L5", "S1")
    ('T6/7', 'L5/S1')
    """
    return f"{above}/{below[1:]}" if above[0] == below[0] else f"{above}/{below}"


def disc_id(above: str) -> int:
    """Return the id of the disc below a vertebra: 100 plus the vertebra's id."""
    return 100 + vertebra_id(above)
