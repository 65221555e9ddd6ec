"""The whole path on real mass-free spines: each scan as DICOM and as NIfTI, levels, invented masses, Dice.

Run from the checkout::

    PYTHONPATH=tests SPINEMRI_DATA=../shared/data python benchmarks/real_scans.py

Every SPIDER scan is wrapped in honest DICOM headers and also given as NIfTI; `spinemri run` measures both without
the page. The tables say whether the numbers are the same, whether the levels agree with those counted by eye
(``tests/data/real_levels.json``), and how much mass was reported in spines that have none.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from dicom_writer import write_sagittal_series

from spinemri.config import Config, ReportSettings
from spinemri.nomenclature import REGULAR_COLUMN
from spinemri.pipeline import Options, run_study
from spinemri.training.real import VALIDATION_IDS, load_nifti

LEVELS = Path(__file__).parents[1] / "tests" / "data" / "real_levels.json"
TISSUES = {"sac": ((1, 2, 8), 3), "vertebra": ((4, 5), 1), "disc": ((6,), 2)}
NUMBERS = ("levels", "mass", "compromise")


@dataclass(frozen=True)
class Row:
    """What one scan showed."""

    scan: str
    same: bool
    levels: str
    anchor: str
    mass_ml: float
    dice: tuple[float, ...]


def measure(source: Path, out: Path) -> dict[str, Any]:
    """Run on a folder and return the JSON."""
    run_study(source, out, Options(config=Config(report=ReportSettings(html=False))))
    result: dict[str, Any] = json.loads((out / "measurements.json").read_text("utf-8"))
    return result


def levels_verdict(record: dict[str, Any], truth: dict[str, Any]) -> str:
    """Compare the named bodies with those counted by eye; a cut body at the top may be named or not."""
    names = [body["name"] for body in record["levels"]["vertebrae"] if body["name"] != "S1"]
    if record["levels"]["numbering"] != "absolute":
        return f"{record['levels']['numbering']} ({names[0] if names else '-'})"
    column = list(REGULAR_COLUMN)
    top = column.index(truth["topmost_body"])
    accepted = [column[start : column.index("L5") + 1] for start in range(top - 1, top + 2)]
    return "right" if names in accepted else f"wrong: {names[0]}..{names[-1]}, counted {truth['topmost_body']}..L5"


def dice(out: Path, labels: Path) -> tuple[float, ...]:
    """Dice of sac, vertebra and disc from the file that the run wrote."""
    ours = load_nifti(out / "nifti" / "anatomy_dseg.nii.gz").array
    theirs = load_nifti(labels).array
    pairs = [(np.isin(ours, ids), theirs == label) for ids, label in TISSUES.values()]
    return tuple(2 * int((a & b).sum()) / (int(a.sum()) + int(b.sum())) for a, b in pairs)


def one_scan(data: Path, scan: str, truth: dict[str, Any]) -> Row:
    """Measure one scan both ways."""
    image = data / "spider_t2" / f"{scan}_T2w.nii.gz"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "nifti").mkdir()
        nib.save(nib.load(image), folder / "nifti" / f"sub-{scan}_acq-sag_T2w.nii.gz")
        write_sagittal_series(load_nifti(image), folder / "dicom")
        from_dicom = measure(folder / "dicom", folder / "out_dicom")
        from_nifti = measure(folder / "nifti", folder / "out_nifti")
        return Row(
            scan,
            all(from_dicom[key] == from_nifti[key] for key in NUMBERS),
            levels_verdict(from_dicom, truth),
            from_dicom["levels"]["anchor"],
            from_dicom["mass"]["volume_ml"] or 0.0,
            dice(folder / "out_dicom", image.with_name(f"{scan}_dseg.nii.gz")),
        )


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SPINEMRI_DATA", "../shared/data")))
    parser.add_argument("scans", nargs="*", help="ids; all by default")
    arguments = parser.parse_args()
    truth = json.loads(LEVELS.read_text("utf-8"))
    found = sorted(path.name[:3] for path in (arguments.data / "spider_t2").glob("*_T2w.nii.gz"))
    rows = []
    print("| scan | split | DICOM = NIfTI | levels | anchor | mass (ml) | sac | vertebra | disc |")
    print("|---|---|---|---|---|---|---|---|---|")
    for scan in arguments.scans or found:
        row = one_scan(arguments.data, scan, truth[f"spider_t2/{scan}"])
        rows.append(row)
        split = "validation" if scan in VALIDATION_IDS else "training"
        scores = " | ".join(f"{score:.3f}" for score in row.dice)
        same = "yes" if row.same else "NO"
        print(f"| {scan} | {split} | {same} | {row.levels} | {row.anchor} | {row.mass_ml:.2f} | {scores} |", flush=True)
    validation = np.array([row.dice for row in rows if row.scan in VALIDATION_IDS])
    if len(validation):
        print("\nMean Dice on validation scans: " + ", ".join(f"{x:.3f}" for x in validation.mean(0)))
    print(f"Same numbers from DICOM and NIfTI: {sum(row.same for row in rows)} of {len(rows)}")
    print(f"Levels right: {sum(row.levels == 'right' for row in rows)} of {len(rows)}")
    print(f"Mass above 0.3 ml reported: {sum(row.mass_ml > 0.3 for row in rows)} of {len(rows)}")


if __name__ == "__main__":
    main()
