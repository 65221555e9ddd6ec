"""Pairs of visits to train on: the same mass at two sizes, acquired twice, measured as in a run."""

from pathlib import Path

import numpy as np
import pytest
from labelled_scan import labelled_scan

from spinemri.intake.model import Role
from spinemri.nomenclature import Tissue
from spinemri.training import pair_visits
from spinemri.training.pair_studies import load_pair
from spinemri.training.pair_visits import prepare_generated_pairs
from spinemri.volume import Volume


def _visits(monkeypatch: pytest.MonkeyPatch, growth: tuple[float, float], kind: str = "mass"):
    monkeypatch.setattr(pair_visits, "_draw_growth", lambda _: growth)
    monkeypatch.setattr(pair_visits, "_draw_slices", lambda _: (2.7, 3.6))
    scan = labelled_scan(40)
    rng = np.random.default_rng(4)
    return pair_visits._real_visits(scan, np.asarray(scan.image.array), kind, ("somebody", rng))


def _ml(mass: Volume) -> float:
    return float(mass.array.sum()) * mass.grid.voxel_volume_mm3 / 1000


@pytest.mark.parametrize("growth", [(1.0, 0.5), (0.6, 1.0)])
def test_the_mass_changes_as_drawn(monkeypatch: pytest.MonkeyPatch, growth: tuple[float, float]) -> None:
    visits = _visits(monkeypatch, growth)
    before, after = (_ml(mass) for _, mass in visits)
    assert min(before, after) > 0.3
    assert (after < before) is (growth[1] < growth[0])
    # What walls and sac limit changes by less than what is free to.
    assert 0.9 * min(growth) < min(before, after) / max(before, after) < 0.5 * (1 + min(growth))


def test_both_visits_are_whole_studies_of_one_patient_in_three_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    visits = _visits(monkeypatch, (1.0, 1.0))
    (first, _), (second, _) = visits
    assert first.study_date < second.study_date
    assert first.study_instance_uid != second.study_instance_uid
    for (study, mass), pitch in zip(visits, (2.7, 3.6), strict=True):
        assert [stack.role for stack in study.stacks] == [
            Role.SAGITTAL_T2,
            Role.SAGITTAL_T1,
            Role.SAGITTAL_T1_POST_FS,
        ]
        assert [stack.grid.spacing[0] for stack in study.stacks] == pytest.approx([pitch] * 3)
        assert mass.shape == study.stacks[0].grid.shape
        assert np.allclose(mass.affine, study.stacks[0].grid.affine)


def test_the_truth_lies_where_the_images_show_the_mass(monkeypatch: pytest.MonkeyPatch) -> None:
    for study, mass in _visits(monkeypatch, (1.0, 1.0)):
        t2 = study.stacks[0].reader()
        inside = mass.array > 0.95
        assert inside.sum() > 30
        sac = float(np.percentile(t2.array, 99))
        # The sac is three to four times as bright as any mass.
        assert float(np.median(t2.array[inside])) < 0.7 * sac


def test_what_is_no_mass_does_not_count_as_mass(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(_ml(mass) == 0.0 for _, mass in _visits(monkeypatch, (1.0, 0.5), kind="fat"))


def test_a_generated_pair_is_measured_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_generated_pairs(tmp_path, range(1))
    (path,) = tmp_path.iterdir()
    pair = load_pair(path)
    assert pair.slots.tolist() == [0, 2, 3]
    assert pair.coverage.shape == (2, len(Tissue), *pair.seen.shape)
    assert pair.signal.shape == (2, 3, *pair.seen.shape)
    said = pair.coverage[:, [Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE]].sum(1, dtype=np.float32)[:, pair.seen] / 255
    true = pair.mass[:, pair.seen].astype(np.float32) / 255
    overlap = 2 * np.minimum(said, true).sum(1) / (said.sum(1) + true.sum(1))
    assert (overlap > 0.6).all()
    kept = path.read_bytes()
    monkeypatch.setattr(pair_visits, "draw_pair", None)
    prepare_generated_pairs(tmp_path, range(1))
    assert path.read_bytes() == kept
