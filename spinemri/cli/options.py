"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Contrast",
    "Debug",
    "Deidentify",
    "DeidentifyKey",
    "Dicom",
    "JsonLog",
    "LabelsOfStudies",
    "Level",
    "Out",
    "Overwrite",
    "Profile",
    "Quiet",
    "Segmenter",
    "Studies",
    "Study",
    "StudyOrNone",
]

Study = Annotated[Path, typer.Argument(metavar="DIR", help="Folder, zip or file: DICOM, NIfTI or BIDS.")]
StudyOrNone = Annotated[Path | None, typer.Argument(metavar="DIR", help="Folder, zip or file: DICOM, NIfTI or BIDS.")]
Studies = Annotated[
    list[Path] | None, typer.Argument(metavar="DIR...", help="One folder a study, or one that holds several.")
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")]
Profile = Annotated[str, typer.Option("--config", help="Profile (default, emh, metastasis) or YAML file.")]
Contrast = Annotated[str | None, typer.Option("--contrast", help="What NIfTI input shows: T1, T2, STIR or T1c.")]
Level = Annotated[
    list[str] | None, typer.Option("--level", help="A vertebra you can see: T12@x,y,z in LPS mm; repeatable.")
]
LabelsOfStudies = Annotated[
    list[Path] | None, typer.Option("--labels", help="Masks in place of the network, one per study.")
]
Segmenter = Annotated[
    str | None, typer.Option("--segmenter", help="Tool that outlines the tissues: totalspineseg, spineps or sct.")
]
Dicom = Annotated[bool, typer.Option("--dicom/--no-dicom", help="Write DICOM objects, if the input is DICOM.")]
Deidentify = Annotated[bool, typer.Option("--deidentify", help="Leave nothing that identifies the patient.")]
DeidentifyKey = Annotated[
    Path | None,
    typer.Option("--deidentify-key", help="File with the secret of the pseudonyms; implies --deidentify."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the results of an earlier run.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
JsonLog = Annotated[bool, typer.Option("--json-log", help="Progress as JSON lines on stderr.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and library warnings.")]
