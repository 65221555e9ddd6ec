"""What the intake hands on: a study, its stacks, and a reason for everything that is not used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from spinemri.errors import Flag
from spinemri.volume import Grid, Volume

__all__ = [
    "AXIAL_ROLES",
    "POST_CONTRAST_ROLES",
    "SAGITTAL_ROLES",
    "Plane",
    "Rejected",
    "Role",
    "SourceInstance",
    "Stack",
    "Study",
    "Weighting",
    "count_patients",
    "no_instances",
]


class Plane(StrEnum):
    """Anatomical plane nearest to a stack's slices, from their orientation."""

    SAGITTAL = "sagittal"
    CORONAL = "coronal"
    AXIAL = "axial"


class Weighting(StrEnum):
    """What the contrast of a stack is dominated by."""

    T1 = "T1"
    T2 = "T2"
    STIR = "STIR"
    OTHER = "other"


class Role(StrEnum):
    """What a stack is used for; at most one stack of a study has each role."""

    SAGITTAL_T2 = "sagittal_t2"
    SAGITTAL_T1 = "sagittal_t1"
    SAGITTAL_T1_POST_FS = "sagittal_t1_post_fs"
    AXIAL_T2 = "axial_t2"
    AXIAL_POST_FS = "axial_post_fs"
    LOCALIZER = "counting_localizer"


SAGITTAL_ROLES = (Role.SAGITTAL_T2, Role.SAGITTAL_T1, Role.SAGITTAL_T1_POST_FS)
"""Series that can carry the measurement, the best first."""

AXIAL_ROLES = (Role.AXIAL_T2, Role.AXIAL_POST_FS)

POST_CONTRAST_ROLES = (Role.SAGITTAL_T1_POST_FS, Role.AXIAL_POST_FS)


@dataclass(frozen=True, eq=False)
class SourceInstance:
    """One DICOM file of a stack.

    Attributes
    ----------
    header : Dataset
        Identity, geometry and equipment, in UTF-8; neither pixels nor private tags, and no value that breaks its own
        value representation. It names the patient: it may go into DICOM objects, never into a message or a log.
    frames : tuple of int
        Frames of a multi-frame file that belong to the stack, counted from 1; empty for a file of a single frame.
    """

    header: Dataset
    frames: tuple[int, ...] = ()


def no_instances() -> tuple[SourceInstance, ...]:
    """Return nothing: the stack does not come from DICOM."""
    return ()


@dataclass(frozen=True, eq=False)
class Stack:
    """Parallel slices of one contrast: the unit in which images are classified, chosen and loaded.

    Attributes
    ----------
    stack_id : str
        Short, stable within the study, safe as a file name, e.g. ``"s004_1"``.
    series_instance_uid, series_description : str
        Empty where the source has none.
    plane, weighting : Plane, Weighting
    fat_suppressed, contrast_enhanced : bool or None
        None where nothing tells.
    region : str
        ``"cervical"``, ``"thoracic"``, ``"lumbar"``, ``"whole"`` or ``""``.
    grid : Grid
        Canonical geometry in LPS mm.
    frame_of_reference_uid : str
    acquired : str
        Acquisition date and time as ``YYYYMMDDHHMMSS.ffffff``, for ordering; empty where unknown.
    reader : callable
        Reads and decodes the pixels; called only through `load`.
    evidence : tuple of str
        One short sentence per classification, in the order plane, weighting, fat suppression, contrast, region.
    role : Role or None
    reason : str
        Why the stack has its role, or why it has none.
    code : str
        Stable code of the reason, e.g. ``"CHOSEN"``, ``"LOCALIZER"``, ``"TOO_FEW_SLICES"``.
    flags : tuple of Flag
    instances : callable
        Reads the headers of the DICOM files behind the stack, in order along the slice normal; gives none for other
        sources.
    """

    stack_id: str
    series_instance_uid: str
    series_description: str
    plane: Plane
    weighting: Weighting
    fat_suppressed: bool | None
    contrast_enhanced: bool | None
    region: str
    grid: Grid
    frame_of_reference_uid: str
    acquired: str
    reader: Callable[[], Volume]
    evidence: tuple[str, ...] = ()
    role: Role | None = None
    reason: str = ""
    code: str = ""
    flags: tuple[Flag, ...] = ()
    instances: Callable[[], tuple[SourceInstance, ...]] = no_instances

    def load(self) -> Volume:
        """Read the pixels as a canonical float32 volume (see `spinemri.volume.canonical`).

        Raises
        ------
        InputError
            If the pixel data cannot be decoded.
        """
        return self.reader()

    def with_role(self, role: Role | None, code: str, reason: str) -> Stack:
        """Return the stack with its role decided."""
        return replace(self, role=role, code=code, reason=reason)

    @property
    def slice_normal(self) -> NDArray[np.float64]:
        """Unit vector across the slices, in LPS."""
        axis = {"sagittal": 0, "coronal": 1, "axial": 2}[self.plane.value]
        vector = self.grid.affine[:3, axis]
        normal: NDArray[np.float64] = vector / np.linalg.norm(vector)
        return normal


@dataclass(frozen=True)
class Rejected:
    """A file or series that is not part of any stack, with the reason."""

    what: str
    code: str
    reason: str


@dataclass(frozen=True, eq=False)
class Study:
    """One examination of one patient.

    Attributes
    ----------
    study_instance_uid : str
    study_date : str
        ISO date ``YYYY-MM-DD``; empty where unknown (NIfTI).
    patient_key : str
        SHA-256 of the patient id: equal for the same patient, says nothing else. Empty where unknown.
    stacks : tuple of Stack
        Every usable or unusable stack, with role and reason.
    rejected : tuple of Rejected
    inputs_sha256 : str
        Over the files' contents, in an order that does not depend on names.
    flags : tuple of Flag
    issuer_key : str
        SHA-256 of whoever gave out the patient id; empty where no header names one. See `count_patients`.
    """

    study_instance_uid: str
    study_date: str
    patient_key: str
    stacks: tuple[Stack, ...]
    rejected: tuple[Rejected, ...]
    inputs_sha256: str
    flags: tuple[Flag, ...] = ()
    issuer_key: str = ""

    def by_role(self, role: Role) -> Stack | None:
        """Return the stack that has a role, or None."""
        return next((stack for stack in self.stacks if stack.role is role), None)


class _Owned(Protocol):
    """What a patient id and its issuer are known of."""

    @property
    def patient_key(self) -> str:
        """Identifies the patient."""

    @property
    def issuer_key(self) -> str:
        """Identifies who gave out the patient id."""


def count_patients(owned: Iterable[_Owned]) -> int:
    """Return how many patients some images, studies or plans belong to by their patient ids; 0 where none has one.

    The same id given out by two issuers stands for two patients. An issuer that only some of them name does not make
    another patient of those: scanners and archives often leave it out.
    """
    owners = list(owned)
    patients = {one.patient_key for one in owners} - {""}
    issuers = {one.issuer_key for one in owners} - {""}
    return max(len(patients), len(issuers))
