"""What is in a folder, as a table or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from spinemri.errors import InputError
from spinemri.intake.model import Role, Stack, Study

__all__ = ["check_measurable", "inspection_json", "print_inspection"]

_WIDTH_OF_A_FILE = 200
_SAGITTAL = (Role.SAGITTAL_T2, Role.SAGITTAL_T1, Role.SAGITTAL_T1_POST_FS)
_YES_NO = {True: "yes", False: "no", None: "?"}


def check_measurable(studies: Sequence[Study]) -> None:
    """Fail if none of the studies could be measured.

    Raises
    ------
    InputError
        NO_SPINE_SERIES.
    """
    if not any(stack.role in _SAGITTAL for study in studies for stack in study.stacks):
        raise InputError(
            "NO_SPINE_SERIES", "None of these stacks can be measured.", "The last column says why each was left out."
        )


def inspection_json(studies: Sequence[Study]) -> str:
    """Return everything that is known of each stack, and what was left out, as JSON."""
    return json.dumps({"studies": [_study(study) for study in studies]}, indent=2)


def _study(study: Study) -> dict[str, Any]:
    return {
        "study_instance_uid": study.study_instance_uid,
        "study_date": study.study_date,
        "inputs_sha256": study.inputs_sha256,
        "stacks": [_stack(stack) for stack in study.stacks],
        "rejected": [{"what": item.what, "code": item.code, "reason": item.reason} for item in study.rejected],
        "flags": [{"code": f.code, "message": f.message, "severity": f.severity.value} for f in study.flags],
    }


def _stack(stack: Stack) -> dict[str, Any]:
    return {
        "stack": stack.stack_id,
        "series_instance_uid": stack.series_instance_uid,
        "series_description": stack.series_description,
        "plane": stack.plane.value,
        "weighting": stack.weighting.value,
        "fat_suppressed": stack.fat_suppressed,
        "contrast_enhanced": stack.contrast_enhanced,
        "region": stack.region,
        "shape": list(stack.grid.shape),
        "spacing_mm": [round(step, 4) for step in stack.grid.spacing],
        "role": stack.role.value if stack.role else None,
        "code": stack.code,
        "reason": stack.reason,
        "evidence": list(stack.evidence),
        "flags": [{"code": f.code, "message": f.message, "severity": f.severity.value} for f in stack.flags],
    }


def print_inspection(studies: Sequence[Study]) -> None:
    """Print one table per study, then what was left out."""
    # A pipe or file has no width of its own; 80 columns would break every reason.
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE, highlight=False)
    for number, study in enumerate(studies, start=1):
        console.print(_table(study, f"Study {number} {study.study_date or 'undated'}"))
        for item in study.rejected:
            console.print(f"Left out: {item.what} [{item.code}] {item.reason}", markup=False)
        for flag in (*study.flags, *(flag for stack in study.stacks for flag in stack.flags)):
            console.print(f"{flag.severity.value}: [{flag.code}] {flag.message}", markup=False)


def _table(study: Study, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in (
        "stack",
        "description",
        "plane",
        "weighting",
        "fat sat",
        "contrast",
        "region",
        "size",
        "role",
        "why",
    ):
        table.add_column(heading, overflow="fold")
    for stack in study.stacks:
        # As text: a series description may hold brackets, which would be taken for markup.
        table.add_row(*(Text(cell) for cell in _cells(stack)))
    return table


def _cells(stack: Stack) -> tuple[str, ...]:
    spacing = " x ".join(f"{step:.2f}" for step in stack.grid.spacing)
    shape = " x ".join(str(count) for count in stack.grid.shape)
    return (
        stack.stack_id,
        stack.series_description,
        stack.plane.value,
        stack.weighting.value,
        _YES_NO[stack.fat_suppressed],
        _YES_NO[stack.contrast_enhanced],
        stack.region or "?",
        f"{shape}, {spacing} mm",
        stack.role.value if stack.role else "-",
        f"[{stack.code}] {stack.reason} ({'; '.join(stack.evidence)})"
        if stack.evidence
        else f"[{stack.code}] {stack.reason}",
    )
