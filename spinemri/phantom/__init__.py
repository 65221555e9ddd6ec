"""Generated spine MR studies with exactly known truth."""

from __future__ import annotations

from spinemri.phantom.geometry import Geometry, build_geometry
from spinemri.phantom.recipe import PhantomRecipe, SequenceParameters, load_recipe
from spinemri.phantom.render import render
from spinemri.phantom.sampling import random_recipe, random_sequence
from spinemri.phantom.stacks import stack_grid
from spinemri.phantom.training import training_stack
from spinemri.phantom.write import write_phantom

__all__ = [
    "Geometry",
    "PhantomRecipe",
    "SequenceParameters",
    "build_geometry",
    "load_recipe",
    "random_recipe",
    "random_sequence",
    "render",
    "stack_grid",
    "training_stack",
    "write_phantom",
]
