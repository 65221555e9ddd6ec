"""From frames of DICOM files to studies: patients kept apart, studies split, stacks classified and chosen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from spinemri.errors import Flag, InputError
from spinemri.intake.candidates import dicom_candidates
from spinemri.intake.enhancement import infer_contrast
from spinemri.intake.grouping import group_frames, without_copies
from spinemri.intake.headers import Headers
from spinemri.intake.model import Rejected, Study, count_patients
from spinemri.intake.roles import choose_roles
from spinemri.intake.rules import SeriesRules
from spinemri.intake.sources import contents_sha256
from spinemri.intake.tags import Frame

__all__ = ["dicom_studies"]


def dicom_studies(headers: Headers, rejected: Sequence[Rejected], rules: SeriesRules) -> tuple[Study, ...]:
    """Build the studies that the frames belong to.

    Parameters
    ----------
    headers : Headers
        With at least one frame.
    rejected : sequence of Rejected
        What was refused before any header was read; every study lists it, for none can own it.
    rules : SeriesRules

    Returns
    -------
    tuple of Study
        Ordered by date, then by time of acquisition.

    Raises
    ------
    InputError
        SEVERAL_PATIENTS.
    """
    check_one_patient(headers.frames)
    frames, copies = without_copies(headers.frames)
    common = (*rejected, *headers.rejected, *copies)
    by_study: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        by_study[frame.identity.study_uid].append(frame)
    ordered = sorted(by_study.values(), key=lambda members: (_date(members), _started(members)))
    return tuple(_study(members, common, rules) for members in ordered)


def check_one_patient(frames: Sequence[Frame]) -> None:
    """Refuse to mix patients: told apart by patient id or, where it is blank throughout, by name and birth date.

    Raises
    ------
    InputError
        SEVERAL_PATIENTS.
    """
    owners = {frame.identity for frame in frames}
    people = {owner.person_key for owner in owners if not owner.patient_key} - {""}
    count = max(count_patients(owners), len(people))
    if count > 1:
        raise InputError(
            "SEVERAL_PATIENTS",
            f"The input holds images of {count} patients.",
            "Give the folder of one patient at a time.",
        )


def _date(frames: Sequence[Frame]) -> str:
    return min((frame.identity.study_date for frame in frames if frame.identity.study_date), default="")


def _started(frames: Sequence[Frame]) -> tuple[str, str]:
    return min(frame.acquired for frame in frames), frames[0].identity.study_uid


def _study(frames: Sequence[Frame], common: tuple[Rejected, ...], rules: SeriesRules) -> Study:
    groups, doubles = group_frames(frames)
    stacks = choose_roles(infer_contrast(dicom_candidates(groups, rules)))
    return Study(
        study_instance_uid=frames[0].identity.study_uid,
        study_date=_date(frames),
        patient_key=max(frame.identity.patient_key for frame in frames),
        stacks=stacks,
        rejected=(*common, *doubles),
        inputs_sha256=contents_sha256(frame.source for frame in frames),
        flags=_flags(frames, common),
        issuer_key=max(frame.identity.issuer_key for frame in frames),
    )


def _flags(frames: Sequence[Frame], common: Sequence[Rejected]) -> tuple[Flag, ...]:
    flags = []
    corrupt = [item for item in common if item.code == "CORRUPT_FILE"]
    if corrupt:
        what = f"{len(corrupt)} of the files cannot be read; the others are used. 'spinemri inspect' names them."
        flags.append(Flag("CORRUPT_FILE", f"{what} Export the study again if slices are missing."))
    if len({frame.identity.patient_key for frame in frames}) > 1:
        message = "Some images have no patient id; they are taken for the same patient. Check the export."
        flags.append(Flag("PATIENT_ID_MISSING", message))
    return tuple(flags)
