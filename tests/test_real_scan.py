"""A real, mass-free spine gives the same numbers as NIfTI and wrapped as DICOM."""

import json
from pathlib import Path

import numpy as np
import pytest
from dicom_writer import SeriesHeader, write_sagittal_series
from typer.testing import CliRunner

from spinemri.cli import app
from spinemri.export.nifti import read_nifti

pytestmark = pytest.mark.slow

SCAN = "spider_t2/107_T2w.nii.gz"
"""14 slices, none of which the network saw in training."""


@pytest.fixture(scope="module")
def both(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    work = tmp_path_factory.mktemp("real")
    write_sagittal_series(read_nifti(real_data / SCAN), work / "dicom", SeriesHeader())
    for source, out in ((real_data / SCAN, "from_nifti"), (work / "dicom", "from_dicom")):
        result = CliRunner().invoke(app, ["run", str(source), "-o", str(work / out)])
        assert result.exit_code in {0, 1}, result.output
    return work / "from_nifti", work / "from_dicom"


def _profile(folder: Path) -> np.ndarray:
    table = np.genfromtxt(folder / "profile.csv", delimiter=",", names=True, dtype=float)
    return np.stack([table[name] for name in table.dtype.names if name.endswith(("_mm2", "_ap_mm"))])


def test_both_ways_give_the_same_numbers(both: tuple[Path, Path]) -> None:
    one, two = (json.loads((folder / "measurements.json").read_text()) for folder in both)
    names = [[vertebra["name"] for vertebra in content["levels"]["vertebrae"]] for content in (one, two)]
    assert names[0] == names[1]
    assert one["levels"]["anchor"] == two["levels"]["anchor"] == "sacrum"
    assert one["mass"]["status"] == two["mass"]["status"]
    # Positions in DICOM are decimal strings of 16 characters, in NIfTI single precision: micrometres apart.
    for first, second in zip(one["levels"]["vertebrae"], two["levels"]["vertebrae"], strict=True):
        np.testing.assert_allclose(first["centre_lps_mm"], second["centre_lps_mm"], atol=0.01)
    np.testing.assert_allclose(_profile(both[0]), _profile(both[1]), atol=0.05)


def test_a_mass_free_spine_shows_no_mass(both: tuple[Path, Path]) -> None:
    content = json.loads((both[0] / "measurements.json").read_text())
    assert content["mass"]["volume_ml"] is None or content["mass"]["volume_ml"] <= 0.3
