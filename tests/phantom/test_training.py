"""Stacks for training: what harder patients differ in."""

import numpy as np

from spinemri.phantom.sampling import random_recipe
from spinemri.phantom.training import _harder


def test_harder_patients_are_curved_and_have_thin_and_surrounding_masses() -> None:
    rng = np.random.default_rng(0)
    plain = [random_recipe(rng, with_mass=True) for _ in range(200)]
    harder = [_harder(recipe, rng) for recipe in plain]
    curved = [sum(abs(r.spine.scoliosis_mm) > 9 for r in group) for group in (plain, harder)]
    around = [sum(r.mass.shape == "circumferential" for r in group if r.mass) for group in (plain, harder)]
    thin = [sum(r.mass.compression < 0.35 for r in group if r.mass) for group in (plain, harder)]
    assert curved[1] > curved[0] + 30
    assert around[1] > around[0] + 40
    assert thin[1] > thin[0] + 30


def test_a_harder_patient_without_a_mass_has_none() -> None:
    rng = np.random.default_rng(1)
    assert _harder(random_recipe(rng, with_mass=False), rng).mass is None
