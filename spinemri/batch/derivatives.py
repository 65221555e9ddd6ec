"""Results of a cohort under the names of BIDS derivatives, for tools that read such datasets."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spinemri import __version__
from spinemri.batch.model import label
from spinemri.batch.results import CohortResult
from spinemri.export.cohort import COHORT_COLUMNS, CohortRow
from spinemri.export.jsonfile import Json, json_text, rounded

__all__ = ["write_derivatives"]

_BIDS_VERSION = "1.10.0"
_README = """# spinemri

Epidural masses in MRI of the spine, measured by spinemri: images as used, masks of tissues, levels and mass, and in the
table of each subject's sessions one row of numbers per visit. Masks lie on the grid of the primary sagittal
series. For research use only.
"""
_MASKS = {
    "anatomy_dseg": "space-orig_desc-anatomy_dseg",
    "levels_dseg": "space-orig_desc-levels_dseg",
    "mass_dseg": "space-orig_desc-mass_dseg",
    "mass_probseg": "space-orig_label-mass_probseg",
}
_IMAGES = {
    "sagittal_t2": ("acq-sagittal", ""),
    "sagittal_t1": ("acq-sagittal", ""),
    "sagittal_t1_post_fs": ("acq-sagittal", "ce-gadolinium"),
    "axial_t2": ("acq-axial", ""),
    "axial_post_fs": ("acq-axial", "ce-gadolinium"),
    "counting_localizer": ("acq-localizer", ""),
}
_SUFFIX = {"T1": "T1w", "T2": "T2w", "STIR": "T2w"}


def write_derivatives(result: CohortResult, out: Path) -> None:
    """Write ``bids/``, in place of an earlier one. Images and masks are hard links where the disk allows.

    Parameters
    ----------
    result : CohortResult
    out : Path
        Folder of the cohort's results.
    """
    beside, final = out / ".bids.partial", out / "bids"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    _write_description(beside)
    _write_participants(result.rows, beside)
    _write_sessions(result.rows, beside)
    for row, folder in zip(result.rows, result.folders, strict=True):
        _write_visit(row, out / folder / "nifti", beside)
    shutil.rmtree(final, ignore_errors=True)
    beside.rename(final)


def _write_description(root: Path) -> None:
    description: Json = {
        "Name": "spinemri",
        "BIDSVersion": _BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "spinemri", "Version": __version__}],
    }
    _write_json(root / "dataset_description.json", description)
    (root / "README.md").write_text(_README, encoding="utf-8", newline="\n")


def _write_json(path: Path, content: Json) -> None:
    path.write_text(json_text(content), encoding="utf-8", newline="\n")


def _write_participants(rows: Sequence[CohortRow], root: Path) -> None:
    subjects = dict.fromkeys(f"sub-{label(row.subject)}" for row in rows)
    _write_tsv(root / "participants.tsv", ["participant_id"], [[name] for name in subjects])
    _write_json(root / "participants.json", {"participant_id": {"Description": "Subject of the cohort."}})


def _write_sessions(rows: Sequence[CohortRow], root: Path) -> None:
    """Write the numbers of each subject as the table of its sessions."""
    columns = COHORT_COLUMNS[2:]
    names = ["session_id", *(column.name for column in columns)]
    lines: dict[str, list[list[str]]] = defaultdict(list)
    for row in rows:
        cells = [_cell(column.value(row), column.name) for column in columns]
        lines[f"sub-{label(row.subject)}"].append([f"ses-{label(row.visit)}", *cells])
    for subject, own in lines.items():
        (root / subject).mkdir()
        _write_tsv(root / subject / f"{subject}_sessions.tsv", names, own)
    meanings: dict[str, Json] = {column.name: {"Description": column.meaning} for column in columns}
    _write_json(root / "sessions.json", {"session_id": {"Description": "Visit of the subject."}, **meanings})


def _cell(value: object, name: str) -> str:
    if value is None or value == "":
        return "n/a"
    if isinstance(value, bool):
        return str(value).lower()
    return str(rounded(value, name)) if isinstance(value, float) else str(value)


def _write_tsv(path: Path, names: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerows([names, *lines])
    path.write_text(text.getvalue(), encoding="utf-8", newline="\n")


def _write_visit(row: CohortRow, nifti: Path, root: Path) -> None:
    subject, session = f"sub-{label(row.subject)}", f"ses-{label(row.visit)}"
    anat = root / subject / session / "anat"
    anat.mkdir(parents=True)
    start = anat / f"{subject}_{session}"
    images = {role: nifti / f"{role}.nii.gz" for role in _IMAGES if (nifti / f"{role}.nii.gz").is_file()}
    places = {role: _image_place(start, role, _facts(image)) for role, image in images.items()}
    for role, image in images.items():
        _place(image, places[role], _facts(image) | {"SkullStripped": False})
    for name, rest in _MASKS.items():
        mask = nifti / f"{name}.nii.gz"
        if mask.is_file():
            facts = _facts(mask)
            primary = places[str(facts["SourceRole"])].relative_to(root).as_posix()
            _place(mask, _named(start, rest), facts | {"SpatialReference": f"bids::{primary}.nii.gz"})
            _write_labels(_named(start, rest.removeprefix("space-orig_")), facts.get("Labels"))


def _named(start: Path, rest: str) -> Path:
    return start.with_name(f"{start.name}_{rest}")


def _image_place(start: Path, role: str, facts: dict[str, Any]) -> Path:
    """Return where an image goes, without its extension."""
    plane, agent = _IMAGES[role]
    suffix = _SUFFIX.get(str(facts.get("Weighting")), "T1w")
    fat = "rec-fatsat" if facts.get("FatSuppressed") else ""
    return _named(start, "_".join(part for part in (plane, agent, fat, "desc-preproc", suffix) if part))


def _facts(image: Path) -> dict[str, Any]:
    sidecar = image.with_name(image.name.replace(".nii.gz", ".json"))
    content = json.loads(sidecar.read_text(encoding="utf-8"))
    return dict(content)


def _place(image: Path, target: Path, facts: dict[str, Any]) -> None:
    """Link an image, or copy it where links are not to be had, and write its sidecar."""
    name = target.with_name(f"{target.name}.nii.gz")
    try:
        os.link(image, name)
    except OSError:
        shutil.copyfile(image, name)
    _write_json(target.with_name(f"{target.name}.json"), {key: facts[key] for key in facts if key != "Labels"})


def _write_labels(place: Path, labels: object) -> None:
    if isinstance(labels, dict):
        _write_tsv(
            place.with_name(f"{place.name}.tsv"),
            ["index", "name"],
            [[str(number), str(name)] for number, name in labels.items()],
        )
