"""The third network: how much of every pixel is mass at one of two visits, both in view."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from spinemri.followup.joint_look import PAIR_CHANNELS
from spinemri.training.canal_network import CorrectingUNet

__all__ = ["PairUNet"]


class PairUNet(CorrectingUNet):
    """U-Net that corrects the coverage by mass of the first of two visits.

    Parameters
    ----------
    widths : sequence of int
        As for `UNet`.
    """

    channels = PAIR_CHANNELS

    def start_from(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take over a network that was shown a single visit, or that has learned from pairs before.

        The former pays no heed to the other visit until trained.

        Parameters
        ----------
        weights : mapping of str to tensor
            Of a `CanalUNet` or a `PairUNet` of the same widths.
        """
        own = self.state_dict()
        for name, tensor in weights.items():
            if tensor.shape != own[name].shape:
                wider = torch.zeros_like(own[name])
                wider[:, : tensor.shape[1]] = tensor
                own[name] = wider
            else:
                own[name] = tensor
        self.load_state_dict(own)
