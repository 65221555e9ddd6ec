"""A recipe as a folder of DICOM studies with their truth."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from spinemri.errors import UsageError
from spinemri.phantom.dicom import StackHeader, write_stack
from spinemri.phantom.geometry import build_geometry
from spinemri.phantom.recipe import PhantomRecipe, VisitRecipe, recipe_sha256
from spinemri.phantom.render import render
from spinemri.phantom.stacks import stack_grid
from spinemri.phantom.truth import visit_truth
from spinemri.uids import derived_uid
from spinemri.volume import Volume

__all__ = ["write_phantom"]

NOTE = "Generated data: every image and number here was computed from the recipe; no patient was examined."


def write_phantom(recipe: PhantomRecipe, folder: Path) -> None:
    """Write every visit of a recipe as one DICOM study, with ``truth.json`` and ``recipe.yaml`` beside.

    Files lie in ``<visit>/<number>_<series>/IM0001.dcm``. The folder appears complete or not at all, and the same
    recipe gives the same bytes.

    Parameters
    ----------
    recipe : PhantomRecipe
    folder : Path
        New or empty.

    Raises
    ------
    UsageError
        FOLDER_NOT_EMPTY, or RECIPE_INVALID if the recipe cannot be built.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("FOLDER_NOT_EMPTY", f"{folder.name} already holds something", "Give a new or an empty folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=".phantom-", dir=folder.parent))
    try:
        _write_all(recipe, workplace)
        workplace.chmod(0o755)
        workplace.replace(folder)
    except BaseException:
        shutil.rmtree(workplace, ignore_errors=True)
        raise


def _write_all(recipe: PhantomRecipe, folder: Path) -> None:
    root = recipe_sha256(recipe)
    visits = [_write_visit(recipe, visit, root, folder / visit.name) for visit in recipe.visits]
    truth = {"note": NOTE, "recipe_sha256": root, "recipe": recipe.name, "visits": visits}
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, width=110)
    (folder / "recipe.yaml").write_text(f"# {NOTE}\n{text}", encoding="utf-8")


def _write_visit(recipe: PhantomRecipe, visit: VisitRecipe, root: str, folder: Path) -> dict[str, Any]:
    geometry = build_geometry(recipe, visit)
    frame = derived_uid(root, visit.name, "frame of reference")
    series = []
    for number, stack in enumerate(recipe.series, start=1):
        rng = np.random.default_rng([recipe.seed, visit.noise_seed, number])
        image, _ = render(geometry, stack_grid(geometry, stack), stack.sequence, rng)
        name = f"{number:02d}_{stack.name}"
        write_stack(
            Volume(image.array, image.affine, frame), StackHeader(recipe, visit, stack, root, number), folder / name
        )
        series.append(name)
    return {
        "name": visit.name,
        "study_date": visit.date.isoformat(),
        "study_instance_uid": derived_uid(root, visit.name),
        "frame_of_reference_uid": frame,
        "volume_factor": visit.volume_factor,
        "series": series,
        **visit_truth(geometry),
    }
