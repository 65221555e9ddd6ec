"""`compare --radiotherapy`: from the planning system's objects to comparison.json."""

import json
from pathlib import Path

import numpy as np
import pytest
from synthetic_spine import Spine
from treatment_objects import write_dose, write_object, write_plan
from typer.testing import CliRunner
from written_study import WrittenStudy, write_spine

from spinemri.cli import app

FRAME = "1.2.3.7.20240301"
THINNER = Spine(6.6, tilt_deg=3.0, shift_mm=(-1.0, -14.0, 28.0))


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> tuple[WrittenStudy, WrittenStudy]:
    folder = tmp_path_factory.mktemp("visits")
    first = write_spine(folder / "first", axial=False, contrast=False)
    facts = {"study": "study-2", "date": "20240520"}
    return first, write_spine(folder / "second", THINNER, axial=False, contrast=False, **facts)


def write_course(folder: Path, patient: str) -> Path:
    """20 Gy from T5 to T9 and nothing beyond, in oblique voxels of 2.5 x 2 x 3 mm."""
    folder.mkdir()
    spine, affine = Spine(), np.eye(4)
    affine[:3, :3] = spine.rotation * (2.5, 2.0, 3.0)
    affine[:3, 3] = spine.to_lps([-60.0, -60.0, -100.0])
    index = np.stack(np.indices((48, 60, 68)), -1).astype(float)
    z = spine.to_own(index @ affine[:3, :3].T + affine[:3, 3])[..., 2]
    # T5 is centred at 44 mm, T9 at -44 mm; the field ends between those and their neighbours.
    write_dose(folder, np.where((z > -55.0) & (z < 57.0), 20.0, 1.0), affine, FRAME, patient=patient)
    write_plan(folder, patient=patient)
    for day in ("20240304", "20240315"):
        write_object(folder, "RTRECORD", day, patient=patient, TreatmentDate=day)
    return folder


def compare(visits: tuple[WrittenStudy, WrittenStudy], out: Path, *more: str) -> tuple[int, str]:
    folders, labels = ([str(getattr(visit, name)) for visit in visits] for name in ("folder", "labels"))
    arguments = ["compare", *folders, "-o", str(out), "--level", visits[0].level, "--no-dicom"]
    for path in labels:
        arguments += ["--labels", path]
    result = CliRunner().invoke(app, [*arguments, *more])
    return result.exit_code, result.output


def patient_of(visits: tuple[WrittenStudy, WrittenStudy]) -> str:
    import pydicom  # noqa: PLC0415

    return str(pydicom.dcmread(next(visits[0].folder.rglob("*.dcm"))).PatientID)


def test_plan_dose_and_records_stand_in_for_what_was_not_said(visits, tmp_path: Path) -> None:
    course = write_course(tmp_path / "rt", patient_of(visits))
    status, output = compare(visits, tmp_path / "out", "--radiotherapy", str(course))
    assert status in (0, 1), output
    content = json.loads((tmp_path / "out" / "comparison.json").read_text())
    treatment = content["radiotherapy"]
    assert (treatment["start"], treatment["end"]) == ("2024-03-04", "2024-03-15")
    assert (treatment["dose_gy"], treatment["fractions"]) == (20.0, 10)
    assert (treatment["levels"], treatment["levels_from"]) == ("T5-T9", "plan")
    # The mass goes from T5 to T8.
    assert (treatment["mass_covered"], treatment["margin_levels"]) == (True, [0, 1])
    # It ends 7 mm within the field, whose border is one voxel of 3 mm wide.
    assert treatment["mass_v95_percent"] == pytest.approx(100.0, abs=0.5)
    assert treatment["mass_d95_gy"] == pytest.approx(20.0, abs=0.01)
    assert treatment["mass_mean_gy"] == pytest.approx(20.0, abs=0.05)
    assert content["timepoints"][1]["days_from_rt_end"] == 66
    assert "D95 20.0 Gy" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_treated_levels_of_a_plan_follow_their_vertebrae_when_these_get_other_names(visits, tmp_path: Path) -> None:
    course = write_course(tmp_path / "rt", patient_of(visits))
    out = tmp_path / "out"
    status, output = compare(visits, out, "--radiotherapy", str(course))
    assert status in (0, 1), output
    place = visits[0].level.split("@")[1]
    wanted = {"": "T5-T9", "T8": "T6-T10"}
    assert visits[0].level.startswith("T7@")
    for name, levels in wanted.items():
        result = CliRunner().invoke(app, ["measure", str(out), *(["--level", f"{name}@{place}"] if name else [])])
        assert result.exit_code in (0, 1), result.output
        treatment = json.loads((out / "comparison.json").read_text())["radiotherapy"]
        assert (treatment["levels"], treatment["levels_from"]) == (levels, "plan")
        assert (treatment["mass_covered"], treatment["margin_levels"]) == (True, [0, 1])


def test_the_treatment_of_another_patient_is_refused(visits, tmp_path: Path) -> None:
    course = write_course(tmp_path / "rt", "somebody-else")
    status, output = compare(visits, tmp_path / "out", "--radiotherapy", str(course))
    assert status == 3
    assert "RT_OTHER_PATIENT" in output
    assert not (tmp_path / "out").exists()
