"""Stacks for training: what other varieties of patients differ in."""

import numpy as np

from spinemri.phantom.sampling import random_recipe
from spinemri.phantom.training import _harder, _surrounding


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


def test_what_surrounds_the_sac_is_a_mass_or_else_fat() -> None:
    rng = np.random.default_rng(2)
    patients = [_surrounding(random_recipe(rng), rng) for _ in range(40)]
    with_mass = [patient for patient in patients if patient.mass]
    without = [patient for patient in patients if not patient.mass]
    assert with_mass
    assert without
    assert all(patient.mass and patient.mass.shape == "circumferential" for patient in with_mass)
    assert all(patient.spine.epidural_fat >= 2.0 for patient in without)
