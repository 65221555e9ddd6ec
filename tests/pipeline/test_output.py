"""The output folder appears whole or not at all."""

import errno
from pathlib import Path

import pytest

from spinemri.errors import InputError, UsageError
from spinemri.pacs.objects import Outgoing
from spinemri.pacs.receipt import RECEIPT, Receipt
from spinemri.pacs.statuses import Outcome, Verdict
from spinemri.pipeline.output import check_apart, output_folder
from spinemri.pipeline.users_files import is_of_run


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
    for name in ("measurements.json", "config.yaml", "report.pdf"):
        (out / name).write_text("old")
    with output_folder(out, overwrite=True) as folder:
        (folder / "measurements.json").write_text("new")
        assert (out / "report.pdf").exists()
    assert _leftovers(out) == ["measurements.json"]
    assert _leftovers(tmp_path) == ["out"]


OWN = (
    "notes.txt",
    "nifti/mass_dseg_second_reader.nii.gz",
    "nifti/scene.mrml",
    "timepoint_2/nifti/mass_dseg_second_reader.nii.gz",
    "earlier/report.html",
    "dicom/viewer.ini",
    "sent.json",
)


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A result with files of its user beside those of the run."""
    out = tmp_path / "out"
    for name in ("config.yaml", "comparison.json", "timepoint_2/nifti/mass_dseg.nii.gz", "figures/old.png", *OWN):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(f"old {name}")
    return out


def _replace(out: Path) -> None:
    with output_folder(out, overwrite=True) as folder:
        (folder / "nifti").mkdir()
        for name in ("config.yaml", "measurements.json", "nifti/mass_dseg.nii.gz"):
            (folder / name).write_text("new")


def test_what_no_run_writes_stays_where_it_was(used: Path) -> None:
    _replace(used)
    kept = {path.relative_to(used).as_posix(): path.read_text() for path in used.rglob("*") if path.is_file()}
    new = dict.fromkeys(("config.yaml", "measurements.json", "nifti/mass_dseg.nii.gz"), "new")
    assert kept == new | {name: f"old {name}" for name in (*OWN, "figures/old.png")}
    assert _leftovers(used.parent) == ["out"]


def test_links_stay_links_and_what_they_lead_to_is_left_alone(used: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "measurements.json").write_text("mine")
    (used / "folder").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (used / "file").symlink_to("notes.txt")
    _replace(used)
    assert (used / "folder").is_symlink()
    assert (used / "file").readlink() == Path("notes.txt")
    assert (used / "folder" / "measurements.json").read_text() == "mine"


def test_without_hard_links_files_are_copied(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    _replace(used)
    assert (used / "notes.txt").read_text() == "old notes.txt"


def test_a_name_that_the_new_run_gave_is_the_new_run_s(used: Path) -> None:
    with output_folder(used, overwrite=True) as folder:
        (folder / "notes.txt").write_text("new")
    assert (used / "notes.txt").read_text() == "new"


def test_nothing_is_lost_where_files_cannot_be_kept(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    before = {path: path.read_bytes() for path in used.rglob("*") if path.is_file()}
    monkeypatch.setattr("spinemri.pipeline.users_files._place", fail)
    with pytest.raises(UsageError):
        _replace(used)
    assert {path: path.read_bytes() for path in used.rglob("*") if path.is_file()} == before
    assert _leftovers(used.parent) == ["out"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("nifti/sagittal_t1_post_fs.nii.gz", True),
        ("timepoint_12/nifti/manifest.json", True),
        ("figures/perpendicular_visit2_outlined.jpg", True),
        ("dicom/key_image_sc_11.dcm", True),
        ("mass_dseg.nii.gz", False),
        ("nifti/mass_dseg.nii", False),
        ("copy/nifti/mass_dseg.nii.gz", False),
        ("timepoint_1/timepoint_1/measurements.json", False),
    ],
)
def test_a_file_is_a_run_s_by_its_name_and_place(name: str, *, wanted: bool) -> None:
    assert is_of_run(Path(name)) is wanted


def test_the_receipt_stays_and_lets_new_objects_through(used: Path) -> None:
    def item(uid: str, sha256: str) -> Outgoing:
        return Outgoing(used / "dicom" / "mass_seg.dcm", "dicom/mass_seg.dcm", "1.2.3", uid, "1.2.4", "1.2.5", sha256)

    (used / RECEIPT).unlink()
    stored = item("2.25.1", "a" * 64)
    Receipt(used / RECEIPT, "ARCHIVE@pacs:104").note(Outcome(stored, Verdict.STORED, 0, "stored"))
    _replace(used)
    receipt = Receipt(used / RECEIPT, "ARCHIVE@pacs:104")
    assert receipt.is_stored(stored)
    assert not receipt.is_stored(item("2.25.2", "b" * 64))
    assert not receipt.is_stored(item("2.25.1", "b" * 64))


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
