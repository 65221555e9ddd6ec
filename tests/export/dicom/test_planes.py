"""A mask goes back onto the very images that its grid was read from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_writer import write_axial_series, write_enhanced_sagittal, write_sagittal_series

from spinemri.export.dicom.identity import Context, save
from spinemri.export.dicom.planes import image_planes, nearest_plane, on_planes
from spinemri.export.dicom.segmentation import MASS, mass_segments, segmentation
from spinemri.intake import SourceInstance, Stack, list_studies
from spinemri.measure.record import SoftwareRecord
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume

SHAPE = (11, 26, 31)


def rotation(a_deg: float, b_deg: float) -> np.ndarray:
    a, b = np.deg2rad([a_deg, b_deg])
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return about_z @ about_x


def noise(shape=SHAPE, spacing=(4.4, 0.7, 0.8)) -> Volume:
    """An oblique anisotropic volume in which every voxel differs from its neighbours."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(11.0, -7.0) @ np.diag(spacing)
    affine[:3, 3] = (-21.0, 13.0, -77.0)
    return Volume(np.random.default_rng(3).integers(0, 200, shape).astype(np.uint8), affine, "1.2.3")


def read(folder: Path) -> Stack:
    (study,) = list_studies(folder)
    (stack,) = study.stacks
    return stack


def mask_of(stack: Stack) -> Volume:
    volume = stack.load()
    return volume.with_array(volume.array.astype(np.uint8))


def pixels(folder: Path) -> dict[str, np.ndarray]:
    datasets = [pydicom.dcmread(path) for path in sorted(folder.rglob("*.dcm"))]
    return {str(dataset.SOPInstanceUID): dataset.pixel_array for dataset in datasets}


def check(folder: Path) -> int:
    """Compare every image with what the mask gives for it; return how many there were."""
    stack = read(folder)
    planes = image_planes(stack.instances())
    wanted = pixels(folder)
    for plane, image in zip(planes, on_planes(mask_of(stack), planes), strict=True):
        stored = wanted[str(plane.header.SOPInstanceUID)]
        np.testing.assert_array_equal(image, stored[plane.frame - 1] if plane.frame else stored)
    return len(planes)


def rewrite(folder: Path, change: Callable[[pydicom.Dataset], None]) -> None:
    for path in folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        change(dataset)
        dataset.save_as(path)


def mirror(axis: int) -> Callable[[pydicom.Dataset], None]:
    """Store the same image with its columns (0) or rows (1) the other way round."""

    def change(dataset: pydicom.Dataset) -> None:
        directions = np.array(dataset.ImageOrientationPatient, dtype=float).reshape(2, 3)
        last = (dataset.Columns, dataset.Rows)[axis] - 1
        step = float(dataset.PixelSpacing[1 - axis])
        position = np.array(dataset.ImagePositionPatient, dtype=float) + directions[axis] * step * last
        directions[axis] *= -1
        dataset.ImageOrientationPatient = [f"{value:.10g}"[:16] for value in directions.ravel()]
        dataset.ImagePositionPatient = [f"{value:.10g}"[:16] for value in position]
        dataset.PixelData = np.ascontiguousarray(np.flip(dataset.pixel_array, 1 - axis)).tobytes()

    return change


def turn(dataset: pydicom.Dataset) -> None:
    """Store the same image with rows and columns exchanged."""
    directions = np.array(dataset.ImageOrientationPatient, dtype=float).reshape(2, 3)
    dataset.ImageOrientationPatient = [f"{value:.10g}"[:16] for value in directions[::-1].ravel()]
    dataset.PixelSpacing = list(dataset.PixelSpacing)[::-1]
    array = np.ascontiguousarray(dataset.pixel_array.T)
    dataset.Rows, dataset.Columns = array.shape
    dataset.PixelData = array.tobytes()


