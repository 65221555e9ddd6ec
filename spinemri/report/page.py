"""The report: one self-contained HTML page and its figures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from spinemri.followup.record import Comparison
from spinemri.measure.result import StudyResult
from spinemri.report.drawing import CANAL_COLOUR, CORD_COLOUR, MASS_COLOUR
from spinemri.report.pdf import report_pdf
from spinemri.report.pictures import Block, Picture, key_images
from spinemri.report.profile_plot import profile_picture
from spinemri.report.summary import course, findings, headlines
from spinemri.report.tables import change_rows, level_rows, measurement_groups, series_rows
from spinemri.report.tiles import tiles
from spinemri.report.viewer import viewer_data, viewer_library
from spinemri.report.visit import Visit, visits_of

__all__ = ["write_report"]


def write_report(results: Sequence[StudyResult], comparison: Comparison | None, folder: Path) -> None:
    """Write ``report.html``, ``report.pdf`` and ``figures/`` for one study or for visits that were compared.

    The page holds its style and its figures, so that it opens offline. The same input gives the same bytes.

    Parameters
    ----------
    results : sequence of StudyResult
        One, or the visits in order of time.
    comparison : Comparison or None
        None for a single study.
    folder : Path
        Made if it does not exist.

    Raises
    ------
    ValueError
        If there is no result, or the comparison has another number of visits.
    OSError
        If the folder cannot be written.
    """
    if not results or (comparison is not None and len(comparison.timepoints) != len(results)):
        raise ValueError(f"a report needs one result for each visit, got {len(results)}")
    visits = visits_of(results)
    blocks, profile = key_images(visits), profile_picture(visits)
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for picture in _pictures(blocks, profile):
        (figures / picture.name).write_bytes(picture.data)
    html = _render(visits, comparison, blocks, profile)
    (folder / "report.pdf").write_bytes(report_pdf(visits, comparison, blocks))
    (folder / "report.html").write_text(html, encoding="utf-8", newline="\n")


def _pictures(blocks: Sequence[Block], profile: Picture | None) -> list[Picture]:
    pictures = [picture for block in blocks for picture in block.pictures]
    return [*pictures, profile] if profile else pictures


def _inline(picture: Picture) -> str:
    return f"data:{picture.mime};base64,{base64.b64encode(picture.data).decode('ascii')}"


def _render(
    visits: Sequence[Visit], comparison: Comparison | None, blocks: Sequence[Block], profile: Picture | None
) -> str:
    environment = Environment(
        loader=PackageLoader("spinemri.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["inline"] = _inline
    results = [visit.result for visit in visits]
    return environment.get_template("report.html.j2").render(
        visits=visits,
        comparison=comparison,
        headlines=headlines(visits, comparison),
        tiles=tiles(results),
        findings=findings(visits, comparison),
        blocks=blocks,
        profile=profile,
        colours={"mass": MASS_COLOUR, "canal": CANAL_COLOUR, "cord": CORD_COLOUR},
        groups=measurement_groups(results),
        changes=change_rows(comparison) if comparison else (),
        course=course(comparison) if comparison else (),
        levels=level_rows(results),
        series=[(visit, series_rows(visit.result)) for visit in visits],
        software=results[-1].measurements.software,
        viewer=viewer_data(visits),
        library=viewer_library(),
    )
