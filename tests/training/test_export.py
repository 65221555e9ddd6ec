"""What is exported can be read again, run, and averaged."""

from importlib import resources
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
pytest.importorskip("onnx", reason="training needs the extra 'train'")

from spinemri.nomenclature import Tissue  # noqa: E402
from spinemri.training.export import average_networks, export_onnx, exported_weights  # noqa: E402
from spinemri.training.network import CHANNELS_IN, SliceUNet  # noqa: E402

# The exporter warns that another one will follow it, and of what it traces.
pytestmark = pytest.mark.filterwarnings("ignore")

SHIPPED = Path(str(resources.files("spinemri") / "models" / "tissues.onnx"))


def _answer(model: Path, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.read_bytes(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """The shipped network, every weight moved a little."""
    torch.manual_seed(0)
    weights = {name: value + 0.01 * torch.randn_like(value) for name, value in exported_weights(SHIPPED).items()}
    torch.save({"average": weights}, tmp_path / "checkpoint.pt")
    export_onnx(tmp_path / "checkpoint.pt", tmp_path / "trained.onnx")
    return tmp_path / "trained.onnx"


def test_the_weights_of_an_exported_network_are_all_read(trained: Path) -> None:
    network = SliceUNet(CHANNELS_IN, len(Tissue))
    network.load_state_dict(exported_weights(trained))
    image = np.random.default_rng(1).normal(size=(1, CHANNELS_IN, 32, 48)).astype(np.float32)
    with torch.no_grad():
        expected = torch.softmax(network.eval()(torch.from_numpy(image)), dim=1).numpy()
    assert np.allclose(_answer(trained, image), expected, atol=1e-4)


def test_the_mean_of_two_networks_lies_between_them(trained: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(1).normal(size=(1, CHANNELS_IN, 32, 48)).astype(np.float32)
    for share, same_as in ((0.0, SHIPPED), (1.0, trained)):
        average_networks(SHIPPED, trained, tmp_path / "mean.onnx", share=share)
        assert np.allclose(_answer(tmp_path / "mean.onnx", image), _answer(same_as, image), atol=1e-4)
    average_networks(SHIPPED, trained, tmp_path / "mean.onnx", share=0.25)
    one, other, mean = (exported_weights(model) for model in (SHIPPED, trained, tmp_path / "mean.onnx"))
    assert all(torch.allclose(mean[name], 0.75 * one[name] + 0.25 * other[name], atol=1e-6) for name in one)
