"""Where a patient moved between two series of one study: the shift that brings what was segmented together (SimpleITK).

Images of two weightings have little in common, least of all where fat is suppressed in one of them: mutual information
of the images themselves put one in five post-contrast series of generated patients that had not moved 1 to 7 mm beside
where it lay. What is segmented as canal, bone and disc looks alike in all of them, and agrees to a tenth of a
millimetre (`docs/results.md`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from spinemri.anatomy.model import TissueMap
from spinemri.errors import Flag, Severity
from spinemri.intake.model import Role
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume, resample

__all__ = ["LEAVE_ALONE_MM", "Shift", "estimate_shift", "place_series", "placed", "placed_tissues", "structure_image"]

Shift = NDArray[np.float64]
"""(3,), LPS mm to add to the positions of a series."""

LEAVE_ALONE_MM = 1.0
"""Shifts below this are within what two weightings differ by at the borders of one spine."""

_BELIEVABLE_MM = 15.0
_EVERY_PIXEL_MM = 1.4
_SMOOTHING_MM = (3.0, 1.5)
_SAMPLING = (1.0, 0.25)
_LEAST_CORRELATION = 0.6
_LOOKS = {
    Tissue.CORD: 1.0,
    Tissue.DURAL_SAC: 1.0,
    Tissue.EPIDURAL: 1.0,
    Tissue.MASS_CANAL: 1.0,
    Tissue.MASS_OUTSIDE: 0.3,
    Tissue.DISC: -0.3,
    Tissue.POSTERIOR_ELEMENTS: -0.7,
    Tissue.BODY: -1.0,
    Tissue.SACRUM: -1.0,
}
"""Grey value of each tissue; what the canal holds looks alike, as one weighting may show it otherwise than another."""


def structure_image(tissues: TissueMap) -> Volume:
    """Draw canal, bones and discs in grey values of their own, so that series of all weightings look alike."""
    drawn = sum(tissues.coverage[int(tissue)] * np.float32(grey) for tissue, grey in _LOOKS.items())
    return Volume(np.asarray(drawn, dtype=np.float32), tissues.affine, tissues.frame_of_reference_uid)


def estimate_shift(fixed: Volume, moving: Volume) -> Shift:
    """Estimate how far a series must be moved to lie on another one of the same patient.

    Translation with the least mean square of differences, coarse to fine; voxels are drawn with a fixed seed on one
    thread, so that the result is reproducible.

    Parameters
    ----------
    fixed, moving : Volume
        From `structure_image`.

    Returns
    -------
    (3,) ndarray of float64
        LPS mm to add to the moving image's positions. Zeros below `LEAVE_ALONE_MM`, where the images do not agree even
        then (correlation 0.6), where the result is beyond belief (more than 15 mm), or where a series has fewer than
        four slices.
    """
    registration = _registration()
    try:
        found = registration.Execute(_image(fixed), _image(moving))
    except RuntimeError:  # SimpleITK's word for images that hardly overlap, or are too thin to be smoothed
        return np.zeros(3)
    # The metric's sums differ in the last bits from run to run; a hundredth of a millimetre is the same every time.
    shift: Shift = np.round(-np.array(found.TransformPoint((0.0, 0.0, 0.0))), 2) + 0.0
    believable = LEAVE_ALONE_MM <= np.linalg.norm(shift) <= _BELIEVABLE_MM
    return shift if believable and _agreement(fixed, placed(moving, shift)) >= _LEAST_CORRELATION else np.zeros(3)


def placed(volume: Volume, shift_mm: Shift) -> Volume:
    """Return a volume shifted in space; no voxel is resampled."""
    return Volume(volume.array, _shifted(volume.affine, shift_mm), volume.frame_of_reference_uid)


def placed_tissues(tissues: TissueMap, shift_mm: Shift) -> TissueMap:
    """Return a tissue map shifted in space; no voxel is resampled."""
    return replace(tissues, affine=_shifted(tissues.affine, shift_mm))


def _shifted(affine: NDArray[np.float64], shift_mm: Shift) -> NDArray[np.float64]:
    out = affine.copy()
    out[:3, 3] += shift_mm
    return out


def place_series(
    images: Mapping[Role, Volume], shifts: Mapping[Role, Shift], primary: Role
) -> tuple[dict[Role, Volume], tuple[Flag, ...]]:
    """Move series onto the primary where the patient moved between them.

    Parameters
    ----------
    images : mapping of Role to Volume
        Canonical images of one study.
    shifts : mapping of Role to (3,) ndarray
        From `estimate_shift`.
    primary : Role

    Returns
    -------
    images : dict of Role to Volume
    flags : tuple of Flag
        SERIES_MOVED for every series that was moved.
    """
    moved = {role: shift for role, shift in shifts.items() if shift.any()}
    flags = tuple(_moved_flag(role, primary, shift) for role, shift in moved.items())
    return {**images, **{role: placed(images[role], shift) for role, shift in moved.items()}}, flags


def _moved_flag(role: Role, primary: Role, shift_mm: Shift) -> Flag:
    left, back, up = (round(float(mm), 1) + 0.0 for mm in shift_mm)
    return Flag(
        "SERIES_MOVED",
        f"Series {role.value} was moved by {left} mm left, {back} mm posterior, {up} mm superior onto {primary.value}: "
        "the patient moved between them.",
        Severity.INFO,
    )


def _agreement(fixed: Volume, moving: Volume) -> float:
    """Correlation where the moving image has data."""
    there = resample(moving.with_array(np.ones(moving.shape, np.float32)), fixed.grid).array > 0.5
    one, other = fixed.array[there], resample(moving, fixed.grid).array[there]
    if there.sum() < 2 or not one.any() or not other.any():
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _registration() -> sitk.ImageRegistrationMethod:
    registration = sitk.ImageRegistrationMethod()
    registration.SetNumberOfThreads(1)
    registration.SetMetricAsMeanSquares()
    registration.SetMetricSamplingStrategy(registration.RANDOM)
    registration.SetMetricSamplingPercentagePerLevel(list(_SAMPLING), seed=1)
    registration.SetInterpolator(sitk.sitkLinear)
    registration.SetOptimizerAsRegularStepGradientDescent(2.0, 0.02, 60, relaxationFactor=0.6)
    registration.SetOptimizerScalesFromPhysicalShift()
    # `_image` has made the images coarse in plane already; across thick slices nothing can be spared.
    registration.SetShrinkFactorsPerLevel([1, 1])
    registration.SetSmoothingSigmasPerLevel(list(_SMOOTHING_MM))
    registration.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    registration.SetInitialTransform(sitk.TranslationTransform(3), inPlace=False)
    return registration


def _image(volume: Volume) -> sitk.Image:
    """Pixels of a millimetre or two are enough for a shift of a fraction of one."""
    step = [1, *(max(1, round(_EVERY_PIXEL_MM / mm)) for mm in volume.spacing[1:])]
    array = volume.array[:, :: step[1], :: step[2]]
    image = sitk.GetImageFromArray(np.ascontiguousarray(np.transpose(array, (2, 1, 0))))
    image.SetSpacing([float(mm) for mm in np.array(volume.spacing) * step])
    image.SetOrigin([float(mm) for mm in volume.affine[:3, 3]])
    direction = volume.affine[:3, :3] / np.array(volume.spacing)
    # A sheared stack has no orthonormal axes; the nearest rotation is within the error of a shift.
    left, _, right = np.linalg.svd(direction)
    image.SetDirection([float(x) for x in (left @ right).ravel()])
    return image
