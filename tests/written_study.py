"""The analytic spine of `synthetic_result` written as a DICOM study, with its exact mask as NIfTI."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from dicom_writer import T1_HEADER, T1_POST_FS_HEADER, SeriesHeader, write_axial_series, write_sagittal_series
from synthetic_spine import SIGNAL, Spine, axial_grid, centres, sagittal_grid

from spinemri.intake.model import Weighting
from spinemri.volume import Grid, Volume

LEFT_BACK_TO_RIGHT_FRONT = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class WrittenStudy:
    """Where the study lies, its exact mask, and a point in the body of T7."""

    folder: Path
    labels: Path
    inside_t7: tuple[float, float, float]

    @property
    def level(self) -> str:
        """Value of ``--level``."""
        return "T7@" + ",".join(f"{value:.2f}" for value in self.inside_t7)


def image_of(spine: Spine, grid: Grid, weighting: Weighting, frame: str) -> Volume:
    """Signal of each tissue with noise, whole numbers."""
    mean = np.array(SIGNAL[weighting], dtype=float)[spine.tissue(centres(grid))]
    noise = np.random.default_rng(7).normal(0, 10, grid.shape)
    return Volume(np.clip(np.rint(mean + noise), 0, None), grid.affine, frame)


def write_spine(
    folder: Path,
    spine: Spine | None = None,
    *,
    study: str = "study-1",
    date: str = "20240301",
    contrast: bool = True,
    axial: bool = True,
) -> WrittenStudy:
    """Write sagittal T2 and T1 and, where asked, a post-contrast and an axial series."""
    spine = spine or Spine()
    grid, frame = sagittal_grid(spine), f"1.2.3.{len(study)}.{date}"
    images = folder / "dicom"
    facts = {"study": study, "study_date": date}
    write_sagittal_series(image_of(spine, grid, Weighting.T2, frame), images / "a", SeriesHeader(), **facts)
    write_sagittal_series(image_of(spine, grid, Weighting.T1, frame), images / "b", T1_HEADER, **facts)
    if contrast:
        post = image_of(spine, grid, Weighting.OTHER, frame)
        write_sagittal_series(post, images / "c", T1_POST_FS_HEADER, **facts)
    if axial:
        write_axial_series(image_of(spine, axial_grid(spine), Weighting.T2, frame), images / "d", **facts)
    x, y, z = spine.to_lps([0.0, spine.curve(0.0) - 23.0, 0.0])
    return WrittenStudy(images, write_labels(folder / "labels.nii.gz", spine, grid), (x, y, z))


def exact_labels(spine: Spine, grid: Grid) -> np.ndarray:
    """Tissue ids of the spine; the fat under the skin, drawn as epidural space for looks, is left out."""
    points = centres(grid)
    own = spine.to_own(points)
    under_skin = own[..., 1] - spine.curve(own[..., 2]) > 40.0
    return np.where(under_skin, 0, spine.tissue(points)).astype(np.uint8)


def write_labels(path: Path, spine: Spine, grid: Grid) -> Path:
    """Write the exact tissue ids as NIfTI, which is RAS."""
    image = nib.Nifti1Image(exact_labels(spine, grid), LEFT_BACK_TO_RIGHT_FRONT @ grid.affine)
    nib.save(image, path)
    return path
