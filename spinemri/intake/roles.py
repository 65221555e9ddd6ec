"""Choosing: which stack serves for what, and a reason for every stack that is not used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from spinemri.errors import Flag
from spinemri.intake.candidates import Candidate, slice_axis
from spinemri.intake.classify import Kind
from spinemri.intake.coverage import ENOUGH_OVERLAP, coverage_mm, height_mm, not_measured, overlap, same_frame
from spinemri.intake.model import AXIAL_ROLES, SAGITTAL_ROLES, Plane, Role, Stack, Weighting

__all__ = ["MINIMUM_SLICES", "choose_roles"]

MINIMUM_SLICES = {Plane.SAGITTAL: 5, Plane.CORONAL: 5, Plane.AXIAL: 3}
_MINIMUM_LOCALIZER_SLICES = 3
_LOCALIZER_GAIN_MM = 40.0

_PREFERENCE = {Kind.ORIGINAL: 0, Kind.COMPOSED: 1, Kind.DERIVED: 2, Kind.REFORMATTED: 3}
_EXCLUDED = {
    Kind.LOCALIZER: ("LOCALIZER", "a localizer"),
    Kind.SUBTRACTION: ("SUBTRACTION", "a subtraction image"),
    Kind.PROJECTION: ("DERIVED", "a projection"),
    Kind.MAP: ("DERIVED", "a parameter map"),
    Kind.NOT_MAGNITUDE: ("NOT_MAGNITUDE", "not a magnitude image"),
    Kind.DIXON_FAT: ("NO_ROLE", "the fat image of a Dixon series"),
    Kind.DIXON_OPPOSED: ("NO_ROLE", "the opposed-phase image of a Dixon series"),
}
_NAMES = {
    Role.SAGITTAL_T2: "sagittal T2",
    Role.SAGITTAL_T1: "sagittal T1",
    Role.SAGITTAL_T1_POST_FS: "sagittal T1 after contrast",
    Role.AXIAL_T2: "axial T2",
    Role.AXIAL_POST_FS: "axial T1 after contrast",
    Role.LOCALIZER: "counting localizer",
}


def choose_roles(candidates: Sequence[Candidate]) -> tuple[Stack, ...]:
    """Give each role to the best stack that fits, and every other stack a code and a reason.

    Parameters
    ----------
    candidates : sequence of Candidate
        One study.

    Returns
    -------
    tuple of Stack
        In the same order.
    """
    excluded = {c.stack.stack_id: why for c in candidates if (why := _exclusion(c)) is not None}
    usable = [c for c in candidates if c.stack.stack_id not in excluded]
    chosen: dict[Role, Candidate] = {}
    for role in (*SAGITTAL_ROLES, *AXIAL_ROLES):
        anchor = next((chosen[r] for r in SAGITTAL_ROLES if r in chosen), None)
        fitting = [c for c in usable if _tier(c.stack, role) is not None and _shares_coverage(c, anchor)]
        if fitting:
            chosen[role] = max(fitting, key=lambda c: _score(c, role, anchor, usable))
    localizer = _counting_localizer(candidates, chosen)
    if localizer is not None:
        chosen[Role.LOCALIZER] = localizer
    decided = _Decision(chosen, excluded, usable)
    return tuple(decided.apply(candidate) for candidate in candidates)


def _exclusion(candidate: Candidate) -> tuple[str, str] | None:
    """Return code and reason for a stack that no diagnostic role may use."""
    stack, traits = candidate.stack, candidate.traits
    if not traits.spine:
        return "NOT_SPINE", f"body part examined is {traits.tags.body_part} and nothing in the series names the spine"
    if traits.kind in _EXCLUDED:
        code, what = _EXCLUDED[traits.kind]
        return code, f"{what}: {traits.kind_evidence}"
    if traits.problem:
        return "UNEVEN_SPACING", traits.problem
    wanted = MINIMUM_SLICES[stack.plane]
    if candidate.slices < wanted:
        return "TOO_FEW_SLICES", f"{candidate.slices} of at least {wanted} {stack.plane.value} slices"
    return None


def _tier(stack: Stack, role: Role) -> int | None:
    """Return how well a stack's contrast suits a role, 0 best; None if not at all."""
    plane = Plane.SAGITTAL if role in SAGITTAL_ROLES else Plane.AXIAL
    suppressed = 1 if stack.fat_suppressed else 0
    if stack.plane is not plane:
        return None
    if role in {Role.SAGITTAL_T2, Role.AXIAL_T2}:
        if stack.weighting is Weighting.STIR and role is Role.SAGITTAL_T2:
            return 2
        return suppressed if stack.weighting is Weighting.T2 else None
    if stack.weighting is not Weighting.T1:
        return None
    if role is Role.SAGITTAL_T1:
        return None if stack.contrast_enhanced else suppressed
    return 1 - suppressed if stack.contrast_enhanced else None


