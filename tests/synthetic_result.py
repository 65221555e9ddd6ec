"""A measured study of a parametric thoracic spine with a posterior mass, on small oblique anisotropic grids."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from spinemri.anatomy.model import Anatomy, Centreline, Disc, Levels, TissueMap, Vertebra
from spinemri.errors import Flag, Severity
from spinemri.followup.record import (
    Comparison,
    NadirRecord,
    RadiotherapyRecord,
    RecurrenceRecord,
    TimepointRecord,
)
from spinemri.intake.model import Plane, Rejected, Role, Stack, Study, Weighting
from spinemri.mass.model import Mass, MassComponent
from spinemri.measure.record import (
    CompromiseRecord,
    DiscRecord,
    ExtentRecord,
    FlagRecord,
    LevelsRecord,
    MassComponentRecord,
    MassRecord,
    Measurements,
    ProfileRow,
    QualityRecord,
    SeriesRecord,
    SoftwareRecord,
    StudyRecord,
    VertebraRecord,
)
from spinemri.measure.result import StudyResult
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


def _image(spine: Spine, grid: Grid, weighting: Weighting, seed: int) -> Volume:
    rng = np.random.default_rng(seed)
    mean = np.array(SIGNAL[weighting], dtype=float)[spine.tissue(centres(grid))]
    return Volume(
        np.rint(np.clip(mean + rng.normal(0, 14, grid.shape), 0, None)).astype(np.float32), grid.affine, FRAME
    )


def _stack(number: int, grid: Grid, role: Role | None, plane: Plane, weighting: Weighting, enhanced: bool) -> Stack:
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
        Vertebra(name, _point(spine, -23.0, zi), complete=0 < i < 6, confidence=0.97)
        for i, (name, zi) in enumerate(zip(NAMES, z, strict=True))
    )
    discs = tuple(
        Disc(disc_name(a, b), _point(spine, -23.0, zi - PITCH_MM / 2))
        for a, b, zi in zip(NAMES, NAMES[1:], z, strict=False)
    )
    return Levels(vertebrae, discs, "absolute", "localizer:C2", 0.97)


def _point(spine: Spine, back: float, z: float) -> tuple[float, float, float]:
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


def _anatomy(spine: Spine, grid: Grid) -> Anatomy:
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


def _mass(anatomy: Anatomy) -> Mass:
    labels = anatomy.tissues.labels
    inside = labels.array == Tissue.MASS_CANAL
    probability = labels.with_array(inside.astype(np.float32))
    volume_ml = float(inside.sum()) * labels.grid.voxel_volume_mm3 / 1000
    mask = labels.with_array(np.where(inside, 8, 0).astype(np.uint8))
    return Mass("measured", probability, mask, (MassComponent("epidural", volume_ml),), False, 0.99, 0.06)


def _measurements(spine: Spine, study: Study, anatomy: Anatomy, mass: Mass) -> Measurements:
    volume = sum(part.volume_ml for part in mass.components)
    t = spine.thickness_mm
    return Measurements(
        software=SoftwareRecord(version="0.1.0", config_sha256="cd" * 32, model_sha256="ab" * 32),
        study=StudyRecord(
            study_instance_uid=study.study_instance_uid,
            study_date=study.study_date,
            inputs_sha256=study.inputs_sha256,
        ),
        series=tuple(_series(stack) for stack in study.stacks),
        levels=_levels_record(anatomy.levels),
        mass=MassRecord(
            status="measured",
            volume_ml=volume,
            volume_sd_ml=volume * 0.06,
            volume_ci95_ml=(volume * 0.89, volume * 1.125),
            components=tuple(
                MassComponentRecord(compartment=p.compartment, volume_ml=p.volume_ml) for p in mass.components
            ),
            extent=ExtentRecord(from_level="T5", to_level="T8", length_mm=77.3),
            position="posterior",
            max_ap_mm=t,
            max_transverse_mm=19.2,
            truncated=False,
        ),
        compromise=CompromiseRecord(
            worst_level="T6/7",
            worst_point_lps_mm=_point(spine, 0.0, WORST_Z),
            mcc_percent=100 * (1 - (13.7 - t) / 13.0),
            mscc_percent=100 * (1 - min(3.4, 0.4 * (13.7 - t)) / 3.4),
            canal_occupancy_percent=54.1234,
            canal_area_mm2=250.1,
            sac_area_mm2=76.02,
            cord_area_mm2=35.8,
            canal_ap_mm=13.7 - t,
            cord_ap_mm=2 * min(3.4, 0.4 * (13.7 - t)),
            reference_levels=("T4", "T9"),
            escc_grade="2" if t > 7 else "1c",
            escc_evidence={"sac_deformed": True, "mass_cord_distance_mm": 0.0, "csf_fraction": 0.12},
        ),
        quality=QualityRecord(
            flags=(
                FlagRecord(code="PAIRED_AXIAL", message="Axial and sagittal areas agree within 6 %.", severity="info"),
                FlagRecord(
                    code="SIGNAL_NOT_MEASURED",
                    message="No unaffected marrow outside <T4-T9>; signal ratios are null.",
                    severity="warning",
                ),
            )
        ),
    )


def _series(stack: Stack) -> SeriesRecord:
    return SeriesRecord(
        series_instance_uid=stack.series_instance_uid,
        stack=stack.stack_id,
        plane=stack.plane.value,
        weighting=stack.weighting.value,
        fat_suppressed=stack.fat_suppressed,
        contrast_enhanced=stack.contrast_enhanced,
        role=stack.role.value if stack.role else None,
        used=stack.role is not None,
        reason=stack.reason,
    )


def _levels_record(levels: Levels) -> LevelsRecord:
    return LevelsRecord(
        numbering=levels.numbering,
        anchor=levels.anchor,
        confidence=levels.confidence,
        vertebrae=tuple(
            VertebraRecord(
                name=v.name,
                id=vertebra_id(v.name) if v.name else None,
                centre_lps_mm=v.centre_lps_mm,
                complete=v.complete,
                confidence=v.confidence,
            )
            for v in levels.vertebrae
        ),
        discs=tuple(DiscRecord(name=d.name, centre_lps_mm=d.centre_lps_mm) for d in levels.discs),
    )


def make_result(spine: Spine | None = None, date: str = "2024-03-01", uid: str = "1.2.840.1") -> StudyResult:
    """A measured study with three sagittal and one axial sequence."""
    spine = spine or Spine()
    sagittal, axial = sagittal_grid(spine), axial_grid(spine)
    stacks = (
        _stack(1, sagittal, Role.SAGITTAL_T2, Plane.SAGITTAL, Weighting.T2, enhanced=False),
        _stack(2, sagittal, Role.SAGITTAL_T1, Plane.SAGITTAL, Weighting.T1, enhanced=False),
        _stack(3, sagittal, Role.SAGITTAL_T1_POST_FS, Plane.SAGITTAL, Weighting.OTHER, enhanced=True),
        _stack(4, axial, Role.AXIAL_T2, Plane.AXIAL, Weighting.T2, enhanced=False),
        _stack(5, axial, None, Plane.CORONAL, Weighting.T1, enhanced=False),
    )
    rejected = (Rejected("README.txt", "NOT_DICOM", "not a DICOM file"),)
    study = Study(uid, date, "ef" * 32, stacks, rejected, "12" * 32)
    images = {
        stack.role: _image(spine, stack.grid, stack.weighting, seed) for seed, stack in enumerate(stacks) if stack.role
    }
    anatomy = _anatomy(spine, sagittal)
    mass = _mass(anatomy)
    return StudyResult(
        study,
        images,
        Role.SAGITTAL_T2,
        anatomy,
        mass,
        _measurements(spine, study, anatomy, mass),
        spine.profile(),
    )


def make_followup() -> StudyResult:
    """The same spine repositioned, with a thinner mass."""
    return make_result(Spine(6.6, tilt_deg=3.0, shift_mm=(-1.0, -14.0, 28.0)), date="2024-03-20", uid="1.2.840.2")


def make_unmeasured(status: str = "not_assessable") -> StudyResult:
    """A study in which nothing could be measured: no centreline, no mass, every number null."""
    result = make_result()
    measured = result.measurements
    flag = FlagRecord(code="NO_CANAL", message="No canal was found in the primary stack.", severity="error")
    anatomy = replace(result.anatomy, centreline=None, levels=Levels((), (), "unknown", "none", 0.0))
    nothing = result.mass.probability.with_array(np.zeros(result.mass.mask.shape, np.float32))
    mass = replace(
        result.mass,
        status=status,
        probability=nothing,
        mask=nothing.with_array(nothing.array.astype(np.uint8)),
        components=(),
    )
    measurements = measured.model_copy(
        update={
            "levels": LevelsRecord(numbering="unknown", anchor="none", confidence=0.0, vertebrae=(), discs=()),
            "mass": MassRecord(status=status),
            "compromise": CompromiseRecord(),
            "quality": QualityRecord(flags=(flag,)),
        }
    )
    flags = (Flag(flag.code, flag.message, Severity.ERROR),)
    return replace(result, anatomy=replace(anatomy, flags=flags), mass=mass, measurements=measurements, profile=())


def make_comparison(first: StudyResult, second: StudyResult) -> Comparison:
    """What the follow-up would say of two visits."""
    one, two = first.measurements, second.measurements
    assert one.mass.volume_ml
    assert two.mass.volume_ml
    change = 100 * (two.mass.volume_ml / one.mass.volume_ml - 1)
    baseline = TimepointRecord(
        study_instance_uid=one.study.study_instance_uid,
        study_date=one.study.study_date,
        days_from_baseline=0,
        days_from_rt_end=-12,
        volume_ml=one.mass.volume_ml,
        volume_ci95_ml=one.mass.volume_ci95_ml,
        change_percent=None,
        change_ci95_percent=None,
        paired_change_percent=None,
        paired_change_ci95_percent=None,
        smallest_detectable_change_percent=None,
        verdict=None,
        mcc_percent=one.compromise.mcc_percent,
        mscc_percent=one.compromise.mscc_percent,
        escc_grade=one.compromise.escc_grade,
        worst_level=one.compromise.worst_level,
    )
    later = baseline.model_copy(
        update={
            "study_instance_uid": two.study.study_instance_uid,
            "study_date": two.study.study_date,
            "days_from_baseline": 19,
            "days_from_rt_end": 7,
            "volume_ml": two.mass.volume_ml,
            "volume_ci95_ml": two.mass.volume_ci95_ml,
            "change_percent": change,
            "change_ci95_percent": (change - 6.1, change + 6.9),
            "smallest_detectable_change_percent": 12.04,
            "verdict": "decreased",
            "mcc_percent": two.compromise.mcc_percent,
            "mscc_percent": two.compromise.mscc_percent,
            "escc_grade": two.compromise.escc_grade,
            "yardsticks": {"recist": "stable", "volume_20_percent": "stable"},
        }
    )
    return Comparison(
        software=two.software,
        timepoints=(baseline, later),
        nadir=NadirRecord(study_date=two.study.study_date, volume_ml=two.mass.volume_ml),
        recurrence=RecurrenceRecord(suspected=False, since=None),
        radiotherapy=RadiotherapyRecord(
            start="2024-03-02",
            end="2024-03-13",
            dose_gy=20.0,
            fractions=10,
            levels="T3-T9",
            mass_covered=True,
            margin_levels=(2, 1),
        ),
        quality=QualityRecord(
            flags=(FlagRecord(code="NO_PAIRED_ESTIMATE", message="The visits were not registered.", severity="info"),)
        ),
    )
