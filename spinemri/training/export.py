"""Write the averaged weights of a checkpoint as ONNX, softmax included."""

from __future__ import annotations

from pathlib import Path

import torch

from spinemri.nomenclature import Tissue
from spinemri.training.network import SliceUNet
from spinemri.training.train import CHANNELS_IN

__all__ = ["export_onnx"]

_OPSET = 17


class _WithSoftmax(torch.nn.Module):
    def __init__(self, network: SliceUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.network(image), dim=1)


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
    network = SliceUNet(CHANNELS_IN, len(Tissue))
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network.load_state_dict(state["average"])
    example = torch.zeros(1, CHANNELS_IN, 64, 64)
    torch.onnx.export(
        _WithSoftmax(network).eval(),
        (example,),
        model,
        input_names=["image"],
        output_names=["probability"],
        dynamic_axes={name: {0: "n", 2: "h", 3: "w"} for name in ("image", "probability")},
        opset_version=_OPSET,
        dynamo=False,
    )
