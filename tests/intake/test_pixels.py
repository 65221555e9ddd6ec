"""Decoding: transfer syntaxes, value transforms, and broken pixel data."""

import numpy as np
import pydicom
import pytest
from dicom_writer import write_enhanced_sagittal, write_sagittal_series
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from spinemri.errors import InputError
from spinemri.intake import read_pixels, read_study

SYNTAXES = [
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
]


def truncate(path, bytes_kept_from_end=-500):
    path.write_bytes(path.read_bytes()[:bytes_kept_from_end])


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.keyword)
def test_lossless_transfer_syntaxes_give_the_same_values(tmp_path, make_volume, syntax):
    volume = make_volume()
    write_sagittal_series(volume, tmp_path, transfer_syntax=syntax)
    loaded, flags = read_pixels(read_study(tmp_path).stacks[0])
    np.testing.assert_array_equal(loaded.array, volume.array)
    assert flags == ()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless], ids=lambda uid: uid.keyword)
def test_enhanced_frames_are_decoded_each_in_its_place(tmp_path, make_volume, syntax):
    volume = make_volume()
    write_enhanced_sagittal(volume, tmp_path / "e", transfer_syntax=syntax)
    np.testing.assert_array_equal(read_study(tmp_path).stacks[0].load().array, volume.array)


def test_rescale_slope_and_intercept_are_applied(tmp_path, make_volume):
    volume = make_volume()
    write_sagittal_series(volume.with_array(volume.array * 0.25 - 100.5), tmp_path)
    loaded = read_study(tmp_path).stacks[0].load()
    # 16 bits over a range of 1000: one step is 0.015.
    np.testing.assert_allclose(loaded.array, volume.array * 0.25 - 100.5, atol=0.01)


def test_monochrome1_is_inverted(tmp_path, make_volume):
    volume = make_volume()
    tags = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}
    write_sagittal_series(volume, tmp_path, tags=tags)
    np.testing.assert_array_equal(read_study(tmp_path).stacks[0].load().array, 4095 - volume.array)


def test_float_pixel_data_is_read(tmp_path, make_volume):
    volume = make_volume()
    for path in write_sagittal_series(volume, tmp_path):
        dataset = pydicom.dcmread(path)
        values = dataset.pixel_array.astype("<f4") / 8
        del dataset.PixelData, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
        dataset.BitsAllocated = 32
        dataset.FloatPixelData = values.tobytes()
        dataset.save_as(path)
    np.testing.assert_array_equal(read_study(tmp_path).stacks[0].load().array, volume.array / 8)


@pytest.mark.parametrize("lost", [0, 5, 11])
def test_one_truncated_slice_is_interpolated_and_flagged(tmp_path, make_volume, lost):
    volume = make_volume(shape=(12, 40, 48))
    truncate(write_sagittal_series(volume, tmp_path)[lost])
    stack = read_study(tmp_path).stacks[0]
    loaded, flags = read_pixels(stack)
    assert [flag.code for flag in flags] == ["CORRUPT_SLICES"]
    assert "1 of 12 slices" in flags[0].message
    beside = [i for i in (lost - 1, lost + 1) if 0 <= i < 12]
    np.testing.assert_allclose(loaded.array[lost], volume.array[beside].mean(axis=0), atol=1e-3)
    intact = [i for i in range(12) if i != lost]
    np.testing.assert_array_equal(loaded.array[intact], volume.array[intact])
    np.testing.assert_array_equal(stack.load().array, loaded.array)


@pytest.mark.parametrize("lost", [(3, 4), (1, 5, 9), tuple(range(12))], ids=["neighbours", "too many", "all"])
def test_more_than_can_be_interpolated_is_refused(tmp_path, make_volume, lost):
    paths = write_sagittal_series(make_volume(shape=(12, 40, 48)), tmp_path)
    for index in lost:
        truncate(paths[index])
    stack = read_study(tmp_path).stacks[0]
    with pytest.raises(InputError, match=f"{len(lost)} of 12 slices of stack s001_1") as caught:
        stack.load()
    assert caught.value.code == "PIXELS_UNREADABLE"


def test_damaged_compressed_slice_is_interpolated(tmp_path, make_volume):
    volume = make_volume(shape=(12, 40, 48))
    path = write_sagittal_series(volume, tmp_path, transfer_syntax=JPEG2000Lossless)[6]
    dataset = pydicom.dcmread(path)
    dataset.PixelData = dataset.PixelData[:12] + b"\0" * (len(dataset.PixelData) - 12)
    dataset.save_as(path)
    _, flags = read_pixels(read_study(tmp_path).stacks[0])
    assert [flag.code for flag in flags] == ["CORRUPT_SLICES"]
