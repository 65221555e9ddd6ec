"""The pages of a cohort: what came out, and a gallery to rate each case in. Both open without a network."""

from pathlib import Path

from spinemri.batch.pages.cohort import cohort_page
from spinemri.batch.pages.gallery import gallery_page
from spinemri.batch.results import CohortResult
from spinemri.batch.tables import replace_file

__all__ = ["write_pages"]


def write_pages(result: CohortResult, out: Path) -> None:
    """Write ``cohort.html`` and ``gallery.html``, which shows the pictures in ``gallery/``.

    Parameters
    ----------
    result : CohortResult
    out : Path
        Folder of the cohort's results.
    """
    replace_file(out / "cohort.html", cohort_page(result).encode())
    replace_file(out / "gallery.html", gallery_page(result, out).encode())
