"""Coverages that an earlier run has stored, in place of segmenting the same images again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from spinemri import __version__
from spinemri.anatomy.alignment import Shift
from spinemri.config import Config, config_sha256
from spinemri.errors import InputError
from spinemri.export.nifti import read_nifti
from spinemri.export.reading import read_measurements
from spinemri.intake.model import Role, Stack, Study
from spinemri.mass.second_look import networks_sha256
from spinemri.mass.segment import FusedStudy
from spinemri.pipeline.coverage import read_coverage
from spinemri.volume import Volume

__all__ = ["stored_tissues"]


def stored_tissues(
    folders: Iterable[Path], study: Study, stacks: Mapping[Role, tuple[Volume, Stack]], config: Config
) -> FusedStudy | None:
    """Return what a run made of the same files, settings, network and version; None if no folder has it.

    A run rounds coverages before it measures them, so the stored ones are the very same.

    Parameters
    ----------
    folders : iterable of Path
        Results of runs with our network.
    study : Study
    stacks : mapping of Role to (Volume, Stack)
        Sagittal images where the scanner says that they lie, the primary first: on its grid coverages lie.
    config : Config

    Returns
    -------
    FusedStudy or None
    """
    wanted = (study.inputs_sha256, __version__, config_sha256(config), networks_sha256())
    for folder in folders:
        try:
            if _origin(folder) == wanted:
                image = next(iter(stacks.values()))[0]
                return FusedStudy(read_coverage(folder / "nifti", image), _shifts(folder, stacks))
        except InputError:
            # Missing or damaged: then it is segmented.
            continue
    return None


def _shifts(folder: Path, stacks: Mapping[Role, tuple[Volume, Stack]]) -> dict[Role, Shift]:
    """How far the run had moved every series but the first, to the hundredth of a millimetre that it found."""
    others = list(stacks.items())[1:]
    stored = {role: read_nifti(folder / "nifti" / f"{role.value}.nii.gz") for role, _ in others}
    return {role: np.round(stored[role].affine[:3, 3] - volume.affine[:3, 3], 2) + 0.0 for role, (volume, _) in others}


def _origin(folder: Path) -> tuple[str, str, str, str]:
    measured = read_measurements(folder)
    made = measured.software
    return measured.study.inputs_sha256, made.version, made.config_sha256, made.model_sha256
