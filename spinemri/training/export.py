"""Write weights as ONNX, softmax included, read them again, and average those of two networks."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper

from spinemri.nomenclature import Tissue
from spinemri.training.canal_network import CanalUNet, CorrectingUNet
from spinemri.training.network import CHANNELS_IN, SliceUNet
from spinemri.training.pair_network import PairUNet

__all__ = ["average_networks", "export_canal", "export_onnx", "export_pair", "exported_weights"]

_OPSET = 17
_PREFIX = "network."


class _WithSoftmax(torch.nn.Module):
    def __init__(self, network: SliceUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Turn logits into fractions."""
        return torch.softmax(self.network(image), dim=1)


class _WithSigmoid(torch.nn.Module):
    def __init__(self, network: CorrectingUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, canal: torch.Tensor) -> torch.Tensor:
        """Turn logits into the fraction of mass."""
        return torch.sigmoid(self.network(canal))


def export_onnx(checkpoint: Path, model: Path) -> None:
    """Export a checkpoint for `spinemri.anatomy.network`.

    Parameters
    ----------
    checkpoint : Path
        Written by `spinemri.training.train.train`.
    model : Path
        ``.onnx`` file; input ``image`` (n, 7, h, w), output ``probability`` (n, tissues, h, w), any n, h and w
        that are multiples of 16.
    """
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    _write(state["average"], model)


def export_canal(checkpoint: Path, model: Path) -> None:
    """Export a checkpoint for `spinemri.mass.second_look`.

    Parameters
    ----------
    checkpoint : Path
        Written by `spinemri.training.canal_train.train_canal`.
    model : Path
        ``.onnx`` file; input ``canal`` (n, channels, h, w), output ``mass`` (n, 1, h, w), any n, h and w that are
        multiples of 8.
    """
    _write_correcting(CanalUNet(), checkpoint, model, "canal")


def export_pair(checkpoint: Path, model: Path) -> None:
    """Export a checkpoint for `spinemri.followup.joint_look`.

    Parameters
    ----------
    checkpoint : Path
        Written by `spinemri.training.pair_train.train_pair`.
    model : Path
        ``.onnx`` file as that of `export_canal`, but for its input ``pair``.
    """
    _write_correcting(PairUNet(), checkpoint, model, "pair")


def _write_correcting(network: CorrectingUNet, checkpoint: Path, model: Path, shown: str) -> None:
    network.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["average"])
    example = torch.zeros(1, network.channels, 64, 64)
    _write_onnx(_WithSigmoid(network), example, model, (shown, "mass"))


def average_networks(one: Path, other: Path, model: Path, *, share: float = 0.5) -> None:
    """Write a network whose weights lie between those of two (Wortsman et al. 2022, "Model soups").

    Two networks of which one was trained from the other can be averaged: what they do differently is evened out, and
    the mean takes no more time than either.

    Parameters
    ----------
    one, other : Path
        Written by `export_onnx`; `other` descends from `one`, or the mean is of no use.
    model : Path
        ``.onnx`` file.
    share : float
        Of `other`, 0..1.
    """
    first, second = exported_weights(one), exported_weights(other)
    _write({name: torch.lerp(first[name], second[name], share) for name in first}, model)


def _write(weights: dict[str, torch.Tensor], model: Path) -> None:
    network = SliceUNet(CHANNELS_IN, len(Tissue))
    network.load_state_dict(weights)
    _write_onnx(_WithSoftmax(network), torch.zeros(1, CHANNELS_IN, 64, 64), model, ("image", "probability"))


def _write_onnx(network: torch.nn.Module, example: torch.Tensor, model: Path, names: tuple[str, str]) -> None:
    torch.onnx.export(
        network.eval(),
        (example,),
        model,
        input_names=names[:1],
        output_names=names[1:],
        dynamic_axes={name: {0: "n", 2: "h", 3: "w"} for name in names},
        opset_version=_OPSET,
        dynamo=False,
    )


def exported_weights(model: Path) -> dict[str, torch.Tensor]:
    """Read the weights of an exported network, as `SliceUNet` names them.

    Export keeps the names of convolutions; normalisations become products and sums, in the order in which they run.

    Parameters
    ----------
    model : Path
        Written by `export_onnx`.

    Returns
    -------
    dict of str to tensor
    """
    graph = onnx.load(model).graph
    stored = {entry.name: torch.from_numpy(numpy_helper.to_array(entry).copy()) for entry in graph.initializer}
    named = {name.removeprefix(_PREFIX): tensor for name, tensor in stored.items() if name.startswith(_PREFIX)}
    used = [name for node in graph.node for name in node.input if name in stored and not name.startswith(_PREFIX)]
    unnamed = [name for name in SliceUNet(CHANNELS_IN, len(Tissue)).state_dict() if "_norm." in name]
    scales = {name: stored[key].flatten() for name, key in zip(unnamed, used, strict=True)}
    return named | scales
