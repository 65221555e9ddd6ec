"""The mass from coverages: volumes by partial volume, what counts, what does not."""

from functools import partial

import numpy as np
import pytest
from shapes import ellipsoid, oblique_affine

from spinemri.anatomy.model import Centreline, TissueMap
from spinemri.config import MassSettings
from spinemri.mass.existence import existence_probability
from spinemri.mass.find import find_mass, shown_mass
from spinemri.mass.uncertainty import sampling_log_sd, surface_area_mm2
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume

SHAPE = (15, 100, 160)
SPACING = (3.6, 0.65, 0.65)
AFFINE = oblique_affine(SPACING, 7)
_ellipsoid = partial(ellipsoid, SHAPE, SPACING)


def _centreline(affine: np.ndarray) -> Centreline:
    index = np.column_stack([np.full(100, 7.0), np.full(100, 50.0), np.linspace(155, 5, 100)])
    points = index @ affine[:3, :3].T + affine[:3, 3]
    frame = np.tile(np.eye(3)[None], (100, 1, 1))
    return Centreline(points, -frame[:, 2], frame[:, 1], frame[:, 0])


def _tissues(**parts: np.ndarray) -> TissueMap:
    coverage = np.zeros((len(Tissue), *SHAPE), dtype=np.float32)
    for name, part in parts.items():
        coverage[Tissue[name]] = part
    coverage[0] = 1 - coverage[1:].sum(0)
    return TissueMap(coverage, AFFINE, "frame")


def test_volume_comes_from_partial_volume_not_from_whole_voxels() -> None:
    radii = (7.0, 5.0, 30.0)
    mass = find_mass(_tissues(MASS_CANAL=_ellipsoid((7, 58, 80), radii)), _centreline(AFFINE), MassSettings())
    volume_mm3 = mass.probability.array.sum() * mass.probability.grid.voxel_volume_mm3
    truth_mm3 = 4 / 3 * np.pi * np.prod(radii)
    assert mass.status == "measured"
    # Coverage is exact up to the supersampling of the phantom: a few thousandths.
    assert volume_mm3 == pytest.approx(truth_mm3, rel=0.01)
    assert mass.components[0].compartment == "epidural"
    assert mass.components[0].volume_ml == pytest.approx(truth_mm3 / 1000, rel=0.01)
    assert not mass.truncated
    assert set(np.unique(mass.mask.array)) == {0, 8}


def test_small_faint_and_distant_parts_do_not_count() -> None:
    centreline, settings = _centreline(AFFINE), MassSettings()
    small = find_mass(_tissues(MASS_CANAL=_ellipsoid((7, 55, 80), (4, 2.5, 4))), centreline, settings)
    faint = find_mass(_tissues(MASS_CANAL=0.45 * _ellipsoid((7, 55, 80), (7, 5, 30))), centreline, settings)
    distant = find_mass(_tissues(MASS_CANAL=_ellipsoid((7, 4, 20), (7, 4, 12))), centreline, settings)
    assert [mass.status for mass in (small, faint, distant)] == ["not_found"] * 3
    assert all(mass.probability.array.sum() == 0 for mass in (small, faint, distant))


def test_a_part_without_a_core_is_no_mass_even_if_anything_is_accepted() -> None:
    whatever = MassSettings(existence_threshold=0.0, minimum_volume_ml=0.0)
    faint = 0.45 * _ellipsoid((7, 55, 20), (7, 5, 10))
    assert find_mass(_tissues(MASS_CANAL=faint), _centreline(AFFINE), whatever).status == "not_found"
    both = _tissues(MASS_CANAL=faint + _ellipsoid((7, 55, 110), (6, 5, 20)))
    mass = find_mass(both, _centreline(AFFINE), whatever)
    assert mass.status == "measured"
    assert not mass.mask.array[:, :, :40].any()


def test_what_a_mask_shows_counts_whatever_its_size_and_place() -> None:
    one_voxel = np.zeros(SHAPE)
    one_voxel[7, 55, 30] = 1.0
    distant = _ellipsoid((7, 4, 80), (7, 4, 12))
    tissues = _tissues(MASS_CANAL=one_voxel, MASS_OUTSIDE=distant)
    centreline = _centreline(AFFINE)
    assert find_mass(tissues, centreline, MassSettings(minimum_volume_ml=0.0)).status == "not_found"
    mass = shown_mass(tissues, centreline, one_voxel + distant > 0)
    assert mass.status == "measured"
    np.testing.assert_array_equal(mass.mask.array, np.select([one_voxel > 0, distant >= 0.5], [8, 9]))
    assert mass.probability.array.sum() == pytest.approx((one_voxel + distant).sum(), rel=1e-5)


