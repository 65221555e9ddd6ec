"""How to tell the axis (C2), at the upper end of a column, from a body whose disc was missed."""

from __future__ import annotations

import numpy as np

from spinemri.anatomy.column import Profile

__all__ = ["is_axis_like", "tip_of_column_mm"]

_BONY = 0.3
_LARGEST_CERVICAL_SPACING_MM = 24.0
_LEAST_HEIGHT = 1.35
_GREATEST_HEIGHT = 3.2
_LEAST_WIDENING = 1.12
_MOST_DISC = 0.12


def tip_of_column_mm(profile: Profile) -> float | None:
    """Arc length at which the bony column begins; None without any bone."""
    bony = np.flatnonzero(profile.body > _BONY)
    return float(bony[0]) if len(bony) else None


def is_axis_like(profile: Profile, first_disc_mm: float, spacing_mm: float) -> bool:
    """Tell whether what lies above a disc is the axis, although the image may cut its dens.

    The body of the axis with its dens measures twice a cervical level, no disc divides it, and beside it the canal
    widens from 15-16 mm at C3 to C5 to 19 mm at C2 and 22 mm at C1 (means of `spinemri.phantom.norms`). In two bodies
    whose disc was missed the canal keeps its width, and something of the disc is left.

    Parameters
    ----------
    profile : Profile
    first_disc_mm : float
        Arc length of the highest disc seen.
    spacing_mm : float
        Distance of neighbouring discs there.
    """
    tip = tip_of_column_mm(profile)
    if tip is None or spacing_mm >= _LARGEST_CERVICAL_SPACING_MM:
        return False
    if not _LEAST_HEIGHT < (first_disc_mm - tip) / spacing_mm < _GREATEST_HEIGHT:
        return False
    upper = slice(round(tip) + 2, max(round(first_disc_mm - 0.9 * spacing_mm), round(tip) + 4))
    below = slice(round(first_disc_mm + 0.5 * spacing_mm), round(first_disc_mm + 2.5 * spacing_mm))
    wide, usual = (profile.canal_mm[part] for part in (upper, below))
    divided = profile.disc[round(tip) + 4 : max(round(first_disc_mm - 0.4 * spacing_mm), round(tip) + 5)]
    if not len(usual) or divided.max() > _MOST_DISC:
        return False
    return bool(np.nanmax(wide) > _LEAST_WIDENING * np.nanmedian(usual))
