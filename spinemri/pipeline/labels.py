"""Masks from elsewhere in the place of the network's: ours, or those of another tool in its own numbering."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spinemri.anatomy.given import levels_of_bodies, levels_of_cord, levels_of_discs, to_tissues
from spinemri.anatomy.model import Levels
from spinemri.anatomy.numberings import OURS, SPINEPS, TOTALSPINESEG, Scheme, recognise
from spinemri.errors import Flag, Severity, UsageError
from spinemri.nomenclature import Tissue
from spinemri.pipeline.label_files import LabelFiles, find_label_files, nearest_ids, read_fractions, read_ids
from spinemri.volume import Grid, Volume

__all__ = ["GivenAnatomy", "read_labels"]

_CANAL = (Tissue.CORD, Tissue.DURAL_SAC, Tissue.EPIDURAL, Tissue.MASS_CANAL)
_COLUMN = (Tissue.BODY, Tissue.DISC)
_REMEDY = (
    "Use the ids 1 cord, 2 dural sac, 3 epidural space, 4 vertebral body, 5 posterior elements, 6 disc, 7 sacrum, "
    "8 mass in the canal, 9 mass outside it, or a mask as TotalSpineSeg, SPINEPS or the Spinal Cord Toolbox wrote it."
)
_SCT = "sct"


@dataclass(frozen=True, eq=False)
class GivenAnatomy:
    """What masks say.

    Attributes
    ----------
    tissues : Volume
        uint8 tissue ids on the primary grid.
    levels : Levels or None
        Where the masks name levels; `anchor` is the tool.
    outlines_mass : bool
        Whether a mask without a mass means that there is none.
    outlines_column : bool
        Whether the tool outlines vertebrae at all.
    flags : tuple of Flag
    """

    tissues: Volume
    levels: Levels | None = None
    outlines_mass: bool = True
    outlines_column: bool = True
    flags: tuple[Flag, ...] = ()


def read_labels(path: Path, grid: Grid) -> GivenAnatomy:
    """Read masks and bring them onto the grid of the primary stack, in our tissue ids.

    Parameters
    ----------
    path : Path
        NIfTI on any grid of the same patient space, or the folder that a tool wrote.
    grid : Grid
        Of the primary sagittal stack, LPS mm.

    Returns
    -------
    GivenAnatomy

    Raises
    ------
    UsageError
        BAD_LABELS if a file is no mask, uses unknown ids, lacks the canal or the vertebral column, or lies
        elsewhere in the patient.
    """
    files = find_label_files(path)
    if files.tissues is None:
        return _from_toolbox(files, grid)
    labels = read_ids(files.tissues)
    scheme = _scheme(files.tissues, labels)
    moved = _within(files.tissues, labels, grid)
    tissues = to_tissues(moved, scheme)
    if scheme is OURS:
        return GivenAnatomy(tissues)
    levels, flags = _named(files, moved, tissues, scheme)
    return GivenAnatomy(tissues, levels, scheme.outlines_mass, flags=(_translated(scheme.title), *flags))


def _within(path: Path, labels: Volume, grid: Grid) -> Volume:
    moved = nearest_ids(labels, grid)
    if not moved.array.any():
        raise UsageError(
            "BAD_LABELS", f"{path.name} does not overlap the sagittal series.", "Give a mask in the same patient space."
        )
    return moved


def _scheme(path: Path, labels: Volume) -> Scheme:
    """Recognise the numbering and check that canal and column are there."""
    found = [int(value) for value in np.unique(labels.array) if value]
    listed = ", ".join(str(value) for value in found[:20]) or "none"
    scheme = recognise(found)
    if scheme is None:
        raise UsageError("BAD_LABELS", f"{path.name} holds the ids {listed}, of another numbering.", _REMEDY)
    shown = {scheme.tissues[value] for value in found}
    for needed, what in ((_CANAL, "canal (1, 2, 3 or 8)"), (_COLUMN, "vertebral body or disc (4 or 6)")):
        if not shown & set(needed):
            raise UsageError("BAD_LABELS", f"{path.name} holds the ids {listed}: no {what}.", _REMEDY)
    return scheme


def _named(files: LabelFiles, moved: Volume, tissues: Volume, scheme: Scheme) -> tuple[Levels | None, tuple[Flag, ...]]:
    """Read the level names off a mask, as far as its numbers are names."""
    if scheme is TOTALSPINESEG:
        return levels_of_bodies(moved, tissues, scheme), ()
    if scheme is not SPINEPS or files.instances is None:
        return None, ()
    instances = read_ids(files.instances)
    levels = levels_of_bodies(nearest_ids(instances, moved.grid), tissues, scheme)
    if (instances.array == 1).any():
        # Without its labelling model the tool counts from the top of the image, which looks the same as from C1.
        message = "SPINEPS numbers the topmost vertebra 1: counted in the image or C1. Its names were not used."
        return None, (Flag("LEVELS_COUNTED_FROM_TOP", message, Severity.INFO),)
    return levels, ()


def _from_toolbox(files: LabelFiles, grid: Grid) -> GivenAnatomy:
    """Put the masks of canal and cord together; levels come from the discs, else from the labelled cord."""
    array = np.zeros(grid.shape, dtype=np.uint8)
    for path, tissue in ((files.canal, Tissue.DURAL_SAC), (files.cord or files.labelled_cord, Tissue.CORD)):
        if path is not None:
            array[_within(path, read_fractions(path), grid).array > 0] = int(tissue)
    levels = None
    if files.discs is not None:
        levels = levels_of_discs(read_ids(files.discs), _SCT)
    elif files.labelled_cord is not None:
        levels = levels_of_cord(read_ids(files.labelled_cord), _SCT)
    return GivenAnatomy(
        Volume(array, grid.affine),
        levels,
        outlines_mass=False,
        outlines_column=False,
        flags=(_translated("the Spinal Cord Toolbox"),),
    )


def _translated(tool: str) -> Flag:
    return Flag(
        "LABELS_TRANSLATED",
        f"The masks are numbered as {tool} does and were mapped to our tissues; their canal is taken as the dural sac.",
        Severity.INFO,
    )
