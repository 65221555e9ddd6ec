"""How bright each material is in each sequence.

Spin echo: ``S = PD (1 - exp(-(TR - TE) / T1)) exp(-TE / T2)``; inversion recovery multiplies the recovery term by
``|1 - 2 exp(-TI / T1) + exp(-TR / T1)|``; contrast agent shortens T1 by ``1 / T1' = 1 / T1 + r1 C`` (r1 4.5 per mM and
second). Relaxation times are typical of 1.5 T (general knowledge; fast spin echo keeps fat bright).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spinemri.phantom.recipe import MassRecipe, PhantomRecipe, SequenceParameters

__all__ = ["MATERIALS", "Material", "material_signals"]

RELAXIVITY_PER_MM_S = 4.5


class Material(NamedTuple):
    """T1 and T2 in ms, proton density, fat fraction, contrast agent uptake in mM, texture amplitude."""

    t1_ms: float
    t2_ms: float
    density: float
    fat: float = 0.0
    uptake_mm: float = 0.0
    texture: float = 0.04


FAT_T1_MS, FAT_T2_MS = 290.0, 125.0

MATERIALS: dict[str, Material] = {
    "air": Material(1000.0, 1.0, 0.0),
    "lung": Material(1200.0, 30.0, 0.12, uptake_mm=0.1, texture=0.3),
    "csf": Material(3800.0, 1600.0, 1.0, texture=0.03),
    "root": Material(1000.0, 90.0, 0.75),
    "cord": Material(900.0, 82.0, 0.74, texture=0.03),
    "dura": Material(900.0, 22.0, 0.45, uptake_mm=0.3),
    "fat": Material(FAT_T1_MS, FAT_T2_MS, 0.95, fat=0.95, texture=0.08),
    "veins": Material(1100.0, 90.0, 0.7, fat=0.25, uptake_mm=0.45, texture=0.25),
    "cortex": Material(900.0, 8.0, 0.12, texture=0.1),
    "ligament": Material(900.0, 14.0, 0.3, uptake_mm=0.05),
    "marrow": Material(850.0, 55.0, 0.75, uptake_mm=0.1, texture=0.09),
    "posterior_marrow": Material(850.0, 48.0, 0.66, uptake_mm=0.1, texture=0.2),
    "nucleus": Material(1200.0, 110.0, 0.85, uptake_mm=0.02),
    "annulus": Material(1000.0, 34.0, 0.6, uptake_mm=0.02, texture=0.06),
    "nerve": Material(950.0, 75.0, 0.75, uptake_mm=0.15),
    "muscle": Material(950.0, 38.0, 0.8, uptake_mm=0.08, texture=0.14),
    "organ": Material(750.0, 55.0, 0.8, uptake_mm=0.25, texture=0.1),
    "vessel": Material(1300.0, 60.0, 0.1, uptake_mm=0.6, texture=0.1),
}
"""Every material but the mass."""


def _brightness(t1_ms: float, t2_ms: float, sequence: SequenceParameters) -> float:
    tr, te = sequence.repetition_time_ms, sequence.echo_time_ms
    recovery = 1.0 - np.exp(-max(tr - te, 1.0) / t1_ms)
    if sequence.inversion_time_ms is not None:
        recovery = abs(1.0 - 2.0 * np.exp(-sequence.inversion_time_ms / t1_ms) + np.exp(-tr / t1_ms))
    return float(recovery * np.exp(-te / t2_ms))


def _signal(material: Material, sequence: SequenceParameters, fat: float) -> float:
    t1 = material.t1_ms
    if sequence.contrast_enhanced:
        t1 = 1.0 / (1.0 / t1 + RELAXIVITY_PER_MM_S * material.uptake_mm / 1000.0)
    water = _brightness(t1, material.t2_ms, sequence)
    lipid = _brightness(FAT_T1_MS, FAT_T2_MS, sequence)
    if sequence.fat_suppressed and sequence.inversion_time_ms is None:
        lipid *= sequence.fat_residue
    return material.density * ((1.0 - fat) * water + fat * lipid)


def _mass_signal(mass: MassRecipe, marrow: Material, marrow_fat: float, sequence: SequenceParameters) -> float:
    """Signal by the recipe's ratios to marrow, so that the ratios in the truth hold in the image."""
    plain = sequence.model_copy(update={"fat_suppressed": False, "contrast_enhanced": False, "inversion_time_ms": None})
    ratio = mass.t1_to_marrow if sequence.weighting == "T1" else mass.t2_to_marrow
    out = ratio * _signal(marrow, plain, marrow_fat)
    if sequence.fat_suppressed:
        out *= 1.0 - mass.fat_fraction * (1.0 - sequence.fat_residue)
    if sequence.contrast_enhanced and sequence.weighting == "T1":
        out *= mass.enhancement
    return out


def material_signals(recipe: PhantomRecipe, sequence: SequenceParameters) -> dict[str, float]:
    """Signal of every material, scaled so that the brightest common tissue is near one.

    Returns
    -------
    dict
        Material name to signal; ``"mass"`` is there if the recipe has one.
    """
    spine = recipe.spine
    fat = {"marrow": spine.marrow_fat, "posterior_marrow": min(1.0, spine.marrow_fat + 0.12)}
    fat["muscle"] = spine.muscle_fat
    out = {name: _signal(m, sequence, fat.get(name, m.fat)) for name, m in MATERIALS.items()}
    if recipe.mass is not None:
        out["mass"] = _mass_signal(recipe.mass, MATERIALS["marrow"], spine.marrow_fat, sequence)
    scale = max(out[name] for name in ("csf", "fat", "muscle", "marrow", "nucleus"))
    return {name: value / scale for name, value in out.items()}
