"""The command line around archives."""

import builtins
import json
import subprocess
import sys
from pathlib import Path

import pytest
from archives import c_store_service, free_port, write_results
from typer.testing import CliRunner

from spinemri.cli import app

runner = CliRunner()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    write_results(tmp_path / "out")
    return tmp_path / "out"


class TestSend:
    def test_all_is_well(self, out: Path) -> None:
        with c_store_service() as service:
            done = runner.invoke(app, ["send", str(out), "--to", str(service.peer)])
            again = runner.invoke(app, ["send", str(out), "--to", str(service.peer)])
        assert (done.exit_code, again.exit_code) == (0, 0)
        assert done.stdout == f"4 of 4 objects stored at {service.peer}.\nReceipt: {out / 'sent.json'}\n"
        assert "nothing was sent" in again.stdout

    def test_our_title_reaches_the_archive(self, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        titles = []
        monkeypatch.setenv("SPINEMRI_AET", "WARD7")
        with c_store_service(lambda _s, event: titles.append(event.assoc.requestor.ae_title) or 0) as service:
            runner.invoke(app, ["send", str(out), "--to", str(service.peer)])
            runner.invoke(app, ["send", str(out), "--to", str(service.peer), "--again", "--aet", "WARD8"])
        assert titles == ["WARD7"] * 4 + ["WARD8"] * 4

    def test_what_was_refused_or_altered_is_listed(self, out: Path) -> None:
        codes = iter([0x0000, 0xB000, 0xB006, 0xC000])
        with c_store_service(lambda _service, _event: next(codes)) as service:
            done = runner.invoke(app, ["send", str(out), "--to", str(service.peer)])
        assert done.exit_code == 1
        assert f"3 of 4 objects stored at {service.peer}." in done.stdout
        assert "WARNING [PACS_ALTERED] dicom/object_2.dcm: 0xB006, stored, with some elements discarded." in done.stdout
        assert "WARNING [PACS_NOT_STORED] dicom/object_3.dcm: 0xC000, cannot be understood." in done.stdout
        assert "notes: PACS_COERCED" in done.stdout

    def test_coercion_alone_is_a_note(self, out: Path) -> None:
        with c_store_service(lambda _service, _event: 0xB000) as service:
            done = runner.invoke(app, ["send", str(out), "--to", str(service.peer)])
        assert done.exit_code == 0
        assert "notes: PACS_COERCED" in done.stdout

    @pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # pynetdicom leaves it to its end
    def test_nobody_there_ends_with_3(self, out: Path) -> None:
        done = runner.invoke(app, ["send", str(out), "--to", f"A@127.0.0.1:{free_port()}", "--retries", "0"])
        assert done.exit_code == 3
        assert done.stderr.startswith("[PACS_UNREACHABLE]")
        assert done.stdout == ""

    def test_progress_as_json(self, out: Path) -> None:
        with c_store_service() as service:
            done = runner.invoke(app, ["send", str(out), "--to", str(service.peer), "--json-log", "--quiet"])
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        assert [(line["stage"], line["done"], line["total"]) for line in lines] == [("send", n, 4) for n in range(5)]
        assert done.stdout == ""

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ([], "NO_DESTINATION"),
            (["--to", "A@127.0.0.1:1", "--stow", "https://pacs.example"], "NO_DESTINATION"),
            (["--to", "A"], "BAD_PEER"),
            (["--stow", "pacs.example"], "BAD_PEER"),
            (["--to", "A@127.0.0.1:1", "--aet", "x" * 17], "BAD_AE_TITLE"),
        ],
    )
    def test_bad_usage(self, out: Path, options: list[str], code: str) -> None:
        done = runner.invoke(app, ["send", str(out), *options])
        assert done.exit_code == 2
        assert done.stderr.startswith(f"[{code}]")


class TestFrom:
    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (["run"], "NO_INPUT"),
            (["compare"], "NO_INPUT"),
            (["run", "study", "--from", "A@127.0.0.1:1", "--study", "1.2"], "NO_INPUT"),
            (["run", "--from", "A@127.0.0.1:1"], "BAD_QUERY"),
            (["run", "--from", "A", "--study", "1.2"], "BAD_PEER"),
            (["run", "--from", "A@127.0.0.1:1", "--study", "1.2", "--listen", "11112"], "BAD_PEER"),
            (["compare", "--from", "https://x.invalid", "--patient", "4711", "--date", "May"], "BAD_DATE"),
        ],
    )
    def test_bad_usage_is_said_before_anything_is_asked(self, tmp_path: Path, arguments: list[str], code: str) -> None:
        done = runner.invoke(app, [*arguments, "-o", str(tmp_path / "out")])
        assert done.exit_code == 2
        assert done.stderr.startswith(f"[{code}]")
        assert list(tmp_path.iterdir()) == []

    def test_a_full_output_folder_is_refused_before_the_archive_is_asked(self, out: Path) -> None:
        done = runner.invoke(app, ["run", "--from", f"A@127.0.0.1:{free_port()}", "--study", "1.2", "-o", str(out)])
        assert done.exit_code == 2
        assert done.stderr.startswith("[OUT_NOT_EMPTY]")

    @pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # pynetdicom leaves it to its end
    def test_a_failed_transfer_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "temporary").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
        monkeypatch.setattr("spinemri.pacs.policy.Policy.pause", lambda *_arguments: None)
        source = ["--from", f"A@127.0.0.1:{free_port()}", "--study", "1.2"]
        for keep in ([], ["--keep-images", str(tmp_path / "kept")]):
            done = runner.invoke(app, ["run", *source, *keep, "-o", str(tmp_path / "out")])
            assert done.exit_code == 3
            assert done.stderr.startswith("[PACS_UNREACHABLE]")
        assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]


@pytest.mark.parametrize("library", ["pynetdicom", "dicomweb_client"])
def test_a_missing_extra_is_named(out: Path, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith((library, "spinemri.pacs."))]:
        monkeypatch.delitem(sys.modules, name)
    genuine = builtins.__import__

    def absent(name, *arguments, **options):
        if name.partition(".")[0] == library:
            raise ModuleNotFoundError(name=library)
        return genuine(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    way = ["--to", "A@127.0.0.1:1"] if library == "pynetdicom" else ["--stow", "http://127.0.0.1:1"]
    done = runner.invoke(app, ["send", str(out), *way])
    assert done.exit_code == 2
    assert done.stderr.startswith("[PACS_NOT_INSTALLED]")
    assert "pip install 'spinemri[pacs]'" in done.stderr.replace("\n", " ")


def test_measuring_needs_no_library_of_archives() -> None:
    code = (
        "import sys, spinemri.cli, spinemri.pipeline; "
        "print([m for m in ('pynetdicom', 'dicomweb_client', 'spinemri.pacs') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
