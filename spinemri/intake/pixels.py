"""Decoding: from a slice plan to a canonical volume, with undecodable slices repaired or refused."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from spinemri.errors import Flag, InputError
from spinemri.intake.enhanced import functional_group
from spinemri.intake.fields import number, text
from spinemri.intake.model import Stack
from spinemri.intake.slices import SlicePlan
from spinemri.intake.sources import Source
from spinemri.intake.tags import Frame
from spinemri.volume import Volume, canonical

__all__ = ["DicomReader", "PixelReader", "read_pixels"]

_MAX_LOST_FRACTION = 0.10
_MIN_SLICES_TO_REPAIR = 5


@runtime_checkable
class PixelReader(Protocol):
    """A `Stack.reader` that can also say what it had to repair."""

    def __call__(self) -> Volume:
        """Return the volume alone."""

    def read(self) -> tuple[Volume, tuple[Flag, ...]]:
        """Return the volume and what had to be repaired."""


def read_pixels(stack: Stack) -> tuple[Volume, tuple[Flag, ...]]:
    """Read a stack's pixels and say what had to be repaired.

    Parameters
    ----------
    stack : Stack

    Returns
    -------
    volume : Volume
        Canonical float32, on ``stack.grid``.
    flags : tuple of Flag
        ``CORRUPT_SLICES`` where undecodable slices were interpolated from their neighbours.

    Raises
    ------
    InputError
        PIXELS_UNREADABLE if more slices are lost than can be interpolated.
    """
    if isinstance(stack.reader, PixelReader):
        return stack.reader.read()
    return stack.load(), ()


@dataclass(frozen=True, eq=False)
class DicomReader:
    """Reads the pixels of one stack of DICOM frames.

    Attributes
    ----------
    name : str
        How messages call the stack.
    frames : tuple of Frame
        In the order of the plan.
    plan : SlicePlan
    """

    name: str
    frames: tuple[Frame, ...]
    plan: SlicePlan

    def __call__(self) -> Volume:
        """Return the canonical volume."""
        return self.read()[0]

    def read(self) -> tuple[Volume, tuple[Flag, ...]]:
        """Return the canonical float32 volume and what had to be repaired.

        Raises
        ------
        InputError
            PIXELS_UNREADABLE.
        """
        images, lost = _decode(self.frames)
        flags = self._check(lost)
        _fill(images, lost)
        lower, upper, weight = self.plan.lower, self.plan.upper, self.plan.weight[:, None, None]
        slices = (1 - weight) * images[lower] + weight * images[upper] if np.any(weight) else images[lower]
        array = np.transpose(slices.astype(np.float32, copy=False), (2, 1, 0))
        return canonical(Volume(array, self.plan.grid.affine, self.frames[0].frame_of_reference_uid)), flags

    def _check(self, lost: dict[int, str]) -> tuple[Flag, ...]:
        """Refuse a stack that lost too much, or flag what will be interpolated."""
        if not lost:
            return ()
        total = len(self.frames)
        # Neither names of files nor what a decoder says: both may quote the patient's name.
        what = f"{len(lost)} of {total} slices of {self.name} cannot be decoded ({lost[min(lost)]})"
        neighbours = any(index + 1 in lost for index in lost)
        if neighbours or total < _MIN_SLICES_TO_REPAIR or len(lost) > max(1, _MAX_LOST_FRACTION * total):
            raise InputError("PIXELS_UNREADABLE", f"{what}.", "Export the series again from the archive.")
        return (Flag("CORRUPT_SLICES", f"{what}; they were interpolated from their neighbours."),)


def _decode(frames: Sequence[Frame]) -> tuple[NDArray[np.float32], dict[int, str]]:
    """Return images (n, rows, columns) and, for each frame that failed, why; each file is opened once."""
    images = np.zeros((len(frames), frames[0].rows, frames[0].columns), dtype=np.float32)
    lost: dict[int, str] = {}
    places: dict[Source, list[int]] = defaultdict(list)
    for place, frame in enumerate(frames):
        places[frame.source].append(place)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for source, wanted in places.items():
            for place, image in _decode_file(source, [(place, frames[place].index) for place in wanted]):
                if isinstance(image, str):
                    lost[place] = image
                elif image.shape != images.shape[1:]:
                    lost[place] = f"image of {image.shape[0]} x {image.shape[-1]} pixels"
                else:
                    images[place] = image
    return images, lost


def _decode_file(source: Source, wanted: list[tuple[int, int]]) -> list[tuple[int, NDArray[Any] | str]]:
    """Return (place, image or reason of failure) for the frames wanted from one file."""
    try:
        with source.open() as stream:
            dataset = pydicom.dcmread(stream, force=True)
        _ensure_transfer_syntax(dataset)
    except Exception as error:  # noqa: BLE001 - a broken file may raise anything
        return [(place, type(error).__name__) for place, _ in wanted]
    return [(place, _decode_frame(dataset, index)) for place, index in wanted]


def _ensure_transfer_syntax(dataset: pydicom.FileDataset) -> None:
    """Name the encoding that a file without meta information was read with; such files are never compressed."""
    if "TransferSyntaxUID" in dataset.file_meta:
        return
    implicit, little = dataset.original_encoding
    uncompressed = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else uncompressed


def _decode_frame(dataset: Dataset, index: int) -> NDArray[Any] | str:
    try:
        stored = pixel_array(dataset, index=index)
        return _physical(stored, dataset, index)
    except Exception as error:  # noqa: BLE001 - decoders raise their own kinds
        return type(error).__name__


def _physical(stored: NDArray[Any], dataset: Dataset, index: int) -> NDArray[np.float32]:
    """Invert MONOCHROME1, then apply rescale slope and intercept (DICOM PS3.3 C.11.1.1.2)."""
    values = stored.astype(np.float64)
    if text(dataset, "PhotometricInterpretation") == "MONOCHROME1":
        bits, signed = int(dataset.BitsStored), int(dataset.PixelRepresentation)
        values = (-1 if signed else 2**bits - 1) - values
    rescale = functional_group(dataset, index, "PixelValueTransformationSequence")
    holder = rescale if "RescaleSlope" in rescale else dataset
    slope, intercept = number(holder, "RescaleSlope") or 1.0, number(holder, "RescaleIntercept") or 0.0
    out = (values * slope + intercept).astype(np.float32)
    if not np.all(np.isfinite(out)):
        out = np.nan_to_num(out, nan=0.0, posinf=0.0, neginf=0.0)
    return out


def _fill(images: NDArray[np.float32], lost: dict[int, str]) -> None:
    """Replace lost slices by the mean of their neighbours, an outermost one by its only neighbour."""
    for place in lost:
        beside = [index for index in (place - 1, place + 1) if 0 <= index < len(images)]
        images[place] = np.mean(images[beside], axis=0)
