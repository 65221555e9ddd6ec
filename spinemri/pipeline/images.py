"""Which images of a study are read, and which one carries the measurement."""

from __future__ import annotations

from collections.abc import Mapping

from spinemri.errors import Flag, InputError, Severity
from spinemri.intake import read_pixels
from spinemri.intake.model import AXIAL_ROLES, POST_CONTRAST_ROLES, SAGITTAL_ROLES, Role, Stack, Study
from spinemri.volume import Volume

__all__ = ["choose_primary", "load_images", "missing_sequences"]


def load_images(study: Study) -> tuple[dict[Role, Volume], tuple[Flag, ...]]:
    """Read the pixels of every stack that has a role.

    A stack that cannot be read is left out with a flag that carries the reader's code.

    Parameters
    ----------
    study : Study

    Returns
    -------
    images : dict of Role to Volume
        Canonical, float32.
    flags : tuple of Flag
    """
    images: dict[Role, Volume] = {}
    flags: list[Flag] = []
    for role in Role:
        stack = study.by_role(role)
        if stack is None:
            continue
        try:
            images[role], repaired = read_pixels(stack)
        except InputError as error:
            flags.append(_unreadable(stack, error))
        else:
            flags += repaired
    return images, tuple(flags)


def _unreadable(stack: Stack, error: InputError) -> Flag:
    return Flag(
        error.code,
        f"Stack {stack.stack_id} ({stack.role}) was left out: {error.message} {error.remedy}".strip(),
        Severity.WARNING,
    )


def choose_primary(images: Mapping[Role, Volume], flags: tuple[Flag, ...] = ()) -> Role:
    """Return the sagittal role that carries the measurement: T2, else T1, else post-contrast T1.

    Parameters
    ----------
    images : mapping of Role to Volume
    flags : tuple of Flag
        Of loading, for the message.

    Raises
    ------
    InputError
        PIXELS_UNREADABLE if sagittal stacks were there, else NO_SPINE_SERIES.
    """
    for role in SAGITTAL_ROLES:
        if role in images:
            return role
    unread = [flag for flag in flags if flag.code == "PIXELS_UNREADABLE"]
    if unread:
        raise InputError(unread[0].code, f"No sagittal series can be read. {unread[0].message}")
    raise InputError(
        "NO_SPINE_SERIES",
        "The study holds no sagittal T1 or T2 series of the spine that can be measured.",
        "Run 'spinemri inspect' to see why each series was left out.",
    )


def missing_sequences(images: Mapping[Role, Volume]) -> tuple[Flag, ...]:
    """Say which optional sequences the study lacks; the measurement goes on without them."""
    flags = []
    if not any(role in images for role in POST_CONTRAST_ROLES):
        flags.append(
            Flag(
                "NO_POST_CONTRAST",
                "No post-contrast fat-suppressed series: enhancement is not assessed and the mass rests on the others.",
                Severity.INFO,
            )
        )
    if not any(role in images for role in AXIAL_ROLES):
        flags.append(
            Flag(
                "NO_AXIAL",
                "No axial series: cross-sections come from the sagittal images alone.",
                Severity.INFO,
            )
        )
    return tuple(flags)
