"""The second network: how much of every pixel around the canal is mass, from all sequences of a study together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from spinemri.mass.canal_input import CHANNELS_IN, PRIOR
from spinemri.training.network import UNet

__all__ = ["CanalUNet", "CorrectingUNet"]

_LEAST = 0.003


class CorrectingUNet(UNet):
    """U-Net that corrects the coverage by mass, in logits; without training it returns what it was given.

    Parameters
    ----------
    widths : sequence of int
        As for `UNet`.
    """

    channels: int

    def __init__(self, widths: Sequence[int] = (16, 32, 64, 96)) -> None:
        super().__init__(self.channels, 2, widths)
        nn.init.zeros_(self.head.weight)
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor([0.0, 4.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, channels, h, w) to logits of the coverage by mass, (n, 1, h, w)."""
        prior = torch.logit(x[:, PRIOR : PRIOR + 1].clamp(_LEAST, 1 - _LEAST))
        correction, trust = super().forward(x).split(1, dim=1)
        out: torch.Tensor = correction + torch.sigmoid(trust) * prior
        return out


class CanalUNet(CorrectingUNet):
    """The network of `spinemri.mass.second_look`, shown one visit."""

    channels = CHANNELS_IN
