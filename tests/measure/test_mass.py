"""Volume, extent, position and size of the mass."""

import math

import numpy as np
import pytest

from spinemri.intake.model import Role
from spinemri.measure import measure_study
from spinemri.measure.mass import volume_interval

ELLIPSOID_ML = 4 / 3 * math.pi * 8 * 4 * 28 / 1000


@pytest.mark.parametrize("view", [{}, {"shift_mm": 1.8}, {"slice_mm": 4.4}])
def test_volume_of_an_ellipsoid(measured, view):
    record = measured(**view).mass
    # Fractional coverage keeps the volume whatever the slices: 1 %.
    assert record.volume_ml == pytest.approx(ELLIPSOID_ML, rel=0.01)
    assert record.volume_sd_ml == pytest.approx(0.08 * record.volume_ml)
    assert record.components[0].compartment == "epidural"


def test_interval_is_symmetric_on_the_log_scale():
    sd, (low, high) = volume_interval(10.0, 0.1)
    assert sd == pytest.approx(1.0)
    assert low * high == pytest.approx(100.0)
    assert math.log(high / 10.0) == pytest.approx(0.196)
    assert volume_interval(3.0, 0.0) == (0.0, (3.0, 3.0))


def test_extent_names_the_vertebrae_at_the_ends(measured):
    extent = measured().mass.extent
    assert (extent.from_level, extent.to_level) == ("T5", "T8")
    # Below 8 % of the largest area (8 of 100 mm2) the tips are cut: 0.96 of 56 mm.
    assert extent.length_mm == pytest.approx(0.96 * 56, abs=2.0)


def test_an_end_at_a_disc_belongs_to_the_vertebra_on_its_side(measured):
    # From 31 mm above to 10 mm below the middle; the disc T5/6 lies 22 mm above it, T7 ends 22 mm below.
    extent = measured(mass_centre=(0.0, 4.0, -3.0), mass_axes=(8.0, 4.0, 18.0)).mass.extent
    assert (extent.from_level, extent.to_level) == ("T6", "T7")


def test_extent_without_numbering_keeps_its_length(measured):
    extent = measured(names=(None,) * 8).mass.extent
    assert (extent.from_level, extent.to_level) == (None, None)
    assert extent.length_mm == pytest.approx(54, abs=2)


@pytest.mark.parametrize(
    ("centre", "axes", "position"),
    [
        ((0.0, 5.0, 0.0), (6.0, 3.0, 25.0), "posterior"),
        ((0.0, -7.0, 0.0), (6.0, 2.0, 25.0), "anterior"),
        ((8.5, -1.0, 0.0), (2.5, 4.0, 25.0), "left"),
        ((-8.5, -1.0, 0.0), (2.5, 4.0, 25.0), "right"),
        # Behind and to one side: the larger share decides, alike on both sides of a mirrored patient.
        ((6.5, 2.0, 0.0), (3.0, 4.0, 25.0), "left"),
        ((-6.5, 2.0, 0.0), (3.0, 4.0, 25.0), "right"),
        ((3.0, 5.0, 0.0), (4.0, 3.0, 25.0), "posterior"),
        ((-3.0, 5.0, 0.0), (4.0, 3.0, 25.0), "posterior"),
    ],
)
def test_position(measured, centre, axes, position):
    assert measured(mass_centre=centre, mass_axes=axes).mass.position == position


def test_a_ring_is_circumferential(measured):
    record = measured(ring=True).mass
    assert record.position == "circumferential"
    # The ring fills the canal outside the sac over 56 mm.
    assert record.volume_ml == pytest.approx(math.pi * (11 * 8.5 - 8 * 5) * 56 / 1000, rel=0.01)


@pytest.mark.parametrize("view", [{}, {"shift_mm": 1.8}, {"slice_mm": 4.4}])
def test_size_in_the_section_plane(measured, view):
    record = measured(**view).mass
    assert record.max_ap_mm == pytest.approx(8.0, abs=0.5)
    # To the sides the slices are 3.6-4.4 mm thick.
    assert record.max_transverse_mm == pytest.approx(16.0, abs=1.0)


def test_specks_do_not_lengthen_the_mass(patient, measured):
    anatomy, mass = patient()
    array = mass.probability.array.copy()
    middle = np.round(mass.probability.grid.to_index(np.array([0.0, 4.0, 70.0]))).astype(int)
    array[middle[0], middle[1] - 3 : middle[1] + 3, middle[2] - 1 : middle[2] + 2] = 0.9
    speckled = type(mass)(**{**vars(mass), "probability": mass.probability.with_array(array)})
    record = measure_study({Role.SAGITTAL_T2: anatomy.tissues.sac}, Role.SAGITTAL_T2, anatomy, speckled).mass
    assert record.extent.from_level == "T5"
    assert record.volume_ml > measured().mass.volume_ml
