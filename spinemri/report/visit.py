"""What the pictures of one visit are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.anatomy.model import Vertebra
from spinemri.intake.model import Role
from spinemri.measure.result import StudyResult
from spinemri.nomenclature import Tissue, vertebra_id
from spinemri.report.matching import Place, matched_place, worst_place
from spinemri.volume import Volume

__all__ = ["Visit", "anterior_points", "level_text", "visits_of"]


@dataclass(frozen=True, eq=False)
class Visit:
    """One visit with where and how it is shown.

    Attributes
    ----------
    result : StudyResult
    number : int
        From 1.
    title : str
        For captions, e.g. ``"2024-03-01, baseline"``.
    place : Place
        The baseline's worst section, or the place of the same name in a follow-up.
    marked : bool
        The place is a worst section, not just the middle of the canal.
    mass, canal, cord : Volume
        Fractions to be outlined.
    """

    result: StudyResult
    number: int
    title: str
    place: Place
    marked: bool
    mass: Volume
    canal: Volume
    cord: Volume

    def can_outline(self, role: Role) -> bool:
        """Tell whether a sequence shares patient coordinates with the masks."""
        uids = {self.result.images[role].frame_of_reference_uid, self.result.primary_image.frame_of_reference_uid}
        return len(uids - {""}) <= 1


def _title(results: Sequence[StudyResult], index: int) -> str:
    date = results[index].study.study_date or "date unknown"
    if len(results) == 1:
        return date
    if index == 0:
        return f"{date}, baseline"
    return f"{date}, follow-up" if len(results) == 2 else f"{date}, follow-up {index}"


def visits_of(results: Sequence[StudyResult]) -> tuple[Visit, ...]:
    """Prepare visits for pictures; the first is the baseline."""
    visits = []
    marked = results[0].measurements.compromise.worst_point_lps_mm is not None
    for index, result in enumerate(results):
        tissues = result.anatomy.tissues
        place = worst_place(result) if index == 0 else matched_place(results[0], result)
        visits.append(
            Visit(
                result=result,
                number=index + 1,
                title=_title(results, index),
                place=place,
                marked=marked and bool(result.profile),
                mass=result.mass.probability,
                canal=tissues.canal,
                cord=tissues.fraction(Tissue.CORD),
            )
        )
    return tuple(visits)


def level_text(result: StudyResult, name: str) -> str:
    """Return a level's name, with a question mark where nothing anchors the numbering."""
    return name if result.anatomy.levels.numbering == "absolute" else f"{name}?"


def anterior_points(result: StudyResult) -> dict[str, NDArray[np.float64]]:
    """Return, for every named vertebra, the point in front of its body where its name is written, in LPS mm."""
    level_map = result.anatomy.level_map
    boxes = ndimage.find_objects(level_map.array)
    named = [vertebra for vertebra in result.anatomy.levels.vertebrae if vertebra.name]
    return {str(vertebra.name): _anterior(level_map, boxes, vertebra) for vertebra in named}


def _anterior(level_map: Volume, boxes: list[tuple[slice, ...] | None], vertebra: Vertebra) -> NDArray[np.float64]:
    number = vertebra_id(str(vertebra.name))
    box = boxes[number - 1] if number <= len(boxes) else None
    index = level_map.grid.to_index(np.array(vertebra.centre_lps_mm))
    # Without a mask the body's usual depth serves: about 18 mm from its centre to its front.
    index[1] = box[1].start if box else index[1] - 18.0 / level_map.spacing[1]
    return level_map.grid.to_lps(index)
