"""Where the tissues of a study come from: our network, given masks, or another tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spinemri.anatomy.cord import settle_cord
from spinemri.anatomy.model import TissueMap
from spinemri.intake.model import Role, Stack, Study
from spinemri.mass.second_look import SequenceImage, networks_sha256
from spinemri.mass.segment import fused_roles, outline_mass, segment_study
from spinemri.pipeline.labels import GivenAnatomy, read_labels
from spinemri.pipeline.options import Options
from spinemri.pipeline.seed import accept_any
from spinemri.pipeline.segmenters import run_segmenter
from spinemri.pipeline.stored import stored_tissues
from spinemri.volume import Volume

__all__ = ["FoundTissues", "find_tissues", "stack_of"]


@dataclass(frozen=True, eq=False)
class FoundTissues:
    """Tissues on the primary grid and what is known of their origin.

    Attributes
    ----------
    tissues : TissueMap
    model_sha256 : str
        Of our network; empty where it was not used.
    given : GivenAnatomy or None
        The masks that took its place.
    """

    tissues: TissueMap
    model_sha256: str = ""
    given: GivenAnatomy | None = None


def find_tissues(study: Study, images: Mapping[Role, Volume], primary: Role, options: Options) -> FoundTissues:
    """Segment a study, or read what stands in for it.

    Parameters
    ----------
    study : Study
    images : mapping of Role to Volume
        Aligned.
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
    if options.labels:
        return _given(read_labels(options.labels[0], image.grid), image)
    if settings.engine != "network":
        weighting, limit_s = stack_of(study, primary).weighting.value, 60.0 * settings.timeout_minutes
        return _given(run_segmenter(settings.engine, image, weighting, timeout_s=limit_s), image)
    stored = stored_tissues(options.earlier, study, image, options.config)
    used = fused_roles(images, primary, _weights(options))
    tissues = _segmented(study, images, used, options) if stored is None else stored
    return FoundTissues(tissues, networks_sha256())


def _weights(options: Options) -> dict[Role, float]:
    return {Role(name): weight for name, weight in options.config.mass.sequence_weights.model_dump().items()}


def _segmented(study: Study, images: Mapping[Role, Volume], used: Sequence[Role], options: Options) -> TissueMap:
    """Segment these sagittal stacks, fuse, look for the mass in all of them together, and settle the cord's border."""
    stacks = {role: (images[role], stack_of(study, role)) for role in used}
    tissues = segment_study(stacks, used[0], _weights(options))
    if options.with_mass:
        tissues = _with_mass(tissues, stacks, options)
    return settle_cord(tissues, images[used[0]])


def _with_mass(tissues: TissueMap, stacks: Mapping[Role, tuple[Volume, Stack]], options: Options) -> TissueMap:
    shown = [
        SequenceImage(image, stack.weighting.value, stack.fat_suppressed, stack.contrast_enhanced)
        for image, stack in stacks.values()
    ]
    settings = options.config.mass if options.mass_seed_lps_mm is None else accept_any(options.config.mass)
    return outline_mass(tissues, shown, settings, options.mass_seed_lps_mm)


def _given(given: GivenAnatomy, image: Volume) -> FoundTissues:
    return FoundTissues(TissueMap.from_labels(image.with_array(given.tissues.array)), given=given)


def stack_of(study: Study, role: Role) -> Stack:
    """Return the stack of a role whose image was loaded."""
    return next(stack for stack in study.stacks if stack.role is role)
