"""Weighting guessed from the image alone: the last resort for images without any words."""

from __future__ import annotations

from spinemri.intake.model import Weighting
from spinemri.volume import Volume

__all__ = ["guess_weighting"]


def guess_weighting(volume: Volume) -> tuple[Weighting, str]:
    """Guess T1 or T2."""
    return Weighting.T2, "guessed"
