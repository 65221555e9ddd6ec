"""Where a patient moved between two series of one study: a shift found by mutual information (SimpleITK)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from spinemri.anatomy.preparation import flatten_illumination
from spinemri.errors import Flag, Severity
from spinemri.intake.model import SAGITTAL_ROLES, Role
from spinemri.volume import Volume

__all__ = ["align_series", "estimate_shift"]

_LEAVE_ALONE_MM = 1.0
_BELIEVABLE_MM = 15.0
_EVERY_PIXEL = 3
_SMOOTHING_MM = (3.0, 1.5)
_SAMPLING = (1.0, 0.25)
_MINIMUM_GAIN = 0.01


def align_series(images: Mapping[Role, Volume], primary: Role) -> tuple[dict[Role, Volume], tuple[Flag, ...]]:
    """Move every other sagittal series onto the primary where the patient moved between them.

    Only the geometry changes, no voxel is resampled. Series in another frame of reference are left alone, and so is
    a shift below 1 mm, which is within the error of the estimate.

    Parameters
    ----------
    images : mapping of Role to Volume
        Canonical images of one study.
    primary : Role

    Returns
    -------
    images : dict of Role to Volume
    flags : tuple of Flag
        SERIES_MOVED for every series that was moved.
    """
    fixed = images[primary]
    moved, flags = dict(images), []
    for role in SAGITTAL_ROLES:
        volume = images.get(role)
        if volume is None or role is primary or volume.frame_of_reference_uid != fixed.frame_of_reference_uid:
            continue
        shift = estimate_shift(fixed, volume)
        distance = float(np.linalg.norm(shift))
        if distance >= _LEAVE_ALONE_MM:
            moved[role] = _shifted(volume, shift)
            flags.append(_moved_flag(role, primary, shift))
    return moved, tuple(flags)


def _shifted(volume: Volume, shift_mm: NDArray[np.float64]) -> Volume:
    affine = volume.affine.copy()
    affine[:3, 3] += shift_mm
    return Volume(volume.array, affine, volume.frame_of_reference_uid)


def _moved_flag(role: Role, primary: Role, shift_mm: NDArray[np.float64]) -> Flag:
    left, back, up = (round(float(mm), 1) + 0.0 for mm in shift_mm)
    return Flag(
        "SERIES_MOVED",
        f"Series {role.value} was moved by {left} mm left, {back} mm posterior, {up} mm superior onto {primary.value}: "
        "the patient moved between them.",
        Severity.INFO,
    )


def estimate_shift(fixed: Volume, moving: Volume) -> NDArray[np.float64]:
    """Estimate how far a series must be moved to lie on another one of the same patient.

    Translation that maximises Mattes mutual information (Mattes et al. 2001), coarse to fine, on images with
    flattened illumination; voxels are drawn with a fixed seed on one thread, so that the result is reproducible.

    Parameters
    ----------
    fixed, moving : Volume
        Canonical sagittal stacks, any contrast.

    Returns
    -------
    (3,) ndarray of float64
        LPS mm to add to the moving image's positions; zeros where the images agree no better than before, or
        where the result is beyond belief (more than 15 mm).
    """
    registration = _registration()
    still = sitk.TranslationTransform(3)
    registration.SetInitialTransform(still, inPlace=False)
    target, source = _image(fixed), _image(moving)
    try:
        before = registration.MetricEvaluate(target, source)
        found = registration.Execute(target, source)
    except RuntimeError:  # SimpleITK's word for images that hardly overlap
        return np.zeros(3)
    shift: NDArray[np.float64] = -np.array(found.TransformPoint((0.0, 0.0, 0.0)))
    gained = before - registration.GetMetricValue()
    if gained < _MINIMUM_GAIN or np.linalg.norm(shift) > _BELIEVABLE_MM:
        return np.zeros(3)
    # The metric's sums differ in the last bits from run to run; a hundredth of a millimetre is the same every time.
    return np.round(shift, 2) + 0.0


def _registration() -> sitk.ImageRegistrationMethod:
    registration = sitk.ImageRegistrationMethod()
    registration.SetNumberOfThreads(1)
    registration.SetMetricAsMattesMutualInformation(32)
    registration.SetMetricSamplingStrategy(registration.RANDOM)
    registration.SetMetricSamplingPercentagePerLevel(list(_SAMPLING), seed=1)
    registration.SetInterpolator(sitk.sitkLinear)
    registration.SetOptimizerAsRegularStepGradientDescent(2.0, 0.02, 60, relaxationFactor=0.6)
    # `_image` has made the images coarse in plane already; across thick slices nothing can be spared.
    registration.SetShrinkFactorsPerLevel([1, 1])
    registration.SetSmoothingSigmasPerLevel(list(_SMOOTHING_MM))
    registration.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    return registration


def _image(volume: Volume) -> sitk.Image:
    """Every third pixel in plane is enough for a shift of a millimetre."""
    flat = flatten_illumination(volume)
    step = _EVERY_PIXEL
    array = flat.array[:, ::step, ::step]
    image = sitk.GetImageFromArray(np.ascontiguousarray(np.transpose(array, (2, 1, 0))))
    spacing = np.array(volume.spacing) * (1, step, step)
    image.SetSpacing([float(mm) for mm in spacing])
    image.SetOrigin([float(mm) for mm in volume.affine[:3, 3]])
    direction = volume.affine[:3, :3] / np.array(volume.spacing)
    # A sheared stack has no orthonormal axes; the nearest rotation is within the error of a shift.
    left, _, right = np.linalg.svd(direction)
    image.SetDirection([float(x) for x in (left @ right).ravel()])
    return image
