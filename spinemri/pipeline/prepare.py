"""One study up to its anatomy and mass, not yet measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from spinemri.anatomy import network
from spinemri.anatomy.build import build_anatomy
from spinemri.anatomy.centreline import find_centreline
from spinemri.anatomy.levels import LevelHints, name_levels
from spinemri.anatomy.model import Anatomy, Levels, TissueMap
from spinemri.anatomy.plausibility import COLUMN
from spinemri.errors import Flag, Severity
from spinemri.intake.model import Role, Study
from spinemri.mass.find import find_mass, shown_mass
from spinemri.mass.model import Mass
from spinemri.nomenclature import Tissue
from spinemri.pipeline.coverage import quantised
from spinemri.pipeline.events import Recorder
from spinemri.pipeline.images import choose_primary, load_images, missing_sequences
from spinemri.pipeline.options import Options
from spinemri.pipeline.seed import accept_any, keep_nearest, without_mass
from spinemri.pipeline.tissues import FoundTissues, find_tissues, stack_of
from spinemri.volume import Volume

__all__ = ["MASS_NOT_OUTLINED", "MASS_NOT_REQUESTED", "Prepared", "prepare_study"]

MASS_NOT_REQUESTED = Flag("MASS_NOT_REQUESTED", "The mass was not measured, as asked.", Severity.INFO)
MASS_NOT_OUTLINED = Flag(
    "MASS_NOT_OUTLINED",
    "The masks come from a tool that outlines no mass, so nothing can be said of one. Draw it in mass_dseg and run "
    "'spinemri measure', or let spinemri segment.",
)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A study with its images, anatomy and mass.

    Attributes
    ----------
    study : Study
        Its flags now hold what was found on the way, too.
    images : mapping of Role to Volume
        Canonical float32 images of every stack that could be read.
    primary : Role
        The sagittal stack on whose grid `anatomy` and `mass` lie.
    anatomy : Anatomy
    mass : Mass
    """

    study: Study
    images: Mapping[Role, Volume]
    primary: Role
    anatomy: Anatomy
    mass: Mass

    @property
    def primary_image(self) -> Volume:
        """The image on whose grid anatomy and mass lie."""
        return self.images[self.primary]


def prepare_study(study: Study, options: Options, recorder: Recorder, visit: int | None = None) -> Prepared:
    """Load the images of a study, find its anatomy, then its mass.

    Parameters
    ----------
    study : Study
    options : Options
    recorder : Recorder
    visit : int or None
        Number of the visit, for the log.

    Returns
    -------
    Prepared

    Raises
    ------
    InputError
        If no sagittal stack can be used (see `choose_primary`), or another tool fails (see `run_segmenter`).
    UsageError
        BAD_LABELS, SEGMENTER_MISSING, or a level that the user named cannot be one.
    """
    with recorder.stage("load", visit):
        images, load_flags = load_images(study)
        primary = choose_primary(images, load_flags)
    with recorder.stage("anatomy", visit):
        found = find_tissues(study, images, primary, options)
        images = found.images
        tissues, seed_flags = _with_wanted_mass(quantised(found.tissues), options)
        hints = _hints(study, images, primary, options, found)
        column = () if found.given and not found.given.outlines_column else COLUMN
        anatomy = build_anatomy(
            tissues, hints=hints, model_sha256=found.model_sha256, column=column, all_along=found.given is None
        )
    with recorder.stage("mass", visit):
        mass = _mass(tissues, anatomy, options, found)
    given_flags = found.given.flags if found.given else ()
    flags = (*study.flags, *load_flags, *found.moved, *missing_sequences(images), *given_flags, *seed_flags)
    return Prepared(replace(study, flags=flags), images, primary, anatomy, mass)


def _with_wanted_mass(tissues: TissueMap, options: Options) -> tuple[TissueMap, tuple[Flag, ...]]:
    if not options.with_mass:
        return without_mass(tissues), ()
    if options.mass_seed_lps_mm is not None:
        return keep_nearest(tissues, options.mass_seed_lps_mm)
    return tissues, ()


def _hints(
    study: Study, images: Mapping[Role, Volume], primary: Role, options: Options, found: FoundTissues
) -> LevelHints:
    if found.given is not None:
        return LevelHints(user=options.levels, reference=found.given.levels, reference_source="labels")
    return LevelHints(user=options.levels, reference=_localizer_levels(study, images, primary))


def _localizer_levels(study: Study, images: Mapping[Role, Volume], primary: Role) -> Levels | None:
    """Count on the whole-spine localizer, if there is one in the frame of reference of the primary stack."""
    image, main = images.get(Role.LOCALIZER), images[primary]
    if image is None or not _share_space(image, main):
        return None
    stack = stack_of(study, Role.LOCALIZER)
    tissues = network.segment(
        image,
        stack.weighting.value,
        fat_suppressed=stack.fat_suppressed,
        contrast_enhanced=stack.contrast_enhanced,
    )
    centreline = find_centreline(tissues)
    if centreline is None:
        return None
    levels, _ = name_levels(tissues, centreline, LevelHints())
    return levels if levels.numbering == "absolute" else None


def _share_space(one: Volume, other: Volume) -> bool:
    return bool(one.frame_of_reference_uid) and one.frame_of_reference_uid == other.frame_of_reference_uid


def _mass(tissues: TissueMap, anatomy: Anatomy, options: Options, found: FoundTissues) -> Mass:
    mass = _accepted_mass(tissues, anatomy, options, found)
    if anatomy.centreline is None:
        # The anatomy says why.
        return replace(mass, flags=())
    if not options.with_mass:
        return replace(mass, status="not_assessable", flags=(MASS_NOT_REQUESTED,))
    if found.given is not None and not found.given.outlines_mass:
        return replace(mass, status="not_assessable", flags=(MASS_NOT_OUTLINED,))
    return mass


def _accepted_mass(tissues: TissueMap, anatomy: Anatomy, options: Options, found: FoundTissues) -> Mass:
    """Take the mass of given masks as it is; what the network outlines has to reach the thresholds."""
    if found.given is not None:
        shown = tissues.fraction(Tissue.MASS_CANAL, Tissue.MASS_OUTSIDE).array > 0
        return shown_mass(tissues, anatomy.centreline, shown)
    settings = options.config.mass
    if options.mass_seed_lps_mm is not None:
        settings = accept_any(settings)
    return find_mass(tissues, anatomy.centreline, settings)
