"""Mean adult sizes by level, in mm.

Bodies and bony canals follow Panjabi et al. (Spine 1991;16:861-869 and 888-901, Spine 1992;17:299-306), rounded;
thoracic dural sac and cord follow the norms quoted in METRICS (T5: sac 12.7 mm, cord 5.6 mm antero-posterior),
the rest are typical values of general knowledge.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["COLUMN", "NORMS", "LevelNorm", "Variant", "column_of"]


class LevelNorm(NamedTuple):
    """Mean sizes at one vertebra; `disc` is the height of the disc below it, all in mm."""

    height: float
    depth: float
    width: float
    disc: float
    canal_ap: float
    canal_width: float
    sac_ap: float
    sac_width: float
    cord_ap: float
    cord_width: float
    spinous_slope: float
    spinous_length: float


NORMS: dict[str, LevelNorm] = {
    #               height depth width disc  canal AP/W  sac AP/W    cord AP/W  spinous
    "C1": LevelNorm(11.0, 10.0, 16.0, 2.0, 22.0, 27.0, 16.0, 22.0, 8.2, 11.5, 0.1, 6.0),
    "C2": LevelNorm(17.0, 15.0, 16.5, 5.0, 19.0, 24.5, 14.0, 20.0, 7.9, 12.0, 0.3, 22.0),
    "C3": LevelNorm(11.6, 15.0, 16.5, 5.2, 15.8, 23.0, 12.8, 19.0, 7.6, 12.6, 0.3, 18.0),
    "C4": LevelNorm(11.4, 15.3, 17.2, 5.2, 15.4, 24.0, 12.4, 19.0, 7.4, 13.2, 0.3, 18.0),
    "C5": LevelNorm(11.4, 15.4, 17.8, 5.3, 15.4, 24.5, 12.2, 19.0, 7.2, 13.2, 0.35, 20.0),
    "C6": LevelNorm(11.5, 16.2, 19.0, 5.5, 15.6, 24.5, 12.4, 18.6, 7.0, 12.6, 0.45, 26.0),
    "C7": LevelNorm(13.0, 17.0, 22.0, 5.0, 15.8, 23.5, 12.6, 17.8, 6.8, 11.0, 0.6, 34.0),
    "T1": LevelNorm(14.6, 18.0, 24.5, 4.2, 16.2, 21.0, 12.8, 16.8, 6.4, 9.6, 0.65, 32.0),
    "T2": LevelNorm(15.8, 19.4, 24.8, 3.8, 15.8, 19.0, 12.7, 15.6, 6.0, 8.8, 0.75, 30.0),
    "T3": LevelNorm(16.2, 21.5, 24.6, 3.6, 15.7, 17.8, 12.6, 14.8, 5.8, 8.4, 0.85, 29.0),
    "T4": LevelNorm(16.8, 22.8, 24.6, 3.7, 15.7, 17.2, 12.6, 14.5, 5.7, 8.1, 1.0, 29.0),
    "T5": LevelNorm(17.2, 24.0, 25.0, 4.0, 15.8, 17.0, 12.7, 14.4, 5.6, 8.0, 1.15, 29.0),
    "T6": LevelNorm(17.8, 25.4, 26.2, 4.3, 15.8, 17.0, 12.7, 14.4, 5.7, 7.8, 1.2, 29.0),
    "T7": LevelNorm(18.4, 26.6, 27.6, 4.6, 15.8, 17.0, 12.7, 14.4, 5.8, 7.8, 1.2, 29.0),
    "T8": LevelNorm(19.0, 27.6, 29.2, 5.0, 15.8, 17.2, 12.8, 14.6, 6.1, 7.8, 1.1, 28.0),
    "T9": LevelNorm(19.6, 28.8, 30.6, 5.4, 15.8, 17.6, 12.8, 14.8, 6.3, 8.0, 0.9, 27.0),
    "T10": LevelNorm(20.4, 29.8, 32.0, 5.8, 15.6, 18.2, 13.0, 15.2, 6.6, 8.3, 0.65, 26.0),
    "T11": LevelNorm(21.6, 30.8, 34.8, 6.4, 16.0, 19.6, 13.4, 16.2, 7.0, 8.9, 0.4, 26.0),
    "T12": LevelNorm(23.0, 31.6, 38.4, 7.2, 17.4, 22.0, 14.0, 17.2, 7.3, 9.2, 0.25, 27.0),
    "L1": LevelNorm(24.4, 32.8, 41.0, 8.4, 18.4, 23.6, 14.4, 17.8, 6.2, 7.6, 0.15, 28.0),
    "L2": LevelNorm(25.0, 33.6, 42.4, 9.4, 18.0, 23.8, 14.0, 17.4, 2.0, 2.0, 0.12, 30.0),
    "L3": LevelNorm(25.0, 34.2, 44.0, 10.4, 17.6, 24.4, 13.6, 17.2, 1.0, 1.0, 0.1, 31.0),
    "L4": LevelNorm(24.6, 34.6, 46.2, 11.2, 18.2, 25.4, 13.2, 16.6, 1.0, 1.0, 0.1, 29.0),
    "L5": LevelNorm(23.6, 34.4, 48.0, 10.4, 19.0, 27.0, 12.4, 15.6, 1.0, 1.0, 0.15, 24.0),
    "S1": LevelNorm(25.0, 27.0, 84.0, 2.6, 18.0, 30.0, 10.0, 13.0, 1.0, 1.0, 0.1, 12.0),
    "S2": LevelNorm(20.0, 19.0, 76.0, 1.6, 13.0, 26.0, 5.5, 8.0, 1.0, 1.0, 0.1, 10.0),
    "S3": LevelNorm(17.0, 14.0, 62.0, 1.2, 9.5, 20.0, 2.0, 3.0, 1.0, 1.0, 0.1, 8.0),
    "S4": LevelNorm(15.0, 11.0, 48.0, 1.0, 7.0, 15.0, 1.0, 1.0, 1.0, 1.0, 0.1, 6.0),
    "S5": LevelNorm(13.0, 9.0, 34.0, 3.0, 5.0, 12.0, 1.0, 1.0, 1.0, 1.0, 0.1, 4.0),
}
"""Sizes from cranial to caudal."""

COLUMN: tuple[str, ...] = tuple(NORMS)
"""Every vertebra of the regular phantom, C1 to S5."""

Variant = Literal["regular", "sixth_lumbar", "thirteenth_thoracic", "four_lumbar"]
"""Which vertebrae there are."""

NORMS["L6"] = NORMS["L5"]
NORMS["T13"] = LevelNorm(*((a + b) / 2 for a, b in zip(NORMS["T12"], NORMS["L1"], strict=True)))


def column_of(variant: Variant) -> tuple[str, ...]:
    """Return the vertebrae of a variant from cranial to caudal.

    Examples
    --------
    >>> column_of("sixth_lumbar")[23:26]
    ('L5', 'L6', 'S1')
    """
    first_sacral, first_lumbar = COLUMN.index("S1"), COLUMN.index("L1")
    if variant == "sixth_lumbar":
        return (*COLUMN[:first_sacral], "L6", *COLUMN[first_sacral:])
    if variant == "thirteenth_thoracic":
        return (*COLUMN[:first_lumbar], "T13", *COLUMN[first_lumbar:])
    if variant == "four_lumbar":
        return tuple(name for name in COLUMN if name != "L5")
    return COLUMN
