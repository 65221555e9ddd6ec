"""What all objects of a comparison have in common: valid, whole, of the right study, and the same every time."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from dicom_objects import Compared
from pydicom.dataset import Dataset

from spinemri.export.dicom.codes import PRIVATE_SCHEME
from spinemri.export.dicom.identity import RESEARCH
from spinemri.export.dicom.write import write_comparison_objects
from spinemri.intake.model import Role
from spinemri.pipeline.users_files import is_of_run

EXPECTED = {
    "anatomy_seg.dcm",
    "levels_seg.dcm",
    "mass_seg.dcm",
    "mass_rtstruct.dcm",
    "measurements_sr.dcm",
    "key_images_ko.dcm",
    *(f"key_image_sc_{number}.dcm" for number in range(1, 6)),
}
"""Five outlined figures: three sagittal, one axial, one reformatted."""


def objects(compared: Compared) -> list[Path]:
    return sorted(compared.out.rglob("*.dcm"))


def headers(folder: Path) -> dict[str, Dataset]:
    read = (pydicom.dcmread(path, stop_before_pixels=True) for path in folder.rglob("*.dcm"))
    return {str(dataset.SOPInstanceUID): dataset for dataset in read}


def walk(dataset: Dataset, keyword: str) -> set[str]:
    """Every value of an attribute, at any depth."""
    return {str(element.value) for element in dataset.iterall() if element.keyword == keyword}


def test_every_object_is_there(compared: Compared) -> None:
    for visit in (1, 2):
        assert {path.name for path in compared.dicom(visit).glob("*.dcm")} == EXPECTED
    assert sorted(path.name for path in (compared.out / "dicom").iterdir()) == ["comparison_sr.dcm", "report_pdf.dcm"]


def test_every_object_is_valid(compared: Compared, errors_of: Callable[[Path], list[str]]) -> None:
    found = {path.name: errors_of(path) for path in objects(compared)}
    assert {name: errors for name, errors in found.items() if errors} == {}


def test_objects_belong_to_patient_and_study_of_their_images(compared: Compared) -> None:
    for visit, given in enumerate(compared.inputs, start=1):
        source = next(iter(headers(given.folder).values()))
        for made in headers(compared.dicom(visit)).values():
            for keyword in ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "StudyDate"):
                assert made[keyword].value == source[keyword].value
    last = next(iter(headers(compared.inputs[1].folder).values()))
    made = headers(compared.out / "dicom").values()
    assert [one.StudyInstanceUID for one in made] == [last.StudyInstanceUID] * 2


def test_every_object_says_research_and_names_equipment(compared: Compared) -> None:
    for path in objects(compared):
        made = pydicom.dcmread(path, stop_before_pixels=True)
        assert made.ContentQualification == "RESEARCH"
        assert made.SeriesDescription.startswith("RESEARCH ")
        assert made.Manufacturer == "spinemri"
        assert made.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == PRIVATE_SCHEME
        scanner = made.ContributingEquipmentSequence[0]
        assert (scanner.Manufacturer, scanner.PurposeOfReferenceCodeSequence[0].CodeValue) == ("generated", "109101")


def test_the_wording_is_where_people_read_it(compared: Compared) -> None:
    folder = compared.dicom(1)
    texts = {name: pydicom.dcmread(folder / name) for name in EXPECTED}
    assert texts["mass_seg.dcm"].ContentDescription == RESEARCH
    assert texts["mass_rtstruct.dcm"].StructureSetDescription == RESEARCH
    assert "RESEARCH" in texts["mass_rtstruct.dcm"].StructureSetROISequence[0].ROIName
    assert texts["key_image_sc_1.dcm"].ImageComments.startswith(RESEARCH)
    for name in ("measurements_sr.dcm", "key_images_ko.dcm"):
        assert any(text.startswith(RESEARCH) for text in walk(texts[name], "TextValue"))


def test_the_report_refers_to_every_image_that_was_used(compared: Compared) -> None:
    for visit, given in enumerate(compared.inputs, start=1):
        report = pydicom.dcmread(compared.dicom(visit) / "measurements_sr.dcm")
        assert set(headers(given.folder)) <= walk(report, "ReferencedSOPInstanceUID")


def test_masks_refer_to_every_image_of_the_primary_series(compared: Compared) -> None:
    for visit, given in enumerate(compared.inputs, start=1):
        primary = compared.results.results[visit - 1].study.by_role(Role.SAGITTAL_T2)
        own = {
            uid
            for uid, header in headers(given.folder).items()
            if header.SeriesInstanceUID == primary.series_instance_uid
        }
        segmentation = pydicom.dcmread(compared.dicom(visit) / "anatomy_seg.dcm", stop_before_pixels=True)
        assert {item.ReferencedSOPInstanceUID for item in segmentation.SourceImageSequence} == own
        structures = pydicom.dcmread(compared.dicom(visit) / "mass_rtstruct.dcm")
        assert own <= walk(structures, "ReferencedSOPInstanceUID")


def test_the_mass_keeps_its_tracking_uid_over_visits(compared: Compared) -> None:
    tracked = []
    for visit in (1, 2):
        segmentation = pydicom.dcmread(compared.dicom(visit) / "mass_seg.dcm", stop_before_pixels=True)
        report = pydicom.dcmread(compared.dicom(visit) / "measurements_sr.dcm")
        (uid,) = walk(segmentation, "TrackingUID")
        assert uid in walk(report, "UID")
        tracked.append(uid)
    change = pydicom.dcmread(compared.out / "dicom" / "comparison_sr.dcm")
    assert len(set(tracked)) == 1
    assert tracked[0] in walk(change, "UID")


def test_levels_keep_their_tracking_uids_too(compared: Compared) -> None:
    by_visit = []
    for visit in (1, 2):
        segments = pydicom.dcmread(compared.dicom(visit) / "levels_seg.dcm", stop_before_pixels=True).SegmentSequence
        by_visit.append({segment.SegmentLabel: segment.TrackingUID for segment in segments})
    common = set(by_visit[0]) & set(by_visit[1])
    assert {"T6", "T6/7", "T7"} <= common
    assert all(by_visit[0][name] == by_visit[1][name] for name in common)
    assert len(set(by_visit[0].values())) == len(by_visit[0])


def test_no_uid_is_used_twice(compared: Compared) -> None:
    made = [pydicom.dcmread(path, stop_before_pixels=True) for path in objects(compared)]
    uids = [dataset.SOPInstanceUID for dataset in made]
    assert len(set(uids)) == len(uids)
    series = {
        (dataset.SeriesInstanceUID, dataset.Modality, dataset.SeriesNumber, dataset.StudyInstanceUID)
        for dataset in made
    }
    assert len({uid for uid, *_ in series}) == len(series)


def test_the_same_results_give_the_same_bytes(compared: Compared, tmp_path: Path) -> None:
    results, comparison = compared.results.results, compared.results.comparison
    figures = [sorted((compared.out / "figures").glob(f"*_visit{visit}_outlined.jpg")) for visit in (1, 2)]
    folders = [tmp_path / f"timepoint_{visit}" for visit in (1, 2)]
    pdf = compared.out / "report.pdf"
    assert not write_comparison_objects(results, comparison, tmp_path, visit_folders=folders, figures=figures, pdf=pdf)
    written = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(written) == len(objects(compared)) + 2  # the kept headers of two visits
    assert written == {name: (compared.out / name).read_bytes() for name in written}


def test_other_masks_give_other_uids(compared: Compared, tmp_path: Path) -> None:
    first, second = compared.results.results
    mask = second.mass.mask.array.copy()
    mask[tuple(index[0] for index in mask.nonzero())] = 0
    edited = replace(second, mass=replace(second.mass, mask=second.mass.mask.with_array(mask)))
    folders = [tmp_path / f"timepoint_{visit}" for visit in (1, 2)]
    comparison = compared.results.comparison
    write_comparison_objects([first, edited], comparison, tmp_path, visit_folders=folders, figures=[(), ()])
    for name in ("mass_seg.dcm", "measurements_sr.dcm", "mass_rtstruct.dcm"):
        before = pydicom.dcmread(compared.dicom(2) / name, stop_before_pixels=True)
        after = pydicom.dcmread(folders[1] / "dicom" / name, stop_before_pixels=True)
        assert before.SOPInstanceUID != after.SOPInstanceUID


def test_no_file_of_a_comparison_is_taken_for_its_user_s(compared: Compared) -> None:
    names = [path.relative_to(compared.out) for path in compared.out.rglob("*") if path.is_file()]
    assert len(names) > 80
    assert [name for name in names if not is_of_run(name)] == []


def test_the_command_line_starts_without_highdicom() -> None:
    code = "import sys, spinemri.cli, spinemri.pipeline; sys.exit('highdicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("visit", [1, 2])
def test_no_date_is_that_of_the_run(compared: Compared, visit: int) -> None:
    for path in compared.dicom(visit).glob("*.dcm"):
        made = pydicom.dcmread(path, stop_before_pixels=True)
        dates = {str(element.value)[:8] for element in made.iterall() if element.VR in {"DA", "DT"} and element.value}
        assert dates <= {made.StudyDate, made.PatientBirthDate}
