"""The course of radiotherapy beside the mass that it was given for."""

from __future__ import annotations

from dataclasses import replace

from spinemri.anatomy.model import Levels
from spinemri.errors import Flag
from spinemri.followup.dose import dose_to_mass, to_frame, treated_levels
from spinemri.followup.radiotherapy import Radiotherapy, radiotherapy_record
from spinemri.followup.record import RadiotherapyRecord
from spinemri.intake.treatment import Course
from spinemri.measure.result import StudyResult

__all__ = ["treatment_record", "under_new_names"]

_SAME_GY = 0.01
_SAME_BODY_MM = 7.0
"""Centres this near are those of one vertebral body: about half the height of a cervical one and its disc."""


def treatment_record(
    baseline: StudyResult, radiotherapy: Radiotherapy | None
) -> tuple[RadiotherapyRecord | None, tuple[Flag, ...]]:
    """Put the radiotherapy beside the baseline's mass.

    What the user said counts before what the plan says. Levels without an anchor are not compared with treated ones.

    Parameters
    ----------
    baseline : StudyResult
    radiotherapy : Radiotherapy or None

    Returns
    -------
    record : RadiotherapyRecord or None
    flags : tuple of Flag
    """
    if radiotherapy is None:
        return None, ()
    levels, mass = baseline.measurements.levels, baseline.measurements.mass
    anchored = levels.numbering == "absolute"
    doses: dict[str, float | None] = {}
    flags: tuple[Flag, ...] = ()
    if radiotherapy.course is not None:
        treated, doses, flags = _from_plan(baseline, radiotherapy, radiotherapy.course, anchored=anchored)
        if radiotherapy.levels is None and treated is not None:
            radiotherapy = replace(radiotherapy, levels=treated, levels_from="plan")
    present = [v.name for v in levels.vertebrae if v.name]
    record = radiotherapy_record(radiotherapy, mass.extent if anchored else None, present)
    record = RadiotherapyRecord.model_validate(record.model_dump() | doses)
    if anchored or radiotherapy.levels is None or mass.extent is None:
        return record, flags
    message = (
        f"The baseline's levels are {levels.numbering}: whether {radiotherapy.levels} covers the mass is not judged. "
        "Give a level with --level."
    )
    return record, (*flags, Flag("RT_LEVELS_NOT_COMPARABLE", message))


def under_new_names(radiotherapy: Radiotherapy, before: Levels, after: Levels) -> tuple[Radiotherapy, tuple[Flag, ...]]:
    """Let the treated levels of a plan follow the names of the vertebrae that it treated.

    A plan treats places: once a count of levels was corrected, the same vertebrae have other names. What the user said
    was said in names and stays.

    Parameters
    ----------
    radiotherapy : Radiotherapy
    before, after : Levels
        Of the baseline, when the plan was read and now.

    Returns
    -------
    radiotherapy : Radiotherapy
        Without levels where one of the vertebrae has no name now.
    flags : tuple of Flag
    """
    if radiotherapy.levels_from != "plan" or radiotherapy.level_pair is None:
        return radiotherapy, ()
    names = [_name_now(name, before, after) for name in radiotherapy.level_pair]
    if all(names):
        return replace(radiotherapy, levels="-".join(filter(None, names))), ()
    message = (
        f"The levels that the plan treats, {radiotherapy.levels} when it was read, have no names now: whether they "
        "cover the mass is not judged. Compare with --radiotherapy again."
    )
    return replace(radiotherapy, levels=None), (Flag("RT_LEVELS_NOT_REMEASURED", message),)


def _name_now(name: str, before: Levels, after: Levels) -> str | None:
    """Name the vertebra whose body lies where one had a name before."""
    was = next((v.centre_lps_mm for v in before.vertebrae if v.name == name), None)
    body = after.vertebra_at(was, _SAME_BODY_MM) if was else None
    return None if body is None else after.vertebrae[body].name


def _from_plan(
    baseline: StudyResult, radiotherapy: Radiotherapy, course: Course, *, anchored: bool
) -> tuple[str | None, dict[str, float | None], tuple[Flag, ...]]:
    """Read treated levels and the dose to the mass from the objects of the planning system."""
    matrix, flags = to_frame(course, baseline.primary_image.frame_of_reference_uid)
    flags = (*course.flags, *_disagreement(radiotherapy, course), *flags)
    if matrix is None:
        return None, {}, flags
    treated = treated_levels(course, baseline.anatomy.levels, matrix, radiotherapy.dose_gy) if anchored else None
    doses: dict[str, float | None] = {}
    if course.dose is not None and baseline.mass.status == "measured":
        dose, more = dose_to_mass(course.dose, baseline.mass, matrix, radiotherapy.dose_gy)
        flags += more
        if dose is not None:
            doses = {"mass_v95_percent": dose.v95_percent, "mass_d95_gy": dose.d95_gy, "mass_mean_gy": dose.mean_gy}
    return treated, doses, flags


def _disagreement(radiotherapy: Radiotherapy, course: Course) -> tuple[Flag, ...]:
    """Flag what the user said otherwise than the plan."""
    said = []
    dose, planned = radiotherapy.dose_gy, course.prescribed_gy
    if dose is not None and planned is not None and abs(dose - planned) > _SAME_GY:
        said.append(f"{dose:g} Gy against {planned:g} Gy in the plan")
    if None not in (radiotherapy.fractions, course.fractions) and radiotherapy.fractions != course.fractions:
        said.append(f"{radiotherapy.fractions} fractions against {course.fractions} in the plan")
    if not said:
        return ()
    return (Flag("RT_PLAN_DISAGREES", f"What was given differs from the plan and is taken: {', '.join(said)}."),)
