"""Signal ratios on images painted with known values."""

import numpy as np
import pytest

from spinemri.intake.model import Plane, Role, Stack, Weighting
from spinemri.measure import measure_study
from spinemri.measure.record import SignalRecord
from spinemri.measure.signal import without_stand_in
from spinemri.nomenclature import Tissue
from spinemri.volume import Grid, Volume, resample


def painted(anatomy, *, mass, body, cord, frame="1.2.3"):
    coverage = anatomy.tissues.coverage
    array = 50.0 + (mass - 50) * coverage[Tissue.MASS_CANAL] + (body - 50) * coverage[Tissue.BODY]
    return Volume((array + (cord - 50) * coverage[Tissue.CORD]).astype(np.float32), anatomy.tissues.affine, frame)


def test_ratios_to_marrow_and_enhancement_against_the_cord(patient):
    anatomy, mass = patient()
    images = {
        Role.SAGITTAL_T2: painted(anatomy, mass=240, body=200, cord=100),
        Role.SAGITTAL_T1: painted(anatomy, mass=110, body=100, cord=80),
        # Twice the gain, marrow's fat suppressed: neither may count as enhancement.
        Role.SAGITTAL_T1_POST_FS: painted(anatomy, mass=2 * 165, body=2 * 40, cord=2 * 80),
    }
    result = measure_study(images, Role.SAGITTAL_T2, anatomy, mass)
    signal = result.mass.signal
    assert signal.t2_to_marrow == pytest.approx(1.2, rel=1e-3)
    assert signal.t1_to_marrow == pytest.approx(1.1, rel=1e-3)
    assert signal.enhancement_ratio == pytest.approx(1.5, rel=0.02)
    assert not result.flags


def stack(weighting, *, fat_suppressed):
    grid = Grid((5, 8, 8), np.diag([4.0, 0.8, 0.8, 1.0]))
    return Stack("s", "", "", Plane.SAGITTAL, weighting, fat_suppressed, False, "", grid, "", "", lambda: None)


@pytest.mark.parametrize(
    ("t1", "t2", "wanted"),
    [
        ((Weighting.T1, False), (Weighting.T2, False), (1.1, 1.2)),
        ((Weighting.T1, None), (Weighting.T2, None), (1.1, 1.2)),
        ((Weighting.T1, False), (Weighting.STIR, True), (1.1, None)),
        ((Weighting.T1, False), (Weighting.T2, True), (1.1, None)),
        ((Weighting.T1, True), (Weighting.T2, False), (None, 1.2)),
    ],
    ids=["plain", "unknown", "STIR", "T2 fat-suppressed", "T1 fat-suppressed"],
)
def test_a_stand_in_gives_no_ratio_to_marrow(t1, t2, wanted):
    signal = SignalRecord(t1_to_marrow=1.1, t2_to_marrow=1.2, enhancement_ratio=1.5)
    found = without_stand_in(signal, *(stack(w, fat_suppressed=fs) for w, fs in (t1, t2)))
    assert (found.t1_to_marrow, found.t2_to_marrow) == wanted
    # The cord holds no fat.
    assert found.enhancement_ratio == 1.5


def test_a_stack_on_another_grid_is_resampled(patient):
    anatomy, mass = patient()
    image = painted(anatomy, mass=130, body=100, cord=80)
    affine = image.affine.copy()
    affine[:3, 3] += [0.3, 0.4, -0.3]
    t1 = resample(image, Grid(image.shape, affine))
    result = measure_study({Role.SAGITTAL_T2: image, Role.SAGITTAL_T1: t1}, Role.SAGITTAL_T2, anatomy, mass)
    # Cores are a voxel inside the border, so that interpolation mixes little from beyond it.
    assert result.mass.signal.t1_to_marrow == pytest.approx(1.3, rel=0.03)


@pytest.mark.parametrize("frame", ["9.9", ""])
def test_a_stack_of_another_frame_of_reference_is_not_read(patient, frame):
    anatomy, mass = patient()
    image = painted(anatomy, mass=130, body=100, cord=80)
    other = painted(anatomy, mass=130, body=100, cord=80, frame=frame)
    result = measure_study({Role.SAGITTAL_T2: image, Role.SAGITTAL_T1: other}, Role.SAGITTAL_T2, anatomy, mass)
    assert result.mass.signal.t1_to_marrow is None
    assert [f.code for f in result.flags] == ["SIGNAL_NOT_ALIGNED"]


def test_no_enhancement_without_both_stacks(patient):
    anatomy, mass = patient()
    image = painted(anatomy, mass=130, body=100, cord=80)
    result = measure_study({Role.SAGITTAL_T1_POST_FS: image}, Role.SAGITTAL_T1_POST_FS, anatomy, mass)
    assert result.mass.signal.enhancement_ratio is None
    assert not result.flags
