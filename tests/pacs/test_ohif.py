"""The segmentation on the images, in a viewer that hospitals and researchers use."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from archives import OUR_TITLE, orthanc
from ohif import Shown, ohif_site, served, show_segmentation
from pydicom import dcmread
from written_study import write_spine

from spinemri.cli.values import parse_level
from spinemri.config import Config, ReportSettings
from spinemri.pacs import Policy, parse_peer, send_results
from spinemri.pipeline import Options, run_study

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Viewed:
    """What the viewer showed, and the segmentation that it was given."""

    shown: Shown
    segmentation: Path
    images: list[Path]


@pytest.fixture(scope="module")
def viewed(tmp_path_factory: pytest.TempPathFactory) -> Viewed:
    site = ohif_site()
    folder = tmp_path_factory.mktemp("ohif")
    # Rows of 160 pixels: an Orthanc of this age cuts packed bits into frames only where rows are whole bytes.
    written = write_spine(folder / "study", contrast=False, axial=False)
    level = (parse_level(written.level),)
    tables = Config(report=ReportSettings(html=False))
    run_study(written.folder, folder / "out", Options(config=tables, labels=(written.labels,), levels=level))
    images = sorted(written.folder.rglob("*.dcm"))
    for number, path in enumerate(images):
        shutil.copy(path, folder / "out" / "dicom" / f"image_{number}.dcm")
    with orthanc(folder) as server:
        send_results(folder / "out", parse_peer(server.peer, own=OUR_TITLE), Policy(timeout_s=60.0))
        study_uid = dcmread(images[0], stop_before_pixels=True).StudyInstanceUID
        with served(site, server.web_url) as address:
            shown = show_segmentation(address, study_uid, "RESEARCH epidural mass")
    return Viewed(shown, folder / "out" / "dicom" / "mass_seg.dcm", images)


def test_the_panel_lists_our_segments(viewed: Viewed) -> None:
    assert {"Epidural mass", "Mass in the canal"} <= set(viewed.shown.labels)


def test_the_mass_lies_where_it_was_outlined(viewed: Viewed) -> None:
    """The coloured pixels are those of the frame that belongs to the image shown, scaled to the viewport."""
    shown = viewed.shown
    assert shown.coloured_before == 0
    expected = _scaled(_frame_on_image(viewed), shown.coloured.shape)
    assert expected.sum() > 1000
    overlap = 2 * np.count_nonzero(expected & shown.coloured) / (expected.sum() + shown.coloured.sum())
    # The viewer smooths edges and draws an outline: half a pixel of the viewport along the border of a slim mass.
    assert overlap > 0.9


def test_nobody_else_was_asked(viewed: Viewed) -> None:
    assert {host.partition(":")[0] for host in viewed.shown.hosts} == {"127.0.0.1"}


def _frame_on_image(viewed: Viewed) -> np.ndarray:
    """Mask of the whole mass on the T2 image that the viewer shows."""
    segmentation = dcmread(viewed.segmentation)
    headers = [dcmread(path, stop_before_pixels=True) for path in viewed.images]
    (image,) = (
        header
        for header in headers
        if header.SeriesDescription == "t2_tse_sag" and header.InstanceNumber == viewed.shown.image_number
    )
    (frame,) = (
        number
        for number, item in enumerate(segmentation.PerFrameFunctionalGroupsSequence)
        if item.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 1
        and item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID == image.SOPInstanceUID
    )
    return segmentation.pixel_array[frame].astype(bool)


def _scaled(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The mask in the middle of a viewport, as large as it fits, for square pixels."""
    scale = min(shape[0] / mask.shape[0], shape[1] / mask.shape[1])
    rows, columns = (
        np.floor((np.arange(size) + 0.5 - size / 2) / scale + own / 2).astype(int)
        for size, own in zip(shape, mask.shape, strict=True)
    )
    inside = ((rows >= 0) & (rows < mask.shape[0]))[:, None] & ((columns >= 0) & (columns < mask.shape[1]))[None, :]
    return inside & mask[np.clip(rows, 0, mask.shape[0] - 1)][:, np.clip(columns, 0, mask.shape[1] - 1)]
