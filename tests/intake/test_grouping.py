"""Splitting series into stacks: repeats, gaps, blocks, echoes, Dixon, stations."""

import numpy as np
import pydicom
import pytest
from dicom_writer import uid, write_axial_series, write_sagittal_series

from spinemri.intake import Plane, Role, list_studies, read_study
from spinemri.volume import crop


def codes(study):
    return sorted(item.code for item in study.rejected)


def test_order_and_names_of_files_do_not_matter(tmp_path, make_volume):
    volume = make_volume()
    paths = write_sagittal_series(volume, tmp_path)
    order = np.random.default_rng(1).permutation(len(paths))
    for place, path in zip(order, paths, strict=True):
        folder = tmp_path / "deep" / str(place % 3)
        folder.mkdir(parents=True, exist_ok=True)
        path.rename(folder / f"{place}_no_extension")
    np.testing.assert_array_equal(read_study(tmp_path).stacks[0].load().array, volume.array)


def test_copies_of_a_file_are_dropped_and_named(tmp_path, make_volume):
    volume = make_volume()
    paths = write_sagittal_series(volume, tmp_path / "a")
    (tmp_path / "b").mkdir()
    for path in paths[:3]:
        (tmp_path / "b" / path.name).write_bytes(path.read_bytes())
    study = read_study(tmp_path)
    assert codes(study) == ["DUPLICATE"] * 3
    np.testing.assert_array_equal(study.stacks[0].load().array, volume.array)


def test_of_two_slices_at_one_place_the_one_acquired_last_is_kept(tmp_path, make_volume):
    first, second = make_volume(seed=1), make_volume(seed=2)
    write_sagittal_series(first, tmp_path / "a")
    same_series = {"SeriesInstanceUID": uid("series", "study-1", 1, "t2_tse_sag")}
    again = crop(second, (2, 0, 0), (4, 99, 99))
    write_sagittal_series(
        again,
        tmp_path / "b",
        study="other",
        tags=same_series | {"StudyInstanceUID": uid("study", "study-1"), "FrameOfReferenceUID": "1.2.3.4"},
        time="110000",
    )
    study = read_study(tmp_path)
    assert codes(study) == ["DUPLICATE", "DUPLICATE"]
    (stack,) = study.stacks
    np.testing.assert_array_equal(stack.load().array[2:4], second.array[2:4])
    np.testing.assert_array_equal(stack.load().array[4:], first.array[4:])


def test_missing_slice_is_interpolated_and_flagged(tmp_path, make_volume):
    volume = make_volume(shape=(12, 40, 48))
    write_sagittal_series(volume, tmp_path)[4].unlink()
    (stack,) = read_study(tmp_path).stacks
    assert [flag.code for flag in stack.flags] == ["MISSING_SLICES"]
    loaded = stack.load()
    assert loaded.grid.same_as(volume.grid, tolerance_mm=1e-4)
    np.testing.assert_allclose(loaded.array[4], volume.array[[3, 5]].mean(axis=0), atol=1e-3)
    np.testing.assert_array_equal(loaded.array[5:], volume.array[5:])


def test_two_missing_slices_side_by_side_do_not_cut_the_stack(tmp_path, make_volume):
    volume = make_volume(shape=(12, 40, 48))
    paths = write_sagittal_series(volume, tmp_path)
    for path in paths[5:7]:
        path.unlink()
    (stack,) = read_study(tmp_path).stacks
    assert [flag.code for flag in stack.flags] == ["MISSING_SLICES"]
    assert stack.flags[0].message.startswith("2 of 12")
    loaded = stack.load()
    assert loaded.grid.same_as(volume.grid, tolerance_mm=1e-4)
    np.testing.assert_allclose(loaded.array[5], volume.array[4] * 2 / 3 + volume.array[7] / 3, atol=1e-3)


def test_thin_slices_are_not_cut_by_a_gap_of_a_centimetre(tmp_path, make_volume):
    paths = write_sagittal_series(make_volume(shape=(60, 12, 12), spacing=(0.9, 2.0, 2.0)), tmp_path)
    for path in paths[20:30]:
        path.unlink()
    (stack,) = read_study(tmp_path).stacks
    assert stack.grid.shape[0] == 60
    assert stack.flags[0].message.startswith("10 of 60")


def test_too_many_missing_slices_make_a_stack_unusable_rather_than_half(tmp_path, make_volume):
    paths = write_sagittal_series(make_volume(shape=(11, 40, 48)), tmp_path)
    for path in (*paths[2:4], *paths[6:8]):
        path.unlink()
    ((stack,),) = (study.stacks for study in list_studies(tmp_path))
    assert (stack.role, stack.code) == (None, "UNEVEN_SPACING")


