"""Parts that all structured reports share: context, notes, and the choice of template for a group of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    ImageRegion3D,
    LongitudinalTemporalOffsetFromEvent,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TextContentItem,
    TimePointContext,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from spinemri.export.dicom.codes import dcm, private, ucum
from spinemri.export.dicom.identity import MANUFACTURER, RESEARCH, Context
from spinemri.export.dicom.quantities import flag_answer
from spinemri.export.jsonfile import rounded
from spinemri.measure.record import FlagRecord
from spinemri.uids import derived_uid

__all__ = [
    "Group",
    "Template",
    "TimePoint",
    "device_observer",
    "measurement_report",
    "notes_group",
    "segment_reference",
]

Template = (
    MeasurementsAndQualitativeEvaluations
    | PlanarROIMeasurementsAndQualitativeEvaluations
    | VolumetricROIMeasurementsAndQualitativeEvaluations
)


@dataclass(frozen=True)
class TimePoint:
    """When a study was made, in words and days.

    Attributes
    ----------
    order : int
        1 for the baseline.
    days : int or None
        Since the baseline.
    """

    order: int
    days: int | None

    @property
    def label(self) -> str:
        """``"baseline"`` or ``"follow-up 1"``."""
        return "baseline" if self.order == 1 else f"follow-up {self.order - 1}"

    def context(self) -> TimePointContext:
        """Return TID 1502."""
        offset = None
        if self.days is not None:
            offset = LongitudinalTemporalOffsetFromEvent(float(self.days), ucum("Day"), dcm("Baseline"))
        return TimePointContext(
            self.label,
            time_point_type=codes.UMLS.Baseline if self.order == 1 else None,
            time_point_order=self.order,
            temporal_offset_from_event=offset,
        )


@dataclass(frozen=True)
class Group:
    """A group of numbers about one thing.

    Attributes
    ----------
    label, tracking_uid : str
        Tracking Identifier and Tracking Unique Identifier.
    finding : Code
    sites : tuple of Code
    point_lps_mm : tuple of float or None
        The place, if it is a point.
    segment : ReferencedSegment or None
        The region, if it is a segment.
    """

    label: str
    tracking_uid: str
    finding: Code
    sites: tuple[Code, ...] = ()
    point_lps_mm: tuple[float, ...] | None = None
    segment: ReferencedSegment | None = None
    numbers: Sequence[Measurement] = ()
    answers: Sequence[QualitativeEvaluation] = ()
    time: TimePoint | None = None

    def at(self, time: TimePoint | None) -> Group:
        """Return the group at a time point."""
        return replace(self, time=time)

    def template(self, context: Context) -> Template:
        """Return TID 1411 for a segment, TID 1410 for a point, TID 1501 for neither."""
        common = {
            "tracking_identifier": TrackingIdentifier(uid=self.tracking_uid, identifier=self.label),
            "time_point_context": self.time.context() if self.time else None,
            "finding_type": self.finding,
            "algorithm_id": _algorithm(context),
            "finding_sites": [FindingSite(site) for site in self.sites] or None,
            "measurements": list(self.numbers) or None,
            "qualitative_evaluations": list(self.answers) or None,
        }
        if self.segment is not None:
            return VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=self.segment, **common)
        if self.point_lps_mm is not None:
            point = [[rounded(value, "lps_mm") for value in self.point_lps_mm]]
            place = ImageRegion3D("POINT", np.array(point), str(context.header.FrameOfReferenceUID))
            return PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=place, **common)
        return MeasurementsAndQualitativeEvaluations(**common)


def _algorithm(context: Context) -> AlgorithmIdentification:
    software = context.software
    parameters = [f"config_sha256={software.config_sha256}", f"model_sha256={software.model_sha256}"]
    return AlgorithmIdentification(MANUFACTURER, software.version, parameters)


def segment_reference(segmentation: Dataset, source_series_uid: str) -> ReferencedSegment:
    """Refer to the first segment of an object, which is the whole mass."""
    return ReferencedSegment(
        segmentation.SOPClassUID,
        segmentation.SOPInstanceUID,
        segment_number=1,
        source_series=SourceSeriesForSegmentation(source_series_uid),
    )


def _comment(text: str) -> TextContentItem:
    """Return a comment within a group."""
    return TextContentItem(dcm("Comment"), text, relationship_type="CONTAINS")


def notes_group(context: Context, flags: Iterable[FlagRecord], remarks: Iterable[str]) -> Template:
    """Say what the report is for, what it rests on, and what qualifies its numbers.

    Parameters
    ----------
    context : Context
    flags : iterable of FlagRecord
        Each becomes a coded finding and a comment with its message.
    remarks : iterable of str

    Returns
    -------
    Template
        TID 1501.
    """
    flags = list(flags)
    group = Group(
        "report notes",
        context.uid("report notes"),
        private("REPORT_NOTES"),
        answers=[flag_answer(flag.code) for flag in flags],
    ).template(context)
    texts = [RESEARCH, *remarks, *(f"{flag.severity}: {flag.code}: {flag.message}" for flag in flags)]
    group[0].ContentSequence.extend(_comment(text) for text in texts)
    return group


def device_observer() -> ObserverContext:
    """Say that a device, spinemri, made the observations."""
    device = DeviceObserverIdentifyingAttributes(
        uid=derived_uid(MANUFACTURER),
        name=MANUFACTURER,
        manufacturer_name=MANUFACTURER,
        model_name=MANUFACTURER,
    )
    return ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)


def measurement_report(groups: Sequence[Template], images: Sequence[Dataset]) -> MeasurementReport:
    """Put groups into an Imaging Measurement Report (TID 1500) that a device observed.

    Parameters
    ----------
    groups : sequence of Template
    images : sequence of Dataset
        For the image library; may be empty.
    """
    return MeasurementReport(
        observation_context=ObservationContext(observer_device_context=device_observer()),
        procedure_reported=private("MRI_SPINE"),
        imaging_measurements=list(groups),
        title=dcm("ImagingMeasurementReport"),
        referenced_images=list(images) or None,
    )
