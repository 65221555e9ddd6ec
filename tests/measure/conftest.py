"""A straight canal with exactly known contents, cut by an oblique, anisotropic grid.

Its own axes are u (left), v (posterior) and w (caudal), in mm from the middle of the canal.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import pytest

from spinemri.anatomy.model import Anatomy, Centreline, Disc, Levels, TissueMap, Vertebra
from spinemri.intake.model import Role
from spinemri.mass.model import Mass, MassComponent
from spinemri.measure import measure_study
from spinemri.nomenclature import Tissue, disc_id, disc_name, vertebra_id
from spinemri.volume import Volume

NAMES = ("T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10")
SPACING_MM = 22.0
HALF_LENGTH_MM = 93.0
CANAL = (0.0, 11.0, 8.5)
SAC = (-1.0, 8.0, 5.0)
CORD = (-1.0, 4.5, 3.0)
FRAME_UID = "1.2.3"


@dataclass(frozen=True)
class Case:
    """One synthetic patient; ellipses as (posterior centre, half width, half AP diameter)."""

    mass_centre: tuple[float, float, float] = (0.0, 4.0, 0.0)
    mass_axes: tuple[float, float, float] = (8.0, 4.0, 28.0)
    mass_present: bool = True
    ring: bool = False
    conus_w: float = 1e9
    slice_mm: float = 3.6
    shift_mm: float = 0.0
    tilt_degrees: tuple[float, float] = (6.0, 4.0)
    names: tuple[str | None, ...] = field(default=NAMES)


def _inside(ellipse, u, v):
    centre, half_u, half_v = ellipse
    return (u / half_u) ** 2 + ((v - centre) / half_v) ** 2 <= 1.0


def _affine(case):
    """Slices along the patient's left, turned about the vertical and the transverse axis."""
    about_z, about_x = np.radians(case.tilt_degrees)
    turn_z = np.array([[np.cos(about_z), -np.sin(about_z), 0], [np.sin(about_z), np.cos(about_z), 0], [0, 0, 1]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(about_x), -np.sin(about_x)], [0, np.sin(about_x), np.cos(about_x)]])
    affine = np.eye(4)
    affine[:3, :3] = turn_z @ turn_x @ np.diag([case.slice_mm, 0.65, 0.65])
    shape = (2 * int(22 / case.slice_mm) + 1, 100, 300)
    middle = affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    affine[:3, 3] = np.array([case.shift_mm, -12.0, 0.0]) - middle
    return shape, affine


def _fractions(case, u, v, w):
    """Cord, sac outside the cord, epidural space and mass at points, as booleans."""
    a, b, c = case.mass_axes
    mu, mv, mw = case.mass_centre
    mass = ((u - mu) / a) ** 2 + ((v - mv) / b) ** 2 + ((w - mw) / c) ** 2 <= 1.0
    canal, sac = _inside(CANAL, u, v), _inside(SAC, u, v)
    if case.ring:
        mass = canal & ~sac & (np.abs(w - mw) <= c)
    mass &= case.mass_present
    cord = _inside(CORD, u, v) & (w <= case.conus_w)
    return cord & ~mass, sac & ~cord & ~mass, canal & ~sac & ~mass, mass


def _coverage(case, shape, affine):
    """Fractions by sampling each voxel near the canal at 8 x 2 x 2 points."""
    coverage = np.zeros((len(Tissue), *shape), np.float32)
    index = np.indices(shape).reshape(3, -1).T
    x, y, z = (index @ affine[:3, :3].T + affine[:3, 3]).T
    near = (np.abs(x) < 18) & (np.abs(y) < 14)
    sums = np.zeros((4, int(near.sum())))
    steps = [(np.arange(n) + 0.5) / n - 0.5 for n in (8, 2, 2)]
    for du in steps[0]:
        for dv in steps[1]:
            for dw in steps[2]:
                moved = (index[near] + [du, dv, dw]) @ affine[:3, :3].T + affine[:3, 3]
                sums += np.stack(_fractions(case, moved[:, 0], moved[:, 1], -moved[:, 2]))
    flat = coverage.reshape(len(Tissue), -1)
    flat[[Tissue.CORD, Tissue.DURAL_SAC, Tissue.EPIDURAL, Tissue.MASS_CANAL]] *= 0
    for tissue, total in zip((Tissue.CORD, Tissue.DURAL_SAC, Tissue.EPIDURAL, Tissue.MASS_CANAL), sums, strict=True):
        flat[tissue, near] = total / 32
    body = (np.abs(x) < 14) & (y > -36) & (y < -12)
    along = (-z - _middle(0) + SPACING_MM / 2) % SPACING_MM
    flat[Tissue.BODY, body & (np.abs(along - SPACING_MM / 2) < 9)] = 1.0
    flat[Tissue.DISC, body & (np.abs(along - SPACING_MM / 2) >= 9)] = 1.0
    flat[0] = 1.0 - flat[1:].sum(0)
    return coverage


