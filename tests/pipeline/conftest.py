"""A run that the tests of a module share, of the baseline and with the options that the module has."""

from pathlib import Path

import pytest
from written_study import WrittenStudy

from spinemri.pipeline import Options, run_study


@pytest.fixture(scope="module")
def measured(baseline: WrittenStudy, options: Options, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "out"
    run_study(baseline.folder, out, options)
    return out
