"""Where the tissues of a study come from: our network, given masks, or another tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spinemri.anatomy.alignment import place_series
from spinemri.anatomy.cord import settle_cord
from spinemri.anatomy.model import TissueMap
from spinemri.errors import Flag
from spinemri.intake.model import Role, Stack, Study
from spinemri.mass.second_look import SequenceImage, networks_sha256
from spinemri.mass.segment import outline_mass, roles_in_frame, segment_study
from spinemri.pipeline.labels import GivenAnatomy, read_labels
from spinemri.pipeline.options import Options
from spinemri.pipeline.seed import accept_any
from spinemri.pipeline.segmenters import run_segmenter
from spinemri.pipeline.stored import stored_tissues
from spinemri.volume import Volume

__all__ = ["FoundTissues", "find_tissues", "stack_of"]

Stacks = Mapping[Role, tuple[Volume, Stack]]
"""Sagittal images with their stacks, the primary first."""


@dataclass(frozen=True, eq=False)
class FoundTissues:
    """Tissues on the primary grid and what is known of their origin.

    Attributes
    ----------
    tissues : TissueMap
    images : dict of Role to Volume
        Every series where it shows what the primary shows.
    moved : tuple of Flag
        One for every series that had to be moved for that.
    model_sha256 : str
        Of our network; empty where it was not used.
    given : GivenAnatomy or None
        The masks that took its place.
    """

    tissues: TissueMap
    images: dict[Role, Volume]
    moved: tuple[Flag, ...]
    model_sha256: str = ""
    given: GivenAnatomy | None = None


def find_tissues(study: Study, images: Mapping[Role, Volume], primary: Role, options: Options) -> FoundTissues:
    """Segment a study, or read what stands in for it.

    Parameters
    ----------
    study : Study
    images : mapping of Role to Volume
        Where the scanner says that they lie.
    primary : Role
    options : Options
        Masks come before the tool of the settings.

    Returns
    -------
    FoundTissues

    Raises
    ------
    UsageError
        BAD_LABELS, SEGMENTER_MISSING.
    InputError
        SEGMENTER_FAILED, SEGMENTER_TIMEOUT.
    """
    image, settings = images[primary], options.config.segmentation
    stacks = {role: (images[role], stack_of(study, role)) for role in roles_in_frame(images, primary)}
    if options.labels or settings.engine != "network":
        given = _given(image, stacks[primary][1], options)
        # Our network tells no more here than where the other series lie.
        shifts = segment_study(stacks, primary, {}).shifts if len(stacks) > 1 else {}
        tissues = TissueMap.from_labels(image.with_array(given.tissues.array))
        return FoundTissues(tissues, *place_series(images, shifts, primary), given=given)
    stored = stored_tissues(options.earlier, study, stacks, options.config)
    fused = stored or segment_study(stacks, primary, _weights(options))
    where, moved = place_series(images, fused.shifts, primary)
    tissues = stored.tissues if stored else _outlined(fused.tissues, where, stacks, options)
    return FoundTissues(tissues, where, moved, networks_sha256())


def _given(image: Volume, stack: Stack, options: Options) -> GivenAnatomy:
    """Read masks, or let another tool make them."""
    if options.labels:
        return read_labels(options.labels[0], image.grid)
    settings = options.config.segmentation
    limit_s = 60.0 * settings.timeout_minutes
    return run_segmenter(settings.engine, image, stack.weighting.value, timeout_s=limit_s)


def _weights(options: Options) -> dict[Role, float]:
    return {Role(name): weight for name, weight in options.config.mass.sequence_weights.model_dump().items()}


def _outlined(tissues: TissueMap, images: Mapping[Role, Volume], stacks: Stacks, options: Options) -> TissueMap:
    """Look for the mass in all series that count, and settle the cord's border in the first."""
    primary, weights = next(iter(stacks)), _weights(options)
    if options.with_mass:
        shown = [
            SequenceImage(images[role], stack.weighting.value, stack.fat_suppressed, stack.contrast_enhanced)
            for role, (_, stack) in stacks.items()
            if role is primary or weights.get(role, 0.0) > 0.0
        ]
        settings = options.config.mass if options.mass_seed_lps_mm is None else accept_any(options.config.mass)
        tissues = outline_mass(tissues, shown, settings, options.mass_seed_lps_mm)
    return settle_cord(tissues, images[primary])


def stack_of(study: Study, role: Role) -> Stack:
    """Return the stack of a role whose image was loaded."""
    return next(stack for stack in study.stacks if stack.role is role)
