"""From a source to a cohort: a tree of DICOM studies, a BIDS dataset, or a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spinemri.batch.bids_tree import find_bids_visits, is_bids
from spinemri.batch.dicom_tree import find_dicom_visits
from spinemri.batch.listed import read_listed_visits, read_radiotherapy
from spinemri.batch.model import Cohort
from spinemri.errors import InputError
from spinemri.intake.pseudonyms import Deidentification

__all__ = ["find_cohort"]


def find_cohort(
    source: Path,
    deidentification: Deidentification | None = None,
    listener: Callable[[int], None] = lambda _count: None,
) -> Cohort:
    """Find and pair all subjects and visits.

    A folder may hold ``participants.tsv`` with columns ``rt_start``, ``rt_end``, ``rt_dose_gy``, ``rt_fractions`` and
    ``rt_levels``.

    Parameters
    ----------
    source : Path
        Folder, or a CSV or TSV file.
    deidentification : Deidentification or None
        What names of subjects found in DICOM headers are derived from.
    listener : callable
        Hears how many files or visits were looked at so far.

    Returns
    -------
    Cohort

    Raises
    ------
    InputError
        NOT_FOUND, SOURCE_UNREADABLE, NO_VISITS, DUPLICATE_VISIT or BAD_COHORT_LIST.
    """
    if not source.exists():
        raise InputError("NOT_FOUND", "The source does not exist.", "Check the path.")
    # Workers have another current folder.
    source = source.absolute()
    if source.is_file():
        visits, treatments = read_listed_visits(source, listener)
        return Cohort.of(source.parent, visits, treatments)
    if is_bids(source):
        visits = find_bids_visits(source, listener)
    else:
        visits = find_dicom_visits(source, deidentification, listener)
    table = source / "participants.tsv"
    return Cohort.of(source, visits, read_radiotherapy(table) if table.is_file() else None)
