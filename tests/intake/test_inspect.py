"""Rows for the inspection table."""

from dicom_writer import T1_POST_FS_HEADER, write_sagittal_series

from spinemri.intake import list_studies
from spinemri.intake.inspect import inspection_rows


def test_one_row_per_stack_then_one_per_rejected_file(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path)
    write_sagittal_series(make_volume(), tmp_path, T1_POST_FS_HEADER)
    (tmp_path / "notes.txt").write_text("x")
    t2, post, stray = inspection_rows(list_studies(tmp_path))
    assert (t2.plane, t2.weighting, t2.fat_suppressed, t2.contrast_enhanced) == ("sagittal", "T2", "no", "?")
    assert (t2.slices, t2.matrix, t2.spacing_mm) == (7, "40 x 48", "0.65 x 0.80 x 3.70")
    assert (post.fat_suppressed, post.contrast_enhanced, post.role) == ("yes", "yes", "sagittal_t1_post_fs")
    assert len(post.evidence) == 6
    assert (stray.is_stack, stray.stack, stray.code) == (False, "notes.txt", "NOT_DICOM")


def test_what_studies_share_among_the_rejected_is_listed_once(tmp_path, make_volume):
    write_sagittal_series(make_volume(), tmp_path)
    write_sagittal_series(make_volume(), tmp_path / "b", study="two", study_date="20210101")
    (tmp_path / "notes.txt").write_text("x")
    rows = inspection_rows(list_studies(tmp_path))
    assert [(row.study, row.is_stack) for row in rows] == [(1, True), (1, False), (2, True)]
