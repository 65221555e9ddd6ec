"""A comparison from DICOM to DICOM, as the tests of the objects see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from written_study import WrittenStudy

from spinemri.pipeline import ComparedStudies, Options


@dataclass(frozen=True)
class Compared:
    """A comparison on disk, what was given to it, and what it returned."""

    out: Path
    inputs: tuple[WrittenStudy, WrittenStudy]
    options: Options
    results: ComparedStudies

    def dicom(self, visit: int) -> Path:
        return self.out / f"timepoint_{visit}" / "dicom"

    def nifti(self, visit: int) -> Path:
        return self.out / f"timepoint_{visit}" / "nifti"
