"""Visits made from one real scan: recoloured, turned and shifted, in thick slices, with the noise of the day."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from spinemri.intake.model import Role, Stack, Study
from spinemri.phantom.pairs import stack_of
from spinemri.training.real import SpiderScan
from spinemri.training.recolour import as_t1, as_t1_fat_suppressed
from spinemri.volume import Volume

__all__ = ["CONTRASTS", "ROLES", "Day", "acquire", "draw_motion", "moved", "recoloured", "thick", "thick_affine"]

Floats = NDArray[np.float32]
Array = NDArray[np.float64]

CONTRASTS = {"T2": ("T2", False, False), "T1": ("T1", False, False), "T1+C FS": ("T1", True, True)}
"""Weighting, fat suppression and contrast agent of each."""

ROLES = {"T2": Role.SAGITTAL_T2, "T1": Role.SAGITTAL_T1, "T1+C FS": Role.SAGITTAL_T1_POST_FS}
_DATES = ("2024-01-08", "2024-03-08")
_NOISE = (0.02, 0.05)
_SHADING = 0.12
_SCALE = 0.2


@dataclass(frozen=True, eq=False)
class Day:
    """How one visit is acquired.

    Attributes
    ----------
    visit : int
        0 or 1.
    motion : (4, 4) ndarray
        Of the patient, LPS mm.
    slice_mm : float
        Wanted thickness of slices.
    marrow : float
        Signal of marrow, by which noise is scaled.
    """

    visit: int
    motion: Array
    slice_mm: float
    marrow: float


def recoloured(case: SpiderScan, flat: Floats, rng: np.random.Generator) -> dict[str, Floats]:
    """Return a scan as it is, as T1, and as post-contrast fat-suppressed T1.

    Parameters
    ----------
    case : SpiderScan
    flat : (i, j, k) ndarray of float32
        Its image with even illumination.
    rng : numpy.random.Generator
    """
    parts = (case.labels == 3, case.labels == 2)
    marrow = float(np.median(flat[case.labels == 1]))
    t1 = as_t1(flat, parts, marrow, rng)
    return {"T2": flat, "T1": t1, "T1+C FS": as_t1_fat_suppressed(flat, parts, marrow, rng)}


def thick(array: Floats, count: int) -> Floats:
    """Average groups of neighbouring slices, as thick slices do; a rest that fills no slice is left out."""
    whole = array.shape[0] // count
    return np.asarray(array[: whole * count].reshape(whole, count, *array.shape[1:]).mean(1), dtype=np.float32)


def thick_affine(affine: Array, count: int) -> Array:
    """Return the affine of `thick` slices."""
    out = affine.copy()
    out[:3, 3] += affine[:3, 0] * (count - 1) / 2
    out[:3, 0] *= count
    return out


def draw_motion(
    image: Volume,
    most_turn_degrees: tuple[float, float, float],
    most_shift_mm: tuple[float, float, float],
    rng: np.random.Generator,
) -> Array:
    """Draw half of the motion between two visits, in LPS mm about the middle of a scan.

    Parameters
    ----------
    image : Volume
    most_turn_degrees, most_shift_mm : (float, float, float)
        About and along the patient's axes.
    rng : numpy.random.Generator

    Returns
    -------
    (4, 4) ndarray
    """
    turns = [rng.uniform(-most, most) / 2 for most in most_turn_degrees]
    shift = np.array([rng.uniform(-most, most) / 2 for most in most_shift_mm])
    rotation = Rotation.from_euler("XYZ", turns, degrees=True).as_matrix()
    middle = image.grid.to_lps(np.array([(np.array(image.shape) - 1) / 2]))[0]
    out = np.eye(4)
    out[:3, :3] = rotation
    out[:3, 3] = middle - rotation @ middle + shift
    return out


def acquire(
    scan: Volume, shown: Mapping[str, Floats], mass: Floats, day: Day, name: str, rng: np.random.Generator
) -> tuple[Study, Volume]:
    """Acquire a visit: the patient moved, slices averaged, then scale, shading and noise of the day.

    Parameters
    ----------
    scan : Volume
        Whose grid the images have.
    shown : mapping of str to (i, j, k) ndarray of float32
        By the names of `CONTRASTS`.
    mass : (i, j, k) ndarray of float32
        True coverage by mass.
    day : Day
    name : str
        Of the patient.
    rng : numpy.random.Generator

    Returns
    -------
    Study
    Volume
        True coverage by mass in the slices of the study.
    """
    count = max(1, round(day.slice_mm / scan.spacing[0]))
    first = int(rng.integers(scan.shape[0] % count + 1))
    frame = f"2.25.{zlib.crc32(name.encode())}{day.visit}"
    affine = thick_affine(scan.affine, count)
    affine[:3, 3] += scan.affine[:3, 0] * first
    stacks: list[Stack] = []
    for contrast, image in shown.items():
        averaged = thick(moved(image, scan, day.motion)[first:], count)
        acquired = Volume(_as_acquired(averaged, day.marrow, rng), affine, frame)
        stacks.append(stack_of(ROLES[contrast], acquired, CONTRASTS[contrast], f"{frame}.{len(stacks)}"))
    truth = thick(moved(mass, scan, day.motion, order=1)[first:], count)
    study = Study(f"{frame}.9", _DATES[day.visit], name, tuple(stacks), (), f"{name}-{day.visit}")
    return study, Volume(truth, affine)


def moved(image: Floats, scan: Volume, motion: Array, order: int = 3) -> Floats:
    """Show the patient after a motion on the scan's own grid; what was never scanned repeats the edge."""
    to_index = np.linalg.inv(scan.affine) @ np.linalg.inv(motion) @ scan.affine
    return np.asarray(
        ndimage.affine_transform(image, to_index[:3, :3], to_index[:3, 3], order=order, mode="nearest"), np.float32
    )


def _as_acquired(image: Floats, marrow: float, rng: np.random.Generator) -> Floats:
    """Scale, shade and add noise; whole numbers, as DICOM has them."""
    coarse = rng.normal(0, _SHADING, (3, 3, 3))
    places = np.meshgrid(*(np.linspace(0, 2, n) for n in image.shape), indexing="ij")
    shading = np.exp(ndimage.map_coordinates(coarse, places, order=1))
    noise = rng.standard_normal(image.shape) * rng.uniform(*_NOISE) * marrow
    scale = 300 / marrow * np.exp(rng.uniform(-_SCALE, _SCALE))
    return np.asarray(np.rint(np.maximum(image * shading + noise, 0) * scale), np.float32)