def blur(dataset: pydicom.Dataset) -> None:
    orientation = [float(value) for value in dataset.ImageOrientationPatient]
    orientation[2] += 1e-7 * int(dataset.InstanceNumber)
    dataset.ImageOrientationPatient = [f"{value:.9f}" for value in orientation]


def segmented(folder: Path, path: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Segment the brighter half of a stack; return the frames of the object, and of the images."""
    stack = read(folder)
    volume = mask_of(stack)
    mask = volume.with_array(np.where(volume.array > 100, Tissue.MASS_CANAL, 0).astype(np.uint8))
    planes = image_planes(stack.instances())
    software = SoftwareRecord(version="0.1.0", config_sha256="ab" * 32, model_sha256="cd" * 32)
    context = Context(planes[0].header, "key", "2.25.7", software, edited=False)
    made = segmentation(mask, mass_segments(mask, context)[:1], planes, context, MASS)
    if path is not None:
        save(made, path)
    stored = pixels(folder)
    shown = np.stack([stored[str(p.header.SOPInstanceUID)][p.frame - 1 if p.frame else ...] for p in planes])
    if planes[0].frame:
        numbers = [plane.frame for plane in planes]
        frames = made.get_pixels_by_source_frame(str(planes[0].header.SOPInstanceUID), numbers)
    else:
        frames = made.get_pixels_by_source_instance([str(plane.header.SOPInstanceUID) for plane in planes])
    return frames[..., 0], shown > 100


@pytest.mark.parametrize("change", [None, mirror(0), mirror(1), turn], ids=["as it comes", "columns", "rows", "turned"])
@pytest.mark.parametrize("write", [write_sagittal_series, write_axial_series])
def test_pixel_for_pixel_in_any_orientation(tmp_path: Path, write, change) -> None:
    volume = noise() if write is write_sagittal_series else noise((25, 23, 9), (0.7, 0.8, 4.4))
    write(volume, tmp_path)
    if change:
        rewrite(tmp_path, change)
    assert check(tmp_path) == min(volume.shape)


def test_a_stack_sheared_by_its_positions(tmp_path: Path) -> None:
    write_sagittal_series(noise(), tmp_path)
    number = iter(range(100))

    def shear(dataset: pydicom.Dataset) -> None:
        # A fifth of a millimetre up with every slice, as tilted acquisitions have it.
        position = np.array(dataset.ImagePositionPatient, dtype=float) + np.array([0, 0, 0.2 * next(number)])
        dataset.ImagePositionPatient = [f"{value:.10g}"[:16] for value in position]

    for path in sorted(tmp_path.rglob("*.dcm")):
        dataset = pydicom.dcmread(path)
        shear(dataset)
        dataset.save_as(path)
    assert check(tmp_path) == SHAPE[0]


def test_a_missing_slice_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    paths = write_sagittal_series(noise(), tmp_path)
    paths[4].unlink()
    assert read(tmp_path).grid.shape[0] == SHAPE[0]
    assert check(tmp_path) == SHAPE[0] - 1


def test_uneven_slices_get_the_nearest_slice_of_the_grid(tmp_path: Path) -> None:
    volume = noise()
    paths = write_sagittal_series(volume, tmp_path)
    normal = volume.affine[:3, 0] / volume.spacing[0]
    dataset = pydicom.dcmread(paths[5])
    # A quarter of the slice distance: neither regular nor missing.
    position = np.array(dataset.ImagePositionPatient, dtype=float) + normal * 1.1
    dataset.ImagePositionPatient = [f"{value:.10g}"[:16] for value in position]
    dataset.save_as(paths[5])
    stack = read(tmp_path)
    assert {flag.code for flag in stack.flags} == {"UNEVEN_SPACING"}
    numbered = stack.load()
    ramp = np.broadcast_to(np.arange(SHAPE[0], dtype=np.uint8)[:, None, None], SHAPE)
    planes = image_planes(stack.instances())
    images = on_planes(numbered.with_array(ramp), planes)
    # Canonical slices run to the patient's left, as x does.
    to_the_left = np.argsort([plane.affine[0, 3] for plane in planes])
    assert [np.unique(images[index]).tolist() for index in to_the_left] == [[number] for number in range(SHAPE[0])]


def test_frames_of_one_enhanced_file(tmp_path: Path) -> None:
    write_enhanced_sagittal(noise(), tmp_path / "enhanced.dcm")
    assert check(tmp_path) == SHAPE[0]


def test_frames_of_another_stack_stay_empty(tmp_path: Path) -> None:
    write_enhanced_sagittal(noise(), tmp_path / "enhanced.dcm")
    stack = read(tmp_path)
    (instance,) = stack.instances()
    assert instance.frames == tuple(range(1, SHAPE[0] + 1))
    planes = image_planes([SourceInstance(instance.header, frames=(2, 3, 4))])
    shown = on_planes(mask_of(stack), planes).any(axis=(1, 2))
    assert np.flatnonzero(shown).tolist() == [1, 2, 3]


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    write_sagittal_series(noise(), tmp_path)
    stack = read(tmp_path)
    other = Volume(np.zeros((11, 26, 30), np.uint8), stack.grid.affine)
    with pytest.raises(ValueError, match=r"31, 26.*30, 26"):
        on_planes(other, image_planes(stack.instances()))


def test_the_nearest_image_is_found_also_where_a_series_was_shifted(tmp_path: Path) -> None:
    write_sagittal_series(noise(), tmp_path)
    stack = read(tmp_path)
    image = stack.load()
    planes = image_planes(stack.instances())
    affine = image.affine.copy()
    affine[:3, 3] += (9.0, -4.0, 2.0)
    shifted = Volume(image.array, affine, image.frame_of_reference_uid)
    for volume in (image, shifted):
        point = volume.grid.to_lps(np.array([7.3, 12.0, 20.0]))
        wanted = sorted(planes, key=lambda plane: plane.affine[0, 3])[7].header.SOPInstanceUID
        nearest = nearest_plane(planes, volume, tuple(point))
        assert nearest.plane.header.SOPInstanceUID == wanted
        assert nearest.slices_away == pytest.approx(0.3, abs=1e-6)


def test_a_point_beyond_the_stack_is_as_many_slices_away(tmp_path: Path) -> None:
    write_sagittal_series(noise(), tmp_path)
    stack = read(tmp_path)
    image, planes = stack.load(), image_planes(stack.instances())
    for index, away in ((-2.5, 2.5), (image.shape[0] + 1.0, 2.0)):
        point = image.grid.to_lps(np.array([index, 12.0, 20.0]))
        assert nearest_plane(planes, image, tuple(point)).slices_away == pytest.approx(away, abs=1e-6)


def test_a_segmentation_of_images_whose_orientation_differs_in_the_last_digits(tmp_path: Path) -> None:
    write_sagittal_series(noise(), tmp_path)
    rewrite(tmp_path, blur)
    frames, wanted = segmented(tmp_path)
    np.testing.assert_array_equal(frames, wanted)


@pytest.mark.parametrize("shared", [True, False])
def test_a_segmentation_of_an_enhanced_file(tmp_path: Path, errors_of, *, shared: bool) -> None:
    (path,) = write_enhanced_sagittal(noise(), tmp_path / "images" / "enhanced.dcm")
    if not shared:
        # Some scanners repeat for every frame what all of them share.
        dataset = pydicom.dcmread(path)
        common = dataset.SharedFunctionalGroupsSequence[0]
        for group in dataset.PerFrameFunctionalGroupsSequence:
            for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
                setattr(group, keyword, common[keyword].value)
        for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
            del common[keyword]
        dataset.save_as(path)
    frames, wanted = segmented(tmp_path / "images", tmp_path / "made.dcm")
    np.testing.assert_array_equal(frames, wanted)
    assert errors_of(tmp_path / "made.dcm") == []
