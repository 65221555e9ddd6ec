"""Headers behind a stack: what is kept, what is repaired, and what is dropped."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_writer import write_enhanced_sagittal, write_sagittal_series
from pydicom import config

from spinemri.intake import SourceInstance, list_studies
from spinemri.volume import Volume


def volume() -> Volume:
    affine = np.diag([4.0, 0.8, 0.7, 1.0])
    affine[:3, 3] = (-16.0, 1.5, 2.5)
    return Volume(np.arange(9 * 12 * 15).reshape(9, 12, 15) % 251, affine, "1.2.3")


def instances(folder: Path) -> tuple[SourceInstance, ...]:
    (study,) = list_studies(folder)
    (stack,) = study.stacks
    return stack.instances()


@pytest.fixture
def changed(tmp_path: Path):
    """Write a series with other values and read its headers back."""

    def read(**values) -> tuple[SourceInstance, ...]:
        paths = write_sagittal_series(volume(), tmp_path)
        with config.disable_value_validation():
            for path in paths:
                dataset = pydicom.dcmread(path)
                for keyword, value in values.items():
                    setattr(dataset, keyword, value)
                dataset.save_as(path)
        return instances(tmp_path)

    return read


def test_every_file_once_in_order_along_the_normal(tmp_path: Path) -> None:
    paths = write_sagittal_series(volume(), tmp_path)
    found = instances(tmp_path)
    assert {one.header.SOPInstanceUID for one in found} == {pydicom.dcmread(path).SOPInstanceUID for path in paths}
    along = np.diff([float(one.header.ImagePositionPatient[0]) for one in found])
    assert np.all(along < 0) or np.all(along > 0)
    assert all(one.frames == () for one in found)


def test_pixels_and_foreign_attributes_stay_behind(changed) -> None:
    header = changed(PatientComments="calls on Tuesdays", OperatorsName="Someone^Else")[0].header
    assert not {"PixelData", "PatientComments", "OperatorsName"} & {element.keyword for element in header}


def test_decimals_that_are_too_long_are_rounded(changed) -> None:
    found = changed(ImagePositionPatient=["-12.34567890123456789", "1.5", "10.2"])
    values = [str(value) for value in found[0].header.ImagePositionPatient]
    assert all(len(value) <= 16 for value in values)
    np.testing.assert_allclose([float(value) for value in values], [-12.345678901234567, 1.5, 10.2], atol=1e-9)


def test_values_that_break_their_representation_are_dropped(changed) -> None:
    header = changed(PatientBirthDate="spring 1980", PatientAge="nineteen", StudyTime="noon")[0].header
    assert "PatientAge" not in header
    # These three are needed in every object, if only empty.
    assert (header.PatientBirthDate, header.StudyTime) == ("", "")


def test_names_become_utf_8(changed) -> None:
    header = changed(SpecificCharacterSet="ISO_IR 100", PatientName="M\u00fcller^J\u00fcrgen")[0].header
    assert header.SpecificCharacterSet == "ISO_IR 192"
    assert str(header.PatientName) == "M\u00fcller^J\u00fcrgen"


def test_what_every_object_needs_is_there_if_only_empty(changed) -> None:
    paths_header = changed()[0].header
    for keyword in ("PatientName", "PatientID", "StudyID", "AccessionNumber", "ReferringPhysicianName"):
        assert keyword in paths_header


def test_an_enhanced_file_names_its_frames(tmp_path: Path) -> None:
    write_enhanced_sagittal(volume(), tmp_path / "enhanced.dcm")
    (found,) = instances(tmp_path)
    assert found.frames == tuple(range(1, 10))
    group = found.header.PerFrameFunctionalGroupsSequence[0]
    assert {element.keyword for element in group} == {"PlanePositionSequence", "FrameContentSequence"}


def test_nifti_has_none(tmp_path: Path) -> None:

    nib.save(
        nib.Nifti1Image(volume().array.astype(np.int16), np.diag([-4.0, -0.8, 0.7, 1.0])), tmp_path / "x_T2w.nii.gz"
    )
    assert instances(tmp_path) == ()
