"""Whether a person has corrected masks in the folder of a result."""

from __future__ import annotations

from pathlib import Path

from spinemri.errors import InputError
from spinemri.export.reading import read_masks
from spinemri.pipeline.manifest import edited_masks, read_manifest

__all__ = ["has_corrections"]


def has_corrections(folder: Path) -> bool:
    """Tell whether a mask of a run, or of any visit of a comparison, differs from what was written."""
    visits = sorted(folder.glob("timepoint_*")) or [folder]
    return any(_is_corrected(visit) for visit in visits if (visit / "nifti").is_dir())


def _is_corrected(folder: Path) -> bool:
    try:
        return bool(edited_masks(read_manifest(folder), read_masks(folder)))
    except InputError:
        # Damaged: it is measured anew.
        return False
