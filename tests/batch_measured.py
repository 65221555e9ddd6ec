"""A stand-in that leaves real records: volumes stand in the visits' own files."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path

import nibabel as nib
import numpy as np
from batch_work import write_visit
from PIL import Image

from spinemri.batch.stamp import content_sha256
from spinemri.batch.task import Outcome, Task
from spinemri.config import write_config
from spinemri.errors import InputError
from spinemri.export import write_comparison
from spinemri.export.jsonfile import as_json, write_json
from spinemri.followup.record import Comparison, RecurrenceRecord, TimepointRecord
from spinemri.measure.record import (
    CompromiseRecord,
    FlagRecord,
    LevelsRecord,
    MassRecord,
    Measurements,
    QualityRecord,
    SoftwareRecord,
    StudyRecord,
)
from spinemri.pipeline.output import output_folder


def write_measured_visit(folder: Path, volume_ml: float | None, day: str, behaviour: str = "fine") -> Path:
    """Write a visit that comes out with a volume; None: no mass is found."""
    write_visit(folder, behaviour)
    (folder / "truth.json").write_text(json.dumps({"volume_ml": volume_ml, "date": day}))
    return folder


def perform_measured(task: Task) -> Outcome:
    """Leave what a run or a comparison leaves, with the volumes that stand in the visits' files."""
    for visit in task.visits:
        behaviour = json.loads((visit.path / "behaviour.json").read_text())["behaviour"]
        if behaviour == "broken":
            raise InputError("NO_SPINE_SERIES", "No usable sagittal stack was found.", "Give another study.")
    with output_folder(task.out, overwrite=True) as folder:
        records = [_measurements(visit.path) for visit in task.visits]
        if task.kind == "comparison":
            write_comparison(_comparison(records, task), folder)
        else:
            write_json(as_json(records[0]), folder / "measurements.json")
            _write_figures(folder / "figures", records[0].mass.volume_ml or 0.0)
            _write_images(folder / "nifti")
        write_config(task.orders.config, folder / "config.yaml")
    return Outcome("done", content_sha256=content_sha256(task.visits), seconds=1.0, peak_mb=10.0)


def _measurements(folder: Path) -> Measurements:
    truth = json.loads((folder / "truth.json").read_text())
    volume, identity = truth["volume_ml"], hashlib.sha256("/".join(folder.parts[-2:]).encode()).hexdigest()
    mass = MassRecord(status="not_found")
    if volume is not None:
        interval = (0.8 * volume, 1.2 * volume)
        mass = MassRecord(status="measured", volume_ml=volume, volume_sd_ml=0.1 * volume, volume_ci95_ml=interval)
    flag = FlagRecord(code="NO_LEVEL_ANCHOR", message="Nothing anchors the count.", severity="warning")
    return Measurements(
        software=SoftwareRecord(version="0.1.0", config_sha256="c" * 64, model_sha256="a" * 64),
        study=StudyRecord(
            study_instance_uid=f"2.25.{int(identity[:12], 16)}", study_date=truth["date"], inputs_sha256=identity
        ),
        series=(),
        levels=LevelsRecord(numbering="relative", anchor="none", confidence=0.5, vertebrae=(), discs=()),
        mass=mass,
        compromise=CompromiseRecord(worst_level="T6/7", mcc_percent=55.0, escc_grade="2"),
        quality=QualityRecord(flags=(flag,)),
    )


def _comparison(records: list[Measurements], task: Task) -> Comparison:
    first = records[0].mass.volume_ml or 1.0
    start = date.fromisoformat(records[0].study.study_date)
    treated = task.radiotherapy.end if task.radiotherapy else None
    points = []
    for number, record in enumerate(records):
        day, volume = date.fromisoformat(record.study.study_date), record.mass.volume_ml
        change = None if number == 0 or volume is None else 100 * (volume / first - 1)
        points.append(
            TimepointRecord(
                study_instance_uid=record.study.study_instance_uid,
                study_date=record.study.study_date,
                days_from_baseline=(day - start).days,
                days_from_rt_end=(day - treated).days if treated else None,
                volume_ml=volume,
                volume_ci95_ml=record.mass.volume_ci95_ml,
                change_percent=change,
                change_ci95_percent=None if change is None else (change - 15, change + 15),
                paired_change_percent=None if change is None else 0.9 * change + number,
                paired_change_ci95_percent=None if change is None else (0.9 * change - 8, 0.9 * change + 8),
                smallest_detectable_change_percent=8.0,
                verdict=None if change is None else _verdict(change),
                verdict_basis=None if change is None else "paired",
                mcc_percent=55.0, mscc_percent=None, escc_grade="2", worst_level="T6/7",
            )
        )  # fmt: skip
    return Comparison(
        software=records[0].software,
        timepoints=tuple(points),
        nadir=None,
        recurrence=RecurrenceRecord(suspected=False, since=None),
        radiotherapy=None,
        quality=QualityRecord(),
    )


def _verdict(change: float) -> str:
    return "not_distinguishable" if abs(change) < 10 else "decreased" if change < 0 else "increased"


def _write_figures(folder: Path, volume: float) -> None:
    folder.mkdir()
    for name, size in (("sagittal_t2_visit1_outlined", (300, 700)), ("perpendicular_visit1_outlined", (400, 400))):
        Image.new("RGB", size, (40, 40, int(20 * volume) % 256)).save(folder / f"{name}.jpg")


def _write_images(folder: Path) -> None:
    """Write images and masks as a run names them, with their sidecars."""
    folder.mkdir()
    image = nib.Nifti1Image(np.zeros((5, 8, 9), np.uint8), np.diag([4.0, 0.7, 0.9, 1.0]))
    image.header.set_xyzt_units("mm")
    facts: dict[str, object] = {"SourceRole": "sagittal_t2"}
    post = {"SourceRole": "sagittal_t1_post_fs", "Weighting": "T1", "FatSuppressed": True}
    sidecars: dict[str, dict[str, object]] = {
        "sagittal_t2": facts | {"Weighting": "T2", "FatSuppressed": False},
        "sagittal_t1_post_fs": post,
        "anatomy_dseg": facts | {"Labels": {"1": "spinal cord"}},
        "levels_dseg": facts | {"Labels": {"8": "T1"}},
        "mass_dseg": facts | {"Labels": {"8": "mass in the canal"}},
        "mass_probseg": facts,
    }
    for name, sidecar in sidecars.items():
        nib.save(image, folder / f"{name}.nii.gz")
        (folder / f"{name}.json").write_text(json.dumps(sidecar))
