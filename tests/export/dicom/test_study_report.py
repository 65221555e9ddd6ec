"""The structured reports hold the numbers of the JSON files, with code, unit and uncertainty."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_objects import Compared
from pydicom.dataset import Dataset
from synthetic_result import make_unmeasured

from spinemri.export.dicom.quantities import (
    CHANGE_ANSWERS,
    CHANGE_NUMBERS,
    COMPROMISE_ANSWERS,
    COMPROMISE_NUMBERS,
    MASS_ANSWERS,
    MASS_NUMBERS,
    NADIR_NUMBERS,
    OCCUPANCY_NUMBERS,
    RECURRENCE_ANSWERS,
    TREATMENT_ANSWERS,
    TREATMENT_NUMBERS,
    Quantity,
    lookup,
)
from spinemri.export.dicom.write import write_study_objects
from spinemri.followup.record import Comparison, TimepointRecord
from spinemri.intake.model import Role
from spinemri.measure.record import CompromiseRecord, MassRecord
from spinemri.measure.sac_signal import SacContent
from spinemri.measure.schizas import SchizasEvidence

CAUDA = SchizasEvidence(
    SacContent(csf_share=0.25, pool_share=0.05, signal_spread=0.5, voxels=80.0),
    posterior_fat_mm2=31.5,
    fluid_to_nerve=4.0,
    series=Role.AXIAL_T2,
    slice_offset_mm=-1.5,
    reformatted=False,
    at_disc=True,
)

Key = tuple[str, str | None, str | None, str | None]


def code(item: Dataset) -> str:
    return str(item.get("CodeValue") or item.get("LongCodeValue"))


def concept(item: Dataset) -> str:
    return code(item.ConceptNameCodeSequence[0])


def children(item: Dataset, name: str) -> list[Dataset]:
    return [child for child in item.get("ContentSequence", ()) if concept(child) == name]


def answer(item: Dataset, name: str) -> str | None:
    """Code that a child of an item holds, or None."""
    found = children(item, name)
    return code(found[0].ConceptCodeSequence[0]) if found else None


VERDICTS = {"decreased": "DECREASED", "not_distinguishable": "NOT_DISTINCT"}

DERIVATION, METHOD, SITE = "121401", "370129005", "363698007"


def groups(report: Dataset) -> list[Dataset]:
    (measured,) = children(report, "126010")
    return children(measured, "125007")


def label(group: Dataset) -> str:
    return str(children(group, "112039")[0].TextValue)


def numbers(group: Dataset) -> Iterator[tuple[Key, Dataset]]:
    for item in group.ContentSequence:
        # Order and days of the time point are context, not measurements.
        if item.ValueType == "NUM" and item.RelationshipType == "CONTAINS":
            yield (concept(item), answer(item, DERIVATION), answer(item, METHOD), answer(item, SITE)), item


def value(item: Dataset) -> float:
    return float(item.MeasuredValueSequence[0].NumericValue)


def unit(item: Dataset) -> str:
    return str(item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue)


def key(quantity: Quantity) -> Key:
    parts = (quantity.derivation, quantity.method, quantity.site)
    first, second, third = (part.value if part else None for part in parts)
    return quantity.name.value, first, second, third


def check(group: Dataset, quantities: tuple[Quantity, ...], content: dict) -> int:
    """Compare a group with the JSON: every number there is, none that is null; return how many."""
    found = dict(numbers(group))
    wanted = {key(quantity): quantity for quantity in quantities if lookup(content, quantity.path) is not None}
    assert set(wanted) <= set(found)
    for name, quantity in wanted.items():
        assert value(found[name]) == lookup(content, quantity.path)
        assert unit(found[name]) == quantity.unit.value
    assert not {key(quantity) for quantity in quantities} - set(wanted) & set(found)
    return len(wanted)


@pytest.fixture(params=[1, 2])
def visit(request: pytest.FixtureRequest, compared: Compared) -> tuple[Dataset, dict]:
    path = compared.dicom(request.param) / "measurements_sr.dcm"
    return pydicom.dcmread(path), json.loads((path.parents[1] / "measurements.json").read_text())


@pytest.fixture
def change(compared: Compared) -> tuple[Dataset, dict]:
    report = pydicom.dcmread(compared.out / "dicom" / "comparison_sr.dcm")
    return report, json.loads((compared.out / "comparison.json").read_text())


def by_label(report: Dataset) -> dict[str, Dataset]:
    return {label(group): group for group in groups(report)}


def test_numbers_of_mass_and_canal_equal_the_json(visit: tuple[Dataset, dict]) -> None:
    report, content = visit
    found = by_label(report)
    parts = {item["compartment"]: item["volume_ml"] for item in content["mass"]["components"]}
    mass = found["Epidural mass"]
    assert check(mass, MASS_NUMBERS, content) > 6
    assert check(found["Worst section"], COMPROMISE_NUMBERS, content) > 8
    assert check(found["Section of largest occupancy"], OCCUPANCY_NUMBERS, content) == 3
    epidural = [value(item) for name, item in numbers(mass) if name == ("118565006", None, None, "EPIDURAL_SPACE")]
    assert epidural == [parts["epidural"]]
    assert len(list(numbers(mass))) == check(mass, MASS_NUMBERS, content) + len(parts)


def test_the_interval_is_the_range_of_uncertainty(visit: tuple[Dataset, dict]) -> None:
    report, content = visit
    found = dict(numbers(by_label(report)["Epidural mass"]))
    volume = found["118565006", None, None, None]
    low, high = content["mass"]["volume_ci95_ml"]
    middle = content["mass"]["volume_ml"]
    # SNOMED CT: -, and +, range of measurement uncertainty; rounded to a microlitre.
    assert value(children(volume, "371885007")[0]) == pytest.approx(middle - low, abs=0.0006)
    assert value(children(volume, "371886008")[0]) == pytest.approx(high - middle, abs=0.0006)
    assert {unit(children(volume, name)[0]) for name in ("371885007", "371886008")} == {"ml"}


def test_levels_stand_where_the_json_has_them(visit: tuple[Dataset, dict]) -> None:
    report, content = visit
    found = by_label(report)
    for level in (*content["levels"]["vertebrae"], *content["levels"]["discs"]):
        group = found[level["name"]]
        (place,) = [item for item in group.ContentSequence if item.ValueType == "SCOORD3D"]
        assert place.GraphicType == "POINT"
        # Coordinates are stored in single precision.
        np.testing.assert_allclose(place.GraphicData, level["centre_lps_mm"], atol=1e-4)
        if "confidence" in level:
            assert [value(item) for _, item in numbers(group)] == [level["confidence"]]
    assert [value(item) for _, item in numbers(found["Numbering of levels"])] == [content["levels"]["confidence"]]


def test_the_worst_section_is_a_point_with_its_level(visit: tuple[Dataset, dict]) -> None:
    report, content = visit
    group = by_label(report)["Worst section"]
    (place,) = [item for item in group.ContentSequence if item.ValueType == "SCOORD3D"]
    np.testing.assert_allclose(place.GraphicData, content["compromise"]["worst_point_lps_mm"], atol=1e-4)
    sites = [code(item.ConceptCodeSequence[0]) for item in children(group, SITE)]
    snomed = {"T6/7": "74401007", "T7": "62487009"}
    assert sites == ["61853006", snomed[content["compromise"]["worst_level"]]]


def test_answers_are_coded(visit: tuple[Dataset, dict]) -> None:
    report, content = visit
    mass, worst = by_label(report)["Epidural mass"], by_label(report)["Worst section"]
    assert answer(mass, "STATUS") == "MEASURED"
    assert answer(mass, "POSITION") == "255551008"
    assert answer(mass, "EXTENT_FROM") == "56401006"
    assert answer(mass, "TRUNCATED") == "373067005"
    grade = content["compromise"]["escc_grade"]
    assert answer(worst, "ESCC") == (f"ESCC_{grade.upper()}" if grade else None)


def test_the_grade_of_the_cauda_equina_is_coded_with_its_evidence(compared: Compared, tmp_path: Path) -> None:
    result = compared.results.results[0]
    update = {"escc_grade": None, "schizas_grade": "B", "schizas_evidence": CAUDA.record()}
    compromise = result.measurements.compromise.model_copy(update=update)
    write_study_objects(
        replace(result, measurements=result.measurements.model_copy(update={"compromise": compromise})), tmp_path
    )
    worst = by_label(pydicom.dcmread(tmp_path / "dicom" / "measurements_sr.dcm"))["Worst section"]
    assert answer(worst, "ESCC") is None
    assert answer(worst, "SCHIZAS") == "SCHIZAS_B"
    assert answer(worst, "GRADED_SERIES") == "AXIAL_T2"
    # SNOMED CT: yes.
    assert answer(worst, "FAT_BEHIND") == "373066001"
    found = {name: value(item) for (name, *_), item in numbers(worst)}
    assert (found["SAC_FLUID"], found["POSTERIOR_FAT"], found["SLICE_OFFSET"]) == (0.25, 31.5, -1.5)


def test_every_finding_is_stated(visit: tuple[Dataset, dict]) -> None:
    report, content = visit
    notes = by_label(report)["report notes"]
    coded = {code(item.ConceptCodeSequence[0]) for item in children(notes, "FLAG")}
    comments = " ".join(item.TextValue for item in children(notes, "121106"))
    assert content["quality"]["flags"]
    for flag in content["quality"]["flags"]:
        assert flag["code"] in coded
        assert flag["message"] in comments


def test_the_report_is_imaging_measurements_after_tid_1500(visit: tuple[Dataset, dict]) -> None:
    report, _ = visit
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert concept(report) == "126000"
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")


def test_dcmqi_reads_the_same_volume(compared: Compared, tmp_path: Path) -> None:
    program = shutil.which("tid1500reader")
    if program is None:
        pytest.skip("tid1500reader is absent: install dcmqi")
    path, out = compared.dicom(1) / "measurements_sr.dcm", tmp_path / "report.json"
    command = [program, "--inputDICOM", str(path), "--outputMetadata", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    mass = next(
        one for one in json.loads(out.read_text())["Measurements"] if one["TrackingIdentifier"] == "Epidural mass"
    )
    items = [item for item in mass["measurementItems"] if item["quantity"]["CodeValue"] == "118565006"]
    content = json.loads((path.parents[1] / "measurements.json").read_text())
    assert (float(items[0]["value"]), items[0]["units"]["CodeValue"]) == (content["mass"]["volume_ml"], "ml")
    assert mass["ReferencedSegment"] == 1


def test_visits_are_time_points(compared: Compared) -> None:
    contexts = []
    for number in (1, 2):
        group = by_label(pydicom.dcmread(compared.dicom(number) / "measurements_sr.dcm"))["Epidural mass"]
        (point,) = children(group, "C2348792")
        (offset,) = children(group, "128740")
        contexts.append((point.TextValue, value(offset), unit(offset)))
    assert contexts == [("baseline", 0.0, "d"), ("follow-up 1", 19.0, "d")]


def leaves(content: object, path: str = "") -> Iterator[str]:
    if isinstance(content, dict):
        for name, child in content.items():
            yield from leaves(child, f"{path}.{name}" if path else name)
    elif isinstance(content, list):
        for index, child in enumerate(content):
            yield from leaves(child, f"{path}.{index}")
    else:
        yield path


def test_no_field_is_forgotten(compared: Compared) -> None:
    """A field that the records gain has to get a code here, too."""
    evidence = compared.results.results[0].measurements.compromise.escc_evidence
    full = {
        "mass": dict.fromkeys(MassRecord.model_fields)
        | {"volume_ci95_ml": [0, 0], "extent": {"from": 0, "to": 0, "length_mm": 0}}
        | {"signal": dict.fromkeys(("t1_to_marrow", "t2_to_marrow", "enhancement_ratio"))},
        "compromise": dict.fromkeys(CompromiseRecord.model_fields)
        | {"reference_levels": [0, 0], "escc_evidence": dict.fromkeys(evidence)}
        | {"schizas_evidence": dict.fromkeys(CAUDA.record())},
    }
    coded = {one.path for one in (*MASS_NUMBERS, *COMPROMISE_NUMBERS, *OCCUPANCY_NUMBERS)}
    coded |= {one.path for one in (*MASS_ANSWERS, *COMPROMISE_ANSWERS)}
    # Places and levels of a group of their own; compartments are volumes with a site.
    elsewhere = {"mass.components", "compromise.worst_point_lps_mm", "compromise.canal_occupancy_level"}
    assert set(leaves(full)) - elsewhere <= coded
    at_time = {one.path.split(".")[0] for one in CHANGE_NUMBERS} | {"study_instance_uid", "study_date"}
    at_time |= {one.path for one in CHANGE_ANSWERS}
    # The estimates behind the paired change are in the JSON only: it combines them.
    beside = {"days_from_baseline", "paired_estimates"}
    assert set(TimepointRecord.model_fields) - at_time == beside
    assert {"nadir", "recurrence", "radiotherapy"} == {
        one.path.split(".")[0] for one in (*NADIR_NUMBERS, *RECURRENCE_ANSWERS, *TREATMENT_ANSWERS, *TREATMENT_NUMBERS)
    }
    assert set(Comparison.model_fields) >= {"nadir", "recurrence", "radiotherapy"}


def test_numbers_of_the_comparison_equal_the_json(change: tuple[Dataset, dict]) -> None:
    report, content = change
    masses = [group for group in groups(report) if label(group) == "Epidural mass"]
    assert len(masses) == len(content["timepoints"]) == 2
    counts = [check(group, CHANGE_NUMBERS, point) for group, point in zip(masses, content["timepoints"], strict=True)]
    assert counts[0] >= 3
    assert counts[1] > counts[0] + 3
    assert [answer(group, "VERDICT") for group in masses] == [None, VERDICTS[content["timepoints"][1]["verdict"]]]
    found = by_label(report)
    assert check(found["Nadir"], NADIR_NUMBERS, content) == 1
    assert check(found["Radiotherapy"], TREATMENT_NUMBERS, content) == 4


def test_the_comparison_refers_to_the_baseline(change: tuple[Dataset, dict], compared: Compared) -> None:
    report, _ = change
    baseline = pydicom.dcmread(compared.dicom(1) / "measurements_sr.dcm", stop_before_pixels=True)
    (prior,) = children(by_label(report)["report notes"], "122075")
    assert prior.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == baseline.SOPInstanceUID
    others = {study.StudyInstanceUID for study in report.PertinentOtherEvidenceSequence}
    assert others == {baseline.StudyInstanceUID}
    assert report.StudyInstanceUID != baseline.StudyInstanceUID


def test_what_could_not_be_measured_is_left_out(compared: Compared, tmp_path: Path) -> None:
    nothing = replace(make_unmeasured("not_found"), study=compared.results.results[0].study)
    assert not write_study_objects(nothing, tmp_path)
    assert not (tmp_path / "dicom" / "mass_seg.dcm").exists()
    assert not (tmp_path / "dicom" / "mass_rtstruct.dcm").exists()
    report = pydicom.dcmread(tmp_path / "dicom" / "measurements_sr.dcm")
    found = by_label(report)
    assert set(found) == {"report notes", "Epidural mass", "Numbering of levels"}
    assert answer(found["Epidural mass"], "STATUS") == "NOT_FOUND"
    assert list(numbers(found["Epidural mass"])) == []
    assert answer(found["report notes"], "FLAG") == "NO_CANAL"
