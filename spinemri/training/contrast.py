"""Real or generated anatomy in a contrast that no sequence has: every tissue gets a signal of its own, at random.

What a network learns from these images is shape, place and texture, and that none of the usual signals can be relied
on. The idea is that of training on label maps painted at random (Billot et al., *Medical Image Analysis*
2023;86:102789); here the texture of the real image is kept, and what no label names keeps its structure under a random
curve.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from spinemri.nomenclature import Tissue
from spinemri.training.stacks import Groups

__all__ = ["random_curve", "random_signals"]

_BRIGHTEST = 2.2
_SEAM_PIXELS = 3


def random_signals(
    image: torch.Tensor, coverage: torch.Tensor, groups: Groups, rng: np.random.Generator
) -> torch.Tensor:
    """Give every labelled tissue a random mean signal and a random contrast within it.

    Parameters
    ----------
    image : (slices, h, w) tensor
    coverage : (groups, slices, h, w) tensor
        Fraction of each pixel by group; what is missing to one counts as unlabelled.
    groups : tuple of tuple of Tissue
        Those that hold the background keep their structure, under one random curve.
    rng : numpy.random.Generator

    Returns
    -------
    (slices, h, w) tensor
    """
    out = torch.zeros_like(image)
    left = torch.ones_like(image)
    for sharp, group in zip(coverage, groups, strict=True):
        if Tissue.BACKGROUND in group or float(sharp.sum()) < 1.0:
            continue
        # Outlines are never exact: without a soft seam their errors would show as bright and dark lines to be followed.
        share = functional.avg_pool2d(sharp, _SEAM_PIXELS, stride=1, padding=_SEAM_PIXELS // 2, count_include_pad=False)
        amount = float(share.sum())
        mean = float((image * share).sum()) / amount
        contrast = float(rng.choice([-0.5, 1.0], p=[0.3, 0.7]) * rng.uniform(0.2, 1.0))
        out += share * (float(rng.uniform(0.05, _BRIGHTEST)) + contrast * (image - mean))
        left -= share
    return torch.clamp(out + left.clamp_min(0) * random_curve(image, rng), min=0)


def random_curve(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Map intensities through a random smooth curve, rising or not."""
    knots = torch.from_numpy(rng.uniform(0.05, 1.9, 7).astype(np.float32))
    knots[0] = float(rng.uniform(0, 0.3))
    place = torch.clamp(image / 3.0, 0, 0.999) * (len(knots) - 1)
    low = place.long()
    return knots[low] + (place - low) * (knots[low + 1] - knots[low])
