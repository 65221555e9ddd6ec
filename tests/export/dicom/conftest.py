"""Two visits of the analytic spine, run from DICOM to DICOM."""

from dataclasses import replace
from pathlib import Path

import pytest
from dicom_objects import Compared
from synthetic_spine import Spine
from written_study import write_spine

from spinemri.cli.values import parse_level
from spinemri.followup import Radiotherapy
from spinemri.pipeline import Options, compare_studies

THINNER = Spine(6.6, tilt_deg=3.0, shift_mm=(-1.0, -14.0, 28.0))


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    folder = tmp_path_factory.mktemp("dicom_objects")
    first = write_spine(folder / "baseline")
    second = write_spine(folder / "followup", THINNER, study="study-2", date="20240320")
    options = Options(labels=(first.labels, second.labels), levels=(parse_level(first.level),))
    treatment = Radiotherapy(levels="T4-T9", dose_gy=20.0, fractions=10)
    results = compare_studies([first.folder, second.folder], folder / "out", options, treatment)
    return Compared(folder / "out", (first, second), options, results)


@pytest.fixture
def one_visit(compared: Compared) -> tuple[Path, Options]:
    """Input and options of the baseline on its own."""
    own = replace(compared.options, labels=compared.options.labels[:1])
    return compared.inputs[0].folder, own
