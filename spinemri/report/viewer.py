"""What the interactive viewer of the page is given: images, masks, levels and the link between visits."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.model import Disc, Vertebra
from spinemri.intake.model import AXIAL_ROLES
from spinemri.measure.record import ProfileRow
from spinemri.nomenclature import Tissue
from spinemri.report.drawing import CANAL_COLOUR, CORD_COLOUR, MASS_COLOUR, SAC_COLOUR
from spinemri.report.linking import common_line
from spinemri.report.stacks import WHITE, ShownStack, shown_stacks
from spinemri.report.visit import Visit, anterior_points, level_text
from spinemri.report.wording import series_title
from spinemri.volume import Volume

__all__ = ["viewer_data", "viewer_library"]

_COLOURS = {
    Tissue.CORD: CORD_COLOUR,
    Tissue.DURAL_SAC: SAC_COLOUR,
    Tissue.EPIDURAL: CANAL_COLOUR,
    Tissue.BODY: "#D8CBB0",
    Tissue.POSTERIOR_ELEMENTS: "#A89A80",
    Tissue.DISC: "#7F7FD5",
    Tissue.SACRUM: "#B98B73",
}
_NAMES = {
    Tissue.CORD: "cord",
    Tissue.DURAL_SAC: "dural sac",
    Tissue.EPIDURAL: "epidural space",
    Tissue.BODY: "vertebral body",
    Tissue.POSTERIOR_ELEMENTS: "posterior elements",
    Tissue.DISC: "disc",
    Tissue.SACRUM: "sacrum",
}
_PROFILE = ("mass_area_mm2", "occupancy_percent", "canal_area_mm2", "sac_ap_mm", "cord_ap_mm")


def viewer_library() -> str:
    """Return the script of the viewer's library, niivue (BSD-2-Clause), with its licence before it."""
    assets = files("spinemri.report") / "assets"
    licence = (assets / "niivue.LICENSE.txt").read_text(encoding="utf-8")
    return f"/*\n{licence}*/\n{(assets / 'niivue.umd.js').read_text(encoding='utf-8')}"


def viewer_data(visits: Sequence[Visit]) -> str:
    """Return everything that the viewer shows, as JSON that may stand inside a script element.

    Parameters
    ----------
    visits : sequence of Visit
        The baseline first.

    Returns
    -------
    str
        Places are LPS mm. The same input gives the same text.
    """
    stacks = shown_stacks(visits)
    content = {
        "white": WHITE,
        "mass": MASS_COLOUR,
        "tissues": [{"id": int(t), "name": _NAMES[t], "colour": colour} for t, colour in _COLOURS.items()],
        "visits": [_visit(visit, visits[0], own) for visit, own in zip(visits, stacks, strict=True)],
    }
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _visit(visit: Visit, baseline: Visit, stacks: Sequence[ShownStack]) -> dict[str, Any]:
    line, compromise = common_line(visit, baseline), visit.result.measurements.compromise
    worst = compromise.worst_point_lps_mm
    return {
        "title": visit.title,
        "place": _rounded(visit.place.point_lps),
        "worst": _rounded(np.array(worst)) if worst else None,
        "worstLevel": level_text(visit.result, compromise.worst_level) if compromise.worst_level else "",
        "line": {
            "arc": _rounded(line.arc_mm),
            "point": _rounded(line.points_lps),
            "left": _rounded(line.left, 4),
            "posterior": _rounded(line.posterior, 4),
        },
        "levels": _levels(visit),
        "profile": [_section(visit, row) for row in visit.result.profile],
        "stacks": [_stack(visit, stack) for stack in stacks],
    }


def _levels(visit: Visit) -> list[dict[str, Any]]:
    """Return vertebrae with the place where the name is written, and all levels with the place to jump to."""
    levels, fronts = visit.result.anatomy.levels, anterior_points(visit.result)
    every: tuple[Vertebra | Disc, ...] = (*levels.vertebrae, *levels.discs)
    entries = [(level.name, level.centre_lps_mm) for level in every if level.name]
    entries.sort(key=lambda entry: -entry[1][2])
    return [
        {
            "name": level_text(visit.result, name),
            "centre": _rounded(np.array(centre)),
            "front": _rounded(fronts[name]) if name in fronts else None,
        }
        for name, centre in entries
    ]


def _section(visit: Visit, row: ProfileRow) -> list[Any]:
    """Return place, level and sizes of one section."""
    place = [round(value, 1) for value in (row.x_lps_mm, row.y_lps_mm, row.z_lps_mm)]
    level = level_text(visit.result, row.level) if row.level else ""
    values = [getattr(row, name) for name in _PROFILE]
    return [*place, level, *(None if value is None else round(value, 1) for value in values)]


def _stack(visit: Visit, stack: ShownStack) -> dict[str, Any]:
    return {
        "role": stack.role.value,
        "name": series_title(visit.result, stack.role),
        "plane": "axial" if stack.role in AXIAL_ROLES else "sagittal",
        "image": _nifti(stack.image),
        "mass": _nifti(stack.mass) if stack.mass else None,
        "tissues": _nifti(stack.tissues) if stack.tissues else None,
    }


def _nifti(volume: Volume) -> str:
    """Return a compressed NIfTI in base64; niivue wants RAS."""
    image = nib.Nifti1Image(volume.array, np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine)
    image.header.set_xyzt_units("mm")
    return base64.b64encode(gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)).decode("ascii")


def _rounded(values: NDArray[np.float64], decimals: int = 3) -> Any:  # noqa: ANN401 - nested lists for JSON
    return (np.round(values, decimals) + 0.0).tolist()
