"""Random signals and artefacts: what they change, and what they leave."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from spinemri.nomenclature import Tissue  # noqa: E402
from spinemri.training.artefacts import add_fold_over, add_ghosts, add_metal, add_rician_noise  # noqa: E402
from spinemri.training.contrast import random_signals  # noqa: E402

GROUPS = ((Tissue.BACKGROUND, Tissue.EPIDURAL), (Tissue.CORD, Tissue.DURAL_SAC), (Tissue.MASS_CANAL,))


def _canal() -> tuple[torch.Tensor, torch.Tensor]:
    """A sac beside a mass of the very same signal, in three slices."""
    coverage = torch.zeros(3, 3, 60, 80)
    coverage[1, :, 20:30], coverage[2, :, 30:45] = 1, 1
    coverage[0] = 1 - coverage[1:].sum(0)
    return 0.5 + 1.5 * coverage[1:].sum(0), coverage


def test_tissues_of_one_signal_get_signals_of_their_own() -> None:
    image, coverage = _canal()
    apart = []
    for seed in range(20):
        painted = random_signals(image, coverage, GROUPS, np.random.default_rng(seed))
        # Two pixels inside each border, where the soft seam does not reach.
        apart.append(float(painted[:, 22:28].mean() - painted[:, 33:42].mean()))
    assert np.std(apart) > 0.5
    assert min(apart) < 0 < max(apart)


def test_the_contrast_within_a_tissue_is_scaled_not_lost() -> None:
    image, coverage = _canal()
    image[:, 33:42] += torch.linspace(-0.4, 0.4, 80)
    painted = random_signals(image, coverage, GROUPS, np.random.default_rng(1))
    before, after = (each[1, 33:42].mean(0).numpy() for each in (image, painted))
    assert abs(np.corrcoef(before, after)[0, 1]) > 0.99


def test_the_order_of_slices_does_not_matter_to_a_painted_mean() -> None:
    image, coverage = _canal()
    image += torch.tensor([0.0, 0.1, 0.2])[:, None, None]
    straight = random_signals(image, coverage, GROUPS, np.random.default_rng(2))
    turned = random_signals(image.flip(0), coverage.flip(1), GROUPS, np.random.default_rng(2))
    assert torch.allclose(straight, turned.flip(0), atol=1e-4)


@pytest.mark.parametrize("add", [add_ghosts, add_fold_over, add_metal, add_rician_noise])
def test_an_artefact_changes_the_image_and_keeps_its_shape_and_sign(add: object) -> None:
    image, _ = _canal()
    out = add(image, np.random.default_rng(3))  # type: ignore[operator]
    assert out.shape == image.shape
    assert not torch.equal(out, image)
    assert float(out.min()) >= 0


def test_metal_leaves_a_void() -> None:
    out = add_metal(torch.ones(1, 60, 80), np.random.default_rng(4))
    assert float(out.min()) < 0.02
