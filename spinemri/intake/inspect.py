"""What is in a folder, as rows of a table: every stack and everything that is part of none, each with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinemri.intake.candidates import slice_axis
from spinemri.intake.model import Rejected, Stack, Study

__all__ = ["InspectionRow", "inspection_rows"]


@dataclass(frozen=True)
class InspectionRow:
    """One line: a stack, or a file or series that is part of none.

    Attributes
    ----------
    study : int
        From 1, in order of date.
    stack : str
        Stack id; for what was rejected, the file or series.
    is_stack : bool
        False for what was rejected; the fields from `series_description` to `role` are then empty.
    series_description, plane, weighting : str
    fat_suppressed, contrast_enhanced : str
        ``"yes"``, ``"no"`` or ``"?"``.
    region : str
    slices : int
    matrix : str
        Voxels in plane.
    spacing_mm : str
        In plane x in plane x between slices.
    role, code, reason : str
    evidence : tuple of str
        One sentence per classification.
    flags : tuple of str
        Codes of the stack's findings.
    """

    study: int
    stack: str
    is_stack: bool
    series_description: str = ""
    plane: str = ""
    weighting: str = ""
    fat_suppressed: str = ""
    contrast_enhanced: str = ""
    region: str = ""
    slices: int = 0
    matrix: str = ""
    spacing_mm: str = ""
    role: str = ""
    code: str = ""
    reason: str = ""
    evidence: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def inspection_rows(studies: Sequence[Study]) -> list[InspectionRow]:
    """Return one row per stack, study by study, then one per rejected file or series.

    Parameters
    ----------
    studies : sequence of Study
        As `spinemri.intake.list_studies` gives them.

    Returns
    -------
    list of InspectionRow
        What several studies share among the rejected is listed once.
    """
    rows: list[InspectionRow] = []
    listed: set[Rejected] = set()
    for number, study in enumerate(studies, 1):
        rows += [_stack_row(number, stack) for stack in study.stacks]
        fresh = [item for item in study.rejected if item not in listed]
        rows += [InspectionRow(number, item.what, is_stack=False, code=item.code, reason=item.reason) for item in fresh]
        listed.update(fresh)
    return rows


def _stack_row(number: int, stack: Stack) -> InspectionRow:
    axis = slice_axis(stack.plane)
    in_plane = [index for index in range(3) if index != axis]
    spacing = [stack.grid.spacing[index] for index in (*in_plane, axis)]
    return InspectionRow(
        study=number,
        stack=stack.stack_id,
        is_stack=True,
        series_description=stack.series_description,
        plane=stack.plane.value,
        weighting=stack.weighting.value,
        fat_suppressed=_answer(stack.fat_suppressed),
        contrast_enhanced=_answer(stack.contrast_enhanced),
        region=stack.region,
        slices=stack.grid.shape[axis],
        matrix=" x ".join(str(stack.grid.shape[index]) for index in in_plane),
        spacing_mm=" x ".join(f"{step:.2f}" for step in spacing),
        role=stack.role.value if stack.role is not None else "",
        code=stack.code,
        reason=stack.reason,
        evidence=stack.evidence,
        flags=tuple(flag.code for flag in stack.flags),
    )


def _answer(value: bool | None) -> str:  # noqa: FBT001 - a value, not a switch
    return "?" if value is None else "yes" if value else "no"
