"""The second network: how much of every pixel around the canal is mass, from all sequences of a study together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from spinemri.mass.canal_input import CHANNELS_IN, PRIOR
from spinemri.training.network import Block

__all__ = ["CanalUNet"]

_LEAST = 0.003


class CanalUNet(nn.Module):
    """U-Net that corrects the coverage by mass, in logits; without training it returns what it was given.

    Parameters
    ----------
    widths : sequence of int
        Channels per resolution, finest first; each a multiple of 8. Input sides must be multiples of
        ``2 ** (len(widths) - 1)``.
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 64, 96)) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            Block(before, after) for before, after in zip((CHANNELS_IN, *widths[:-1]), widths, strict=True)
        )
        coarse_to_fine = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.decoders = nn.ModuleList(Block(deep + fine, fine) for deep, fine in coarse_to_fine)
        self.head = nn.Conv2d(widths[0], 2, 1)
        nn.init.zeros_(self.head.weight)
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor([0.0, 4.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, CHANNELS_IN, h, w) to logits of the coverage by mass, (n, 1, h, w)."""
        prior = torch.logit(x[:, PRIOR : PRIOR + 1].clamp(_LEAST, 1 - _LEAST))
        skips: list[torch.Tensor] = []
        for depth, encoder in enumerate(self.encoders):
            x = encoder(nn.functional.avg_pool2d(x, 2) if depth else x)
            skips.append(x)
        skips.pop()
        for decoder in self.decoders:
            x = nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = decoder(torch.cat([x, skips.pop()], dim=1))
        correction, trust = self.head(x).split(1, dim=1)
        out: torch.Tensor = correction + torch.sigmoid(trust) * prior
        return out
