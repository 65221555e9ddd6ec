"""The third network's training: pairs of visits, samples, what the loss asks for, export."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
pytest.importorskip("onnx", reason="export needs the extra 'train'")

import onnxruntime  # noqa: E402

from spinemri.followup.joint_look import PAIR_CHANNELS  # noqa: E402
from spinemri.mass.canal_input import CHANNELS_IN, PRIOR, SLOTS  # noqa: E402
from spinemri.nomenclature import Tissue  # noqa: E402
from spinemri.training import pair_samples  # noqa: E402
from spinemri.training.canal_network import CanalUNet  # noqa: E402
from spinemri.training.export import export_pair  # noqa: E402
from spinemri.training.pair_network import PairUNet  # noqa: E402
from spinemri.training.pair_samples import collate_pairs, draw_pair_sample  # noqa: E402
from spinemri.training.pair_studies import PairStudy, load_pair, pair_weights, save_pair  # noqa: E402
from spinemri.training.pair_train import pair_loss, train_pair  # noqa: E402
from spinemri.training.patches import PATCH  # noqa: E402
from spinemri.training.train import Plan  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
SHAPE = (11, 60, 140)
LATER_SIGNAL = 3.0


def _study() -> PairStudy:
    """A mass that shrinks from 10 to 6 pixels; its outlines lack a half, and it is brighter at the later visit."""
    mass = np.zeros((2, *SHAPE), dtype=np.uint8)
    mass[0, 2:9, 30:40, 30:110] = 255
    mass[1, 2:9, 34:40, 30:110] = 255
    coverage = np.zeros((2, len(Tissue), *SHAPE), dtype=np.uint8)
    coverage[:, Tissue.DURAL_SAC, 1:10, 20:40] = 255
    coverage[:, Tissue.MASS_CANAL] = mass // 2
    coverage[:, Tissue.DURAL_SAC] -= mass // 2
    coverage[:, Tissue.BACKGROUND] = 255 - coverage[:, 1:].sum(1)
    signal = np.where(mass[:, None] > 0, 2.0, 0.5) * np.array([1.0, LATER_SIGNAL / 2])[:, None, None, None, None]
    seen = np.ones(SHAPE, dtype=bool)
    seen[..., 120:] = False
    slots, suppressed = np.array([0, 2, 3]), np.array([False, False, True])
    return PairStudy(coverage, np.repeat(signal, 3, 1).astype(np.float16), mass, seen, slots, suppressed)


def _blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made wrong on purpose."""
    monkeypatch.setattr(pair_samples, "_MISTAKES", (1.0, 0.0, 0.0))
    monkeypatch.setattr(pair_samples, "_RECOLOURED", 0.0)


def test_a_sample_shows_both_visits_in_both_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    _blind(monkeypatch)
    study, first_is_larger = _study(), set()
    for seed in range(12):
        shown, target, weight = draw_pair_sample(study, np.random.default_rng(seed))
        assert shown.shape == (2, PAIR_CHANNELS, *PATCH)
        assert target.shape == weight.shape == (2, 1, *PATCH)
        assert torch.equal(shown[0, :CHANNELS_IN], shown[1, CHANNELS_IN:])
        assert torch.equal(shown[1, :CHANNELS_IN], shown[0, CHANNELS_IN:])
        assert torch.allclose(2 * shown[:, PRIOR], target[:, 0], atol=0.02), "outlines that lack a half"
        assert torch.equal(weight[0], weight[1])
        if target.sum() > 500:
            first_is_larger.add(bool(target[0].sum() > target[1].sum()))
    assert first_is_larger == {True, False}


def test_what_one_visit_does_not_show_does_not_count() -> None:
    study = replace(_study(), seen=np.zeros(SHAPE, dtype=bool))
    weights = [draw_pair_sample(study, np.random.default_rng(seed))[2] for seed in range(5)]
    assert all(not weight.any() for weight in weights)


def test_two_sequences_or_more_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    _blind(monkeypatch)
    counts = set()
    for seed in range(40):
        shown, _, _ = draw_pair_sample(_study(), np.random.default_rng(seed))
        present = shown[0, CHANNELS_IN - len(SLOTS) - 1 : CHANNELS_IN - 1, 0, 0]
        assert present[1] == 0
        fat_suppressed = shown[0, CHANNELS_IN - 1, 0, 0]
        assert fat_suppressed == present[3]
        counts.add(int(present.sum()))
    assert counts == {2, 3}


