"""Studies for the second network: the same mass in every sequence, its coverage known, nothing else called mass."""

from pathlib import Path

import numpy as np
import pytest
from labelled_scan import labelled_scan

from spinemri.anatomy.model import TissueMap
from spinemri.nomenclature import Tissue
from spinemri.training import canal_studies
from spinemri.training.canal_studies import CanalStudy, load_study, save_study, study_weights
from spinemri.volume import Volume


@pytest.fixture
def _network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first network that sees the sac and no mass."""

    def segment(volume: Volume, *_: object, **__: object) -> TissueMap:
        coverage = np.zeros((len(Tissue), *volume.shape), np.float32)
        coverage[Tissue.DURAL_SAC, :, 22:38] = 1.0
        coverage[Tissue.BACKGROUND] = 1 - coverage[Tissue.DURAL_SAC]
        return TissueMap(coverage, volume.affine, "nifti")

    monkeypatch.setattr(canal_studies, "segment", segment)


def _made(kind: str, seed: int = 2) -> CanalStudy:
    scan = labelled_scan(24)
    return canal_studies._real_study(scan, np.asarray(scan.image.array), kind, np.random.default_rng(seed))


@pytest.mark.usefixtures("_network")
def test_a_mass_looks_its_own_way_in_every_sequence_and_is_one_mass() -> None:
    study = _made("mass")
    assert study.slots.tolist() == [0, 2, 3]
    assert study.fat_suppressed.tolist() == [False, False, True]
    assert study.images.shape == (3, *study.mass.shape)
    assert study.readings.shape == (3, len(Tissue), *study.mass.shape)
    assert 2.5 < study.pitch_mm < 4.7
    inside = study.mass > 200
    assert inside.sum() > 50
    signals = [float(np.median(image[inside])) for image in study.images.astype(np.float32)]
    around = [float(np.std(image[inside]) / np.mean(image[inside])) for image in study.images.astype(np.float32)]
    assert len({round(signal, 2) for signal in signals}) == 3
    assert max(around) < 0.35, "one tissue in every sequence"


@pytest.mark.usefixtures("_network")
@pytest.mark.parametrize("kind", ["none", "fat+disc", "disc+flavum"])
def test_what_is_no_mass_is_not_called_one(kind: str) -> None:
    assert not _made(kind).mass.any()


@pytest.mark.usefixtures("_network")
def test_every_slice_of_a_thin_scan_is_used() -> None:
    assert _made("mass+fat", seed=5).mass.shape[0] >= 4


def test_a_generated_study_holds_what_the_network_says_of_every_sequence(tmp_path: Path) -> None:
    canal_studies.prepare_canal_phantoms(tmp_path, range(5, 6))
    (path,) = tmp_path.glob("phantom-*.npz")
    study = load_study(path)
    assert study.slots[:3].tolist() == [0, 2, 3]
    assert np.abs(study.readings.sum(1, dtype=np.int64) - 255).max() <= 5
    volume_ml = float(study.mass.sum()) / 255 * study.pitch_mm * 0.8**2 / 1000
    assert 0.2 < volume_ml < 40
    save_study(study, tmp_path / "again.npz")
    again = load_study(tmp_path / "again.npz")
    assert np.array_equal(again.readings, study.readings)
    assert np.array_equal(again.mass, study.mass)


def test_every_family_has_its_share() -> None:
    names = ["phantom-00001", "phantom-00002", "real-022-1", "real-errsm20-4"]
    weights = study_weights(names)
    assert sum(weights) == pytest.approx(1.0)
    assert weights[0] == weights[1]
