"""Fixtures that several packages share."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real scans, named by SPINEMRI_DATA; by default beside the checkout."""
    folder = Path(os.environ.get("SPINEMRI_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("real scans are absent: set SPINEMRI_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def errors_of() -> Callable[[Path], list[str]]:
    """What dciodvfy finds wrong with a file; it knows no private coding scheme, which is a warning."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy is absent: install Debian's dicom3tools")

    def check(path: Path) -> list[str]:
        done = subprocess.run([program, "-new", str(path)], capture_output=True, text=True, check=False)
        lines = (done.stdout + done.stderr).splitlines()
        errors = [line for line in lines if line.startswith(("Error", "Abort"))]
        return errors or ([f"exit status {done.returncode}"] if done.returncode else [])

    return check