@pytest.mark.parametrize("moved_mm", [0.0, 1.6])
def test_parts_on_either_side_of_a_wide_gap_say_that_slices_are_missing(tmp_path, make_volume, moved_mm):
    volume = make_volume(shape=(14, 40, 48))
    paths = write_sagittal_series(volume, tmp_path)
    for path in paths[6:9]:
        path.unlink()
    normal = volume.affine[:3, 0] / np.linalg.norm(volume.affine[:3, 0])
    shifted(paths[9:], np.full(5, moved_mm), normal)
    first, second = read_study(tmp_path).stacks
    assert (first.grid.shape[0], first.code) == (6, "CHOSEN")
    assert (second.grid.shape[0], second.code) == (5, "WORSE_THAN_CHOSEN")
    for stack in (first, second):
        assert [flag.code for flag in stack.flags] == ["MISSING_SLICES"]
        # Four steps of 3.7 mm between the slices that are there.
        assert f"a gap of {4 * 3.7 + moved_mm:.0f} mm parts {stack.stack_id}" in stack.flags[0].message


def test_a_gap_of_broken_steps_parts_two_slabs(tmp_path, make_volume):
    volume = make_volume(shape=(12, 40, 48))
    normal = volume.affine[:3, 0] / np.linalg.norm(volume.affine[:3, 0])
    shifted(write_sagittal_series(volume, tmp_path), np.repeat([0.0, 1.6 * volume.spacing[0]], 6), normal)
    stacks = read_study(tmp_path).stacks
    assert [stack.grid.shape[0] for stack in stacks] == [6, 6]
    assert {flag.code for stack in stacks for flag in stack.flags} == {"MISSING_SLICES"}


def shifted(paths, offsets_mm, direction):
    for path, offset in zip(paths, offsets_mm, strict=True):
        dataset = pydicom.dcmread(path)
        moved = np.array([float(v) for v in dataset.ImagePositionPatient]) + offset * direction
        dataset.ImagePositionPatient = [f"{value:.6f}" for value in moved]
        dataset.save_as(path)


def test_uneven_spacing_is_resampled_onto_even_positions(tmp_path, make_volume):
    volume = make_volume(shape=(9, 40, 48))
    # A ramp across slices: linear interpolation must give it back exactly, wherever slices were acquired.
    normal = volume.affine[:3, 0] / np.linalg.norm(volume.affine[:3, 0])
    offsets = np.array([0, 0.5, -0.4, 0.6, 0, -0.5, 0.3, 0, 0])
    along = np.arange(9) + offsets / volume.spacing[0]
    ramp = np.broadcast_to((1000 + 100 * along)[:, None, None], volume.shape)
    shifted(write_sagittal_series(volume.with_array(np.round(ramp * 10)), tmp_path), offsets, normal)
    (stack,) = read_study(tmp_path).stacks
    assert [flag.code for flag in stack.flags] == ["UNEVEN_SPACING"]
    assert stack.grid.spacing[0] == pytest.approx(volume.spacing[0], abs=1e-4)
    # Stored values are rounded to a whole number of 0.1.
    np.testing.assert_allclose(stack.load().array[:, 0, 0] / 10, 1000 + 100 * np.arange(9), atol=0.1)


def test_hopelessly_uneven_stack_has_no_role(tmp_path, make_volume):
    volume = make_volume(shape=(9, 40, 48))
    normal = volume.affine[:3, 0] / np.linalg.norm(volume.affine[:3, 0])
    shifted(write_sagittal_series(volume, tmp_path), np.array([0, 3.0, 0, 3.0, 0, 3.0, 0, 3.0, 0]), normal)
    ((stack,),) = (study.stacks for study in list_studies(tmp_path))
    assert (stack.role, stack.code) == (None, "UNEVEN_SPACING")
    assert "mm apart" in stack.reason


def test_sheared_stack_keeps_its_shear(tmp_path, make_volume):
    volume = make_volume()
    down = volume.affine[:3, 2] / np.linalg.norm(volume.affine[:3, 2])
    shifted(write_sagittal_series(volume, tmp_path), 0.4 * np.arange(7), down)
    (stack,) = read_study(tmp_path).stacks
    np.testing.assert_allclose(stack.grid.affine[:3, 0], volume.affine[:3, 0] + 0.4 * down, atol=1e-5)
    np.testing.assert_array_equal(stack.load().array, volume.array)


