"""What the mass stage hands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from spinemri.errors import Flag
from spinemri.volume import Volume

__all__ = ["Compartment", "Mass", "MassComponent", "MassStatus"]

MassStatus = Literal["measured", "not_found", "not_assessable"]
Compartment = Literal["epidural", "foraminal", "paravertebral"]


@dataclass(frozen=True)
class MassComponent:
    """One part of the mass, by compartment, with its volume in ml."""

    compartment: Compartment
    volume_ml: float


@dataclass(frozen=True, eq=False)
class Mass:
    """The epidural mass of one study on the primary sagittal stack's grid.

    Attributes
    ----------
    status : {"measured", "not_found", "not_assessable"}
    probability : Volume
        float32, fraction of each voxel that is mass, zero outside the mask's margin: its sum times the voxel
        volume is the mass volume.
    mask : Volume
        uint8: 8 in the canal, 9 outside it, 0 elsewhere.
    components : tuple of MassComponent
        Largest first.
    truncated : bool
        The mass reaches the edge of the field of view.
    existence : float
        Probability that there is a mass at all: of the likeliest part, reported or not.
    volume_log_sd : float
        Standard deviation of the natural logarithm of the volume; 0 where there is no mass.
    """

    status: MassStatus
    probability: Volume
    mask: Volume
    components: tuple[MassComponent, ...]
    truncated: bool
    existence: float
    volume_log_sd: float
    flags: tuple[Flag, ...] = ()