def _shares_coverage(candidate: Candidate, anchor: Candidate | None) -> bool:
    """Tell whether a stack shows what the first chosen one shows; unknown across frames of reference."""
    if anchor is None or not same_frame(candidate.stack, anchor.stack):
        return True
    return overlap(candidate, anchor) > 0


def _companions(candidate: Candidate, usable: Sequence[Candidate]) -> int:
    """Count the roles that stacks of the same frame of reference and coverage could fill beside this one."""
    beside = [c for c in usable if same_frame(c.stack, candidate.stack) and overlap(c, candidate) >= ENOUGH_OVERLAP]
    return sum(any(_tier(c.stack, role) is not None for c in beside) for role in (*SAGITTAL_ROLES, *AXIAL_ROLES))


def _score(
    candidate: Candidate, role: Role, anchor: Candidate | None, usable: Sequence[Candidate]
) -> tuple[float | str, ...]:
    """Return what is compared, most important first; see `_CRITERIA` for the words."""
    stack = candidate.stack
    across = slice_axis(stack.plane)
    in_plane = max(step for axis, step in enumerate(stack.grid.spacing) if axis != across)
    if anchor is None:
        together = (float(_companions(candidate, usable)), 0.0)
    else:
        same = same_frame(stack, anchor.stack)
        together = (float(same), float(not same or overlap(candidate, anchor) >= ENOUGH_OVERLAP))
    return (
        *(together if anchor is not None else ()),
        -float(_tier(stack, role) or 0),
        -float(_PREFERENCE[candidate.traits.kind]),
        *(together if anchor is None else ()),
        float(round(coverage_mm(candidate) / 20)),
        float(candidate.slices),
        -round(in_plane, 1),
        -round(stack.grid.spacing[across], 1),
        -float(candidate.traits.uncorrected),
        stack.acquired,
        stack.stack_id,
    )


_CRITERIA_ANCHORED = (
    "is in the same frame of reference as the first chosen stack",
    "covers the same part of the spine as the first chosen stack",
    "has the more suitable contrast",
    "is closer to the original images",
    "covers more of the spine",
    "has more slices",
    "is finer in plane",
    "has closer slices",
    "is corrected for distortion",
    "was acquired later",
    "comes later",
)
_CRITERIA_FIRST = (
    *_CRITERIA_ANCHORED[2:4],
    "has more other stacks beside it",
    "",
    *_CRITERIA_ANCHORED[4:],
)


def _counting_localizer(candidates: Sequence[Candidate], chosen: dict[Role, Candidate]) -> Candidate | None:
    """Return the tallest sagittal stack around the chosen one, if it shows clearly more of the spine."""
    anchor = next((chosen[role] for role in SAGITTAL_ROLES if role in chosen), None)
    if anchor is None:
        return None
    taken = {c.stack.stack_id for c in chosen.values()}
    allowed = {*_PREFERENCE, Kind.LOCALIZER}
    tall = [
        c
        for c in candidates
        if c.stack.stack_id not in taken
        and c.stack.plane is Plane.SAGITTAL
        and c.traits.kind in allowed
        and c.traits.spine
        and not c.traits.problem
        and c.slices >= _MINIMUM_LOCALIZER_SLICES
        and same_frame(c.stack, anchor.stack)
        and overlap(c, anchor) > 0
        and height_mm(c) >= height_mm(anchor) + _LOCALIZER_GAIN_MM
    ]
    best = {Weighting.T2: 2, Weighting.T1: 1}
    return max(
        tall,
        key=lambda c: (round(height_mm(c) / 20), c.slices, best.get(c.stack.weighting, 0), c.stack.stack_id),
        default=None,
    )


