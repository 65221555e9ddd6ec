"""A spine with a mass, on paper: made-up stacks, tissues, levels and mass of one visit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spinemri.anatomy.model import Anatomy, Centreline, Disc, Levels, TissueMap, Vertebra
from spinemri.intake.model import Plane, Role, Stack, Weighting
from spinemri.mass.model import Mass, MassComponent
from spinemri.measure.record import (
    ProfileRow,
)
from spinemri.nomenclature import Tissue, disc_id, disc_name, vertebra_id
from spinemri.volume import Grid, Volume

PITCH_MM = 22.0
NAMES = ("T4", "T5", "T6", "T7", "T8", "T9", "T10")
WORST_Z = 11.0  # the T6/7 disc: T7's centre is at 0
FRAME = "1.2.3.4.5"
SIGNAL = {  # by Tissue id: background, cord, CSF, fat, body, posterior elements, disc, sacrum, mass, mass outside
    Weighting.T2: (60, 190, 420, 240, 200, 90, 130, 180, 215, 215),
    Weighting.T1: (90, 170, 70, 330, 190, 110, 130, 180, 205, 205),
    Weighting.OTHER: (50, 120, 40, 60, 90, 60, 80, 90, 260, 260),
}


@dataclass(frozen=True)
class Spine:
    """Analytic spine in its own axes (left, posterior, superior), placed obliquely in the scanner."""

    thickness_mm: float = 8.0
    tilt_deg: float = 7.0
    shift_mm: tuple[float, float, float] = (3.0, -20.0, 35.0)

    @cached_property
    def rotation(self) -> np.ndarray:
        a, b = np.deg2rad([self.tilt_deg, -5.0])
        about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
        return about_z @ about_x

    def to_lps(self, own):
        return np.asarray(own, dtype=float) @ self.rotation.T + np.array(self.shift_mm)

    def to_own(self, lps):
        return (np.asarray(lps, dtype=float) - np.array(self.shift_mm)) @ self.rotation

    @staticmethod
    def curve(z):
        return 12.0 - 0.0012 * np.asarray(z) ** 2

    def mass_mm(self, z):
        """Antero-posterior thickness of the mass."""
        return self.thickness_mm * np.clip(1.0 - np.abs((np.asarray(z) - WORST_Z) / 39.0) ** 3, 0.0, None)

    def tissue(self, lps) -> np.ndarray:
        x, y, z = np.moveaxis(self.to_own(lps), -1, 0)
        back = y - self.curve(z)
        t = self.mass_mm(z)
        out = np.zeros(x.shape, dtype=np.uint8)
        skin = (np.abs(x) < 60) & (back > -60) & (back < 45)
        nearest = np.rint(z / PITCH_MM) * PITCH_MM
        column = (x / 15) ** 2 + ((back + 23) / 13) ** 2 < 1
        out[column & (np.abs(z - nearest) < 8.8)] = Tissue.BODY
        out[column & (np.abs(z - nearest) >= 8.8)] = Tissue.DISC
        spinous = (np.abs(x) < 4) & (back > 10) & (back < 32) & (np.abs(z - nearest + 0.4 * (back - 10)) < 5)
        out[skin & spinous] = Tissue.POSTERIOR_ELEMENTS
        out[(x / 10) ** 2 + (back / 8) ** 2 < 1] = Tissue.EPIDURAL
        out[((x / 10) ** 2 + (back / 8) ** 2 < 1) & (back > 7.2 - t) & (t > 0)] = Tissue.MASS_CANAL
        half = np.minimum(6.5, (13.7 - t) / 2)
        out[(x / 8.5) ** 2 + ((back + 6.7 - half) / half) ** 2 < 1] = Tissue.DURAL_SAC
        cord = np.minimum(3.4, half * 0.8)
        out[(x / 5) ** 2 + ((back + 6.7 - half) / cord) ** 2 < 1] = Tissue.CORD
        return out

    def profile(self) -> tuple[ProfileRow, ...]:
        rows = []
        for i, z in enumerate(np.arange(70.0, -71.0, -1.0)):
            t = float(self.mass_mm(z))
            half = min(6.5, (13.7 - t) / 2)
            cord = min(3.4, half * 0.8)
            canal, mass = 251.0 + 8 * np.cos(z / 3.5), 17.0 * t
            x, y, zz = self.to_lps([0.0, self.curve(z), z])
            rows.append(
                ProfileRow(
                    arc_length_mm=float(i),
                    x_lps_mm=float(x),
                    y_lps_mm=float(y),
                    z_lps_mm=float(zz),
                    level=level_at(z),
                    canal_area_mm2=canal,
                    canal_ap_mm=16.0,
                    canal_transverse_mm=20.0,
                    sac_area_mm2=np.pi * half * 8.5 if i > 4 else None,
                    sac_ap_mm=2 * half,
                    sac_transverse_mm=17.0,
                    cord_area_mm2=np.pi * cord * 5,
                    cord_ap_mm=2 * cord,
                    cord_transverse_mm=10.0,
                    mass_area_mm2=mass,
                    occupancy_percent=100 * mass / canal,
                )
            )
        return tuple(rows)


def level_at(z: float) -> str:
    index = int(np.clip(np.rint(3 - z / PITCH_MM), 0, len(NAMES) - 1))
    off = (3 - index) * PITCH_MM - z
    if abs(off) < 8:
        return NAMES[index]
    above = index if off > 0 else index - 1
    if not 0 <= above < len(NAMES) - 1:
        return NAMES[index]
    return disc_name(NAMES[above], NAMES[above + 1])


def sagittal_grid(spine: Spine) -> Grid:
    return _grid(spine, (12, 160, 200), (4.0, 0.8, 0.8))


def axial_grid(spine: Spine) -> Grid:
    return _grid(spine, (128, 128, 14), (0.7, 0.7, 4.4), lift_mm=WORST_Z)


def _grid(spine: Spine, shape, spacing, lift_mm: float = 0.0) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = spine.rotation @ np.diag(spacing)
    centre = spine.to_lps([0.0, 0.0, lift_mm])
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def centres(grid: Grid) -> np.ndarray:
    return grid.to_lps(np.stack(np.indices(grid.shape), -1).astype(float))


def make_image(spine: Spine, grid: Grid, weighting: Weighting, seed: int) -> Volume:
    rng = np.random.default_rng(seed)
    mean = np.array(SIGNAL[weighting], dtype=float)[spine.tissue(centres(grid))]
    return Volume(
        np.rint(np.clip(mean + rng.normal(0, 14, grid.shape), 0, None)).astype(np.float32), grid.affine, FRAME
    )


def make_stack(number: int, grid: Grid, role: Role | None, plane: Plane, weighting: Weighting, enhanced: bool) -> Stack:
    def reader() -> Volume:
        raise AssertionError("the report must not read pixels again")

    return Stack(
        stack_id=f"s{number:03d}_1",
        series_instance_uid=f"1.2.3.{number}",
        series_description=f"{plane.value} {weighting.value} <b>& co</b>",
        plane=plane,
        weighting=weighting,
        fat_suppressed=enhanced,
        contrast_enhanced=enhanced,
        region="thoracic",
        grid=grid,
        frame_of_reference_uid=FRAME,
        acquired="",
        reader=reader,
        role=role,
        reason="best coverage of the canal" if role else "3 slices are too few",
        code="CHOSEN" if role else "TOO_FEW_SLICES",
    )


def _levels(spine: Spine) -> Levels:
    z = [(3 - i) * PITCH_MM for i in range(len(NAMES))]
    vertebrae = tuple(
        Vertebra(name, make_point(spine, -23.0, zi), complete=0 < i < 6, confidence=0.97)
        for i, (name, zi) in enumerate(zip(NAMES, z, strict=True))
    )
    discs = tuple(
        Disc(disc_name(a, b), make_point(spine, -23.0, zi - PITCH_MM / 2))
        for a, b, zi in zip(NAMES, NAMES[1:], z, strict=False)
    )
    return Levels(vertebrae, discs, "absolute", "localizer:C2", 0.97)


def make_point(spine: Spine, back: float, z: float) -> tuple[float, float, float]:
    x, y, zz = spine.to_lps([0.0, spine.curve(z) + back, z])
    return float(x), float(y), float(zz)


def _centreline(spine: Spine) -> Centreline:
    z = np.arange(70.0, -71.0, -1.0)
    points = spine.to_lps(np.stack([np.zeros_like(z), spine.curve(z), z], -1))
    tangent = np.gradient(points, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    left = np.tile(spine.rotation @ [1.0, 0, 0], (len(z), 1))
    posterior = np.cross(left, tangent)
    return Centreline(points, tangent, posterior, left)


def make_anatomy(spine: Spine, grid: Grid) -> Anatomy:
    labels = Volume(spine.tissue(centres(grid)), grid.affine, FRAME)
    own = spine.to_own(centres(grid))
    index = np.clip(np.rint(3 - own[..., 2] / PITCH_MM), 0, 6).astype(int)
    body = np.array([vertebra_id(n) for n in NAMES])[index]
    below = 3 - own[..., 2] / PITCH_MM > index
    disc = np.array([disc_id(n) for n in NAMES])[np.clip(np.where(below, index, index - 1), 0, 5)]
    ids = np.where(labels.array == Tissue.BODY, body, np.where(labels.array == Tissue.DISC, disc, 0))
    tissues = TissueMap.from_labels(labels)
    level_map = labels.with_array(ids.astype(np.uint8))
    return Anatomy(tissues, _centreline(spine), _levels(spine), level_map, model_sha256="ab" * 32)


def make_mass(anatomy: Anatomy) -> Mass:
    labels = anatomy.tissues.labels
    inside = labels.array == Tissue.MASS_CANAL
    probability = labels.with_array(inside.astype(np.float32))
    volume_ml = float(inside.sum()) * labels.grid.voxel_volume_mm3 / 1000
    mask = labels.with_array(np.where(inside, 8, 0).astype(np.uint8))
    return Mass("measured", probability, mask, (MassComponent("epidural", volume_ml),), False, 0.99, 0.06)
