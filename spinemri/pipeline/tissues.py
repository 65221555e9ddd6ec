"""Where the tissues of a study come from: our network, given masks, or another tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from spinemri.anatomy.alignment import Shift, place_series
from spinemri.anatomy.cord import settle_cord
from spinemri.anatomy.model import TissueMap
from spinemri.intake.model import Role, Stack, Study
from spinemri.mass.second_look import SequenceImage, networks_sha256
from spinemri.mass.segment import FusedStudy, fused_roles, outline_mass, segment_study
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
    model_sha256 : str
        Of our network; empty where it was not used.
    shifts : mapping of Role to (3,) ndarray
        LPS mm by which sagittal series are to be moved onto the primary; none for those that cannot be.
    given : GivenAnatomy or None
        The masks that took its place.
    """

    tissues: TissueMap
    model_sha256: str = ""
    shifts: Mapping[Role, Shift] = field(default_factory=dict)
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
    stacks = {role: (images[role], stack_of(study, role)) for role in fused_roles(images, primary)}
    if options.labels:
        return _given(read_labels(options.labels[0], image.grid), stacks)
    if settings.engine != "network":
        weighting, limit_s = stack_of(study, primary).weighting.value, 60.0 * settings.timeout_minutes
        return _given(run_segmenter(settings.engine, image, weighting, timeout_s=limit_s), stacks)
    found = stored_tissues(options.earlier, study, stacks, options.config) or _segmented(stacks, options)
    return FoundTissues(found.tissues, networks_sha256(), found.shifts)


def _weights(options: Options) -> dict[Role, float]:
    return {Role(name): weight for name, weight in options.config.mass.sequence_weights.model_dump().items()}


def _segmented(stacks: Stacks, options: Options) -> FusedStudy:
    """Segment sagittal stacks, bring them together, look for the mass in all of them, and settle the cord's border."""
    weights, primary = _weights(options), next(iter(stacks))
    fused = segment_study(stacks, primary, weights)
    volumes, _ = place_series({role: volume for role, (volume, _) in stacks.items()}, fused.shifts, primary)
    tissues = fused.tissues
    if options.with_mass:
        used = fused_roles(volumes, primary, weights)
        tissues = _with_mass(tissues, {role: (volumes[role], stacks[role][1]) for role in used}, options)
    return replace(fused, tissues=settle_cord(tissues, volumes[primary]))


def _with_mass(tissues: TissueMap, stacks: Stacks, options: Options) -> TissueMap:
    shown = [
        SequenceImage(image, stack.weighting.value, stack.fat_suppressed, stack.contrast_enhanced)
        for image, stack in stacks.values()
    ]
    settings = options.config.mass if options.mass_seed_lps_mm is None else accept_any(options.config.mass)
    return outline_mass(tissues, shown, settings, options.mass_seed_lps_mm)


def _given(given: GivenAnatomy, stacks: Stacks) -> FoundTissues:
    """Take masks as they are; our network tells no more than where the other series lie."""
    primary, (image, _) = next(iter(stacks.items()))
    shifts = segment_study(stacks, primary, {}).shifts if len(stacks) > 1 else {}
    return FoundTissues(TissueMap.from_labels(image.with_array(given.tissues.array)), shifts=shifts, given=given)


def stack_of(study: Study, role: Role) -> Stack:
    """Return the stack of a role whose image was loaded."""
    return next(stack for stack in study.stacks if stack.role is role)
