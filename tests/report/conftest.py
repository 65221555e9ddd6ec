"""A report of two visits, and a browser to open it."""

import shutil
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from synthetic_result import make_comparison, make_followup, make_result

from spinemri.followup.record import Comparison
from spinemri.measure.result import StudyResult
from spinemri.report import write_report


class Report(NamedTuple):
    """A written report with what it was made from and the seconds of one core that it took."""

    folder: Path
    seconds: float
    results: tuple[StudyResult, StudyResult]
    comparison: Comparison


@pytest.fixture(scope="session")
def compared(tmp_path_factory) -> Report:
    folder = tmp_path_factory.mktemp("compared")
    results = (make_result(), make_followup())
    comparison = make_comparison(*results)
    start = time.process_time()
    write_report(results, comparison, folder)
    return Report(folder, time.process_time() - start, results, comparison)


@pytest.fixture(scope="session")
def chromium_program() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no headless Chromium on this machine")
    return found
