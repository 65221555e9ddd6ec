"""The course of radiotherapy beside the mass that it was given for."""

from __future__ import annotations

from dataclasses import replace

from spinemri.errors import Flag
from spinemri.followup.dose import dose_to_mass, to_frame, treated_levels
from spinemri.followup.radiotherapy import Radiotherapy, radiotherapy_record
from spinemri.followup.record import RadiotherapyRecord
from spinemri.intake.treatment import Course
from spinemri.measure.result import StudyResult

__all__ = ["treatment_record"]

_SAME_GY = 0.01


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
    numbers: dict[str, float | str | None] = {"levels_from": "given" if radiotherapy.levels else None}
    flags: tuple[Flag, ...] = ()
    if radiotherapy.course is not None:
        planned, flags = _from_plan(baseline, radiotherapy, radiotherapy.course, anchored=anchored)
        found = planned.pop("levels")
        if radiotherapy.levels is None and isinstance(found, str):
            radiotherapy = replace(radiotherapy, levels=found)
            numbers["levels_from"] = "plan"
        numbers |= planned
    present = [v.name for v in levels.vertebrae if v.name]
    record = radiotherapy_record(radiotherapy, mass.extent if anchored else None, present)
    record = RadiotherapyRecord.model_validate(record.model_dump() | numbers)
    if anchored or radiotherapy.levels is None or mass.extent is None:
        return record, flags
    message = (
        f"The baseline's levels are {levels.numbering}: whether {radiotherapy.levels} covers the mass is not judged. "
        "Give a level with --level."
    )
    return record, (*flags, Flag("RT_LEVELS_NOT_COMPARABLE", message))


def _from_plan(
    baseline: StudyResult, radiotherapy: Radiotherapy, course: Course, *, anchored: bool
) -> tuple[dict[str, float | str | None], tuple[Flag, ...]]:
    """Read treated levels and the dose to the mass from the objects of the planning system."""
    matrix, flags = to_frame(course, baseline.primary_image.frame_of_reference_uid)
    flags = (*course.flags, *_disagreement(radiotherapy, course), *flags)
    numbers: dict[str, float | str | None] = {"levels": None}
    if matrix is None:
        return numbers, flags
    if anchored:
        numbers["levels"] = treated_levels(course, baseline.anatomy.levels, matrix, radiotherapy.dose_gy)
    if course.dose is not None and baseline.mass.status == "measured":
        dose, more = dose_to_mass(course.dose, baseline.mass, matrix, radiotherapy.dose_gy)
        flags += more
        if dose is not None:
            doses = {"mass_v95_percent": dose.v95_percent, "mass_d95_gy": dose.d95_gy, "mass_mean_gy": dose.mean_gy}
            numbers |= doses
    return numbers, flags


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
