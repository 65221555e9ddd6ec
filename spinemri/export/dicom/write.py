"""All DICOM objects of a run or a comparison, into ``dicom/`` beside the other results.

It imports highdicom, which takes half a second: import this module only when there is something to write.
"""

from __future__ import annotations

import hashlib
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from spinemri.export.dicom.document import DOCUMENT, encapsulated_pdf
from spinemri.export.dicom.followup_report import FOLLOWUP, Evidence, followup_report, time_points
from spinemri.export.dicom.groups import TimePoint
from spinemri.export.dicom.identity import Context, Kind, content_key, context_of, save
from spinemri.export.dicom.key_images import CAPTURES, SELECTION, Figure, capture, key_selection
from spinemri.export.dicom.planes import ImagePlane, Nearest, image_planes, nearest_plane
from spinemri.export.dicom.rtstruct import STRUCTURES, structure_set
from spinemri.export.dicom.segmentation import (
    ANATOMY,
    LEVELS,
    MASS,
    accepted_tissues,
    anatomy_segments,
    level_segments,
    mass_segments,
    segmentation,
)
from spinemri.export.dicom.sources import Sources, all_headers, source_problem, sources_of, write_sources
from spinemri.export.dicom.study_report import REPORT, study_report
from spinemri.export.jsonfile import as_json, json_text
from spinemri.followup.record import Comparison
from spinemri.intake.model import Role
from spinemri.measure.result import StudyResult

__all__ = ["write_comparison_objects", "write_study_objects"]

_FOLDER = "dicom"

_SHOWN_SLICES = 1.0
"""A section farther from the nearest image, in steps from slice to slice, is not shown by the stack."""


@dataclass(frozen=True, eq=False)
class _Visit:
    """One study on its way out."""

    result: StudyResult
    sources: Sources
    context: Context
    planes: tuple[ImagePlane, ...]
    folder: Path

    @property
    def headers(self) -> list[Dataset]:
        """Every image that was used, the primary series first."""
        own = [instance.header for instance in self.sources[self.result.primary]]
        uids = {header.SOPInstanceUID for header in own}
        return [*own, *(header for header in all_headers(self.sources) if header.SOPInstanceUID not in uids)]

    def save(self, dataset: Dataset, kind: Kind) -> None:
        """Write an object under the name of its kind."""
        save(dataset, self.folder / f"{kind.name}.dcm")


def write_study_objects(
    result: StudyResult, folder: Path, *, figures: Sequence[Path] = (), pdf: Path | None = None
) -> str:
    """Write the objects of one study on its own.

    Parameters
    ----------
    result : StudyResult
    folder : Path
        Of the results; ``dicom/`` is made in it.
    figures : sequence of Path
        Figures of the report that become secondary captures, named ``<role>_...``.
    pdf : Path or None
        The printed report, if there is one.

    Returns
    -------
    str
        Why nothing was written; empty if all is well.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    sources = sources_of(result)
    problem = source_problem(sources, result.primary)
    if problem:
        return problem
    with _quiet(), _whole(folder / _FOLDER) as target:
        visit = _visit(result, sources, target, extra="")
        _write_visit(visit, figures, None)
        if pdf is not None:
            visit.save(encapsulated_pdf(pdf.read_bytes(), visit.context, visit.headers), DOCUMENT)
    return ""


def write_comparison_objects(
    results: Sequence[StudyResult],
    comparison: Comparison,
    folder: Path,
    *,
    visit_folders: Sequence[Path],
    figures: Sequence[Sequence[Path]],
    pdf: Path | None = None,
) -> str:
    """Write the objects of every visit, and the report of the change into the last visit's study.

    Parameters
    ----------
    results : sequence of StudyResult
        In order of time.
    comparison : Comparison
    folder : Path
        Of the comparison.
    visit_folders : sequence of Path
        Of each visit's results.
    figures : sequence of sequence of Path
        Of each visit, as for `write_study_objects`.
    pdf : Path or None

    Returns
    -------
    str
        Why nothing was written; empty if all is well. One visit that is not DICOM is enough.

    Raises
    ------
    OSError
        If a folder cannot be written.
    """
    sources = [sources_of(result) for result in results]
    problems = [source_problem(one, result.primary) for one, result in zip(sources, results, strict=True)]
    if any(problems):
        return next(problem for problem in problems if problem)
    whole = hashlib.sha256(json_text(as_json(comparison)).encode()).hexdigest()
    with _quiet(), _whole(*(path / _FOLDER for path in (*visit_folders, folder))) as top:
        visits = [
            _visit(result, source, path / _FOLDER, extra=whole)
            for result, source, path in zip(results, sources, visit_folders, strict=True)
        ]
        visits = _one_lesion(visits)
        evidence = [
            _write_visit(visit, own, time)
            for visit, own, time in zip(visits, figures, time_points(comparison), strict=True)
        ]
        context = visits[-1].context
        save(followup_report(comparison, evidence, context), top / f"{FOLLOWUP.name}.dcm")
        if pdf is not None:
            save(encapsulated_pdf(pdf.read_bytes(), context, visits[-1].headers), top / f"{DOCUMENT.name}.dcm")
    return ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep quiet about source headers that bend the rules; a warning would quote them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _whole(*folders: Path) -> Iterator[Path]:
    """Make folders, give the last one, and leave none of them behind if the work fails."""
    try:
        for folder in folders:
            folder.mkdir(parents=True)
        yield folders[-1]
    except BaseException:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _visit(result: StudyResult, sources: Sources, folder: Path, *, extra: str) -> _Visit:
    own = sources[result.primary]
    key = hashlib.sha256(f"{content_key(result)}{extra}".encode()).hexdigest()
    return _Visit(result, sources, context_of(result, own[0].header, key), image_planes(own), folder)


def _one_lesion(visits: Sequence[_Visit]) -> list[_Visit]:
    """Track the mass under the baseline's UID, also where a visit lacks the patient id."""
    lesion = visits[0].context.lesion_uid
    return [replace(visit, context=replace(visit.context, lesion_uid=lesion)) for visit in visits]