def test_outlines_made_wrong_leave_the_truth_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    _blind(monkeypatch)
    right = draw_pair_sample(_study(), np.random.default_rng(3))
    monkeypatch.setattr(pair_samples, "_MISTAKES", (0.0, 0.0, 1.0))
    changed = [not torch.equal(draw_pair_sample(_study(), np.random.default_rng(n))[0][:, PRIOR], right[0][:, PRIOR])
               for n in range(6)]  # fmt: skip
    assert any(changed)
    for seed in range(6):
        _, target, _ = draw_pair_sample(_study(), np.random.default_rng(seed))
        assert 0.0 <= float(target.min()) <= float(target.max()) <= 1.0


def test_a_mass_may_be_recoloured_at_one_visit(monkeypatch: pytest.MonkeyPatch) -> None:
    _blind(monkeypatch)
    monkeypatch.setattr(pair_samples, "disturbed", lambda picture, _: picture)
    monkeypatch.setattr(pair_samples, "_RECOLOURED", 1.0)
    ratios = []
    for seed in range(8):
        shown, target, _ = draw_pair_sample(_study(), np.random.default_rng(seed))
        inside = (target > 0.99).all(0)[0]
        if inside.sum() > 100 and shown[:, 0].any():
            one, other = (float(shown[visit, 0][inside].median()) for visit in (0, 1))
            ratios.append(max(one, other) / min(one, other))
    assert ratios
    assert all(abs(ratio - LATER_SIGNAL / 2) > 1e-3 for ratio in ratios)


def test_errors_that_both_visits_share_cost_less() -> None:
    target = torch.zeros(2, 1, 20, 20)
    target[:, :, 5:15, 5:15] = 1.0
    weight = torch.ones_like(target)
    logits = torch.where(target > 0, 4.0, -4.0)
    alike, apart = logits.clone(), logits.clone()
    alike[:, :, 15, 5:15] = 4.0
    apart[0, :, 15, 5:15] = 4.0
    apart[1, :, 14, 5:15] = -4.0
    assert float(pair_loss(alike, target, weight)) < float(pair_loss(apart, target, weight))
    assert float(pair_loss(logits, target, weight)) < float(pair_loss(alike, target, weight))


def test_the_network_begins_as_that_of_single_visits() -> None:
    torch.manual_seed(1)
    single, pair = CanalUNet(), PairUNet()
    torch.nn.init.normal_(single.head.weight)
    pair.start_from(single.state_dict())
    shown = torch.rand(1, PAIR_CHANNELS, 16, 16)
    with torch.no_grad():
        assert torch.allclose(pair(shown), single(shown[:, :CHANNELS_IN]), atol=1e-5)
        assert torch.allclose(pair(shown), pair(torch.cat([shown[:, :CHANNELS_IN], shown[:, :CHANNELS_IN]], 1)))


def test_a_pair_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    study = _study()
    save_pair(study, tmp_path / "phantom-00001.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["phantom-00001.npz"]
    again = load_pair(tmp_path / "phantom-00001.npz")
    for name in ("coverage", "signal", "mass", "seen", "slots", "fat_suppressed"):
        assert np.array_equal(getattr(again, name), getattr(study, name))
        assert getattr(again, name).dtype == getattr(study, name).dtype


def test_generated_pairs_have_their_share_whatever_their_number() -> None:
    weights = pair_weights(["phantom-00001", "phantom-00002", "scan-034-1"])
    assert weights == pytest.approx([0.3, 0.3, 0.4])


def test_training_learns_and_what_is_exported_says_the_same(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    start = tmp_path / "start.pt"
    torch.save({"average": CanalUNet().state_dict()}, start)
    plan = Plan(steps=90, batch=2, learning_rate=3e-3, checkpoint_every=30, workers=0)
    checkpoint = train_pair([_study()], [1.0], plan, tmp_path / "run", start=start)
    rows = [line.split(",") for line in (tmp_path / "run" / "log.csv").read_text(encoding="utf-8").splitlines()]
    assert float(rows[-1][1]) < 0.9 * float(rows[0][1])
    export_pair(checkpoint, tmp_path / "pair.onnx")
    network = PairUNet()
    network.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    shown, _, _ = collate_pairs([draw_pair_sample(_study(), np.random.default_rng(0))])
    (mass,) = onnxruntime.InferenceSession(tmp_path / "pair.onnx").run(None, {"pair": shown.numpy()})
    with torch.no_grad():
        assert np.allclose(mass, torch.sigmoid(network.eval()(shown)).numpy(), atol=1e-4)
