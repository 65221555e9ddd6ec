"""How other tools number tissues and levels, as they document it, and what that is in our ids.

Sources: the list of classes in the README of TotalSpineSeg (neuropoly/totalspineseg); the label tables of SPINEPS
(Hendrik-code/spineps, "Processing Phases"); the labelling conventions of the Spinal Cord Toolbox, "Vertebral labeling".
The canal of TotalSpineSeg, of SPINEPS and of the toolbox ends at the dura, behind which the epidural fat lies: it is
the dural sac here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from spinemri.nomenclature import REGULAR_COLUMN, Tissue, vertebra_name

__all__ = ["OURS", "SPINEPS", "TOTALSPINESEG", "Scheme", "recognise", "sct_level"]


@dataclass(frozen=True)
class Scheme:
    """One way to number a spine.

    Attributes
    ----------
    key : str
        As in ``--segmenter`` and in the source of the level names.
    title : str
        Name of the tool.
    tissues : mapping of int to Tissue
        Every id of its tissue mask. Where `whole_vertebrae`, a body stands for the vertebra with its arch.
    vertebrae : mapping of int to str
        Names by id: of the same mask, or for SPINEPS of the mask of instances beside it.
    whole_vertebrae : bool
        Bodies and posterior elements are one.
    name_confidence : float
        Probability that the names are right. Nobody has measured it on such scans: these are cautious guesses.
    """

    key: str
    title: str
    tissues: Mapping[int, Tissue]
    vertebrae: Mapping[int, str]
    whole_vertebrae: bool = False
    name_confidence: float = 0.9

    @property
    def outlines_mass(self) -> bool:
        """Whether a mask without a mass means that there is none."""
        return Tissue.MASS_CANAL in self.tissues.values()


OURS = Scheme("spinemri", "spinemri", {int(tissue): tissue for tissue in Tissue if tissue}, {})

_TOTALSPINESEG_VERTEBRAE = (
    {10 + n: f"C{n}" for n in range(1, 8)}
    | {20 + n: f"T{n}" for n in range(1, 13)}
    | {40 + n: f"L{n}" for n in range(1, 6)}
)
_TOTALSPINESEG_DISCS = (*range(63, 68), *range(71, 83), *range(91, 96), 100)

TOTALSPINESEG = Scheme(
    "totalspineseg",
    "TotalSpineSeg",
    {1: Tissue.CORD, 2: Tissue.DURAL_SAC, 50: Tissue.SACRUM}
    | dict.fromkeys(_TOTALSPINESEG_VERTEBRAE, Tissue.BODY)
    | dict.fromkeys(_TOTALSPINESEG_DISCS, Tissue.DISC),
    _TOTALSPINESEG_VERTEBRAE,
    whole_vertebrae=True,
)

SPINEPS = Scheme(
    "spineps",
    "SPINEPS",
    dict.fromkeys(range(41, 49), Tissue.POSTERIOR_ELEMENTS)
    # 49 border and 50 core of the body, 51 dens, 62 end plate.
    | dict.fromkeys((49, 50, 51, 62), Tissue.BODY)
    | {60: Tissue.CORD, 61: Tissue.DURAL_SAC, 100: Tissue.DISC}
    | dict.fromkeys((26, 70, 71, 72, 73, 74), Tissue.SACRUM),
    {number: vertebra_name(number) for number in (*range(1, 26), 28)},
    # Without its labelling model, numbers are counted from the top of the image.
    name_confidence=0.75,
)

_CONTENT = (Tissue.CORD, Tissue.DURAL_SAC)


def recognise(ids: Collection[int]) -> Scheme | None:
    """Tell from the ids of a tissue mask which tool numbered it.

    Parameters
    ----------
    ids : collection of int
        Without 0.

    Returns
    -------
    Scheme or None
        None where no scheme has all of the ids, or a foreign one shows no cord or canal.

    Examples
    --------
    >>> recognise({1, 2, 44, 45, 50, 95, 100}).title
    'TotalSpineSeg'
    """
    if set(ids) <= set(OURS.tissues):
        return OURS
    for scheme in (TOTALSPINESEG, SPINEPS):
        content = {number for number, tissue in scheme.tissues.items() if tissue in _CONTENT}
        if set(ids) <= set(scheme.tissues) and set(ids) & content:
            return scheme
    return None


def sct_level(number: int) -> str | None:
    """Return the vertebra that the Spinal Cord Toolbox gives a number, counted from 1, C1, to 25, S1.

    A disc has the number of the vertebra below it. Numbers of other marks (49, 50, 60) have no level.

    Examples
    --------
    >>> sct_level(8), sct_level(25), sct_level(49)
    ('T1', 'S1', None)
    """
    return REGULAR_COLUMN[number - 1] if 1 <= number <= len(REGULAR_COLUMN) else None
