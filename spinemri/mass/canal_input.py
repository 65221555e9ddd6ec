"""What the second network is shown: the canal in every sequence, and what the first network made of it.

Shared by inference (`spinemri.mass.second_look`) and training, so that both see the same thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.nomenclature import Tissue

__all__ = ["CHANNELS_IN", "PRIOR", "SLOTS", "WORKING_MM", "CanalView", "network_input", "slot_of", "to_working"]

FloatArray = NDArray[np.float32]

WORKING_MM = 0.8
"""Pixel size in plane."""

SLOTS = ("T2", "T2 fat-suppressed or STIR", "T1", "T1 post-contrast")
"""One place per kind of sequence; a study fills some of them."""

_OWN = (
    (Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE),
    (Tissue.CORD,),
    (Tissue.DURAL_SAC,),
    (Tissue.EPIDURAL,),
    (Tissue.MASS_OUTSIDE,),
    (Tissue.BODY, Tissue.POSTERIOR_ELEMENTS, Tissue.SACRUM),
    (Tissue.DISC,),
    (Tissue.BACKGROUND,),
)
"""Tissues whose coverage in the slice itself is shown, the mass first."""

_BESIDE = _OWN[:4]
"""Tissues whose mean coverage in the neighbouring slices is shown."""

PRIOR = 3 * len(SLOTS)
"""Channel that holds the coverage by mass as it was."""

CHANNELS_IN = PRIOR + len(_OWN) + len(_BESIDE) + 1 + 1 + len(SLOTS) + 1
_CLICK_MM = 4.0


@dataclass(frozen=True, eq=False)
class CanalView:
    """The surroundings of the canal at `WORKING_MM` in plane.

    Attributes
    ----------
    images : (slots, ni, h, w) ndarray of float32
        Flattened images, zero where there is none.
    present : (slots,) ndarray of float32
        1 where there is an image.
    post_fat_suppressed : bool
        Of the image after contrast agent.
    coverage : (tissues, ni, h, w) ndarray of float32
        From the first network, all sequences fused.
    click : (ni, h, w) ndarray of float32, optional
        Distance in mm from a point in the mass.
    """

    images: FloatArray
    present: FloatArray
    post_fat_suppressed: bool
    coverage: FloatArray
    click: FloatArray | None = None


def slot_of(weighting: str, *, fat_suppressed: bool | None, contrast_enhanced: bool | None) -> int | None:
    """Return the place of a sequence in `SLOTS`.

    Parameters
    ----------
    weighting : str
        ``"T1"``, ``"T2"`` or ``"STIR"``; anything else is not known.
    fat_suppressed, contrast_enhanced : bool or None
        None where unknown, which counts as no.

    Returns
    -------
    int or None
        None if the weighting is not known.
    """
    if weighting == "T1":
        return 3 if contrast_enhanced else 2
    if weighting in {"T2", "STIR"}:
        return 1 if fat_suppressed or weighting == "STIR" else 0
    return None


def network_input(view: CanalView, index: int, offset: int) -> FloatArray:
    """Return the channels of one slice, (CHANNELS_IN, h, w).

    Neighbours enter by their mean and the size of their difference, so that exchanging them changes nothing.

    Parameters
    ----------
    view : CanalView
    index, offset : int
        Slice, and how many slices away its neighbours are taken; at the end of the stack the last one is repeated.
    """
    last = view.images.shape[1] - 1
    before, after = max(index - offset, 0), min(index + offset, last)
    size = view.images.shape[2:]
    out = np.empty((CHANNELS_IN, *size), dtype=np.float32)
    one, other = view.images[:, before], view.images[:, after]
    count = len(SLOTS)
    out[:count] = view.images[:, index]
    out[count : 2 * count] = (one + other) / 2
    out[2 * count : PRIOR] = np.abs(one - other) / 2
    row = PRIOR
    for group in _OWN:
        out[row] = view.coverage[[int(t) for t in group], index].sum(0)
        row += 1
    for group in _BESIDE:
        members = [int(t) for t in group]
        out[row] = (view.coverage[members, before].sum(0) + view.coverage[members, after].sum(0)) / 2
        row += 1
    mass = [int(t) for t in _OWN[0]]
    out[row] = np.abs(view.coverage[mass, before].sum(0) - view.coverage[mass, after].sum(0)) / 2
    out[row + 1] = 0.0 if view.click is None else np.exp(-0.5 * (view.click[index] / _CLICK_MM) ** 2)
    row += 2
    for present in view.present:
        out[row] = present
        row += 1
    out[row] = float(view.post_fat_suppressed and view.present[-1] > 0)
    return out


def to_working(array: NDArray[np.floating], spacing: Sequence[float]) -> FloatArray:
    """Resample slices to `WORKING_MM` in plane, the first pixel's centre kept.

    Parameters
    ----------
    array : (..., ni, nj, nk) ndarray
    spacing : sequence of float
        mm along i, j, k.

    Returns
    -------
    (..., ni, h, w) ndarray of float32
    """
    scale = [WORKING_MM / mm for mm in spacing[1:]]
    size = tuple(int((n - 1) / s) + 1 for n, s in zip(array.shape[-2:], scale, strict=True))
    flat = array.reshape(-1, *array.shape[-2:])
    out = np.empty((len(flat), *size), dtype=np.float32)
    for plane, result in zip(flat, out, strict=True):
        ndimage.affine_transform(
            np.asarray(plane, dtype=np.float32), tuple(scale), output_shape=size, order=1, output=result, mode="nearest"
        )
    return out.reshape(*array.shape[:-2], *size)
