"""A cohort for the benchmark of `spinemri batch`: generated patients, real scans, and studies that are broken."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinemri.phantom import write_phantom
from spinemri.phantom.recipe import PhantomRecipe

__all__ = ["Member", "write_cohort"]

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("SPINEMRI_DATA", ROOT.parent / "shared" / "data"))
LEVELS = ("T3", "T5", "T7", "T9")
REAL_SHARE, BROKEN_SHARE = 0.12, 0.06
BROKEN = ("cut short", "no image", "no file")


@dataclass(frozen=True)
class Member:
    """One study: a row of the list, and what kind of study it is."""

    subject: str
    visit: str
    path: Path
    kind: str
    rt_end: str = ""


def write_cohort(root: Path, studies: int) -> list[Member]:
    """Write studies and ``cohort.csv`` below a folder, unless they are there.

    About an eighth are real scans (as far as there are any), one in sixteen is broken, and the rest are generated
    patients with one to three visits, some with three series.
    """
    members = list(_members(root, studies))
    for member in members:
        _write(member)
    rows = ["subject,visit,path,rt_end"]
    rows += [f"{m.subject},{m.visit},{m.path.relative_to(root).as_posix()},{m.rt_end}" for m in members]
    (root / "cohort.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return members


def _members(root: Path, studies: int) -> Iterator[Member]:
    scans = sorted(DATA.glob("spider_t2/*_T2w.nii.gz"))[: round(REAL_SHARE * studies)]
    broken = max(1, round(BROKEN_SHARE * studies))
    for number, scan in enumerate(scans):
        yield Member(f"R{number:03d}", "1", root / "real" / scan.name, "real")
    for number in range(broken):
        yield Member(f"B{number:03d}", "1", root / "broken" / f"{number:03d}", BROKEN[number % len(BROKEN)])
    left, patient = studies - len(scans) - broken, 0
    while left > 0:
        visits = min(left, (1, 2, 3, 2)[patient % 4])
        kind = "three series" if patient % 5 == 4 else "one series"
        name = f"P{patient:03d}"
        for visit in range(visits):
            yield Member(name, str(visit + 1), root / "generated" / name / f"v{visit + 1}", kind, "2024-03-22")
        left, patient = left - visits, patient + 1


def _write(member: Member) -> None:
    if member.path.exists():
        return
    member.path.parent.mkdir(parents=True, exist_ok=True)
    if member.kind == "real":
        shutil.copyfile(DATA / "spider_t2" / member.path.name, member.path)
    elif member.kind in BROKEN:
        _write_broken(member)
    else:
        patient = member.path.parent
        shutil.rmtree(patient, ignore_errors=True)
        write_phantom(_recipe(member), patient)


def _write_broken(member: Member) -> None:
    member.path.mkdir(parents=True)
    if member.kind == "no image":
        (member.path / "IM1").write_bytes(b"no image")
    elif member.kind == "cut short":
        for file in sorted((ROOT / "sample_data" / "baseline" / "02_sag_t2").glob("*.dcm")):
            (member.path / file.name).write_bytes(file.read_bytes()[:-4000])


def _recipe(member: Member) -> PhantomRecipe:
    """Return the recipe of a patient; all of its visits are written at once."""
    number = int(member.subject[1:])
    rng = np.random.default_rng(number)
    level = LEVELS[number % len(LEVELS)]
    visits = (1, 2, 3, 2)[number % 4]
    factors = [1.0, float(rng.uniform(0.5, 1.3)), float(rng.uniform(0.3, 1.6))][:visits]
    below = f"T{int(level[1:]) + 1}"
    recipe: dict[str, Any] = {
        "name": f"batch-{number}",
        "seed": number,
        "spine": {"body_size": float(rng.uniform(0.92, 1.08)), "thoracic_kyphosis_degrees": float(rng.uniform(25, 45))},
        "mass": {
            "from_level": level, "to_level": below, "worst_level": f"{level}/{below[1:]}",
            "compression": float(rng.uniform(0.4, 0.75)),
        },
        "series": _series(f"{level}/{below[1:]}", several=member.kind == "three series"),
        "visits": [
            {
                "name": f"v{visit + 1}", "date": ("2024-03-04", "2024-04-02", "2024-09-10")[visit],
                "volume_factor": factor, "noise_seed": 10 * number + visit,
                "shift_mm": rng.uniform(-5, 5, 3).tolist(),
            }
            for visit, factor in enumerate(factors)
        ],
    }  # fmt: skip
    return PhantomRecipe.model_validate(recipe)


def _series(centre: str, *, several: bool) -> list[dict[str, Any]]:
    place = {"centre": centre, "voxel_mm": 1.0, "slice_pitch_mm": 4.0, "slices": 11, "field_of_view_mm": [160.0, 240.0]}
    t1 = {"weighting": "T1", "repetition_time_ms": 560.0, "echo_time_ms": 11.0}
    post = t1 | {"fat_suppressed": True, "contrast_enhanced": True}
    one = [{"name": "sag_t2", **place}]
    more = [{"name": "sag_t1", **place, "sequence": t1}, {"name": "sag_t1_fs_gd", **place, "sequence": post}]
    return [*one, *more] if several else one
