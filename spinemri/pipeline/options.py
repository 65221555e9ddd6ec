"""What a user asks of one run, beside the settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from spinemri.config import Config
from spinemri.intake.pseudonyms import Deidentification

__all__ = ["Options", "Point"]

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes
    ----------
    config : Config
    contrast : str or None
        Weighting of NIfTI input whose name and sidecar do not tell, e.g. ``"T2w"``.
    labels : tuple of Path
        Masks that take the place of the network, a NIfTI or the folder of another tool: none, or one per study in
        order of time.
    with_mass : bool
        False: measure the canal only.
    mass_seed_lps_mm : (x, y, z) or None
        LPS mm: the mass is the component nearest to this point.
    levels : tuple of (name, (x, y, z))
        Vertebrae that the user points at, LPS mm.
    dicom : bool
        Write DICOM objects, if the input is DICOM.
    overwrite : bool
        Replace the output of an earlier run.
    deidentification : Deidentification or None
        Leave nothing in the results that identifies the patient.
    earlier : tuple of Path
        Results of runs with the same mass options and no seed: where one is of the same images, settings and network,
        its coverages are taken in place of segmenting again. The result is the same.
    """

    config: Config = field(default_factory=Config)
    contrast: str | None = None
    labels: tuple[Path, ...] = ()
    with_mass: bool = True
    mass_seed_lps_mm: Point | None = None
    levels: tuple[tuple[str, Point], ...] = ()
    dicom: bool = True
    overwrite: bool = False
    deidentification: Deidentification | None = None
    earlier: tuple[Path, ...] = ()
