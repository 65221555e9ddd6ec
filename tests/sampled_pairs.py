"""Two visits sampled on one grid, made by hand: a slab of mass at the back of a straight canal."""

from typing import Any

import numpy as np

from spinemri.followup.sampled_pair import AROUND, SampledPair

SPACING = (1.7, 0.8, 0.8)
SHAPE = (14, 40, 30)
LENGTH_MM = 14 * 1.7 * 30 * 0.8
"""Area in mm2 of the free surface of the slab, which goes through the whole grid."""

LOOKS = np.array([[0.9, 1.0, 0.8], [2.4, 0.4, 0.3], [1.8, 2.0, 0.5], [1.2, 1.3, 1.9]])
"""Signals of cord, CSF, fat and mass in three sequences."""


def coverages(border_mm: float) -> np.ndarray:
    """Exact coverages where cord, CSF, a little fat and the mass lie one behind the other from front to back."""
    y = (np.arange(SHAPE[1]) + 0.5) * SPACING[1]

    def behind(edge: float) -> np.ndarray:
        return np.clip((y - edge) / SPACING[1] + 0.5, 0.0, 1.0)

    edges = [behind(edge) for edge in (4.0, border_mm - 6.0, border_mm - 1.0, border_mm, 28.0)]
    rows = [edges[k] - edges[k + 1] for k in (0, 1)], edges[2] - edges[3], edges[3] - edges[4]
    cord, csf, fat, mass = *rows[0], rows[1], rows[2]
    columns = np.stack([cord, csf, fat, mass])[:, None, :, None]
    return np.broadcast_to(columns, (4, *SHAPE)).astype(np.float32)


def sampled_pair(
    borders_mm: tuple[float, float], *, looks: np.ndarray = LOOKS, noise: float = 0.1, **changed: Any
) -> SampledPair:
    """Two visits whose mass begins at these depths, with noisy signals and exact coverages."""
    rng = np.random.default_rng(5)
    exact = np.stack([coverages(border) for border in borders_mm])
    signal = np.einsum("vcijk,cs->vsijk", exact, looks)
    signal = signal + noise * rng.standard_normal(signal.shape)
    inside = exact.sum(1).mean(0) > 0.3
    fields = {
        "spacing": SPACING,
        "coverage": exact,
        "outside": np.zeros((2, *SHAPE), np.float32),
        "signal": signal.astype(np.float32),
        "around": np.zeros((2, len(AROUND), *SHAPE), np.float32),
        "seen": np.ones(SHAPE, bool),
        "near": np.ones(SHAPE, bool),
        "canal": inside,
        "lost_share": 0.0,
    }
    return SampledPair(**(fields | changed))
