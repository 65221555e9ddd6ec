"""Figures as secondary captures, the selection of key images, and the printed report."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_objects import Compared
from PIL import Image
from pydicom.encaps import generate_frames

from spinemri.export.dicom.write import write_study_objects
from spinemri.intake.model import Role


def distance_mm(image: pydicom.Dataset, point: tuple[float, ...]) -> float:
    """Distance of a point from the plane of an image."""
    row, column = np.array(image.ImageOrientationPatient, dtype=float).reshape(2, 3)
    return abs(float((np.array(point) - np.array(image.ImagePositionPatient, dtype=float)) @ np.cross(row, column)))


def test_captures_show_the_figures_with_a_band_below(compared: Compared) -> None:
    figures = sorted((compared.out / "figures").glob("*_visit1_outlined.jpg"))
    for number, path in enumerate(figures, start=1):
        made = pydicom.dcmread(compared.dicom(1) / f"key_image_sc_{number}.dcm")
        (frame,) = generate_frames(made.PixelData, number_of_frames=1)
        with Image.open(io.BytesIO(frame)) as stored, Image.open(path) as figure:
            shown, drawn = np.asarray(stored.convert("RGB"), float), np.asarray(figure.convert("RGB"), float)
        assert shown.shape == (made.Rows, made.Columns, 3)
        assert shown.shape[1:] == drawn.shape[1:]
        band = shown[drawn.shape[0] :]
        # The wording is bright on black: a good part of the band, but not most of it.
        assert 0.02 < (band.mean(axis=-1) > 100).mean() < 0.5
        # Lossy twice: on average less than 3 of 255 grey levels.
        assert np.abs(shown[: drawn.shape[0]] - drawn).mean() < 3


def test_each_capture_names_the_image_that_it_shows(compared: Compared) -> None:
    images = {}
    for path in compared.inputs[0].folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        images[str(dataset.SOPInstanceUID)] = dataset
    study = compared.results.results[0].study
    figures = sorted((compared.out / "figures").glob("*_visit1_outlined.jpg"))
    for number, path in enumerate(figures, start=1):
        made = pydicom.dcmread(compared.dicom(1) / f"key_image_sc_{number}.dcm", stop_before_pixels=True)
        (source,) = made.SourceImageSequence
        name = path.name.split("_visit")[0]
        role = Role.SAGITTAL_T2 if name == "perpendicular" else Role(name)
        shown = images[source.ReferencedSOPInstanceUID]
        assert shown.SeriesInstanceUID == study.by_role(role).series_instance_uid


@pytest.mark.parametrize("visit", [1, 2])
def test_the_selection_holds_the_images_through_the_worst_section(compared: Compared, visit: int) -> None:
    made = pydicom.dcmread(compared.dicom(visit) / "key_images_ko.dcm")
    assert made.ConceptNameCodeSequence[0].CodeValue == "113009"  # For Research
    uids = {
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for item in made.ContentSequence
        if item.ValueType == "IMAGE"
    }
    point = compared.results.results[visit - 1].measurements.compromise.worst_point_lps_mm
    nearest = {}
    for path in compared.inputs[visit - 1].folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        here = (distance_mm(dataset, point), str(dataset.SOPInstanceUID))
        nearest[dataset.SeriesInstanceUID] = min(here, nearest.get(dataset.SeriesInstanceUID, here))
    captures = {str(pydicom.dcmread(path).SOPInstanceUID) for path in compared.dicom(visit).glob("key_image_sc_*.dcm")}
    assert len(nearest) == 4
    assert uids == {uid for _, uid in nearest.values()} | captures


@pytest.mark.parametrize(("slices_beyond", "shown"), [(0.9, True), (1.1, False)])
def test_a_stack_that_ends_before_the_worst_section_is_not_selected(
    compared: Compared, tmp_path: Path, slices_beyond: float, *, shown: bool
) -> None:
    result = compared.results.results[0]
    stack, compromise = result.study.by_role(Role.AXIAL_T2), result.measurements.compromise
    place = stack.grid.to_index(np.array(compromise.worst_point_lps_mm))
    place[2] = stack.grid.shape[2] - 1 + slices_beyond
    x, y, z = stack.grid.to_lps(place)
    moved = compromise.model_copy(update={"worst_point_lps_mm": (float(x), float(y), float(z))})
    measured = result.measurements.model_copy(update={"compromise": moved})
    assert not write_study_objects(replace(result, measurements=measured), tmp_path)
    made = pydicom.dcmread(tmp_path / "dicom" / "key_images_ko.dcm")
    (evidence,) = made.CurrentRequestedProcedureEvidenceSequence
    series = {item.SeriesInstanceUID for item in evidence.ReferencedSeriesSequence}
    assert (stack.series_instance_uid in series) is shown
    assert result.study.by_role(result.primary).series_instance_uid in series


def test_without_figures_the_selection_points_at_the_sources_alone(compared: Compared, tmp_path: Path) -> None:
    assert not write_study_objects(compared.results.results[0], tmp_path)
    names = {path.name for path in (tmp_path / "dicom").iterdir()}
    assert "key_images_ko.dcm" in names
    assert not any(name.startswith("key_image_sc") for name in names)


def test_a_printed_report_is_wrapped_as_it_is(compared: Compared, tmp_path: Path, errors_of) -> None:
    pdf = tmp_path / "report.pdf"
    pdf.write_bytes(b"%PDF-1.4 an odd number of bytes\n%%EOF")
    assert not write_study_objects(compared.results.results[0], tmp_path / "out", pdf=pdf)
    path = tmp_path / "out" / "dicom" / "report_pdf.dcm"
    made = pydicom.dcmread(path)
    assert made.EncapsulatedDocument[: made.EncapsulatedDocumentLength] == pdf.read_bytes()
    assert made.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert made.DocumentTitle.startswith("RESEARCH")
    assert errors_of(path) == []
