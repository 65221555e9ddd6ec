"""The Schizas grade on sacs whose rootlets, fluid and fat are known, on oblique anisotropic grids.

The canal is straight along z, its section as in the fixtures: canal 22 x 17 mm, sac 16 x 10 mm, its back 4.5 mm before
the canal's. A mass in front takes the sac's front over 4 mm, behind L2/3.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from spinemri.intake.model import Role
from spinemri.measure import measure_study
from spinemri.measure.references import conus_index
from spinemri.measure.sac_signal import SacContent
from spinemri.measure.schizas import SchizasEvidence, schizas_grade
from spinemri.measure.sections import Sections, Structure
from spinemri.volume import Grid, Volume

FLUID, NERVE, FAT, LIGAMENT, MASS, ELSEWHERE = 400.0, 120.0, 250.0, 20.0, 180.0, 60.0
NARROW_MM = 22.0
LUMBAR = ("T11", "T12", "L1", "L2", "L3", "L4", "L5", "S1")
ANTERIOR = {"mass_centre": (0.0, -5.0, 0.0), "mass_axes": (8.0, 3.0, 28.0)}
BELOW = {"names": LUMBAR, "conus_w": -40.0, **ANTERIOR}
FRAME = "1.2.3"


def rootlets(u, v, radius):
    """Rods along the canal on a hexagonal lattice 1.75 mm apart."""
    row = np.rint(v / 1.5)
    shift = 0.875 * (row % 2)
    column = np.rint((u - shift) / 1.75)
    return np.hypot(u - shift - 1.75 * column, v - 1.5 * row) < radius


def free(u, v):
    """Rootlets at the back, fluid before them."""
    return np.where(rootlets(u, v, 0.6) & (v > -0.5), NERVE, FLUID)


def grainy(u, v):
    # Rods of 0.7 mm take pi 0.49 / (1.75 x 1.5) = 0.59 of the sac.
    return np.where(rootlets(u, v, 0.7), NERVE, FLUID)


def grey(u, v):
    return np.full(u.shape, NERVE)


def t2_signal(points, filling, *, fat_there=FAT, fat_elsewhere=FAT):
    """Signal at points of the patient; the filling and the fat of the narrow part are those of the test."""
    u, v, w = points[..., 0], points[..., 1], -points[..., 2]
    narrow = np.abs(w) < NARROW_MM
    out = np.full(u.shape, ELSEWHERE)
    canal = (u / 11.0) ** 2 + (v / 8.5) ** 2 <= 1.0
    out[canal] = np.where(narrow, fat_there, fat_elsewhere)[canal]
    sac = (u / 8.0) ** 2 + ((v + 1.0) / 5.0) ** 2 <= 1.0
    out[sac] = np.where(narrow, filling(u, v), free(u, v))[sac]
    out[(u / 4.5) ** 2 + ((v + 1.0) / 3.0) ** 2 + 0.0 * w <= np.where(w <= -40.0, 1.0, -1.0)] = NERVE
    (mu, mv, mw), (a, b, c) = ANTERIOR["mass_centre"], ANTERIOR["mass_axes"]
    out[((u - mu) / a) ** 2 + ((v - mv) / b) ** 2 + ((w - mw) / c) ** 2 <= 1.0] = MASS
    return out


def acquired(grid, parts, filling, *, frame=FRAME, **fat):
    """Average the signal over each voxel at `parts` points along its axes, with noise."""
    index = np.stack(np.indices(grid.shape), axis=-1).astype(float)
    total = np.zeros(grid.shape)
    steps = [(np.arange(n) + 0.5) / n - 0.5 for n in parts]
    for offset in np.stack(np.meshgrid(*steps), axis=-1).reshape(-1, 3):
        total += t2_signal(grid.to_lps(index + offset), filling, **fat)
    noise = np.random.default_rng(3).normal(0.0, 8.0, grid.shape)
    return Volume((total / np.prod(parts) + noise).astype(np.float32), grid.affine, frame)


def axial_grid(slice_mm=4.4, tilt_degrees=8.0, pixel_mm=0.5):
    angle = np.radians(tilt_degrees)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([pixel_mm, pixel_mm, slice_mm])
    side, slices = round(26.0 / pixel_mm), round(110.0 / slice_mm)
    shape = (side, side, slices)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


@lru_cache(maxsize=16)
def axial(filling, fat_there=FAT, fat_elsewhere=FAT, slice_mm=4.4):
    return acquired(axial_grid(slice_mm), (2, 2, 3), filling, fat_there=fat_there, fat_elsewhere=fat_elsewhere)


@lru_cache(maxsize=16)
def sagittal(grid_of, filling, fat_there=FAT, fat_elsewhere=FAT):
    return acquired(grid_of.grid, (6, 2, 1), filling, fat_there=fat_there, fat_elsewhere=fat_elsewhere)


def codes(result):
    return {flag.code for flag in result.flags}


@pytest.fixture
def graded(patient):
    """Return a function that measures a lumbar patient whose narrow sac holds what it is told to."""

    def make(filling, *, with_axial=True, axial_mm=4.4, axial_frame=FRAME, fat=(FAT, FAT), **changes):
        anatomy, mass = patient(**(BELOW | changes))
        images = {Role.SAGITTAL_T2: sagittal(anatomy.tissues, filling, *fat)}
        if with_axial:
            images[Role.AXIAL_T2] = replace(axial(filling, *fat, axial_mm), frame_of_reference_uid=axial_frame)
        return measure_study(images, Role.SAGITTAL_T2, anatomy, mass)

    return make


GRADES = pytest.mark.parametrize(
    ("filling", "fat", "grade"),
    [(free, (FAT, FAT), "A"), (grainy, (FAT, FAT), "B"), (grey, (FAT, FAT), "C"), (grey, (LIGAMENT, FAT), "D")],
)


def exact_share(filling):
    """Share of fluid in the narrow sac without a rim of 1 mm."""
    u, v = np.meshgrid(np.arange(-8.0, 8.0, 0.05), np.arange(-8.0, 8.0, 0.05))
    inside = (u / 7.0) ** 2 + ((v + 1.0) / 4.0) ** 2 <= 1.0
    inside &= (u / 9.0) ** 2 + ((v + 5.0) / 4.0) ** 2 > 1.0
    return float((filling(u, v)[inside] == FLUID).mean())


@GRADES
def test_grades_from_axial_slices(graded, filling, fat, grade):
    result = graded(filling, fat=fat)
    record, evidence = result.compromise, result.compromise.schizas_evidence
    assert record.worst_level == "L2/3"
    assert record.escc_grade is None
    assert record.schizas_grade == grade
    # Noise of 8 is 0.03 of the scale, clipped at both ends; voxels and slices blur rim and rootlets.
    assert evidence["csf_share"] == pytest.approx(exact_share(filling), abs=0.06)
    assert evidence["fluid_to_nerve"] == pytest.approx(FLUID / NERVE, rel=0.12)
    assert (evidence["series"], evidence["reformatted"]) == ("axial_t2", False)
    assert abs(evidence["slice_offset_mm"]) <= 2.2
    assert evidence["fat_behind"] is (grade != "D")
    assert "ESCC_BELOW_CONUS" in codes(result)
    assert not {code for code in codes(result) if code.startswith("SCHIZAS")}


@GRADES
def test_grades_from_sagittal_slices_say_that_they_are_reformatted(graded, filling, fat, grade):
    result = graded(filling, fat=fat, with_axial=False)
    record = result.compromise
    assert record.schizas_grade == grade
    assert (record.schizas_evidence["series"], record.schizas_evidence["reformatted"]) == ("sagittal_t2", True)
    assert "SCHIZAS_REFORMATTED" in codes(result)


def test_area_of_fat(graded):
    evidence = graded(grey).compromise.schizas_evidence
    # Between the sac's back and the canal's over 14 mm: 59.6 mm2 less a rim of half a pixel on either side.
    u = np.linspace(-7, 7, 1001)
    exact = np.trapezoid(8.5 * np.sqrt(1 - (u / 11) ** 2) - (5 * np.sqrt(1 - (u / 8) ** 2) - 1), u)
    assert evidence["posterior_fat_mm2"] == pytest.approx(exact, rel=0.15)


def test_a_section_through_the_cord_has_no_such_grade(graded):
    result = graded(free, conus_w=1e9)
    assert result.compromise.escc_grade is not None
    assert result.compromise.schizas_grade is None
    assert result.compromise.schizas_evidence == {}


@pytest.mark.parametrize("frame", ["9.9", ""])
def test_axial_slices_in_another_space_are_not_read(graded, frame):
    result = graded(free, axial_frame=frame)
    assert result.compromise.schizas_evidence["series"] == "sagittal_t2"


def test_thick_axial_slices_give_way_to_sagittal_ones(graded):
    result = graded(grey, axial_mm=6.5)
    assert result.compromise.schizas_grade == "C"
    assert result.compromise.schizas_evidence["series"] == "sagittal_t2"


def test_without_t2_there_is_no_grade(patient):
    anatomy, mass = patient(**BELOW)
    image = sagittal(anatomy.tissues, grey)
    result = measure_study({Role.SAGITTAL_T1: image}, Role.SAGITTAL_T1, anatomy, mass)
    assert result.compromise.schizas_grade is None
    assert "SCHIZAS_NO_T2" in codes(result)


def test_thick_sagittal_slices_give_no_grade(graded):
    result = graded(free, with_axial=False, slice_mm=5.5)
    assert result.compromise.schizas_grade is None
    assert result.compromise.schizas_evidence["csf_share"] is not None
    assert "SCHIZAS_SLICES_TOO_THICK" in codes(result)


def test_a_sac_of_a_few_voxels_gives_no_grade(graded):
    # Two millimetres are left of ten.
    result = graded(grey, with_axial=False, mass_centre=(0.0, -3.0, 0.0), mass_axes=(11.0, 5.0, 28.0))
    assert result.compromise.schizas_grade is None
    assert "SCHIZAS_SAC_TOO_SMALL" in codes(result)


def test_suppressed_fat_leaves_c_and_d_open(graded):
    result = graded(grey, fat=(LIGAMENT, LIGAMENT))
    record = result.compromise
    assert record.schizas_grade is None
    assert record.schizas_evidence["posterior_fat_mm2"] is None
    assert record.schizas_evidence["csf_share"] == pytest.approx(0.0, abs=0.07)
    assert "SCHIZAS_FAT_UNKNOWN" in codes(result)


def test_no_free_fluid_to_compare_with_gives_no_grade(graded, monkeypatch):
    monkeypatch.setattr("spinemri.measure.sac_signal.END_AREA_MM2", 0.0)
    result = graded(free)
    assert result.compromise.schizas_grade is None
    assert "SCHIZAS_NO_REFERENCE" in codes(result)


@pytest.mark.parametrize(
    ("names", "grade"),
    [
        # No cord is in view: at L1/2 it may have been missed, at L3/4 it ended further up.
        (("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5"), None),
        (("T12", "L1", "L2", "L3", "L4", "L5", "S1", "S2"), "C"),
    ],
)
def test_without_a_cord_in_view_the_level_decides(graded, names, grade):
    names = tuple(name for name in names if name != "S2") + ((None,) if "S2" in names else ())
    result = graded(grey, conus_w=-1e9, names=names)
    assert result.compromise.schizas_grade == grade
    assert ("SCHIZAS_CONUS_UNKNOWN" in codes(result)) is (grade is None)


SEEN = SchizasEvidence(
    content=SacContent(csf_share=0.65, pool_share=0.4, signal_spread=0.9, voxels=100.0),
    posterior_fat_mm2=30.0,
    fluid_to_nerve=4.0,
    series=Role.AXIAL_T2,
    slice_offset_mm=0.0,
    reformatted=False,
    at_disc=True,
)


@pytest.mark.parametrize(
    ("content", "others", "grade"),
    [
        ({}, {}, "A"),
        # A band of fluid before crowded rootlets.
        ({"csf_share": 0.3, "pool_share": 0.15}, {}, "A"),
        ({"csf_share": 0.35, "pool_share": 0.05, "signal_spread": 0.3}, {}, "B"),
        ({"csf_share": 0.2, "pool_share": 0.0, "signal_spread": 0.5}, {}, "B"),
        ({"csf_share": 0.2, "pool_share": 0.0, "signal_spread": 0.2}, {}, "C"),
        ({"csf_share": 0.05, "pool_share": 0.0, "signal_spread": 0.2}, {"posterior_fat_mm2": 3.0}, "D"),
        # Behind a body fat that is there counts, fat that is not does not.
        ({"csf_share": 0.05, "pool_share": 0.0}, {"at_disc": False}, "C"),
        ({"csf_share": 0.05, "pool_share": 0.0}, {"at_disc": False, "posterior_fat_mm2": 3.0}, None),
        ({"csf_share": 0.05, "pool_share": 0.0}, {"posterior_fat_mm2": float("nan")}, None),
        ({"csf_share": 0.4, "pool_share": 0.0}, {"posterior_fat_mm2": float("nan")}, "B"),
        ({"csf_share": float("nan")}, {}, None),
    ],
)
def test_the_rule(content, others, grade):
    assert schizas_grade(replace(SEEN, content=replace(SEEN.content, **content), **others)) == grade


def test_evidence_is_plain_data():
    record = replace(SEEN, posterior_fat_mm2=float("nan")).record()
    assert record["posterior_fat_mm2"] is None
    assert record["fat_behind"] is None
    assert record["series"] == "axial_t2"
    assert record["csf_visible"] is True


@pytest.mark.parametrize(
    ("with_cord", "conus"),
    [
        ([(0, 60)], 60),
        # Ten millimetres of rootlets that were taken for cord.
        ([(0, 60), (120, 130)], 60),
        # A cord that is pressed shut for 30 mm and goes on.
        ([(0, 60), (90, 115)], 115),
        ([(0, 60), (190, 200)], 199),
        ([(120, 130)], None),
    ],
)
def test_where_the_cord_ends(with_cord, conus):
    area = np.zeros(200)
    for first, stop in with_cord:
        area[first:stop] = 40.0
    same = Structure(area, area, area, np.zeros((200, 2)))
    # Smoothing over 3 mm makes a cord of 40 mm2 end one section later.
    assert conus_index(Sections(same, same, same, same, step_mm=1.0)) == conus
