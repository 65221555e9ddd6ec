"""How levels differ from one another in an average adult, and which columns there are.

Distances from disc to disc and depths of discs are those of the bodies of Panjabi et al. (Spine 1991;16:861-869 and
888-901, Spine 1992;17:299-306) with usual disc heights, rounded; from T11 downwards depths and tilts are nearer to the
means of the 20 lumbar MR scans of the training split. Tilts above are those of a supine adult with 40 degrees of
thoracic kyphosis (GK).
"""

from __future__ import annotations

from dataclasses import dataclass

from spinemri.nomenclature import REGULAR_COLUMN

__all__ = ["COLUMNS", "CONUS_LEVEL", "DEPTH_MM", "PITCH_MM", "TILT_DEG", "ColumnKind"]

PITCH_MM: dict[str, float] = {
    "C3": 17.0, "C4": 16.7, "C5": 16.7, "C6": 17.0, "C7": 18.0,
    "T1": 18.8, "T2": 19.6, "T3": 19.8, "T4": 20.5, "T5": 21.2, "T6": 22.1, "T7": 23.0, "T8": 24.0, "T9": 25.0,
    "T10": 26.2, "T11": 28.0, "T12": 30.5, "L1": 33.2, "L2": 35.0, "L3": 36.0, "L4": 36.0, "L5": 35.0,
    "S1": 27.6, "S2": 21.6,
}  # fmt: skip
"""Distance between the discs above and below a vertebra, along the column, in mm."""

DEPTH_MM: dict[str, float] = {
    "C2": 15.0, "C3": 15.2, "C4": 15.4, "C5": 15.8, "C6": 16.6, "C7": 17.5,
    "T1": 18.7, "T2": 20.4, "T3": 22.1, "T4": 23.4, "T5": 24.7, "T6": 25.8, "T7": 26.8, "T8": 27.7, "T9": 28.5,
    "T10": 29.2, "T11": 29.9, "T12": 31.2, "L1": 33.0, "L2": 34.4, "L3": 35.0, "L4": 35.4, "L5": 35.0,
    "S1": 22.0, "S2": 16.0,
}  # fmt: skip
"""Antero-posterior depth of the disc below a vertebra, in mm."""

TILT_DEG: dict[str, float] = {
    "C2": 5.0, "C3": 6.0, "C4": 8.0, "C5": 12.0, "C6": 19.0, "C7": 27.0,
    "T1": 31.0, "T2": 31.0, "T3": 27.0, "T4": 21.0, "T5": 15.0, "T6": 10.0, "T7": 6.0, "T8": 2.0, "T9": -1.0,
    "T10": -4.0, "T11": -7.0, "T12": -9.5, "L1": -9.5, "L2": -6.0, "L3": 2.0, "L4": 12.0, "L5": 31.0,
    "S1": 48.0, "S2": 58.0,
}  # fmt: skip
"""Tilt of the disc below a vertebra in a supine adult, in degrees: positive where its front is lower."""

CONUS_LEVEL = REGULAR_COLUMN.index("L1") + 0.8
"""The conus ends at the lower third of L1 on average (Saifuddin et al., Spine 1998;23:1452-1456)."""


_SPREAD_FROM = REGULAR_COLUMN.index("T10")
_REGULAR_PRESACRAL = REGULAR_COLUMN.index("S1")


@dataclass(frozen=True)
class ColumnKind:
    """A column of vertebrae that occurs.

    Attributes
    ----------
    names : tuple of str
        From cranial to caudal, with the upper end of the sacrum.
    presacral : int
        How many of them lie above the sacrum.
    prevalence : float
        How common it is.
    remark : str
        What is unusual about it; empty for the regular one.
    """

    names: tuple[str, ...]
    presacral: int
    prevalence: float
    remark: str = ""

    def regular_place(self, place: float) -> float:
        """Return the place in the regular column where a vertebra would look like the one at `place` in this one.

        Where a vertebra is missing or added, the lumbar spine is shorter or longer as a whole: its curve and the sizes
        of its levels are spread over those between T10 and the sacrum.
        """
        if place <= _SPREAD_FROM:
            return place
        if place >= self.presacral:
            return place - self.presacral + _REGULAR_PRESACRAL
        share = (place - _SPREAD_FROM) / (self.presacral - _SPREAD_FROM)
        return _SPREAD_FROM + share * (_REGULAR_PRESACRAL - _SPREAD_FROM)


_UPPER, _LOWER = REGULAR_COLUMN[:19], REGULAR_COLUMN[19:24]

COLUMNS: tuple[ColumnKind, ...] = (
    ColumnKind(REGULAR_COLUMN, 24, 0.90),
    ColumnKind((*_UPPER, *_LOWER, "L6", "S1"), 25, 0.045, "six lumbar vertebrae"),
    ColumnKind(REGULAR_COLUMN, 23, 0.04, "an L5 that belongs to the sacrum"),
    ColumnKind((*_UPPER, "T13", *_LOWER, "S1"), 25, 0.015, "thirteen thoracic vertebrae"),
)
"""About one column in ten has 23 or 25 vertebrae above the sacrum; the shares are rounded (GK)."""
