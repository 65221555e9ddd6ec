"""Fixtures that several packages share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real scans, named by SPINEMRI_DATA; by default beside the checkout."""
    folder = Path(os.environ.get("SPINEMRI_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("real scans are absent: set SPINEMRI_DATA to their folder")
    return folder