def test_what_a_mask_does_not_show_does_not_count() -> None:
    shown, hidden = _ellipsoid((7, 55, 40), (7, 5, 10)), _ellipsoid((7, 55, 110), (7, 5, 10))
    tissues, centreline = _tissues(MASS_CANAL=shown + hidden), _centreline(AFFINE)
    mass = shown_mass(tissues, centreline, shown >= 0.5)
    np.testing.assert_array_equal(mass.mask.array > 0, shown >= 0.5)
    # A mask over what holds no mass shows none.
    assert shown_mass(_tissues(MASS_CANAL=0.4 * shown), centreline, shown > 0).status == "not_found"
    assert shown_mass(tissues, None, shown > 0).flags[0].code == "NO_CANAL"


def test_mass_outside_the_canal_is_foraminal_near_it_and_paravertebral_beyond() -> None:
    inside = _ellipsoid((7, 55, 80), (6, 5, 20))
    beside = _ellipsoid((11, 55, 80), (7, 5, 12)) * (inside == 0)
    mass = find_mass(_tissues(MASS_CANAL=inside, MASS_OUTSIDE=beside), _centreline(AFFINE), MassSettings())
    assert {part.compartment for part in mass.components} == {"epidural", "foraminal"}
    assert set(np.unique(mass.mask.array)) == {0, 8, 9}


def test_a_mass_at_the_edge_is_truncated_and_flagged() -> None:
    mass = find_mass(_tissues(MASS_CANAL=_ellipsoid((7, 55, 158), (6, 5, 20))), _centreline(AFFINE), MassSettings())
    assert mass.truncated
    assert [flag.code for flag in mass.flags] == ["MASS_TOUCHES_EDGE"]


def test_without_a_canal_nothing_can_be_said() -> None:
    mass = find_mass(_tissues(MASS_CANAL=_ellipsoid((7, 55, 80), (7, 5, 30))), None, MassSettings())
    assert mass.status == "not_assessable"
    assert mass.flags[0].code == "NO_CANAL"


def test_surface_of_a_sphere() -> None:
    radius = 18.0
    volume = Volume(_ellipsoid((7, 50, 80), (radius, radius, radius)), AFFINE)
    # Central differences over thick slices blur the gradient but keep its integral to a few per cent.
    assert surface_area_mm2(volume) == pytest.approx(4 * np.pi * radius**2, rel=0.08)


def test_sampling_uncertainty_grows_with_slice_pitch() -> None:
    values = [sampling_log_sd(pitch) for pitch in (1.0, 3.3, 4.4, 6.0)]
    assert values == sorted(values)
    assert values[1] == pytest.approx(0.071 / 1.96 / np.sqrt(2), rel=1e-6)


def test_existence_grows_with_coverage_and_is_known_without_a_mass_too() -> None:
    centreline, settings = _centreline(AFFINE), MassSettings()
    shape = _ellipsoid((7, 55, 80), (7, 5, 30))
    sure, faint, nothing = (
        find_mass(_tissues(MASS_CANAL=share * shape), centreline, settings) for share in (1.0, 0.52, 0.0)
    )
    assert (sure.status, faint.status, nothing.status) == ("measured", "not_found", "not_found")
    assert sure.existence > 0.9
    assert 0.1 > faint.existence > nothing.existence == 0.0


def test_a_speck_is_not_reported_but_speaks_of_existence_and_hesitation_hardly() -> None:
    centreline, settings = _centreline(AFFINE), MassSettings()
    speck, hesitation = _ellipsoid((7, 55, 40), (4, 2.5, 4)), 0.45 * _ellipsoid((7, 55, 80), (7, 5, 30))
    alone, coreless = (find_mass(_tissues(MASS_CANAL=part), centreline, settings) for part in (speck, hesitation))
    assert alone.status == coreless.status == "not_found"
    assert alone.existence > 0.5
    assert coreless.existence < 0.05


def test_a_large_hesitation_is_no_likelier_than_a_small_one() -> None:
    assert existence_probability(0.5) < 0.1
    assert existence_probability(0.5) < existence_probability(0.6) < existence_probability(0.7)
    small, large = (
        find_mass(_tissues(MASS_CANAL=0.52 * _ellipsoid((7, 55, 80), radii)), _centreline(AFFINE), MassSettings())
        for radii in ((7, 5, 10), (7, 5, 30))
    )
    assert large.existence == pytest.approx(small.existence, abs=0.01)


def test_a_mass_less_likely_than_the_threshold_is_not_reported() -> None:
    tissues = _tissues(MASS_CANAL=0.9 * _ellipsoid((7, 55, 80), (5, 4, 14)))
    likely = find_mass(tissues, _centreline(AFFINE), MassSettings()).existence
    assert 0.5 < likely < 1.0
    strict = find_mass(tissues, _centreline(AFFINE), MassSettings(existence_threshold=min(1.0, likely + 0.01)))
    assert strict.status == "not_found"
    assert strict.existence == likely
