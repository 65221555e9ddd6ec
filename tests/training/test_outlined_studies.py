"""Outlined studies: every choice of sequences a study of its own, outlined as a run outlines."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from spinemri.mass.canal_input import PRIOR, SLOTS  # noqa: E402
from spinemri.nomenclature import Tissue  # noqa: E402
from spinemri.training import canal_samples, outlined_studies  # noqa: E402
from spinemri.training.canal_samples import draw_canal_sample  # noqa: E402
from spinemri.training.canal_studies import CanalStudy, load_study, save_study  # noqa: E402
from spinemri.training.outlined_studies import outlined_study, outlined_weights, prepare_outlined  # noqa: E402

SHAPE = (7, 70, 130)
SIGNALS = {Tissue.BACKGROUND: (0.3, 0.4, 0.2), Tissue.DURAL_SAC: (3.0, 0.4, 0.3), Tissue.MASS_CANAL: (0.9, 0.9, 1.8)}
SLOTS_OF_STUDY = [0, 2, 3]


def _study() -> CanalStudy:
    """A mass behind the sac in three sequences; the first network puts its front 2.4 mm too far back."""
    truth = np.zeros(SHAPE, dtype=bool)
    truth[2:5, 35:45, 30:100] = True
    canal = np.zeros(SHAPE, dtype=bool)
    canal[1:6, 25:45] = True
    said = truth.copy()
    said[:, :38] = False
    readings = np.zeros((3, len(Tissue), *SHAPE), dtype=np.uint8)
    readings[:, Tissue.MASS_CANAL, said] = 230
    readings[:, Tissue.DURAL_SAC, canal] = 255
    readings[:, Tissue.DURAL_SAC] -= readings[:, Tissue.MASS_CANAL]
    readings[:, Tissue.BACKGROUND] = 255 - readings[:, 1:].sum(1)
    looks = np.where(truth, Tissue.MASS_CANAL, np.where(canal, Tissue.DURAL_SAC, Tissue.BACKGROUND))
    noise = np.random.default_rng(0).normal(0, 0.05, (3, *SHAPE))
    images = np.stack([np.vectorize(lambda t, s=s: SIGNALS[t][s])(looks) for s in range(3)]) + noise
    suppressed = np.array([False, False, True])
    return CanalStudy(
        np.maximum(images, 0).astype(np.float16),
        np.array(SLOTS_OF_STUDY),
        suppressed,
        readings,
        truth.astype(np.uint8) * 255,
        3.6,
        first_trained_on=False,
    )


@pytest.fixture(autouse=True)
def _never_wrong_on_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canal_samples, "_MISTAKES", {True: (1.0, 0.0, 0.0), False: (1.0, 0.0, 0.0)})


def _error(said: np.ndarray, study: CanalStudy) -> float:
    return float(np.abs(said.astype(float) - study.mass).sum()) / float(study.mass.sum())


def test_the_reading_is_what_the_signals_made_of_the_first_one() -> None:
    study = _study()
    outlined = outlined_study(study, [0, 1, 2], np.random.default_rng(0))
    mass = outlined.readings[0, [Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE]].sum(0)
    assert outlined.outlined
    assert outlined.readings.shape == (1, len(Tissue), *SHAPE)
    assert np.abs(outlined.readings.sum(1, dtype=np.int64) - 255).max() <= len(Tissue)
    assert _error(mass, study) < 0.7 * _error(study.readings[0, Tissue.MASS_CANAL], study)


def test_of_some_sequences_only_these_are_kept() -> None:
    outlined = outlined_study(_study(), [0, 2], np.random.default_rng(0))
    assert outlined.slots.tolist() == [0, 3]
    assert outlined.fat_suppressed.tolist() == [False, True]
    assert outlined.images.shape == (2, *SHAPE)


def test_a_sample_shows_every_sequence_and_the_outlines_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    outlined = outlined_study(_study(), [0, 1], np.random.default_rng(0))
    wrong = dict.fromkeys((True, False), (0.0, 0.0, 1.0))
    for seed in range(6):
        shown, target, _ = draw_canal_sample(outlined, np.random.default_rng(seed))
        assert shown[-len(SLOTS) - 1 : -1, 0, 0].tolist() == [1.0, 0.0, 1.0, 0.0]
        with monkeypatch.context() as patch:
            patch.setattr(canal_samples, "_MISTAKES", wrong)
            assert torch.equal(draw_canal_sample(outlined, np.random.default_rng(seed))[0][PRIOR], shown[PRIOR])
        assert 0.0 <= float(target.min()) <= float(target.max()) <= 1.0


def test_choices_are_written_once_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studies, cache = tmp_path / "studies", tmp_path / "cache"
    studies.mkdir()
    cache.mkdir()
    monkeypatch.setattr(outlined_studies, "CHOICES", {"all": (1.0, 0.6), "03": (1.0, 0.4), "01": (1.0, 0.2)})
    save_study(_study(), studies / "real-s-012-3.npz")
    prepare_outlined(studies, cache)
    names = sorted(path.stem for path in cache.glob("*.npz"))
    assert names == ["real-s-012-3-s03", "real-s-012-3-sall"], "there is no fat-suppressed T2 in the study"
    assert load_study(cache / f"{names[0]}.npz").outlined
    before = {path: path.read_bytes() for path in cache.iterdir()}
    monkeypatch.setattr(outlined_studies, "outlined_study", None)
    prepare_outlined(studies, cache)
    assert {path: path.read_bytes() for path in cache.iterdir()} == before


def test_a_choice_is_drawn_by_its_share() -> None:
    one, other, plain = outlined_weights(["phantom-00001-sall", "phantom-00001-s02", "real-012-3"])
    assert one / other == pytest.approx(0.45 / 0.25)
    assert plain == pytest.approx(0.33)