def test_echoes_of_one_series_become_stacks(tmp_path, make_volume):
    common = {"SeriesInstanceUID": "1.2.3"}
    for number, echo_ms in enumerate((20.0, 90.0), 1):
        tags = common | {"EchoNumbers": number}
        write_sagittal_series(make_volume(seed=number), tmp_path / str(number), echo_ms=echo_ms, tags=tags)
    first, second = read_study(tmp_path).stacks
    assert [first.stack_id, second.stack_id] == ["s001_1", "s001_2"]
    assert {first.weighting.value, second.weighting.value} == {"other", "T2"}
    np.testing.assert_array_equal(first.load().array, make_volume(seed=1).array)


def test_dixon_images_of_one_series_become_stacks(tmp_path, make_volume):
    for number, name in enumerate(("IN_PHASE", "OPP_PHASE", "WATER", "FAT")):
        tags = {"SeriesInstanceUID": "1.2.3"}
        kind = ("DERIVED", "PRIMARY", "DIXON", name)
        write_sagittal_series(make_volume(seed=number), tmp_path / name, image_type=kind, tags=tags)
    stacks = read_study(tmp_path).stacks
    assert len(stacks) == 4
    found = {stack.evidence[-1].split(":")[0]: stack for stack in stacks if stack.evidence[-1].startswith("dixon")}
    assert {stack.code for stack in found.values()} == {"NO_ROLE"}
    assert set(found) == {"dixon_fat", "dixon_opposed_phase"}
    chosen = next(stack for stack in stacks if stack.role is Role.SAGITTAL_T2)
    assert chosen.fat_suppressed is False
    np.testing.assert_array_equal(chosen.load().array, make_volume(seed=0).array)


def test_stations_along_the_spine_in_one_series_become_stacks(tmp_path, make_volume):
    upper = make_volume(angles=(0, 0, 0), origin=(-11, -80, 100), spacing=(3.7, 3.0, 3.0))
    lower = make_volume(angles=(0, 0, 0), origin=(-11, -70, -60), spacing=(3.7, 3.0, 3.0), seed=5)
    for name, volume in (("u", upper), ("l", lower)):
        write_sagittal_series(volume, tmp_path / name, tags={"SeriesInstanceUID": "1.2.3"})
    stacks = read_study(tmp_path).stacks
    assert [stack.grid.shape for stack in stacks] == [(7, 40, 48)] * 2
    assert {float(stack.grid.affine[2, 3]) for stack in stacks} == {100.0, -60.0}


def test_parallel_axial_blocks_of_one_series_are_told_from_a_missing_slice(tmp_path, make_volume):
    whole = make_volume(shape=(40, 48, 10), spacing=(0.7, 0.7, 4.0), angles=(12, 0, 0))
    paths = write_axial_series(whole, tmp_path / "missing")
    paths[5].unlink()
    ((stack,),) = (study.stacks for study in list_studies(tmp_path / "missing"))
    assert stack.grid.shape[2] == 10
    paths = write_axial_series(whole, tmp_path / "blocks")
    paths.pop(5).unlink()
    for number, path in enumerate(paths, 1):
        dataset = pydicom.dcmread(path)
        dataset.InstanceNumber = number
        dataset.save_as(path)
    ((first, second),) = (study.stacks for study in list_studies(tmp_path / "blocks"))
    assert (first.grid.shape[2], second.grid.shape[2]) == (5, 4)
    assert first.plane is Plane.AXIAL


def test_repeats_told_apart_by_temporal_position_become_stacks(tmp_path, make_volume):
    for time in (1, 2):
        tags = {"SeriesInstanceUID": "1.2.3", "TemporalPositionIdentifier": time}
        write_sagittal_series(make_volume(seed=time), tmp_path / str(time), tags=tags)
    study = read_study(tmp_path)
    assert len(study.stacks) == 2
    assert study.rejected == ()


@pytest.mark.parametrize("count", [2, 7])
def test_slices_side_by_side_at_one_depth_are_no_stack(tmp_path, make_volume, count):
    paths = write_sagittal_series(make_volume(shape=(count, 40, 48), angles=(0, 0, 0)), tmp_path)
    for index, path in enumerate(paths):
        dataset = pydicom.dcmread(path)
        dataset.ImagePositionPatient = ["0", str(float(index)), "0"]
        dataset.save_as(path)
    ((*stacks,),) = (study.stacks for study in list_studies(tmp_path))
    assert [stack.grid.shape[0] for stack in stacks] == [1] * count
    assert {stack.code for stack in stacks} == {"TOO_FEW_SLICES"}
