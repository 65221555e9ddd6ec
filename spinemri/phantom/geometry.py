"""One generated patient on one day: column, canal, mass, sac, and how they lie in the scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemri.errors import UsageError
from spinemri.phantom.column import TABLE_STEP_MM, Canal, Column, build_canal, build_column
from spinemri.phantom.curve import Curve, build_curve
from spinemri.phantom.mass import MassForm, MassGrid, build_mass, mass_volumes_mm3, shrink
from spinemri.phantom.recipe import PhantomRecipe, VisitRecipe
from spinemri.phantom.sac import SacForm, build_sac
from spinemri.phantom.shapes import Section
from spinemri.volume import apply_affine

__all__ = ["Geometry", "build_geometry", "patient_rng", "pose_of"]

Array = NDArray[np.float64]
CONUS_LEVEL = "L1/2"


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where every structure lies on one day.

    Attributes
    ----------
    recipe : PhantomRecipe
    visit : VisitRecipe
    column, canal, curve, sac : Column, Canal, Curve, SacForm
    mass : MassForm or None
    pose : (4, 4) ndarray
        Rest-space LPS mm to the scanner's LPS mm on that day.
    """

    recipe: PhantomRecipe
    visit: VisitRecipe
    column: Column
    canal: Canal
    curve: Curve
    sac: SacForm
    mass: MassForm | None
    pose: Array

    def to_canal(self, lps: Array) -> tuple[Array, Array, Array]:
        """Map scanner LPS mm (..., 3) to canal coordinates s, p, l in mm."""
        return self.curve.to_canal(apply_affine(np.linalg.inv(self.pose), lps))

    def to_lps(self, s: Array, p: Array, l: Array) -> Array:  # noqa: E741 - the coordinate's name
        """Map canal coordinates in mm to scanner LPS mm (..., 3)."""
        return apply_affine(self.pose, self.curve.to_lps(s, p, l))

    def section(self, s: Array, p: Array, l: Array) -> Section:  # noqa: E741
        """Bundle flat canal coordinates with this patient's tables."""
        return Section(s, p, l, self.canal.start_mm, TABLE_STEP_MM)

    def level_lps(self, level: str) -> Array:
        """Centre of a vertebral body or disc in scanner LPS mm, (3,)."""
        s = self.column.position_mm(level)
        index = int(np.abs(self.column.centre - s).argmin())
        floor = float(np.interp(s, self.canal.arc_mm, self.canal.floor))
        return self.to_lps(np.array(s), np.array(-floor - 0.5 * self.column.depth[index]), np.array(0.0))

    def canal_lps(self, level: str) -> Array:
        """Centre of the canal at a level in scanner LPS mm, (3,)."""
        return self.to_lps(np.array(self.column.position_mm(level)), np.array(0.0), np.array(0.0))


def patient_rng(recipe: PhantomRecipe, purpose: int) -> np.random.Generator:
    """Random numbers that depend on the patient and a purpose, but on no visit."""
    return np.random.default_rng([recipe.seed, purpose])


def pose_of(visit: VisitRecipe) -> Array:
    """Rest space to scanner: rotations about L, P, S in that order, then a shift."""
    a, b, c = np.deg2rad(visit.rotation_degrees)
    about_l = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_p = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_s = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3] = about_s @ about_p @ about_l
    pose[:3, 3] = visit.shift_mm
    return pose


def build_geometry(recipe: PhantomRecipe, visit: VisitRecipe | None = None) -> Geometry:
    """Build the patient of a recipe as they are on one visit.

    Parameters
    ----------
    recipe : PhantomRecipe
    visit : VisitRecipe, optional
        The recipe's first visit if not given.

    Raises
    ------
    UsageError
        RECIPE_INVALID if the mass does not fit the column.
    """
    visit = recipe.visits[0] if visit is None else visit
    column = build_column(recipe.spine, patient_rng(recipe, 1))
    canal = build_canal(recipe.spine, column, patient_rng(recipe, 2))
    centres = dict(zip(column.names, column.centre.tolist(), strict=True))
    curve = build_curve(recipe.spine, centres, bending_degrees=visit.bending_degrees)
    mass = None if recipe.mass is None else _mass_on(recipe, visit, column, canal, curve)
    sac = build_sac(canal, mass, column.position_mm(CONUS_LEVEL))
    return Geometry(recipe, visit, column, canal, curve, sac, mass, pose_of(visit))


def _mass_on(recipe: PhantomRecipe, visit: VisitRecipe, column: Column, canal: Canal, curve: Curve) -> MassForm:
    """Build the mass at the visit's share of the volume that it has in the unbent spine."""
    if recipe.mass is None:
        raise ValueError("the recipe has no mass")
    try:
        form = build_mass(recipe.mass, column, canal, patient_rng(recipe, 3))
        if visit.volume_factor == 1.0 and visit.bending_degrees == 0.0:
            return form
        centres = dict(zip(column.names, column.centre.tolist(), strict=True))
        unbent = MassGrid.around(form, canal, build_curve(recipe.spine, centres))
        goal_mm3 = visit.volume_factor * sum(mass_volumes_mm3(form, unbent))
        return shrink(form, MassGrid.around(form, canal, curve), goal_mm3)
    except ValueError as error:
        raise UsageError("RECIPE_INVALID", f"the mass cannot be built: {error}") from error
