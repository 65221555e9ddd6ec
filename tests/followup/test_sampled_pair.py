"""What thick slices make of a mass looks alike at both visits."""

from __future__ import annotations

import numpy as np
import pytest

from spinemri.followup.sampled_pair import blurred_across
from spinemri.volume import Volume, sample_at

FINE_MM = 0.1
HALF_LENGTH_MM = 40.0


def _stack(pitch_mm: float, first_mm: float, slab_mm: tuple[float, float]) -> Volume:
    """Slices across a slab: each holds how much of its thickness the slab fills."""
    centres = np.arange(first_mm, HALF_LENGTH_MM, pitch_mm)
    low = np.maximum(centres - pitch_mm / 2, slab_mm[0])
    high = np.minimum(centres + pitch_mm / 2, slab_mm[1])
    filled = np.clip(high - low, 0, None) / pitch_mm
    affine = np.diag([pitch_mm, 1.0, 1.0, 1.0])
    affine[0, 3] = first_mm
    return Volume(np.repeat(filled.astype(np.float32)[:, None, None], 2, 1).repeat(2, 2), affine)


def _spread_mm2(stack: Volume) -> float:
    """Variance of the profile that interpolation makes of a stack."""
    at = np.arange(-HALF_LENGTH_MM + 6, HALF_LENGTH_MM - 6, FINE_MM)
    points = np.stack([at, np.zeros_like(at), np.zeros_like(at)], axis=-1)
    profile = sample_at(stack, points).astype(float)
    mean = (profile * at).sum() / profile.sum()
    return float((profile * (at - mean) ** 2).sum() / profile.sum())


@pytest.mark.parametrize(("thin_mm", "thick_mm"), [(3.3, 4.4), (1.0, 4.0)])
def test_a_thin_stack_is_blurred_as_much_as_a_thick_one(thin_mm, thick_mm):
    slab = (-4.0, 3.0)
    phases = np.linspace(0, 1, 9, endpoint=False)
    thin = [_stack(thin_mm, -HALF_LENGTH_MM + phase * thin_mm, slab) for phase in phases]
    thick = np.mean([_spread_mm2(_stack(thick_mm, -HALF_LENGTH_MM + phase * thick_mm, slab)) for phase in phases])
    assert np.mean([_spread_mm2(blurred_across(stack, thick_mm)) for stack in thin]) == pytest.approx(thick, rel=0.02)
    assert np.mean([_spread_mm2(stack) for stack in thin]) < 0.85 * thick


def test_blurring_keeps_the_volume():
    stack = _stack(3.3, -HALF_LENGTH_MM, (-5.0, 7.0))
    blurred = blurred_across(stack, 4.4)
    assert blurred.array.sum() == pytest.approx(stack.array.sum(), rel=1e-5)
    assert blurred.grid.same_as(stack.grid)


@pytest.mark.parametrize("pitch_mm", [2.0, 3.3, 3.35])
def test_slices_that_are_no_thinner_stay_as_they_are(pitch_mm):
    stack = _stack(3.3, -HALF_LENGTH_MM, (-5.0, 7.0))
    assert blurred_across(stack, pitch_mm) is stack
