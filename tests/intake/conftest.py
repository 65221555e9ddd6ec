"""Oblique, anisotropic volumes, and dcm2niix as an independent reader of geometry."""

import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spinemri.volume import Volume, canonical

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(scope="session")
def make_volume():
    """Make a canonical volume of distinct integers, oblique and anisotropic unless told otherwise."""

    def make(
        shape=(7, 40, 48), spacing=(3.7, 0.65, 0.8), angles=(6.0, -9.0, 4.0), origin=(-11.3, -80.2, -35.1), seed=0
    ):
        affine = np.eye(4)
        affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(spacing)
        affine[:3, 3] = origin
        values = np.random.default_rng(seed).integers(0, 4000, shape).astype(np.float32)
        return Volume(values, affine, "1.2.3.4")

    return make


@pytest.fixture(scope="session")
def read_nifti():
    """Read a NIfTI with nibabel alone as a canonical LPS volume."""

    def read(path: Path) -> Volume:
        image = nib.load(path)
        return canonical(Volume(np.asarray(image.dataobj, dtype=np.float32), RAS_TO_LPS @ image.affine))

    return read


@pytest.fixture(scope="session")
def dcm2niix(read_nifti):
    """Convert a folder with dcm2niix; returns canonical LPS volumes."""
    program = shutil.which("dcm2niix")
    if program is None:
        pytest.skip("dcm2niix is not installed")

    def convert(folder: Path, out: Path) -> list[Volume]:
        out.mkdir()
        command = [program, "-b", "n", "-f", "%s_%r_%u", "-o", str(out), str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        return [read_nifti(path) for path in sorted(out.glob("*.nii"))]

    return convert
