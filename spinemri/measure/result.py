"""One measured study with everything its numbers came from: what follow-up, report and export take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spinemri.anatomy.model import Anatomy
from spinemri.intake.model import Role, Study
from spinemri.mass.model import Mass
from spinemri.measure.record import Measurements, ProfileRow
from spinemri.volume import Volume

__all__ = ["StudyResult"]


@dataclass(frozen=True, eq=False)
class StudyResult:
    """A study, the images that were used, and the results of every stage.

    Attributes
    ----------
    study : Study
    images : mapping of Role to Volume
        Canonical float32 images of every stack that was loaded.
    primary : Role
        The sagittal stack on whose grid `anatomy` and `mass` lie.
    anatomy : Anatomy
    mass : Mass
    measurements : Measurements
    profile : tuple of ProfileRow
        One row per mm of canal, cranial to caudal; empty without a centreline.
    """

    study: Study
    images: Mapping[Role, Volume]
    primary: Role
    anatomy: Anatomy
    mass: Mass
    measurements: Measurements
    profile: tuple[ProfileRow, ...]

    @property
    def primary_image(self) -> Volume:
        """The image on whose grid anatomy and mass lie."""
        return self.images[self.primary]
