"""Level transfer on generated patients: seen twice, lying differently, bent, from another level on."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.transform import Rotation

from spinemri.anatomy.model import Anatomy, Centreline, Disc, Levels, TissueMap, Vertebra
from spinemri.errors import Severity
from spinemri.followup import rename_levels, transfer_levels
from spinemri.followup.registration import register_visits, rigid_fit
from spinemri.followup.straighten import vertebra_frames
from spinemri.nomenclature import REGULAR_COLUMN, Tissue, disc_id, disc_name, vertebra_id
from spinemri.volume import Grid, Volume

NAMES = REGULAR_COLUMN[REGULAR_COLUMN.index("T1") : REGULAR_COLUMN.index("L2") + 1]
PITCH_MM = 18.0 + 0.6 * np.arange(len(NAMES))
HEIGHT_MM = np.concatenate([[0.0], -np.cumsum((PITCH_MM[1:] + PITCH_MM[:-1]) / 2)]) + 140.0
BODY_TO_CANAL_MM = 24.0


@dataclass(frozen=True)
class Visit:
    """How a patient lies: a turn and a shift of everything, and bows of the spine to the left and to the back."""

    rotation_degrees: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    bend_mm: tuple[float, float] = (0.0, 0.0)

    def _bow(self, z):
        shape = 0.5 - (z / 120.0) ** 2
        return np.stack([self.bend_mm[0] * shape, self.bend_mm[1] * shape - 20.0 * (z / 120.0) ** 2, 0 * z], -1)

    def to_scanner(self, rest):
        rotation = Rotation.from_euler("xyz", self.rotation_degrees, degrees=True)
        moved = rest + self._bow(rest[..., 2])
        return rotation.apply(moved.reshape(-1, 3)).reshape(rest.shape) + self.shift_mm

    def to_rest(self, lps):
        rotation = Rotation.from_euler("xyz", self.rotation_degrees, degrees=True)
        moved = rotation.inv().apply((lps - self.shift_mm).reshape(-1, 3)).reshape(lps.shape)
        return moved - self._bow(moved[..., 2])


def signal(seed, rest):
    """Bodies, discs and a canal that all patients share, and a texture that belongs to one."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal((40, 80, 160)), 1.5, mode="wrap")
    x, y, z = np.moveaxis(rest, -1, 0)
    index = np.stack([(x + 60) / 3.0, (y + 120) / 3.0, (z + 240) / 3.0])
    texture = map_coordinates(field / field.std(), index, order=1, mode="grid-wrap")
    level = np.interp(-z, -HEIGHT_MM, np.arange(len(NAMES)))
    in_disc = np.abs(level - np.round(level)) > 0.38
    body = np.hypot(x / 17.0, (y + BODY_TO_CANAL_MM) / 14.0) < 1
    canal = np.hypot(x / 9.0, y / 8.0) < 1
    base = np.where(canal, 3.0, np.where(body, np.where(in_disc, 0.6, 1.5), 1.0))
    return base * (1 + 0.25 * texture) * (np.abs(y - 5) < 65)


def acquire(seed, visit, *, first=0, last=14, pitch_mm=4.0, oblique_degrees=3.0, named=True, noise=0.08):
    """One visit: image on an oblique 4 x 2 x 2 mm grid around some levels, and its anatomy."""
    rng = np.random.default_rng([seed, first, last])
    heights = HEIGHT_MM[first:last]
    centre = visit.to_scanner(np.array([0.0, -10.0, heights.mean()])) + rng.uniform(-3, 3, 3)
    shape = (13, 66, int((np.ptp(heights) + 30) / 2))
    turn = Rotation.from_euler("zy", [oblique_degrees, 2.0], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn * (pitch_mm, 2.0, 2.0)
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    grid = Grid(shape, affine)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).astype(float)
    coil = np.exp(index[..., 2] / shape[2] * rng.uniform(-0.5, 0.5))
    array = signal(seed, visit.to_rest(grid.to_lps(index))) * coil + noise * rng.standard_normal(shape)
    image = Volume((rng.uniform(0.5, 2) * array).astype(np.float32), affine)
    return anatomy_of(visit, image, first, last, rng, named=named), image


