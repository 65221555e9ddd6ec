"""The segmentation network: a two-dimensional U-Net on sagittal slices that sees its neighbours (2.5D)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["CHANNELS_IN", "SliceUNet", "UNet"]

CHANNELS_IN = 7
"""Three slices, and the four planes of `spinemri.anatomy.preparation.condition_planes`."""


class _Block(nn.Module):
    """Two 3 x 3 convolutions, each followed by group normalisation and SiLU, with a residual connection."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.first_norm = nn.GroupNorm(8, channels_out)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.second_norm = nn.GroupNorm(8, channels_out)
        self.skip = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, channels_in, h, w) to (n, channels_out, h, w)."""
        y = nn.functional.silu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        out: torch.Tensor = nn.functional.silu(y + self.skip(x))
        return out


class UNet(nn.Module):
    """U-Net of residual blocks.

    Group normalisation is used because a batch holds only a few slices of very different contrast.

    Parameters
    ----------
    channels_in, channels_out : int
    widths : sequence of int
        Channels per resolution, finest first; each a multiple of 8. Input sides must be multiples of
        ``2 ** (len(widths) - 1)``.
    """

    def __init__(self, channels_in: int, channels_out: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            _Block(before, after) for before, after in zip((channels_in, *widths[:-1]), widths, strict=True)
        )
        coarse_to_fine = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.decoders = nn.ModuleList(_Block(deep + fine, fine) for deep, fine in coarse_to_fine)
        self.head = nn.Conv2d(widths[0], channels_out, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, channels_in, h, w) to (n, channels_out, h, w)."""
        skips: list[torch.Tensor] = []
        for depth, encoder in enumerate(self.encoders):
            x = encoder(nn.functional.avg_pool2d(x, 2) if depth else x)
            skips.append(x)
        skips.pop()
        for decoder in self.decoders:
            x = nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = decoder(torch.cat([x, skips.pop()], dim=1))
        out: torch.Tensor = self.head(x)
        return out


class SliceUNet(UNet):
    """U-Net from a slice with its two neighbours to tissue logits.

    The neighbours enter by their mean and the size of their difference, so that exchanging them changes nothing: a
    mirrored patient gets exactly the mirrored result.

    Parameters
    ----------
    channels_in : int
        Three slabs plus the planes that tell the weighting.
    classes : int
        Number of tissues.
    widths : sequence of int
        As for `UNet`.
    """

    def __init__(self, channels_in: int, classes: int, widths: Sequence[int] = (24, 48, 96, 144, 192)) -> None:
        super().__init__(channels_in, classes, widths)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, channels_in, h, w), previous, own and next slice first, to logits (n, classes, h, w)."""
        before, own, after = x[:, 0:1], x[:, 1:2], x[:, 2:3]
        return super().forward(torch.cat([(before + after) / 2, own, (before - after).abs() / 2, x[:, 3:]], dim=1))
