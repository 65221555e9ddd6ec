"""What in an output folder is a run's and what is its user's: only a run's files make way for new results."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path, PurePath

from spinemri.intake.model import Role

__all__ = ["is_of_run", "keep_users_files"]

_ROLES = "|".join(Role)
_NAMES = {
    "": r"(report\.(html|pdf)|(measurements|comparison)\.(json|csv)|profile\.csv|config\.yaml|log\.jsonl)",
    "nifti/": rf"(({_ROLES}|(anatomy|levels|mass)_dseg|(anatomy|mass)_probseg)\.(nii\.gz|json)|manifest\.json)",
    "figures/": rf"(({_ROLES}|perpendicular)_visit\d+(_outlined)?\.jpg|profile\.png)",
    "dicom/": (
        r"(((anatomy|levels|mass)_seg|mass_rtstruct|(measurements|comparison)_sr|key_image_sc_\d+|key_images_ko"
        r"|report_pdf)\.dcm|sources\.json)"
    ),
}
_OF_RUN = re.compile(rf"(timepoint_\d+/)?({'|'.join(folder + names for folder, names in _NAMES.items())})")
"""Names that a run, a comparison or a new measurement gives."""


def is_of_run(path: PurePath) -> bool:
    """Tell whether a run writes a file of this name.

    Everything else in the folder of its results is the user's: masks of another reader, scenes, notes, and the
    receipt of what was sent, which tells objects apart by their content and so stays true of those that were replaced.

    Parameters
    ----------
    path : PurePath
        Relative to the folder of the results.

    Returns
    -------
    bool
    """
    return _OF_RUN.fullmatch(path.as_posix()) is not None


def keep_users_files(old: Path, new: Path) -> None:
    """Put the user's files of an older result into a newer one as well, never over what lies there.

    Parameters
    ----------
    old, new : Path
        Folders of results on one disk; nothing in `old` changes.

    Raises
    ------
    OSError
        If a file or folder cannot be read.
    """
    for folder, folders, names in os.walk(old, onerror=_refuse):
        here = Path(folder)
        for source in (*(here / name for name in names), *(here / name for name in folders)):
            path = source.relative_to(old)
            # A link to a folder is one thing to keep, not a way to what lies elsewhere.
            kept = source.is_symlink() or not source.is_dir()
            if kept and not is_of_run(path) and not os.path.lexists(new / path):
                (new / path).parent.mkdir(parents=True, exist_ok=True)
                _place(source, new / path)


def _refuse(error: OSError) -> None:
    raise error


def _place(source: Path, target: Path) -> None:
    """Link a file, which needs no space, or copy it where links are not to be had."""
    if source.is_symlink():
        shutil.copy2(source, target, follow_symlinks=False)
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
