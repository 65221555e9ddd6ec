"""Coverages that an earlier run has stored, in place of segmenting the same images again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from spinemri import __version__
from spinemri.anatomy.model import TissueMap
from spinemri.config import Config, config_sha256
from spinemri.errors import InputError
from spinemri.export.reading import read_measurements
from spinemri.intake.model import Study
from spinemri.mass.second_look import networks_sha256
from spinemri.pipeline.coverage import read_coverage
from spinemri.volume import Volume

__all__ = ["stored_tissues"]


def stored_tissues(folders: Iterable[Path], study: Study, image: Volume, config: Config) -> TissueMap | None:
    """Return what a run made of the same files, settings, network and version; None if no folder has it.

    A run rounds coverages before it measures them, so the stored ones are the very same.

    Parameters
    ----------
    folders : iterable of Path
        Results of runs with our network.
    study : Study
    image : Volume
        The image on whose grid coverages lie.
    config : Config

    Returns
    -------
    TissueMap or None
    """
    wanted = (study.inputs_sha256, __version__, config_sha256(config), networks_sha256())
    for folder in folders:
        try:
            if _origin(folder) == wanted:
                return read_coverage(folder / "nifti", image)
        except InputError:
            # Missing or damaged: then it is segmented.
            continue
    return None


def _origin(folder: Path) -> tuple[str, str, str, str]:
    measured = read_measurements(folder)
    made = measured.software
    return measured.study.inputs_sha256, made.version, made.config_sha256, made.model_sha256
