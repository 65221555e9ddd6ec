"""Other tools as processes: what they leave is read, and whatever goes wrong leaves nothing half-written."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from foreign_masks import VERSE, iso_grid, save, spineps, totalspineseg
from synthetic_spine import NAMES, Spine, sagittal_grid
from typer.testing import CliRunner
from written_study import LEFT_BACK_TO_RIGHT_FRONT, image_of, write_spine

from spinemri.cli import app
from spinemri.config import Config, ReportSettings, SegmentationSettings
from spinemri.errors import InputError, UsageError
from spinemri.intake.model import Weighting
from spinemri.pipeline import Options, compare_studies, run_study
from spinemri.pipeline.segmenters import SEGMENTERS, run_segmenter

SPINE = Spine()
GRID = sagittal_grid(SPINE)
IMAGE = image_of(SPINE, GRID, Weighting.T2, "1.2.3")

FAKE = """#!{python}
import os, shutil, subprocess, sys, time
from pathlib import Path
image = Path(next(part for part in sys.argv if part.endswith(".nii.gz")))
Path({notes!r}).write_text("\\n".join([str(os.getpid()), str(Path.cwd()), *sys.argv[1:]]))
{body}
"""


class Fake:
    """An executable on the PATH in the place of a tool."""

    def __init__(self, folder: Path, program: str) -> None:
        self.folder, self.program, self.notes = folder, program, folder / "notes.txt"
        folder.mkdir()

    def does(self, body: str) -> None:
        path = self.folder / self.program
        path.write_text(FAKE.format(python=sys.executable, notes=str(self.notes), body=body))
        path.chmod(0o755)

    @property
    def arguments(self) -> list[str]:
        return self.notes.read_text().splitlines()[2:]

    def has_vanished(self) -> bool:
        """Whether neither the process nor its folder is left."""
        number, folder = self.notes.read_text().splitlines()[:2]
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            return not Path(folder).exists()
        return False


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Fake:
    made = Fake(tmp_path / "bin", getattr(request, "param", "totalspineseg"))
    monkeypatch.setenv("PATH", str(made.folder), prepend=os.pathsep)
    return made


def _copy(source: Path, target: str) -> str:
    return (
        f"target = {target}\ntarget.parent.mkdir(parents=True, exist_ok=True)\nshutil.copy({str(source)!r}, target)\n"
    )


def _run(timeout_s: float = 60.0):
    return run_segmenter("totalspineseg", IMAGE, "T2", timeout_s=timeout_s)


def test_the_masks_of_totalspineseg_are_read(fake: Fake, tmp_path: Path) -> None:
    masks = totalspineseg(tmp_path / "made.nii.gz", SPINE, iso_grid(SPINE))
    fake.does(_copy(masks, "Path(sys.argv[2]) / 'step2_output' / image.name"))
    found = _run()
    assert found.levels is not None
    assert [v.name for v in found.levels.vertebrae] == list(NAMES)
    assert Path(fake.arguments[0]).name == "sub-study_T2w.nii.gz"
    assert fake.has_vanished()


@pytest.mark.parametrize("fake", ["spineps"], indirect=True)
def test_the_masks_of_spineps_are_read(fake: Fake, tmp_path: Path) -> None:
    semantic = spineps(tmp_path / "made", SPINE, iso_grid(SPINE), VERSE)
    body = "".join(
        _copy(path, f"image.parent / 'derivatives_seg' / {path.name!r}") for path in semantic.parent.iterdir()
    )
    fake.does(body)
    found = run_segmenter("spineps", IMAGE, "T1", timeout_s=60.0)
    assert found.levels is not None
    assert found.levels.anchor == "spineps"
    assert fake.arguments[0] == "sample"
    assert fake.arguments[fake.arguments.index("-model_semantic") + 1] == "t1w"


@pytest.mark.parametrize("fake", ["sct_deepseg"], indirect=True)
def test_the_masks_of_the_toolbox_are_read(fake: Fake, tmp_path: Path) -> None:
    masks = totalspineseg(tmp_path / "made.nii.gz", SPINE, iso_grid(SPINE))
    fake.does(_copy(masks, "image.with_name(image.name.replace('.nii.gz', '_totalspineseg_all.nii.gz'))"))
    found = run_segmenter("sct", IMAGE, "T2", timeout_s=60.0)
    assert found.levels is not None
    assert fake.arguments[:1] == ["spine"]
    assert fake.arguments[-2:] == ["-label-vert", "1"]


def test_the_tool_sees_the_image_in_place_and_no_network(fake: Fake, tmp_path: Path) -> None:
    seen = tmp_path / "seen.nii.gz"
    masks = totalspineseg(tmp_path / "made.nii.gz", SPINE, iso_grid(SPINE))
    proxies = tmp_path / "proxies.txt"
    fake.does(
        f"shutil.copy(image, {str(seen)!r})\n"
        f"Path({str(proxies)!r}).write_text(os.environ['https_proxy'] + ' ' + os.environ.get('NO_PROXY', ''))\n"
        + _copy(masks, "Path(sys.argv[2]) / 'step2_output' / image.name")
    )
    _run()
    image = nib.load(seen)
    np.testing.assert_array_equal(np.asarray(image.dataobj), IMAGE.array)
    # NIfTI holds affines in single precision.
    np.testing.assert_allclose(LEFT_BACK_TO_RIGHT_FRONT @ image.affine, IMAGE.affine, atol=1e-4)
    assert bytes(image.header["descrip"]).strip(b"\0") == b""
    assert proxies.read_text() == "http://127.0.0.1:9 "


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit(3)", "ended with status 3"),
        ("os.kill(os.getpid(), 9)", "ended with status -9"),
        ("pass", "no usable masks"),
        (
            "out = Path(sys.argv[2]) / 'step2_output'; out.mkdir(parents=True); (out / image.name).write_bytes(b'x')",
            "cannot be read as NIfTI",
        ),
    ],
)
def test_what_fails_is_said_and_leaves_nothing(fake: Fake, body: str, message: str) -> None:
    fake.does(body)
    with pytest.raises(InputError, match=message) as caught:
        _run()
    assert caught.value.code == "SEGMENTER_FAILED"
    assert fake.has_vanished()


def test_masks_with_foreign_numbers_are_refused(fake: Fake, tmp_path: Path) -> None:
    masks = save(tmp_path / "made.nii.gz", np.full((9, 8, 7), 77, dtype=np.uint8), GRID)
    fake.does(_copy(masks, "Path(sys.argv[2]) / 'step2_output' / image.name"))
    with pytest.raises(InputError, match="another numbering"):
        _run()


def test_after_the_limit_the_tool_and_its_children_are_stopped(fake: Fake, tmp_path: Path) -> None:
    child = tmp_path / "child.txt"
    fake.does(
        "worker = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"Path({str(child)!r}).write_text(str(worker.pid))\ntime.sleep(60)"
    )
    began = time.monotonic()
    with pytest.raises(InputError) as caught:
        _run(timeout_s=3.0)
    assert caught.value.code == "SEGMENTER_TIMEOUT"
    assert time.monotonic() - began < 20.0
    assert fake.has_vanished()
    # An orphan that nobody waits for stays in the table of processes until init has collected it.
    state = Path(f"/proc/{child.read_text()}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT interrupt, even where the tests run in the background and a shell had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_stops_the_tool_and_is_passed_on(fake: Fake) -> None:
    fake.does("time.sleep(60)")

    def interrupt() -> None:
        while not fake.notes.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        _run()
    thread.join()
    assert fake.has_vanished()


@pytest.mark.parametrize("key", sorted(SEGMENTERS))
def test_a_tool_that_is_not_installed_is_named_with_what_to_do(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="Install") as caught:
        run_segmenter(key, IMAGE, "T2", timeout_s=60.0)
    assert caught.value.code == "SEGMENTER_MISSING"
    assert SEGMENTERS[key].program in caught.value.message


class TestCommands:
    def test_run_uses_the_tool_and_keeps_the_setting(self, fake: Fake, tmp_path: Path) -> None:
        masks = totalspineseg(tmp_path / "made.nii.gz", SPINE, iso_grid(SPINE))
        fake.does(_copy(masks, "Path(sys.argv[2]) / 'step2_output' / image.name"))
        study = write_spine(tmp_path / "study", SPINE, contrast=False, axial=False)
        config = Config(report=ReportSettings(html=False), segmentation=SegmentationSettings(engine="totalspineseg"))
        result = run_study(study.folder, tmp_path / "out", Options(config=config)).measurements
        assert result.levels.anchor == "labels:totalspineseg"
        assert result.software.model_sha256 == ""
        assert "engine: totalspineseg" in (tmp_path / "out" / "config.yaml").read_text()

    def test_a_failing_tool_leaves_no_result(self, fake: Fake, tmp_path: Path) -> None:
        fake.does("sys.exit(1)")
        study = write_spine(tmp_path / "study", SPINE, contrast=False, axial=False)
        arguments = ["run", str(study.folder), "-o", str(tmp_path / "out"), "--segmenter", "totalspineseg"]
        outcome = CliRunner().invoke(app, arguments)
        assert outcome.exit_code == 3
        assert "[SEGMENTER_FAILED]" in outcome.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "study"]

    def test_a_comparison_leaves_out_the_visit_on_which_it_fails(self, fake: Fake, tmp_path: Path) -> None:
        fake.does("sys.exit(1)")
        visits = [
            write_spine(
                tmp_path / f"v{day}", SPINE, study=f"study-{day}", date=f"2024030{day}", contrast=False, axial=False
            )
            for day in (1, 2)
        ]
        config = Config(segmentation=SegmentationSettings(engine="totalspineseg"))
        with pytest.raises(InputError, match="SEGMENTER_FAILED") as caught:
            compare_studies([visit.folder for visit in visits], tmp_path / "out", Options(config=config))
        assert caught.value.code == "TOO_FEW_STUDIES"

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--segmenter", "magic"), "Give one of network, totalspineseg, spineps, sct."),
            (("--segmenter", "sct", "--labels", "masks.nii.gz"), "Both --labels and --segmenter sct"),
        ],
    )
    def test_impossible_options_are_refused(self, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
        outcome = CliRunner().invoke(app, ["run", str(tmp_path), "-o", str(tmp_path / "out"), *options])
        assert outcome.exit_code == 2
        assert "[BAD_SEGMENTER]" in outcome.stderr
        assert message in outcome.stderr
