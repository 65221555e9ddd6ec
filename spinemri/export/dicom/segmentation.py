"""Segmentation objects of anatomy, levels and mass (DICOM PS3.3 A.51), on the images of the primary series."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from spinemri.export.dicom.codes import TISSUE_CODES, dcm, disc_code, private, sct, vertebra_code
from spinemri.export.dicom.identity import MANUFACTURER, RESEARCH, Context, Kind, common_arguments
from spinemri.export.dicom.planes import ImagePlane, on_planes
from spinemri.measure.result import StudyResult
from spinemri.nomenclature import Tissue, disc_id, vertebra_name
from spinemri.uids import derived_uid
from spinemri.volume import Volume

__all__ = [
    "ANATOMY",
    "LEVELS",
    "MASS",
    "Segment",
    "accepted_tissues",
    "anatomy_segments",
    "level_segments",
    "level_tracking_uid",
    "mass_segments",
    "segmentation",
]

ANATOMY = Kind("anatomy_seg", 9101, "anatomy of the spine")
LEVELS = Kind("levels_seg", 9102, "vertebral levels")
MASS = Kind("mass_seg", 9103, "epidural mass")

_MASS_IDS = (int(Tissue.MASS_CANAL), int(Tissue.MASS_OUTSIDE))
_TISSUE_NAMES = {
    Tissue.CORD: "Spinal cord",
    Tissue.DURAL_SAC: "Dural sac outside the cord",
    Tissue.EPIDURAL: "Epidural space",
    Tissue.BODY: "Vertebral bodies",
    Tissue.POSTERIOR_ELEMENTS: "Posterior elements",
    Tissue.DISC: "Intervertebral discs",
    Tissue.SACRUM: "Sacrum",
    Tissue.MASS_CANAL: "Mass in the canal",
    Tissue.MASS_OUTSIDE: "Mass outside the canal",
}


_COLOURS = {
    Tissue.CORD: (240, 228, 66),
    Tissue.DURAL_SAC: (86, 180, 233),
    Tissue.EPIDURAL: (0, 114, 178),
    Tissue.BODY: (204, 204, 204),
    Tissue.POSTERIOR_ELEMENTS: (153, 153, 153),
    Tissue.DISC: (0, 158, 115),
    Tissue.SACRUM: (204, 121, 167),
    Tissue.MASS_CANAL: (230, 159, 0),
    Tissue.MASS_OUTSIDE: (213, 94, 0),
}
"""RGB; told apart by people with any colour vision (Wong 2011)."""
_BODY_COLOURS = ((86, 180, 233), (204, 121, 167))
_DISC_COLOUR = (0, 158, 115)


@dataclass(frozen=True)
class Segment:
    """One segment.

    Attributes
    ----------
    label : str
    kind : Code
        Segmented property type.
    category : Code
    ids : tuple of int
        Values of the mask that make it up.
    tracking : str
        Tracking UID.
    colour : tuple of int
        RGB that viewers may show it in.
    region : Code or None
        Where it lies, for what is no anatomy itself.
    """

    label: str
    kind: Code
    category: Code
    ids: tuple[int, ...]
    tracking: str
    colour: tuple[int, int, int]
    region: Code | None = None


def _present(mask: Volume) -> list[int]:
    return [int(value) for value in np.unique(mask.array) if value]


def _lesion(label: str, ids: tuple[int, ...], context: Context) -> Segment:
    outside = ids == (int(Tissue.MASS_OUTSIDE),)
    region = private("PARAVERTEBRAL") if outside else sct("SpinalCanalStructure")
    colour = _COLOURS[Tissue(ids[-1])] if len(ids) == 1 else _COLOURS[Tissue.MASS_CANAL]
    return Segment(label, sct("Mass"), sct("MorphologicallyAbnormalStructure"), ids, context.lesion_uid, colour, region)


def accepted_tissues(result: StudyResult) -> Volume:
    """Return the tissue ids with no mass but the one that was measured.

    What looked like mass and was not accepted is epidural space in the canal and nothing outside it: an archive must
    not hold a mass that the report does not know.
    """
    labels, mass = result.anatomy.tissues.labels, result.mass.probability.array > 0
    array = labels.array.copy()
    array[(array == Tissue.MASS_CANAL) & ~mass] = Tissue.EPIDURAL
    array[(array == Tissue.MASS_OUTSIDE) & ~mass] = Tissue.BACKGROUND
    return labels.with_array(array)


def anatomy_segments(labels: Volume, context: Context) -> tuple[Segment, ...]:
    """Describe the tissues that a label volume holds, in order of their ids."""
    segments = []
    for tissue in (Tissue(value) for value in _present(labels)):
        name = _TISSUE_NAMES[tissue]
        if int(tissue) in _MASS_IDS:
            segments.append(_lesion(name, (int(tissue),), context))
        else:
            tracking = derived_uid(context.lesion_uid, "tissue", int(tissue))
            segments.append(
                Segment(name, TISSUE_CODES[tissue], sct("BodyStructure"), (int(tissue),), tracking, _COLOURS[tissue])
            )
    return tuple(segments)


def level_segments(result: StudyResult, context: Context) -> tuple[Segment, ...]:
    """Describe the vertebrae and discs of the level map, in order of their ids."""
    levels = result.anatomy.levels
    doubt = "" if levels.numbering == "absolute" else "?"
    discs = {disc_id(str(disc.name).split("/")[0]): str(disc.name) for disc in levels.discs if disc.name}
    segments = []
    for number in _present(result.anatomy.level_map):
        name, code = _level(number, discs)
        tracking = level_tracking_uid(context, name)
        # Neighbouring vertebrae differ, so that one can count.
        colour = _DISC_COLOUR if number >= 100 else _BODY_COLOURS[number % 2]
        segments.append(Segment(f"{name}{doubt}", code, sct("BodyStructure"), (number,), tracking, colour))
    return tuple(segments)


def level_tracking_uid(context: Context, name: str) -> str:
    """Return the tracking UID of a vertebra or disc, the same in every study of the patient."""
    return derived_uid(context.lesion_uid, "level", name)


def _level(number: int, discs: dict[int, str]) -> tuple[str, Code]:
    if number < 100:
        return vertebra_name(number), vertebra_code(vertebra_name(number))
    name = discs.get(number)
    if name is None:
        return f"disc below {vertebra_name(number - 100)}", TISSUE_CODES[Tissue.DISC]
    return name, disc_code(name)


def mass_segments(mask: Volume, context: Context) -> tuple[Segment, ...]:
    """Describe the whole mass, always the first segment, then its parts inside and outside the canal."""
    parts = tuple(value for value in _present(mask) if value in _MASS_IDS)
    if not parts:
        return ()
    whole = _lesion("Epidural mass", parts, context)
    return (whole, *(_lesion(_TISSUE_NAMES[Tissue(part)], (part,), context) for part in parts))


def segmentation(
    mask: Volume, segments: Sequence[Segment], planes: Sequence[ImagePlane], context: Context, kind: Kind
) -> Segmentation:
    """Make a binary Segmentation whose frames are the source's own images.

    Parameters
    ----------
    mask : Volume
        Canonical label volume on the grid of the primary stack.
    segments : sequence of Segment
        At least one.
    planes : sequence of ImagePlane
        Of the primary series.
    context : Context
    kind : Kind

    Returns
    -------
    Segmentation
    """
    made = Segmentation(
        source_images=_aligned_headers(planes),
        pixel_array=_stacked(on_planes(mask, planes), segments),
        segmentation_type="BINARY",
        segment_descriptions=[_description(number, one, context) for number, one in enumerate(segments, start=1)],
        content_label="RESEARCH",
        content_description=RESEARCH[:64],
        omit_empty_frames=True,
        **common_arguments(context, kind),
    )
    organization = context.uid(kind.name, "dimensions")
    made.DimensionOrganizationSequence[0].DimensionOrganizationUID = organization
    for index in made.DimensionIndexSequence:
        index.DimensionOrganizationUID = organization
    return made


def _aligned_headers(planes: Sequence[ImagePlane]) -> list[Dataset]:
    """Return every file's header once, with the orientation of the first image of the stack.

    Images of one stack may differ in the last digits, and multi-frame files may repeat for each frame what all share;
    a Segmentation wants one orientation and one spacing for all, as the grid of the masks has.
    """
    first = next(plane for plane in planes if plane.used)
    headers = {str(plane.header.SOPInstanceUID): plane.header for plane in planes}
    return [_aligned(header, first) for header in headers.values()]


def _aligned(header: Dataset, first: ImagePlane) -> Dataset:
    out = deepcopy(header)
    if not first.frame:
        out.ImageOrientationPatient = first.header.ImageOrientationPatient
        return out
    own = header.PerFrameFunctionalGroupsSequence[first.frame - 1]
    shared = out.get("SharedFunctionalGroupsSequence", [Dataset()])[0]
    for keyword in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
        if keyword not in shared:
            setattr(shared, keyword, own[keyword].value)
    out.SharedFunctionalGroupsSequence = [shared]
    return out


def _stacked(labels: NDArray[Any], segments: Sequence[Segment]) -> NDArray[np.uint8]:
    """Return segment numbers (n, rows, columns), or (n, rows, columns, segments) where segments overlap."""
    ids = [value for segment in segments for value in segment.ids]
    if len(ids) > len(set(ids)):
        return np.stack([np.isin(labels, segment.ids) for segment in segments], axis=-1).astype(np.uint8)
    numbers = np.zeros(256, dtype=np.uint8)
    for number, segment in enumerate(segments, start=1):
        numbers[list(segment.ids)] = number
    out: NDArray[np.uint8] = numbers[labels]
    return out


def _description(number: int, segment: Segment, context: Context) -> SegmentDescription:
    algorithm = AlgorithmIdentificationSequence(
        name=MANUFACTURER,
        family=dcm("ArtificialIntelligence"),
        version=context.software.version,
        source=MANUFACTURER,
        parameters={"model_sha256": context.software.model_sha256, "config_sha256": context.software.config_sha256},
    )
    return SegmentDescription(
        segment_number=number,
        segment_label=segment.label,
        segmented_property_category=segment.category,
        segmented_property_type=segment.kind,
        algorithm_type="SEMIAUTOMATIC" if context.edited else "AUTOMATIC",
        algorithm_identification=algorithm,
        tracking_uid=segment.tracking,
        tracking_id=segment.label,
        display_color=CIELabColor.from_rgb(*segment.colour),
        anatomic_regions=[segment.region] if segment.region else None,
    )