def _middle(ordinal):
    return (ordinal - (len(NAMES) - 1) / 2) * SPACING_MM


def _levels(case):
    vertebrae = tuple(
        Vertebra(name, (0.0, -24.0, -_middle(i)), complete=True, confidence=1.0) for i, name in enumerate(case.names)
    )
    discs = tuple(
        Disc(disc_name(a, b) if a and b else None, (0.0, -24.0, -_middle(i + 0.5)))
        for i, (a, b) in enumerate(zip(case.names[:-1], case.names[1:], strict=True))
    )
    known = case.names[0] is not None
    return Levels(vertebrae, discs, "absolute" if known else "unknown", "user" if known else "none", 1.0)


def _level_map(tissues, levels):
    ids = np.zeros(tissues.grid.shape, np.uint8)
    z = tissues.grid.to_lps(np.indices(tissues.grid.shape).reshape(3, -1).T)[:, 2].reshape(tissues.grid.shape)
    for vertebra in levels.vertebrae:
        if vertebra.name:
            near = np.abs(z - vertebra.centre_lps_mm[2]) < SPACING_MM / 2
            ids[near & (tissues.coverage[Tissue.BODY] > 0.5)] = vertebra_id(vertebra.name)
    for disc, above in zip(levels.discs, levels.vertebrae, strict=False):
        if disc.name:
            near = np.abs(z - disc.centre_lps_mm[2]) < SPACING_MM / 2
            ids[near & (tissues.coverage[Tissue.DISC] > 0.5)] = disc_id(above.name)
    return Volume(ids, tissues.affine, FRAME_UID)


def straight_centreline():
    w = np.arange(-HALF_LENGTH_MM, HALF_LENGTH_MM + 0.5)
    zeros, ones = np.zeros_like(w), np.ones_like(w)
    return Centreline(
        np.stack([zeros, zeros, -w], 1),
        tangent=np.stack([zeros, zeros, -ones], 1),
        posterior=np.stack([zeros, ones, zeros], 1),
        left=np.stack([ones, zeros, zeros], 1),
    )


@lru_cache(maxsize=16)
def build(case):
    """Return anatomy and mass of a case."""
    shape, affine = _affine(case)
    tissues = TissueMap(_coverage(case, shape, affine), affine, FRAME_UID)
    levels = _levels(case)
    anatomy = Anatomy(tissues, straight_centreline(), levels, _level_map(tissues, levels))
    probability = tissues.fraction(Tissue.MASS_CANAL)
    mask = probability.with_array(np.where(probability.array >= 0.5, 8, 0).astype(np.uint8))
    volume_ml = float(probability.array.sum()) * probability.grid.voxel_volume_mm3 / 1000
    status = "measured" if case.mass_present else "not_found"
    components = (MassComponent("epidural", volume_ml),) if case.mass_present else ()
    mass = Mass(status, probability, mask, components, truncated=False, existence=1.0, volume_log_sd=0.08)
    return anatomy, mass


@lru_cache(maxsize=64)
def measure(case):
    """Measure a case; the image is of no matter to anything but signal."""
    anatomy, mass = build(case)
    return measure_study({Role.SAGITTAL_T2: anatomy.tissues.sac}, Role.SAGITTAL_T2, anatomy, mass)


@pytest.fixture
def measured():
    """Return a function that measures a changed case of reference: a posterior mass from T5 to T8, worst at T6/7."""

    def make(**changes):
        return measure(replace(Case(), **changes))

    return make


@pytest.fixture
def patient():
    """Return a function that builds anatomy and mass from changes to the case of reference."""

    def make(**changes):
        return build(replace(Case(), **changes))

    return make
