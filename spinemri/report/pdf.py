"""The report on two pages of A4, to be read at a glance."""

from __future__ import annotations

from collections.abc import Sequence

from spinemri.followup.record import Comparison
from spinemri.report.pictures import Block
from spinemri.report.print_back import PROFILE_INCH, back_page
from spinemri.report.print_front import footer, front_page
from spinemri.report.profile_plot import profile_picture
from spinemri.report.sheet import Sheet
from spinemri.report.summary import RESEARCH
from spinemri.report.visit import Visit

__all__ = ["report_pdf"]

_DPI = 190


def report_pdf(visits: Sequence[Visit], comparison: Comparison | None, blocks: Sequence[Block]) -> bytes:
    """Return the report as PDF: two pages, whatever there is to say; what has no room is counted.

    Parameters
    ----------
    visits : sequence of Visit
        One, or the visits in order of time.
    comparison : Comparison or None
    blocks : sequence of Block
        The key images of the page.

    Returns
    -------
    bytes
        The same input gives the same bytes.
    """
    made_by = visits[-1].result.measurements.software
    sheet = Sheet("Epidural mass in spine MRI", RESEARCH)
    front_page(sheet, visits, comparison, blocks)
    footer(sheet, 1, f"{made_by.name} {made_by.version}")
    sheet.next_page()
    ends = list(dict.fromkeys((visits[0], visits[-1])))
    back_page(sheet, visits, comparison, profile_picture(ends, size_inch=PROFILE_INCH, dpi=_DPI))
    footer(sheet, 2, f"{made_by.name} {made_by.version}")
    sheet.next_page()
    return sheet.finish()