def anatomy_of(visit, image, first, last, rng, *, named):
    z = np.arange(HEIGHT_MM[first] + 8.0, HEIGHT_MM[last - 1] - 8.0, -1.0)
    points = visit.to_scanner(np.stack([0 * z, 0 * z, z], -1))
    tangent = np.gradient(points, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    posterior = np.cross([1.0, 0.0, 0.0], tangent)
    posterior /= np.linalg.norm(posterior, axis=1, keepdims=True)
    line = Centreline(points, tangent, posterior, np.cross(tangent, posterior))
    centres = np.stack([np.zeros(last - first), np.full(last - first, -BODY_TO_CANAL_MM), HEIGHT_MM[first:last]], -1)
    bodies = visit.to_scanner(centres) + rng.normal(0, 0.8, centres.shape)
    between = visit.to_scanner((centres[1:] + centres[:-1]) / 2)
    names = NAMES[first:last] if named else (None,) * (last - first)
    vertebrae = tuple(Vertebra(n, tuple(c), complete=True, confidence=0.9) for n, c in zip(names, bodies, strict=True))
    discs = tuple(
        Disc(disc_name(*pair) if named else None, tuple(c)) for pair, c in zip(pairwise(names), between, strict=True)
    )
    levels = Levels(vertebrae, discs, "absolute" if named else "unknown", "sacrum" if named else "none", 0.9)
    tissues = TissueMap(np.zeros((len(Tissue), 1, 1, 1), np.float32), image.affine)
    return Anatomy(tissues, line, levels, Volume(np.zeros((1, 1, 1), np.uint8), image.affine))


def misnamed(anatomy, by, numbering):
    vertebrae = tuple(
        replace(v, name=REGULAR_COLUMN[REGULAR_COLUMN.index(v.name) + by]) for v in anatomy.levels.vertebrae
    )
    return replace(anatomy, levels=replace(anatomy.levels, vertebrae=vertebrae, numbering=numbering))


def names(levels):
    return tuple(v.name for v in levels.vertebrae)


def codes(flags):
    return [flag.code for flag in flags]


@pytest.fixture(scope="module")
def baseline():
    return acquire(1, Visit())


TURNED = Visit((-10.0, 8.0, 10.0), (15.0, -15.0, 10.0), (6.0, -5.0))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("first", "last"), [(0, 12), (2, 14), (4, 11)])
def test_names_are_transferred_over_repositioning_bending_and_another_coverage(seed, first, last):
    rng = np.random.default_rng([seed, first])
    visit = Visit(tuple(rng.uniform(-10, 10, 3)), tuple(rng.uniform(-15, 15, 3)), tuple(rng.uniform(-6, 6, 2)))
    followup, image = acquire(seed, visit, first=first, last=last, pitch_mm=3.3, oblique_degrees=-4.0, named=False)
    levels, flags = transfer_levels(*acquire(seed, Visit(), last=12), followup, image)
    assert names(levels) == NAMES[first:last]
    assert [d.name for d in levels.discs] == [disc_name(*pair) for pair in pairwise(NAMES[first:last])]
    assert (levels.numbering, levels.anchor) == ("absolute", "baseline")
    assert codes(flags) == ["LEVELS_FROM_BASELINE"]


def test_another_patient_is_flagged_as_an_error_and_keeps_its_names(baseline):
    for seed in (2, 3):
        followup, image = acquire(seed, TURNED, first=1)
        levels, flags = transfer_levels(*baseline, followup, image)
        assert codes(flags) == ["VISITS_DO_NOT_MATCH"]
        assert flags[0].severity is Severity.ERROR
        assert levels is followup.levels


