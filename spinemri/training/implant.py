"""Implants: something added to the canal of a real scan, with the sac displaced and exactly known coverage.

Along every line that crosses the sac from the side of the implant, the sac is squeezed away from that side and the
space set free, with the epidural space behind it, is filled. The coverage of each voxel follows from the two
boundaries at sub-voxel resolution.

Kinds
-----
mass
    What the network has to find: marrow-, muscle- or fluid-like tissue over one to six levels.
foraminal
    A mass beside the sac that grows through the foramina, and between the pedicles up to them.
circumferential
    A mass all around the sac, of about the same thickness on every side.
fat, disc, flavum
    What it must not take for a mass: epidural lipomatosis, disc extrusion, thickened ligamentum flavum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["MASS_KINDS", "Implant", "Surroundings", "add_implant", "random_implant", "sides"]

MASS_KINDS = frozenset({"mass", "foraminal", "circumferential"})
"""Implants that are to be found."""

FloatArray = NDArray[np.float32]

_MINIMUM_SAC_MM = 1.5


@dataclass(frozen=True)
class Implant:
    """Shape and signal of one implant.

    Attributes
    ----------
    kind : {"mass", "foraminal", "circumferential", "fat", "disc", "flavum"}
    axis : int
        0 for a lateral, 1 for an anterior or posterior implant.
    from_high : bool
        Comes from the high-index end of the axis (left for 0, posterior for 1).
    centre_mm, half_length_mm : float
        Along the cranio-caudal axis, from the stack's caudal edge.
    thickness_mm : float
        Of sac that is displaced, at the thickest place.
    epidural_mm : float
        Depth of epidural space behind it that is filled too.
    open_mm : float or None
        The same where no bone is near; None: two voxels.
    lobes : float
        0 smooth, 1 strongly lobulated.
    width : float
        Fraction of the sac's transverse width that is covered.
    signal : float
        Mean, in units of the flattened image.
    texture : float
        Standard deviation of the signal relative to its mean.
    dura : bool
        Draw the dark line of the displaced dura.
    """

    kind: str
    axis: int
    from_high: bool
    centre_mm: float
    half_length_mm: float
    thickness_mm: float
    epidural_mm: float
    open_mm: float | None
    lobes: float
    width: float
    signal: float
    texture: float
    dura: bool


@dataclass(frozen=True)
class Surroundings:
    """Signals of the scan that an implant's signal is drawn from, and where discs lie (mm from the caudal edge)."""

    csf: float
    marrow: float
    fat: float
    disc: float
    disc_heights_mm: tuple[float, ...]
    canal_range_mm: tuple[float, float]


def random_implant(rng: np.random.Generator, around: Surroundings, kind: str) -> Implant:
    """Draw an implant that suits a scan.

    Parameters
    ----------
    rng : numpy.random.Generator
    around : Surroundings
    kind : {"mass", "foraminal", "circumferential", "fat", "disc", "flavum"}

    Returns
    -------
    Implant
    """
    if kind == "foraminal":
        return _foraminal(rng, around)
    if kind == "circumferential":
        return _circumferential(rng, around)
    low, high = around.canal_range_mm
    lateral = kind == "mass" and rng.random() < 0.25
    anywhere = rng.uniform(low + 10, high - 10)
    at_disc = float(rng.choice(around.disc_heights_mm)) if around.disc_heights_mm else anywhere
    long = float(rng.uniform(8, 75)) if kind == "mass" else float(rng.uniform(20, 90))
    short = float(rng.uniform(4, 9))
    signal = {
        "mass": _mass_signal(rng, around),
        "fat": around.fat * rng.uniform(0.9, 1.15),
        "disc": around.disc * rng.uniform(0.6, 1.5),
        "flavum": 0.35 * around.marrow * rng.uniform(0.5, 1.4),
    }[kind]
    small = kind in {"disc", "flavum"}
    return Implant(
        kind=kind,
        axis=0 if lateral else 1,
        from_high={"disc": False, "flavum": True}.get(kind, bool(rng.random() < (0.5 if lateral else 0.72))),
        centre_mm=at_disc if small else anywhere,
        half_length_mm=short if small else long,
        thickness_mm=float(rng.uniform(1.5, 5.0) if small else rng.uniform(1.5, 11.0)),
        epidural_mm=float(rng.uniform(0.0, 1.5) if small or lateral else rng.uniform(0.5, 6.0)),
        open_mm=None,
        lobes=float(rng.uniform(0, 1)),
        width=float(rng.uniform(0.4, 1.1)),
        signal=float(signal),
        texture=float(rng.uniform(0.02, 0.15)),
        dura=bool(rng.random() < 0.35),
    )


