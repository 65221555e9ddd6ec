"""The gallery: every case at a glance, to be rated pass, fix or exclude."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from spinemri.batch.pages.plots import report_of
from spinemri.batch.pages.rendering import as_script, render
from spinemri.batch.results import CohortResult
from spinemri.export.cohort import CohortRow

__all__ = ["gallery_page"]

_HEIGHT = 340
_QUALITY = 80
_WANTED = ("sagittal_*_visit1_outlined.jpg", "perpendicular_visit1_outlined.jpg")


def gallery_page(result: CohortResult, out: Path) -> str:
    """Return ``gallery.html``, and put its pictures into ``gallery/``.

    Parameters
    ----------
    result : CohortResult
    out : Path
        Folder of the cohort's results.

    Returns
    -------
    str
        A page that asks for nothing but the pictures beside it, each when it comes into view.
    """
    (out / "gallery").mkdir(exist_ok=True)
    cases = [_case(row, folder, out) for row, folder in zip(result.rows, result.folders, strict=True)]
    return render("gallery.html.j2", cases=as_script(cases), count=len(cases))


def _case(row: CohortRow, folder: str, out: Path) -> dict[str, Any]:
    mass, compromise, point = row.measurements.mass, row.measurements.compromise, row.timepoint
    facts = [mass.status.replace("_", " ") if mass.volume_ml is None else f"{mass.volume_ml:.2f} ml"]
    if compromise.worst_level:
        facts.append(f"worst {compromise.worst_level}")
    if compromise.mcc_percent is not None:
        facts.append(f"MCC {compromise.mcc_percent:.0f} %")
    if point is not None and point.decisive_percent is not None:
        facts.append(f"change {point.decisive_percent:+.1f} %".replace("-", "\N{MINUS SIGN}"))
    return {
        "subject": row.subject,
        "visit": row.visit,
        # Ratings are kept by what was read, so that they hold in a cohort that grows.
        "key": f"{row.subject}/{row.visit}/{row.measurements.study.inputs_sha256[:16]}",
        "facts": ", ".join(facts),
        "flags": [flag.code for flag in row.measurements.quality.flags if flag.severity != "info"],
        "report": report_of(folder),
        "pictures": _pictures(out / folder / "figures", f"{folder.replace('/', '_')}", out / "gallery"),
        "rating": row.rating,
    }


def _pictures(figures: Path, name: str, gallery: Path) -> list[str]:
    """Make small copies of the figures that show most; those that are newer than their figure stay."""
    made = []
    for number, pattern in enumerate(_WANTED, start=1):
        figure = next(iter(sorted(figures.glob(pattern), reverse=True)), None)
        if figure is None:
            continue
        small = gallery / f"{name.removeprefix('visits_')}_{number}.jpg"
        if not small.is_file() or small.stat().st_mtime_ns < figure.stat().st_mtime_ns:
            with Image.open(figure) as picture:
                picture.thumbnail((2 * _HEIGHT, _HEIGHT))
                picture.save(small, quality=_QUALITY)
        made.append(f"gallery/{small.name}")
    return made
