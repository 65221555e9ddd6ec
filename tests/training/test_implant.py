"""Implants: exact volume, displaced sac, the right side, nothing through bone."""

import numpy as np
import pytest

from spinemri.training.implant import Implant, add_implant, sides

SPACING = (3.3, 0.7, 0.7)
SHAPE = (11, 80, 160)


def _canal() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A bright straight sac with bone 5 mm behind it."""
    sac = np.zeros(SHAPE, dtype=bool)
    sac[3:8, 35:55] = True
    blocked = np.zeros(SHAPE, dtype=bool)
    blocked[:, 62:] = True
    image = np.where(sac, 3.0, 1.0).astype(np.float32)
    return image, sac, blocked


def _implant(**changes: object) -> Implant:
    values: dict[str, object] = {
        "kind": "mass",
        "axis": 1,
        "from_high": True,
        "centre_mm": 56.0,
        "half_length_mm": 30.0,
        "thickness_mm": 6.0,
        "epidural_mm": 3.0,
        "open_mm": None,
        "lobes": 0.5,
        "width": 0.9,
        "signal": 1.4,
        "texture": 0.05,
        "dura": False,
    }
    return Implant(**(values | changes))  # type: ignore[arg-type]


def _add(**changes: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    image, sac, blocked = _canal()
    return add_implant(image, sac, blocked, SPACING, _implant(**changes), np.random.default_rng(1))


def test_a_posterior_implant_lies_behind_what_remains_of_the_sac() -> None:
    image, remaining, coverage = _add()
    j = np.arange(SHAPE[1])[None, :, None]
    assert coverage.sum() > 0
    assert (coverage * j).sum() / coverage.sum() > (remaining * j).sum() / remaining.sum() + 5
    assert image[coverage > 0.99].mean() == pytest.approx(1.4, rel=0.1)


def test_an_anterior_implant_is_the_mirror_of_a_posterior_one() -> None:
    _, remaining, coverage = _add(from_high=False)
    j = np.arange(SHAPE[1])[None, :, None]
    assert (coverage * j).sum() / coverage.sum() < (remaining * j).sum() / remaining.sum() - 5


@pytest.mark.parametrize("from_high", [True, False])
def test_a_lateral_implant_lies_on_its_side(from_high: bool) -> None:
    _, remaining, coverage = _add(axis=0, from_high=from_high, thickness_mm=6.0)
    i = np.arange(SHAPE[0])[:, None, None]
    offset = (coverage * i).sum() / coverage.sum() - (remaining * i).sum() / remaining.sum()
    assert offset > 0.5 if from_high else offset < -0.5


def test_coverage_and_sac_share_each_voxel_and_bone_stays_free() -> None:
    _, sac, blocked = _canal()
    _, remaining, coverage = _add(epidural_mm=20.0)
    assert np.all(coverage[blocked] == 0)
    assert np.allclose((coverage + remaining)[sac], 1)
    assert coverage.min() >= 0
    assert coverage.max() <= 1


def test_csf_is_squeezed_not_erased() -> None:
    before, sac, _ = _canal()
    image, remaining, _ = _add()
    squeezed = image[(remaining > 0.99) & sac]
    assert squeezed.mean() == pytest.approx(before[sac].mean(), rel=0.05)


def test_a_foraminal_implant_grows_where_no_bone_is_and_stops_at_bone() -> None:
    """Open at heights below 56 mm: there it reaches 10 mm beyond the sac, above it not past bone 3.3 mm away."""
    image, sac, _ = _canal()
    blocked = np.zeros(SHAPE, dtype=bool)
    blocked[9:, :, 80:] = True
    implant = _implant(kind="foraminal", axis=0, epidural_mm=10.0, open_mm=10.0, half_length_mm=60.0, lobes=0.0)
    _, _, coverage = add_implant(image, sac, blocked, SPACING, implant, np.random.default_rng(1))
    low, high = coverage[:, 40:50, 30:60].max((1, 2)), coverage[:, 40:50, 100:130].max((1, 2))
    assert low[9:].min() > 0.5
    assert high[8] > 0.5
    assert high[9:].max() == 0


def test_a_mass_around_the_sac_leaves_it_in_the_middle_with_mass_on_every_side() -> None:
    rng = np.random.default_rng(4)
    image, sac, blocked = _canal()
    whole = np.zeros(SHAPE, dtype=np.float32)
    parts = sides(_implant(kind="circumferential", thickness_mm=3.0, width=1.3, lobes=0.0), rng)
    for part in parts:
        image, remaining, coverage = add_implant(image, sac, blocked, SPACING, part, rng)
        whole = whole * (1 - coverage) + coverage
        sac = remaining > 0.5
    assert len(parts) == 4
    plane, left = whole[:, :, 80], sac[:, :, 80]
    i, j = (np.rint(np.mean(axis)).astype(int) for axis in np.nonzero(left))
    assert all(side.sum() > 0.5 for side in (plane[:i, j], plane[i:, j], plane[i, :j], plane[i, j:]))
    assert (whole * sac).max() <= 0.75


def test_every_other_implant_has_one_side() -> None:
    implant = _implant()
    assert sides(implant, np.random.default_rng(0)) == (implant,)