def _foraminal(rng: np.random.Generator, around: Surroundings) -> Implant:
    low, high = around.canal_range_mm
    return Implant(
        kind="foraminal",
        axis=0,
        from_high=bool(rng.random() < 0.5),
        centre_mm=float(rng.uniform(low + 10, high - 10)),
        half_length_mm=float(rng.uniform(8, 60)),
        thickness_mm=float(rng.uniform(1.5, 9.0)),
        epidural_mm=float(rng.uniform(2.0, 14.0)),
        open_mm=float(rng.uniform(2.0, 14.0)),
        lobes=float(rng.uniform(0, 1)),
        width=float(rng.uniform(0.5, 1.1)),
        signal=_mass_signal(rng, around),
        texture=float(rng.uniform(0.02, 0.15)),
        dura=bool(rng.random() < 0.35),
    )


def _circumferential(rng: np.random.Generator, around: Surroundings) -> Implant:
    """Its thickest side; `sides` gives all four."""
    low, high = around.canal_range_mm
    return Implant(
        kind="circumferential",
        axis=1,
        from_high=True,
        centre_mm=float(rng.uniform(low + 10, high - 10)),
        half_length_mm=float(rng.uniform(10, 75)),
        thickness_mm=float(rng.uniform(1.2, 4.5)),
        epidural_mm=float(rng.uniform(1.0, 6.0)),
        open_mm=1.4,
        lobes=float(rng.uniform(0, 1)),
        width=float(rng.uniform(0.9, 1.4)),
        signal=_mass_signal(rng, around),
        texture=float(rng.uniform(0.02, 0.15)),
        dura=bool(rng.random() < 0.35),
    )


def sides(implant: Implant, rng: np.random.Generator) -> tuple[Implant, ...]:
    """Return what is implanted one after the other: four sides of a mass that surrounds the sac, else the implant.

    Parameters
    ----------
    implant : Implant
    rng : numpy.random.Generator
        No side is quite as thick as another.
    """
    if implant.kind != "circumferential":
        return (implant,)
    return tuple(
        replace(implant, axis=axis, from_high=high, thickness_mm=implant.thickness_mm * float(rng.uniform(0.5, 1.0)))
        for axis, high in ((1, True), (1, False), (0, True), (0, False))
    )


def _mass_signal(rng: np.random.Generator, around: Surroundings) -> float:
    """Somewhere between muscle and three quarters of the way to CSF, marrow-like most often."""
    if rng.random() < 0.7:
        return float(around.marrow * rng.uniform(0.85, 1.5))
    return float(rng.uniform(0.45 * around.marrow, 0.3 * around.marrow + 0.7 * around.csf))


