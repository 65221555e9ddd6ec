"""What scanners add to an image and patients do to it: ghosts, fold-over, metal, low field strength.

Each is rare in a sample, as it is in a clinic, and none changes what the tissues are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

__all__ = ["add_fold_over", "add_ghosts", "add_metal", "add_rician_noise", "disturb_rarely"]


def disturb_rarely(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Add each artefact with its own small probability.

    Parameters
    ----------
    image : (slices, h, w) tensor
        Antero-posterior by cranio-caudal.
    rng : numpy.random.Generator
    """
    for probability, add in _ARTEFACTS:
        if rng.random() < probability:
            image = add(image, rng)
    return image


def add_ghosts(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Repeat the image faintly along one in-plane axis, as breathing, swallowing and pulsation do.

    Periodic motion modulates the lines of k-space; its replicas lie at multiples of the field of view over the number
    of lines in a period (Wood and Henkelman, *Medical Physics* 1985;12:143-151).
    """
    axis = int(rng.integers(1, 3))
    distance = int(rng.integers(8, image.shape[axis] // 2))
    strength = float(rng.uniform(0.03, 0.15))
    ghost = sum(torch.roll(image, sign * distance, dims=axis) for sign in (-1, 1))
    return image * (1 - strength) + strength * ghost


def add_fold_over(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Lay what is outside the field of view over one end of it, as undersampled phase encoding does."""
    axis = int(rng.integers(1, 3))
    reach = int(rng.integers(6, image.shape[axis] // 4))
    folded = image.clone()
    source = image.narrow(axis, image.shape[axis] - reach, reach) * float(rng.uniform(0.3, 0.9))
    folded.narrow(axis, 0, reach).add_(source)
    return folded


def add_metal(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Put in one to three signal voids with a bright rim, as screws and clips leave.

    Near metal the field gradient shifts signal away from where it arises and piles it up beside the void (Hargreaves
    et al., *American Journal of Roentgenology* 2011;197:547-555).
    """
    out = image
    rows, columns = torch.meshgrid(torch.arange(image.shape[1]), torch.arange(image.shape[2]), indexing="ij")
    for _ in range(int(rng.integers(1, 4))):
        row, column = rng.uniform(0, image.shape[1]), rng.uniform(0, image.shape[2])
        radii = rng.uniform(3, 9), rng.uniform(3, 14)
        distance = torch.sqrt(((rows - row) / radii[0]) ** 2 + ((columns - column) / radii[1]) ** 2)
        void = torch.sigmoid((1.0 - distance) * 6)
        rim = torch.exp(-(((distance - 1.2) / 0.15) ** 2)) * float(rng.uniform(0, 1.5))
        out = out * (1 - void) + rim * (rows > row)
    return out


def add_rician_noise(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Magnitude of a complex signal with noise in both parts, strong as at low field (Gudbjartsson and Patz, 1995)."""
    sigma = float(rng.uniform(0.1, 0.3))
    real, imaginary = (torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32)) * sigma for _ in range(2))
    return torch.sqrt((image + real) ** 2 + imaginary**2)


_Artefact = Callable[[torch.Tensor, np.random.Generator], torch.Tensor]
_ARTEFACTS: tuple[tuple[float, _Artefact], ...] = (
    (0.05, add_metal),
    (0.06, add_ghosts),
    (0.04, add_fold_over),
    (0.06, add_rician_noise),
)
