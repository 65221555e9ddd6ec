"""The second network's training: studies, samples, a network that begins with what it is given, export."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
pytest.importorskip("onnx", reason="export needs the extra 'train'")

import onnxruntime  # noqa: E402

from spinemri.mass.canal_input import CHANNELS_IN, PRIOR, SLOTS  # noqa: E402
from spinemri.nomenclature import Tissue  # noqa: E402
from spinemri.training import canal_samples  # noqa: E402
from spinemri.training.canal_network import CanalUNet  # noqa: E402
from spinemri.training.canal_samples import PATCH, Sample, collate, draw_canal_sample  # noqa: E402
from spinemri.training.canal_studies import CanalStudy  # noqa: E402
from spinemri.training.canal_train import train_canal  # noqa: E402
from spinemri.training.export import export_canal  # noqa: E402
from spinemri.training.train import Plan  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
SHAPE = (7, 70, 130)


def _study() -> CanalStudy:
    """Three sequences of a canal along the middle, half of it mass; the first network halves the mass."""
    readings = np.zeros((3, len(Tissue), *SHAPE), dtype=np.uint8)
    readings[:, Tissue.DURAL_SAC, 1:6, 25:45] = 255
    readings[:, Tissue.BACKGROUND] = 255 - readings[:, Tissue.DURAL_SAC]
    mass = np.zeros(SHAPE, dtype=np.uint8)
    mass[2:5, 35:45, 30:100] = 255
    readings[:, Tissue.MASS_CANAL] = mass // 2
    readings[:, Tissue.DURAL_SAC] -= mass // 2
    images = np.where(mass > 0, 2.0, 0.5)[None].repeat(3, 0).astype(np.float16)
    slots, suppressed = np.array([0, 2, 3]), np.array([False, False, True])
    return CanalStudy(images, slots, suppressed, readings, mass, 3.6, first_trained_on=True)


def test_samples_are_reproducible_and_within_bounds() -> None:
    for seed in range(12):
        shown, target, weight = draw_canal_sample(_study(), np.random.default_rng(seed))
        again = draw_canal_sample(_study(), np.random.default_rng(seed))
        assert torch.equal(shown, again[0])
        assert torch.equal(target, again[1])
        assert shown.shape == (CHANNELS_IN, *PATCH)
        assert target.shape == weight.shape == (1, *PATCH)
        assert 0.0 <= float(target.min()) <= float(target.max()) <= 1.0
        present = shown[-len(SLOTS) - 1 : -1, 0, 0]
        assert float(present[1]) == 0.0, "there is no fat-suppressed T2 in the study"
        assert bool((shown[: len(SLOTS)].abs().amax((1, 2)) > 0)[present == 0].any()) is False


def test_what_is_shown_does_not_depend_on_where_the_mass_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canal_samples, "_CLICKED", 0.0)
    seen, elsewhere = _study(), replace(_study(), mass=_study().mass[::-1, :, ::-1].copy())
    for seed in range(12):
        one, other = (draw_canal_sample(study, np.random.default_rng(seed))[0] for study in (seen, elsewhere))
        assert torch.equal(one, other)


def test_an_untrained_network_returns_what_it_was_given() -> None:
    canal = torch.zeros(1, CHANNELS_IN, 16, 24)
    canal[:, PRIOR, 4:9] = 0.8
    with torch.no_grad():
        out = torch.sigmoid(CanalUNet()(canal))[0, 0]
    assert torch.allclose(out[4:9], torch.full((5, 24), 0.8), atol=0.02)
    assert float(out[10:].max()) < 0.02


def _error(network: CanalUNet, samples: Sample) -> float:
    """Mean square error of the coverage."""
    with torch.no_grad():
        return float(((torch.sigmoid(network(samples[0])) - samples[1]) ** 2).mean())


def test_training_learns_resumes_and_exports(tmp_path: Path) -> None:
    for steps in (10, 20):
        train_canal([_study()], [1.0], Plan(steps=steps, batch=4, checkpoint_every=10, decay=0.2), tmp_path)
    steps = np.loadtxt(tmp_path / "log.csv", delimiter=",", usecols=0)
    assert steps.tolist() == [10, 20]
    model = tmp_path / "canal.onnx"
    export_canal(tmp_path / "checkpoint.pt", model)
    network = CanalUNet()
    network.load_state_dict(torch.load(tmp_path / "checkpoint.pt", weights_only=True)["average"])
    samples = collate([draw_canal_sample(_study(), np.random.default_rng(seed)) for seed in range(6)])
    assert _error(network, samples) < _error(CanalUNet(), samples)
    shown = samples[0][:1]
    (found,) = onnxruntime.InferenceSession(model.read_bytes()).run(None, {"canal": shown.numpy()})
    with torch.no_grad():
        assert np.allclose(found, torch.sigmoid(network(shown)).numpy(), atol=1e-4)
