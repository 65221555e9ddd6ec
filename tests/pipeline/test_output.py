"""The output folder appears whole or not at all."""

import errno
from pathlib import Path

import pytest

from spinemri.errors import InputError, UsageError
from spinemri.pipeline.output import check_apart, output_folder


def _leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _die(out: Path, fault: BaseException) -> None:
    """Fail halfway through writing."""
    with output_folder(out, overwrite=False) as folder:
        (folder / "nifti").mkdir()
        raise fault


def test_the_folder_appears_at_the_end_only(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b" / "out"
    with output_folder(out, overwrite=False) as folder:
        (folder / "report.html").write_text("x")
        assert not out.exists()
    assert (out / "report.html").read_text() == "x"
    assert _leftovers(out.parent) == ["out"]


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_run_that_dies_leaves_nothing(tmp_path: Path, fault: type[BaseException]) -> None:
    out = tmp_path / "deep" / "er" / "out"
    with pytest.raises(fault):
        _die(out, fault())
    assert _leftovers(tmp_path) == []


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with output_folder(out, overwrite=False) as folder:
        (folder / "nifti").mkdir()
        (folder / "nifti" / "x").write_text("x")
    assert (out / "nifti" / "x").read_text() == "x"
    assert _leftovers(tmp_path) == ["out"]


def test_a_full_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(UsageError) as caught, output_folder(tmp_path, overwrite=False):
        pytest.fail("work began")
    assert caught.value.code == "OUT_NOT_EMPTY"


def test_overwrite_replaces_what_a_run_made(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("measurements.json", "config.yaml", "old"):
        (out / name).write_text("old")
    with output_folder(out, overwrite=True) as folder:
        (folder / "new").write_text("new")
        assert (out / "old").exists()
    assert _leftovers(out) == ["new"]
    assert _leftovers(tmp_path) == ["out"]


def test_a_failing_overwrite_keeps_the_old_result(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("comparison.json", "config.yaml"):
        (out / name).write_text("old")
    with pytest.raises(RuntimeError), output_folder(out, overwrite=True):
        raise RuntimeError
    assert _leftovers(out) == ["comparison.json", "config.yaml"]


def test_overwrite_never_deletes_what_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(UsageError) as caught, output_folder(tmp_path, overwrite=True):
        pytest.fail("work began")
    assert caught.value.code == "OUT_NOT_OURS"
    assert _leftovers(tmp_path) == ["thesis.docx"]


@pytest.mark.parametrize("out", ["file", "file/out", "file/deep/out"])
def test_a_file_in_the_way_is_refused_before_any_work(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(UsageError) as caught, output_folder(tmp_path / out, overwrite=False):
        pytest.fail("work began")
    assert caught.value.code == "OUT_NOT_WRITABLE"
    assert _leftovers(tmp_path) == ["file"]


def test_a_read_only_file_system_is_refused_before_any_work() -> None:
    with pytest.raises(UsageError) as caught, output_folder(Path("/proc/spinemri"), overwrite=False):
        pytest.fail("work began")
    assert caught.value.code == "OUT_NOT_WRITABLE"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named(tmp_path: Path, number: int) -> None:
    with pytest.raises(UsageError) as caught:
        _die(tmp_path / "out", OSError(number, "full"))
    assert caught.value.code == "DISK_FULL"
    assert _leftovers(tmp_path) == []


def test_a_fault_elsewhere_is_not_blamed_on_the_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), output_folder(tmp_path / "out", overwrite=False):
        (tmp_path / "input.dcm").read_bytes()
    with pytest.raises(InputError), output_folder(tmp_path / "out", overwrite=False):
        raise InputError("EMPTY_FOLDER", "nothing")


@pytest.mark.parametrize(("out", "study"), [("study/out", "study"), ("study", "study"), ("all", "all/study")])
def test_output_and_input_do_not_overlap(tmp_path: Path, out: str, study: str) -> None:
    (tmp_path / study).mkdir(parents=True)
    with pytest.raises(UsageError) as caught:
        check_apart(tmp_path / out, [tmp_path / study])
    assert caught.value.code == "OUT_OVERLAPS_INPUT"


def test_neighbours_do_not_overlap(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    check_apart(tmp_path / "study-out", [tmp_path / "study"])
