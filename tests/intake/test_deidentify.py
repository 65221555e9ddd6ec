"""De-identified headers and studies; what a whole run leaves is tested with the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from canary import CANARY, plant
from dicom_writer import SeriesHeader, write_enhanced_sagittal, write_sagittal_series

from spinemri.errors import InputError
from spinemri.intake import Study, read_pixels, read_study
from spinemri.intake.deidentify import deidentified
from spinemri.intake.pseudonyms import Deidentification, Pseudonyms, pseudonyms_for
from spinemri.volume import Volume

KEY = Deidentification(b"a secret that nobody will guess")


@pytest.fixture
def image(make_volume: Callable[[], Volume]) -> Volume:
    return make_volume()


def clean(study: Study, wanted: Deidentification = KEY) -> Study:
    return deidentified(study, pseudonyms_for([study], wanted))


def some_pseudonyms(patient: str = "anyone", secret: bytes = b"secret") -> Pseudonyms:
    return Pseudonyms(secret, patient, keyed=True)


class TestPseudonyms:
    def test_depend_on_secret_and_patient_only(self) -> None:
        assert some_pseudonyms().patient_id == some_pseudonyms().patient_id
        others = [some_pseudonyms("another"), some_pseudonyms(secret=b"another")]
        assert len({each.patient_id for each in (some_pseudonyms(), *others)}) == 3
        assert len({each.days_earlier for each in (some_pseudonyms(), *others)}) == 3

    def test_secret_is_not_shown(self) -> None:
        assert "secret" not in repr(some_pseudonyms())
        assert "nobody" not in repr(KEY)

    def test_dates_move_by_one_to_ten_years_into_the_past(self) -> None:
        day = date(2024, 2, 29)
        moved = [day - some_pseudonyms(str(number)).shifted(day) for number in range(200)]
        assert timedelta(366) <= min(moved) < timedelta(500)
        assert timedelta(3500) < max(moved) <= timedelta(3650)

    def test_intervals_stay_over_leap_years(self) -> None:
        days = [date(2023, 12, 31), date(2024, 2, 29), date(2025, 3, 1)]
        moved = [some_pseudonyms().shifted(day) for day in days]
        assert [day - moved[0] for day in moved] == [day - days[0] for day in days]

    @pytest.mark.parametrize("text", ["", "20241301", "yesterday", "0000-00-00"])
    def test_what_is_no_date_is_gone(self, text: str) -> None:
        assert some_pseudonyms().iso_date(text) == ""

    def test_dates_before_the_calendar_do_not_fail(self) -> None:
        assert some_pseudonyms().iso_date("0001-01-01") == "0001-01-01"

    def test_uids_differ_as_before_and_stay_empty(self) -> None:
        pseudonyms = some_pseudonyms()
        assert pseudonyms.uid("1.2.3") == pseudonyms.uid("1.2.3") != pseudonyms.uid("1.2.4")
        assert pseudonyms.uid("1.2.3").startswith("2.25.")
        assert pseudonyms.uid("") == ""

    def test_without_a_key_they_follow_the_input(self, tmp_path: Path, image: Volume) -> None:
        write_sagittal_series(image, tmp_path / "a")
        write_sagittal_series(image.with_array(image.array + 1), tmp_path / "b", study="study-2")
        first, second = read_study(tmp_path / "a"), read_study(tmp_path / "b")
        own = pseudonyms_for([first], Deidentification()), pseudonyms_for([second], Deidentification())
        keyed = pseudonyms_for([first], KEY), pseudonyms_for([second], KEY)
        assert own[0].patient_id != own[1].patient_id
        assert keyed[0].patient_id == keyed[1].patient_id
        assert keyed[0].days_earlier == keyed[1].days_earlier


class TestHeaders:
    @pytest.mark.parametrize("layout", ["classic", "enhanced"])
    def test_hold_nothing_that_was_planted(self, tmp_path: Path, image: Volume, layout: str) -> None:
        if layout == "classic":
            write_sagittal_series(image, tmp_path / "study")
        else:
            write_enhanced_sagittal(image, tmp_path / "study" / "a.dcm")
        study = read_study(plant(tmp_path / "study", tmp_path / "planted"))
        (before,), (after,) = study.stacks, clean(study).stacks
        assert any(CANARY in one.header.to_json() for one in before.instances())
        assert not any(CANARY in one.header.to_json() for one in after.instances())

    def test_of_enhanced_images_keep_the_place_of_every_frame(self, tmp_path: Path, image: Volume) -> None:
        write_enhanced_sagittal(image, tmp_path / "a.dcm")
        study = read_study(tmp_path)
        (before,), (after,) = study.stacks[0].instances(), clean(study).stacks[0].instances()
        assert after.frames == before.frames
        for group in ("PlanePositionSequence", "FrameContentSequence"):
            places = [
                [item[group][0] for item in one.header.PerFrameFunctionalGroupsSequence] for one in (before, after)
            ]
            assert len(places[1]) == len(places[0]) == 7
        positions = [
            [item.PlanePositionSequence[0].ImagePositionPatient for item in one.header.PerFrameFunctionalGroupsSequence]
            for one in (before, after)
        ]
        assert positions[0] == positions[1]
        assert after.header.SharedFunctionalGroupsSequence == before.header.SharedFunctionalGroupsSequence

    def test_say_neither_sex_nor_age_nor_time_of_day(self, tmp_path: Path, image: Volume) -> None:
        write_sagittal_series(image, tmp_path, tags={"PatientSex": "F", "PatientAge": "019Y", "PatientWeight": "48"})
        for instance in clean(read_study(tmp_path)).stacks[0].instances():
            assert instance.header.PatientSex == instance.header.StudyTime == ""
            assert not {"PatientAge", "PatientWeight", "SeriesTime", "AcquisitionTime"} & set(instance.header.dir())

    def test_an_unknown_sop_class_or_position_does_not_stay(self, tmp_path: Path, image: Volume) -> None:
        write_sagittal_series(image, tmp_path, tags={"PatientPosition": "ANNA"})
        assert "PatientPosition" not in clean(read_study(tmp_path)).stacks[0].instances()[0].header


class TestStudies:
    def test_geometry_roles_and_pixels_stay(self, tmp_path: Path, image: Volume) -> None:
        write_sagittal_series(image, tmp_path)
        study = read_study(tmp_path)
        (before,), (after,) = study.stacks, clean(study).stacks
        assert after.grid.same_as(before.grid, tolerance_mm=0.0)
        assert (after.role, after.reason, after.weighting) == (before.role, before.reason, before.weighting)
        one, other = read_pixels(before)[0], read_pixels(after)[0]
        assert np.array_equal(one.array, other.array)
        assert np.array_equal(one.affine, other.affine)
        assert other.frame_of_reference_uid == after.frame_of_reference_uid != one.frame_of_reference_uid

    def test_findings_keep_their_codes(self, tmp_path: Path, image: Volume) -> None:
        paths = write_sagittal_series(image, tmp_path, SeriesHeader(description=CANARY))
        paths[3].rename(paths[3].with_name(f"{CANARY}.dcm")).write_bytes(paths[2].read_bytes()[:400])
        study = read_study(tmp_path)
        flags = clean(study).flags
        assert [flag.code for flag in flags] == ["DEIDENTIFIED", *(flag.code for flag in study.flags)]
        assert "CORRUPT_FILE" in {flag.code for flag in flags}
        assert not any(CANARY in flag.message for flag in flags)
        assert clean(study).rejected == ()

    def test_pixels_that_cannot_be_read_are_not_described(self, tmp_path: Path, image: Volume) -> None:
        for path in write_sagittal_series(image, tmp_path, description=f"{CANARY} t2 sag"):
            dataset = pydicom.dcmread(path)
            dataset.PixelData = dataset.PixelData[:100]
            dataset.save_as(path)
        stack = clean(read_study(tmp_path)).stacks[0]
        with pytest.raises(InputError, match="Details are left out") as caught:
            read_pixels(stack)
        assert caught.value.code == "PIXELS_UNREADABLE"

    def test_nifti_has_no_headers_to_begin_with(self, tmp_path: Path, image: Volume) -> None:
        nib.save(nib.Nifti1Image(image.array.astype(np.float32), image.affine), tmp_path / f"sub-{CANARY}_T2w.nii.gz")
        study = clean(read_study(tmp_path))
        assert CANARY not in repr(study.stacks[0].series_description)
        assert study.stacks[0].instances() == ()
