"""A real archive that holds the sample study, and results that came about through it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from archives import OUR_TITLE, Orthanc, orthanc
from pydicom import dcmread
from typer.testing import CliRunner

from spinemri.cli import app
from spinemri.pacs import Policy, parse_peer, send_results

SAMPLE = Path(__file__).parents[2] / "sample_data" / "baseline"
SLOW = Policy(timeout_s=60.0)


@dataclass(frozen=True)
class Archive:
    """Orthanc with the sample study in it."""

    orthanc: Orthanc
    study_uid: str
    images: dict[str, Path]


@dataclass(frozen=True)
class Returned:
    """The results of a study that was got from the archive, after they went back into it."""

    out: Path
    archive: Archive
    run: str
    stow: str


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    folder = tmp_path_factory.mktemp("orthanc")
    with orthanc(folder) as server:
        images = _offer_sample(folder / "sample")
        send_results(folder / "sample", parse_peer(server.peer, own=OUR_TITLE), SLOW)
        study_uid = dcmread(next(iter(images.values())), stop_before_pixels=True).StudyInstanceUID
        yield Archive(server, str(study_uid), images)


def _offer_sample(folder: Path) -> dict[str, Path]:
    """Lay the images of the sample where `send_results` looks for objects; return their paths by UID."""
    (folder / "dicom").mkdir(parents=True)
    images = {}
    for path in sorted(path for path in SAMPLE.rglob("*") if path.is_file()):
        target = folder / "dicom" / f"{len(images)}.dcm"
        shutil.copy(path, target)
        images[str(dcmread(target, stop_before_pixels=True).SOPInstanceUID)] = target
    return images


@pytest.fixture(scope="session")
def returned(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Returned:
    """Got by C-MOVE, measured, sent back by STOW-RS."""
    out = tmp_path_factory.mktemp("returned") / "out"
    server = archive.orthanc
    source = ["--from", server.peer, "--study", archive.study_uid, "--listen", f"{OUR_TITLE}:{server.our_port}"]
    temporary = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(temporary))
        run = CliRunner().invoke(app, ["run", *source, "-o", str(out)])
    assert run.exit_code in {0, 1}, run.output
    assert not list(temporary.glob("spinemri-*"))
    stow = CliRunner().invoke(app, ["send", str(out), "--stow", server.web_url])
    assert stow.exit_code == 0, stow.output
    return Returned(out, archive, run.stdout, stow.stdout)
