"""A quick look at one visit: when it was made and how many voxels it has, from headers only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from spinemri.errors import InputError
from spinemri.intake.headers import read_headers
from spinemri.intake.nifti import is_nifti
from spinemri.intake.sources import Source, find_sources
from spinemri.intake.tags import Frame

__all__ = ["Look", "frame_voxels", "look_at"]

_BYTES_PER_VOXEL = 0.5
"""Of files whose header cannot be read; compressed images have less than their 2 bytes."""


@dataclass(frozen=True)
class Look:
    """What headers say of a visit: ISO date or empty, and voxels of all images."""

    date: str = ""
    voxels: int = 0


def look_at(path: Path) -> Look:
    """Read the headers below a path; what cannot be read counts by its size.

    Parameters
    ----------
    path : Path
        Anything that `spinemri run` takes.

    Returns
    -------
    Look
        Empty if there is nothing to look at: the run will say why.
    """
    try:
        sources, _ = find_sources(path)
    except (InputError, OSError):
        return Look()
    images = [source for source in sources if is_nifti(source)]
    if images:
        return Look(voxels=sum(_nifti_voxels(source) for source in images))
    frames = read_headers(sources).frames
    dates = [frame.identity.study_date for frame in frames if frame.identity.study_date]
    return Look(min(dates, default=""), frame_voxels(frames))


def frame_voxels(frames: Iterable[Frame]) -> int:
    """Count the voxels of DICOM frames."""
    return sum(frame.rows * frame.columns for frame in frames)


def _nifti_voxels(source: Source) -> int:
    if source.members:
        return 0
    try:
        return int(np.prod(nib.load(source.path).shape))
    except (ImageFileError, OSError, ValueError):
        return int(source.path.stat().st_size / _BYTES_PER_VOXEL)