def add_implant(
    image: FloatArray,
    sac: NDArray[np.bool_],
    blocked: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    implant: Implant,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Put an implant into a scan.

    Parameters
    ----------
    image : (ni, nj, nk) ndarray of float32
        Flattened canonical sagittal stack.
    sac : (ni, nj, nk) ndarray of bool
        Dural sac with the cord.
    blocked : (ni, nj, nk) ndarray of bool
        Bone and disc: never filled.
    spacing : tuple of float
        mm along i, j, k.
    implant : Implant
    rng : numpy.random.Generator
        For lobes and texture.

    Returns
    -------
    image : (ni, nj, nk) ndarray of float32
    sac : (ni, nj, nk) ndarray of float32
        Coverage by what remains of the sac.
    coverage : (ni, nj, nk) ndarray of float32
        Coverage by the implant; its sum times the voxel volume is the implant's volume.
    """
    order = (0, 1, 2) if implant.axis == 1 else (1, 0, 2)
    flip = slice(None, None, -1) if not implant.from_high else slice(None)
    view = (slice(None), flip, slice(None))

    def turn(array: NDArray[Any]) -> NDArray[Any]:
        """Bring an array to the axes of the implant, which grows in from the high end."""
        return np.ascontiguousarray(np.transpose(array, order)[view])

    steps = (spacing[order[0]], spacing[order[1]], spacing[2])
    warped, remaining, coverage = _implant_from_high(
        turn(image),
        turn(sac),
        turn(blocked),
        steps,
        implant,
        rng,
    )
    signal = _texture(rng, image.shape, spacing, implant)

    def back(array: FloatArray) -> FloatArray:
        """Undo the turn."""
        return np.ascontiguousarray(np.transpose(array[view], order))

    cover = back(coverage)
    painted = back(warped) * (1 - cover) + signal * cover
    if implant.dura:
        edge = cover * (1 - cover) * 4 * (back(remaining) > 0)
        painted *= 1 - 0.5 * edge
    return painted.astype(np.float32), back(remaining), cover


def _implant_from_high(
    image: FloatArray,
    sac: NDArray[np.bool_],
    blocked: NDArray[np.bool_],
    steps: tuple[float, float, float],
    implant: Implant,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Squeeze the sac towards low index of axis 1 and return image, sac coverage and implant coverage."""
    step = steps[1]
    front, rear, present = _edges(sac, steps)
    thickness = _thickness(front, rear, present, steps, implant, rng) / step
    new_rear = rear - thickness
    room = _room(blocked, rear, present, 2.0 if implant.open_mm is None else implant.open_mm / step) * step
    depth = np.minimum(room, implant.epidural_mm) * np.minimum(1.0, thickness * step / 1.5)
    outer = rear + depth / step

    j = np.arange(image.shape[1], dtype=np.float32)[None, :, None]
    squeeze = (rear - front) / np.maximum(new_rear - front, 1e-3)
    inside = (j >= front[:, None]) & (j <= new_rear[:, None]) & (thickness > 0)[:, None]
    source = np.where(inside, front[:, None] + (j - front[:, None]) * squeeze[:, None], j)
    low = np.clip(source.astype(np.int32), 0, image.shape[1] - 2)
    weight = (source - low).astype(np.float32)
    warped = np.take_along_axis(image, low, 1) * (1 - weight) + np.take_along_axis(image, low + 1, 1) * weight
    coverage = np.clip(np.minimum(j + 0.5, outer[:, None]) - np.maximum(j - 0.5, new_rear[:, None]), 0.0, 1.0)
    coverage = np.where((thickness > 0)[:, None], coverage, 0.0)
    coverage = np.where(blocked & ~sac, 0.0, coverage).astype(np.float32)
    remaining = np.where(sac, 1.0 - coverage, 0.0).astype(np.float32)
    return warped.astype(np.float32), remaining, coverage


def _edges(
    sac: NDArray[np.bool_], steps: tuple[float, float, float]
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """First and last edge of the sac along axis 1, smoothed below a voxel, and where there is a sac."""
    present: NDArray[np.bool_] = np.any(sac, axis=1)
    first = sac.argmax(1).astype(np.float32) - 0.5
    last = sac.shape[1] - sac[:, ::-1].argmax(1).astype(np.float32) - 0.5
    sigma = (0.6 / steps[0], 1.5 / steps[2])
    weight = ndimage.gaussian_filter(present.astype(np.float32), sigma)
    smooth = [
        ndimage.gaussian_filter(np.where(present, edge, 0.0).astype(np.float32), sigma) / np.maximum(weight, 1e-3)
        for edge in (first, last)
    ]
    return smooth[0], smooth[1], present


def _room(blocked: NDArray[np.bool_], rear: FloatArray, present: NDArray[np.bool_], where_open: float) -> FloatArray:
    """Voxels between the sac's rear edge and the first bone or disc beyond it, or a given number if none is near."""
    j = np.arange(blocked.shape[1])[None, :, None]
    beyond = blocked & (j > rear[:, None])
    distance = beyond.argmax(1) - 0.5 - rear
    room = np.where(beyond.any(1) & (distance < 25), distance, where_open)
    room = np.where(present, np.maximum(room, 0.0), 0.0)
    return ndimage.gaussian_filter(ndimage.minimum_filter(room, (1, 3)), (0.5, 2.0)).astype(np.float32)


def _thickness(
    front: FloatArray,
    rear: FloatArray,
    present: NDArray[np.bool_],
    steps: tuple[float, float, float],
    implant: Implant,
    rng: np.random.Generator,
) -> FloatArray:
    """Displaced depth in mm over the plane across axis 1: a dome with lobes, thin towards its ends and sides."""
    across, along = present.shape
    z = (np.arange(along) + 0.5) * steps[2]
    reach = np.clip(1 - ((z - implant.centre_mm) / implant.half_length_mm) ** 2, 0, 1) ** 0.5
    columns = np.arange(across) * steps[0]
    weight = present.sum(1)
    middle = float((weight * columns).sum() / max(weight.sum(), 1))
    half_width = max(float(present.any(1).sum()) * steps[0] / 2 * implant.width, 3.0)
    offset = middle + rng.uniform(-0.3, 0.3) * half_width
    side = np.clip(1 - ((columns - offset) / half_width) ** 2, 0, 1) ** 0.5
    wave = ndimage.gaussian_filter(rng.standard_normal((across, along)), (3 / steps[0], 7 / steps[2]))
    wave /= max(float(wave.std()), 1e-6)
    dome = implant.thickness_mm * side[:, None] * reach[None] * np.clip(1 + 0.3 * implant.lobes * wave, 0.2, 1.6)
    limit = np.maximum((rear - front) * steps[1] - _MINIMUM_SAC_MM, 0.0)
    return np.where(present, np.minimum(dome, limit), 0.0).astype(np.float32)


def _texture(
    rng: np.random.Generator, shape: tuple[int, ...], spacing: tuple[float, float, float], implant: Implant
) -> FloatArray:
    """Signal with coarse and fine variation."""
    field = np.zeros(shape, dtype=np.float32)
    for size_mm, share in ((6.0, 0.8), (2.0, 0.6)):
        noise = ndimage.gaussian_filter(
            rng.standard_normal(shape, dtype=np.float32), [size_mm / step / 2 for step in spacing]
        )
        field += share * noise / max(float(noise.std()), 1e-6)
    out: FloatArray = np.float32(implant.signal) * np.clip(1 + np.float32(implant.texture) * field, 0.3, 2.0)
    return out