def test_an_anchored_count_that_disagrees_is_overruled_with_both_readings_named(baseline):
    followup, image = acquire(1, TURNED, first=2)
    levels, flags = transfer_levels(*baseline, misnamed(followup, 1, "absolute"), image)
    assert names(levels) == NAMES[2:]
    assert codes(flags) == ["LEVELS_DISAGREE"]
    middle = NAMES[2:][len(NAMES[2:]) // 2]
    wrong = REGULAR_COLUMN[REGULAR_COLUMN.index(middle) + 1]
    assert f"calls {middle} is {wrong}" in flags[0].message


def test_an_anchored_count_that_agrees_needs_no_flag(baseline):
    followup, image = acquire(1, TURNED, first=2)
    levels, flags = transfer_levels(*baseline, followup, image)
    assert (names(levels), flags) == (NAMES[2:], ())


def test_relative_numbering_is_inherited_as_relative(baseline):
    anatomy = misnamed(baseline[0], 1, "relative")
    followup, image = acquire(1, TURNED, first=2, named=False)
    levels, _ = transfer_levels(anatomy, baseline[1], followup, image)
    assert levels.numbering == "relative"
    assert levels.vertebrae[0].name == "T4"


def test_another_contrast_is_a_failed_transfer_not_another_patient(baseline):
    followup, image = acquire(1, TURNED)
    inverted = image.with_array(image.array.max() - image.array)
    levels, flags = transfer_levels(*baseline, followup, inverted)
    assert codes(flags) == ["LEVEL_TRANSFER_FAILED"]
    assert levels is followup.levels


def test_unlike_images_of_different_sequences_are_no_sign_of_another_patient(baseline):
    followup, image = acquire(2, TURNED, first=1)
    _, flags = transfer_levels(*baseline, followup, image, same_sequence=False)
    assert codes(flags) == ["LEVEL_TRANSFER_FAILED"]


@pytest.mark.parametrize("missing", ["names", "canal", "vertebrae"])
def test_without_names_canal_or_vertebrae_the_transfer_fails_openly(baseline, missing):
    first, image = acquire(1, TURNED)
    anatomy = baseline[0]
    if missing == "names":
        vertebrae = tuple(replace(v, name=None) for v in anatomy.levels.vertebrae)
        anatomy = replace(anatomy, levels=replace(anatomy.levels, vertebrae=vertebrae))
    elif missing == "canal":
        anatomy = replace(anatomy, centreline=None)
    else:
        anatomy = replace(anatomy, levels=replace(anatomy.levels, vertebrae=anatomy.levels.vertebrae[:3]))
    levels, flags = transfer_levels(anatomy, baseline[1], first, image)
    assert codes(flags) == ["LEVEL_TRANSFER_FAILED"]
    assert levels is first.levels


def test_a_vertebra_missed_at_one_visit_is_no_reason_to_shift_names(baseline):
    followup, image = acquire(1, TURNED)
    vertebrae = followup.levels.vertebrae
    gap = replace(followup, levels=replace(followup.levels, vertebrae=vertebrae[:7] + vertebrae[8:]))
    levels, flags = transfer_levels(*baseline, gap, image)
    assert codes(flags) == ["LEVEL_TRANSFER_FAILED"]
    assert levels is gap.levels


def test_anchored_visits_of_other_regions_are_no_other_patient():
    cranial, caudal = acquire(1, Visit(), last=7), acquire(1, TURNED, first=7)
    levels, flags = transfer_levels(*cranial, *caudal)
    assert codes(flags) == ["LEVEL_TRANSFER_FAILED"]
    assert names(levels) == NAMES[7:]


def test_registration_is_deterministic_and_finds_the_movement(baseline):
    visit = replace(TURNED, bend_mm=(0.0, 0.0))
    followup = acquire(1, visit)
    first, second = (register_visits(*baseline, *followup) for _ in range(2))
    assert first.best == second.best
    assert (first.to_baseline == second.to_baseline).all()
    points = np.array([[0.0, -20.0, 100.0], [10.0, 0.0, -60.0], [-10.0, 10.0, 20.0]])
    moved = visit.to_scanner(points) @ first.to_baseline[:3, :3].T + first.to_baseline[:3, 3]
    # Body centres carry 0.8 mm of noise each and canal points lie on a 1 mm lattice; 14 vertebrae average it.
    assert np.linalg.norm(moved - Visit().to_scanner(points), axis=1).max() < 1.5
    assert first.residual_mm < 2.5


def test_rigid_fit_recovers_a_movement_without_reflection():
    rng = np.random.default_rng(3)
    points = rng.normal(size=(12, 3)) * (5.0, 10.0, 100.0)
    rotation = Rotation.from_euler("xyz", (10, -7, 4), degrees=True)
    transform, residual = rigid_fit(points, rotation.apply(points) + np.array([15.0, -3.0, 8.0]))
    assert np.allclose(transform[:3, :3], rotation.as_matrix(), atol=1e-9)
    assert np.allclose(transform[:3, 3], (15.0, -3.0, 8.0), atol=1e-9)
    assert residual < 1e-9


def test_frames_turn_with_the_patient_not_with_the_scanner():
    turned, _ = acquire(1, Visit((0.0, 0.0, 10.0)))
    posterior = vertebra_frames(turned).posterior[len(NAMES) // 2]
    degrees = np.degrees(np.arctan2(-posterior[0], posterior[1]))
    # A body centre off by 0.8 mm at 24 mm is 2 degrees; smoothing over neighbours halves it at least.
    assert degrees == pytest.approx(10.0, abs=2.0)


def labelled(named):
    """Three bodies and two discs stacked in an oblique grid of 3 x 1 x 2 mm."""
    labels = np.zeros((3, 4, 20), np.uint8)
    level_map = np.zeros_like(labels)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("x", 8, degrees=True).as_matrix() * (3.0, 1.0, 2.0)
    grid = Grid(labels.shape, affine)
    vertebrae, discs = [], []
    for k, name in enumerate(("T8", "T7", "T6")):
        labels[:, :, 7 * k : 7 * k + 5] = Tissue.BODY
        level_map[:, :, 7 * k : 7 * k + 5] = vertebra_id(name) if named else 0
        centre = tuple(grid.to_lps(np.array([1.0, 1.5, 7 * k + 2.0])))
        vertebrae.insert(0, Vertebra(name if named else None, centre, complete=True, confidence=0.8))
    for k, (above, below) in enumerate((("T7", "T8"), ("T6", "T7"))):
        labels[:, :, 7 * k + 5 : 7 * k + 7] = Tissue.DISC
        level_map[:, :, 7 * k + 5 : 7 * k + 7] = disc_id(above) if named else 0
        centre = tuple(grid.to_lps(np.array([1.0, 1.5, 7 * k + 5.5])))
        discs.insert(0, Disc(disc_name(above, below) if named else None, centre))
    levels = Levels(tuple(vertebrae), tuple(discs), "absolute" if named else "unknown", "sacrum", 0.8)
    tissues = TissueMap.from_labels(Volume(labels, affine))
    return Anatomy(tissues, None, levels, Volume(level_map, affine))


def under_names(levels, column):
    vertebrae = tuple(replace(v, name=n) for v, n in zip(levels.vertebrae, column, strict=True))
    pairs = pairwise(column)
    discs = tuple(
        replace(d, name=disc_name(*pair) if all(pair) else None) for d, pair in zip(levels.discs, pairs, strict=True)
    )
    return replace(levels, vertebrae=vertebrae, discs=discs)


@pytest.mark.parametrize("named", [True, False])
def test_renaming_changes_ids_of_the_same_voxels(named):
    anatomy = labelled(named)
    renamed = rename_levels(anatomy, under_names(anatomy.levels, ("T12", "L1", "L2")))
    profile = renamed.level_map.array[1, 1]
    expected = [vertebra_id("L2")] * 5 + [disc_id("L1")] * 2 + [vertebra_id("L1")] * 5
    expected += [disc_id("T12")] * 2 + [vertebra_id("T12")] * 5 + [0]
    assert profile.tolist()[:20] == (expected if named else [*expected[:19], profile[19]])
    assert names(renamed.levels) == ("T12", "L1", "L2")
    assert (anatomy.level_map.array == labelled(named).level_map.array).all()


def test_a_vertebra_that_loses_its_name_loses_its_id():
    anatomy = labelled(named=True)
    renamed = rename_levels(anatomy, under_names(anatomy.levels, (None, "C1", "C2")))
    assert set(np.unique(renamed.level_map.array)) == {0, vertebra_id("C1"), vertebra_id("C2"), disc_id("C1")}


def test_levels_of_another_study_cannot_be_put_on():
    anatomy = labelled(named=True)
    with pytest.raises(ValueError, match="2 vertebrae"):
        rename_levels(anatomy, replace(anatomy.levels, vertebrae=anatomy.levels.vertebrae[:2]))