@dataclass(frozen=True, eq=False)
class _Decision:
    """Who got which role, and who was never asked."""

    chosen: dict[Role, Candidate]
    excluded: dict[str, tuple[str, str]]
    usable: list[Candidate]

    @property
    def anchor(self) -> Candidate | None:
        """The series that the others are chosen to fit, if there is one."""
        return next((self.chosen[role] for role in SAGITTAL_ROLES if role in self.chosen), None)

    def apply(self, candidate: Candidate) -> Stack:
        """Return the stack with role, code and reason."""
        for role, winner in self.chosen.items():
            if winner is candidate:
                return self._winner(candidate, role)
        if candidate.stack.stack_id in self.excluded:
            return candidate.stack.with_role(None, *self.excluded[candidate.stack.stack_id])
        wanted = [r for r in (*SAGITTAL_ROLES, *AXIAL_ROLES) if _tier(candidate.stack, r) is not None]
        if not wanted:
            return candidate.stack.with_role(None, "NO_ROLE", _no_role(candidate.stack))
        return self._loser(candidate, wanted[0])

    def _winner(self, candidate: Candidate, role: Role) -> Stack:
        stack = candidate.stack.with_role(role, "CHOSEN", _why_chosen(candidate, role, self._rivals(role)))
        anchor = self.anchor
        if anchor is candidate:
            left_out = not_measured(anchor, self.usable, self.chosen.get(Role.LOCALIZER))
            return replace(stack, flags=(*stack.flags, *left_out))
        if anchor is None or same_frame(stack, anchor.stack):
            return stack
        message = (
            f"{stack.stack_id} ({_NAMES[role]}) is not in the frame of reference of {anchor.stack.stack_id}: "
            "their positions may not agree. Check the overlay."
        )
        return replace(stack, flags=(*stack.flags, Flag("DIFFERENT_FRAME_OF_REFERENCE", message)))

    def _rivals(self, role: Role) -> int:
        return 0 if role is Role.LOCALIZER else sum(_tier(c.stack, role) is not None for c in self.usable)

    def _loser(self, candidate: Candidate, role: Role) -> Stack:
        winner, anchor = self.chosen.get(role), self.anchor
        if winner is None or (winner is not anchor and not _shares_coverage(candidate, anchor)):
            reason = "shows another part of the body than the chosen sagittal stack"
            return candidate.stack.with_role(None, "NO_OVERLAP", reason)
        first = None if winner is anchor else anchor
        mine, best = (_score(c, role, first, self.usable) for c in (candidate, winner))
        words = _CRITERIA_FIRST if first is None else _CRITERIA_ANCHORED
        why = next((word for word, a, b in zip(words, mine, best, strict=True) if a != b), words[-1])
        code = "DERIVED" if why == _CRITERIA_ANCHORED[3] else "WORSE_THAN_CHOSEN"
        return candidate.stack.with_role(None, code, f"{winner.stack.stack_id} serves as {_NAMES[role]}: it {why}")


def _why_chosen(candidate: Candidate, role: Role, rivals: int) -> str:
    stack = candidate.stack
    reason = f"{_NAMES[role]}: the only one" if rivals == 1 else f"{_NAMES[role]}: the best of {rivals}"
    if role is Role.LOCALIZER:
        return f"{_NAMES[role]}: shows {height_mm(candidate):.0f} mm of the spine, for counting levels"
    if stack.weighting is Weighting.STIR:
        return f"{reason}; STIR, because there is no T2"
    if role in {Role.SAGITTAL_T2, Role.AXIAL_T2, Role.SAGITTAL_T1} and stack.fat_suppressed:
        return f"{reason}; fat-suppressed, because there is none without"
    if role in {Role.SAGITTAL_T1_POST_FS, Role.AXIAL_POST_FS} and not stack.fat_suppressed:
        return f"{reason}; without fat suppression, because there is none with it"
    if candidate.traits.kind in {Kind.DERIVED, Kind.REFORMATTED, Kind.COMPOSED}:
        return f"{reason}; {candidate.traits.kind.value}, because there is no original"
    return reason


def _no_role(stack: Stack) -> str:
    if stack.plane is Plane.CORONAL:
        return "coronal stacks are not used"
    if stack.weighting is Weighting.T1:
        contrast = "before contrast" if stack.contrast_enhanced is False else "without known contrast"
        return f"{stack.plane.value} T1 {contrast} is not used"
    return f"{stack.plane.value} {stack.weighting.value} is not used"
