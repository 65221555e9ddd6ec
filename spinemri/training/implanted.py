"""A real scan with implants in every contrast: what is implanted, and what the scan then shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spinemri.training.implant import MASS_KINDS, Implant, Surroundings, add_implant, random_implant, sides
from spinemri.training.real import SpiderScan, surroundings_of

__all__ = ["DrawnImplant", "draw_implants", "with_implants"]

Floats = NDArray[np.float32]

_VERTEBRA, _DISC, _SAC = 1, 2, 3
_POWERS = {"thickness_mm": 0.6, "half_length_mm": 0.25, "epidural_mm": 0.5}
"""How dimensions of an implant grow with its volume."""


@dataclass(frozen=True, eq=False)
class DrawnImplant:
    """One implant of a patient.

    Attributes
    ----------
    implant : Implant
        Its shape.
    is_mass : bool
    signals : mapping of str to float
        By contrast.
    seed : int
        Of its texture.
    """

    implant: Implant
    is_mass: bool
    signals: Mapping[str, float]
    seed: int


def draw_implants(case: SpiderScan, flat: Floats, kind: str, rng: np.random.Generator) -> list[DrawnImplant]:
    """Draw what is implanted one after the other.

    Parameters
    ----------
    case : SpiderScan
    flat : (i, j, k) ndarray of float32
        Its image with even illumination.
    kind : str
        Kinds of implant joined by ``+``.
    rng : numpy.random.Generator
    """
    around = surroundings_of(flat, case)
    out = []
    for part in kind.split("+"):
        drawn = random_implant(rng, around, part)
        signals = _signals(drawn, around, rng)
        out += [DrawnImplant(side, part in MASS_KINDS, signals, int(rng.integers(2**31))) for side in sides(drawn, rng)]
    return out


def with_implants(
    case: SpiderScan, bases: Mapping[str, Floats], implants: Sequence[DrawnImplant], growth: float = 1.0
) -> tuple[dict[str, Floats], Floats]:
    """Put implants into every contrast of a scan.

    Parameters
    ----------
    case : SpiderScan
    bases : mapping of str to (i, j, k) ndarray of float32
        The scan by contrast, as the signals of the implants are named.
    implants : sequence of DrawnImplant
    growth : float
        Volume of a mass relative to how it was drawn; walls and sac limit it.

    Returns
    -------
    images : dict of str to (i, j, k) ndarray of float32
    mass : (i, j, k) ndarray of float32
        Coverage by mass.
    """
    blocked = (case.labels == _VERTEBRA) | (case.labels == _DISC)
    images, sac = dict(bases), dict.fromkeys(bases, case.labels == _SAC)
    mass = np.zeros(case.image.shape, dtype=np.float32)
    for one in implants:
        scale = {name: getattr(one.implant, name) * growth**power for name, power in _POWERS.items()}
        cover = np.zeros_like(mass)
        for contrast in bases:
            same = np.random.default_rng(one.seed)
            shown = replace(one.implant, signal=one.signals[contrast], **(scale if one.is_mass else {}))
            images[contrast], remaining, cover = add_implant(
                images[contrast], sac[contrast], blocked, case.image.spacing, shown, same
            )
            sac[contrast] = remaining > 0.5
        mass = mass * (1 - cover) + (cover if one.is_mass else 0.0)
    return images, mass


def _signals(implant: Implant, around: Surroundings, rng: np.random.Generator) -> dict[str, float]:
    """Draw the signal of one implant on each contrast."""
    low, high = {
        "fat": ((1.6, 2.8), (0.3, 0.7)),
        "disc": ((0.6, 0.95), (0.5, 0.95)),
        "flavum": ((0.4, 0.75), (0.4, 0.8)),
    }.get(implant.kind, ((0.5, 1.25), (0.85, 2.4)))
    return {
        "T2": implant.signal,
        "T1": float(around.marrow * rng.uniform(*low)),
        "T1+C FS": float(around.marrow * rng.uniform(*high)),
    }