def _write_visit(visit: _Visit, figures: Sequence[Path], time: TimePoint | None) -> Evidence:
    result, context, planes = visit.result, visit.context, visit.planes
    write_sources(visit.sources, visit.folder)
    labels, level_map, mask = accepted_tissues(result), result.anatomy.level_map, result.mass.mask
    outlined = None
    for kind, volume, segments in (
        (ANATOMY, labels, anatomy_segments(labels, context)),
        (LEVELS, level_map, level_segments(result, context)),
        (MASS, mask, mass_segments(mask, context)),
    ):
        if segments:
            made = segmentation(volume, segments, planes, context, kind)
            visit.save(made, kind)
            outlined = made if kind is MASS else outlined
    if outlined is not None:
        visit.save(structure_set(mask, planes, context), STRUCTURES)
    report = study_report(
        result.measurements,
        context,
        images=visit.headers,
        # The library describes single images; highdicom has no words for frames of a multi-frame file.
        library=[plane.header for plane in _planes_of_worst(visit) if not plane.frame],
        mass_segmentation=outlined,
        time=time,
    )
    visit.save(report, REPORT)
    _write_key_images(visit, figures)
    own = tuple(instance.header for instance in visit.sources[result.primary])
    return Evidence(own, report, outlined)


def _write_key_images(visit: _Visit, figures: Sequence[Path]) -> None:
    planes = _nearest_planes(visit)
    captures = []
    for number, path in enumerate(figures, start=1):
        role = next((role for role in planes if path.name.startswith(f"{role.value}_visit")), visit.result.primary)
        figure = Figure(path.stem, path.read_bytes(), planes[role].plane)
        captures.append(capture(figure, visit.context, number))
        save(captures[-1], visit.folder / f"{CAPTURES.name}_{number}.dcm")
    level = visit.result.measurements.compromise.worst_level
    words = f"Worst section: {level}." if level else "No worst section was found: middle of the images."
    images = list({str(plane.header.SOPInstanceUID): plane.header for plane in _planes_of_worst(visit)}.values())
    visit.save(key_selection(images, captures, visit.context, words), SELECTION)


def _nearest_planes(visit: _Visit) -> dict[Role, Nearest]:
    """Return the image of every series but the localizer that lies nearest to the worst section, as the figures do."""
    result = visit.result
    point = result.measurements.compromise.worst_point_lps_mm
    if point is None:
        middle = (np.array(result.primary_image.shape) - 1) / 2
        point = tuple(result.primary_image.grid.to_lps(middle))
    return {
        role: nearest_plane(image_planes(instances), result.images[role], point)
        for role, instances in visit.sources.items()
        if role is not Role.LOCALIZER
    }


def _planes_of_worst(visit: _Visit) -> tuple[ImagePlane, ...]:
    """Return the nearest images that show the worst section; one of the primary series is always among them.

    In another frame of reference nobody knows where the section lies; a stack that ends before it does not show it.
    """
    images, primary = visit.result.images, visit.result.primary
    frame = visit.result.primary_image.frame_of_reference_uid
    return tuple(
        nearest.plane
        for role, nearest in _nearest_planes(visit).items()
        if images[role].frame_of_reference_uid == frame and (role is primary or nearest.slices_away <= _SHOWN_SLICES)
    )
