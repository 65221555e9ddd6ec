"""What the anatomy stage hands on: tissues, centreline, levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spinemri.errors import Flag
from spinemri.nomenclature import Tissue
from spinemri.volume import Grid, Volume

__all__ = ["Alternative", "Anatomy", "Centreline", "Disc", "Levels", "Numbering", "TissueMap", "Vertebra"]

Numbering = Literal["absolute", "relative", "unknown"]


@dataclass(frozen=True, eq=False)
class TissueMap:
    """Fraction of each voxel that each tissue takes.

    Attributes
    ----------
    coverage : (10, ni, nj, nk) ndarray of float32
        Indexed by `Tissue`; sums to one over the first axis.
    affine : (4, 4) ndarray
        Voxel index to LPS mm, canonical axes.
    frame_of_reference_uid : str
    """

    coverage: NDArray[np.float32]
    affine: NDArray[np.float64]
    frame_of_reference_uid: str = ""

    def __post_init__(self) -> None:
        if self.coverage.ndim != 4 or self.coverage.shape[0] != len(Tissue):
            raise ValueError(f"coverage must be ({len(Tissue)}, i, j, k), got {self.coverage.shape}")

    @classmethod
    def from_labels(cls, labels: Volume) -> TissueMap:
        """Build a map of zeros and ones from a volume of tissue ids."""
        ids = np.arange(len(Tissue)).reshape(-1, 1, 1, 1)
        coverage = (labels.array[None] == ids).astype(np.float32)
        coverage[0] = 1.0 - coverage[1:].sum(0)
        return cls(coverage, labels.affine, labels.frame_of_reference_uid)

    @property
    def grid(self) -> Grid:
        """Where the voxels lie."""
        _, ni, nj, nk = self.coverage.shape
        return Grid((ni, nj, nk), self.affine)

    def fraction(self, *tissues: Tissue) -> Volume:
        """Return the summed fraction of some tissues, float32 in 0..1."""
        return self._volume(self.coverage[[int(t) for t in tissues]].sum(0))

    @cached_property
    def labels(self) -> Volume:
        """Tissue id of the largest fraction per voxel, uint8; the dura encloses what it fills by half.

        Outside the dura there are many tissues, inside only cord and the rest of the sac. Were all asked at once, a
        voxel less than half of which is inside could count as sac.
        """
        cord, sac = (self.coverage[int(tissue)] for tissue in (Tissue.CORD, Tissue.DURAL_SAC))
        outside = np.array([int(tissue) for tissue in Tissue if tissue not in {Tissue.CORD, Tissue.DURAL_SAC}])
        most = outside[self.coverage[outside].argmax(0)]
        within = np.where(cord >= sac, int(Tissue.CORD), int(Tissue.DURAL_SAC))
        return self._volume(np.where(cord + sac >= 0.5, within, most).astype(np.uint8))

    @property
    def canal(self) -> Volume:
        """Fraction inside the bony canal: cord, sac, epidural space and mass in the canal."""
        return self.fraction(Tissue.CORD, Tissue.DURAL_SAC, Tissue.EPIDURAL, Tissue.MASS_CANAL)

    @property
    def sac(self) -> Volume:
        """Fraction inside the dura: cord and the rest of the sac."""
        return self.fraction(Tissue.CORD, Tissue.DURAL_SAC)

    def _volume(self, array: NDArray[Any]) -> Volume:
        return Volume(array, self.affine, self.frame_of_reference_uid)


@dataclass(frozen=True, eq=False)
class Centreline:
    """Centre of the bony canal, sampled every `step_mm`, from cranial to caudal.

    Attributes
    ----------
    points_lps : (n, 3) ndarray
        LPS mm.
    tangent, posterior, left : (n, 3) ndarray
        Orthonormal frame at each point: along the canal (caudal), to the back, to the patient's left.
    step_mm : float
        Arc length between neighbouring points.
    """

    points_lps: NDArray[np.float64]
    tangent: NDArray[np.float64]
    posterior: NDArray[np.float64]
    left: NDArray[np.float64]
    step_mm: float = 1.0

    def __len__(self) -> int:
        return len(self.points_lps)

    @property
    def arc_length_mm(self) -> NDArray[np.float64]:
        """Distance of each point from the cranial end along the canal, (n,) mm."""
        return np.arange(len(self), dtype=np.float64) * self.step_mm

    def nearest(self, lps: NDArray[np.float64]) -> NDArray[np.intp]:
        """Index of the centreline point nearest to each point (..., 3) in LPS mm."""
        flat = np.asarray(lps, dtype=float).reshape(-1, 3)
        distance = np.linalg.norm(flat[:, None] - self.points_lps[None], axis=-1)
        return np.asarray(distance.argmin(1)).reshape(np.shape(lps)[:-1])


@dataclass(frozen=True)
class Vertebra:
    """One vertebra: its name, where its body's centre lies, and how sure the name is.

    `name` is None while the numbering is unknown. `complete` is False where the field of view cuts the body.
    """

    name: str | None
    centre_lps_mm: tuple[float, float, float]
    complete: bool
    confidence: float


@dataclass(frozen=True)
class Disc:
    """One intervertebral disc, named after the vertebrae it separates."""

    name: str | None
    centre_lps_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Alternative:
    """The second most probable numbering: how it names the topmost and the lowest body, and its probability."""

    topmost: str | None
    lowest: str | None
    probability: float


@dataclass(frozen=True)
class Levels:
    """Vertebrae and discs from cranial to caudal, with what their names rest on.

    Attributes
    ----------
    numbering : {"absolute", "relative", "unknown"}
        `relative`: names are the most likely ones but nothing anchors them.
    anchor : str
        ``"sacrum"``, ``"C2"``, ``"user"``, ``"localizer:sacrum"``, ``"localizer:C2"``, ``"baseline"``,
        ``"labels:totalspineseg"``, ``"labels:spineps"``, ``"labels:sct"`` or ``"none"``.
    confidence : float
        Probability that the names are right.
    alternative : Alternative or None
        The next most probable names.
    """

    vertebrae: tuple[Vertebra, ...]
    discs: tuple[Disc, ...]
    numbering: Numbering
    anchor: str
    confidence: float
    flags: tuple[Flag, ...] = ()
    alternative: Alternative | None = None

    def vertebra_at(self, point_lps: Sequence[float], within_mm: float) -> int | None:
        """Return the index of the vertebra whose centre lies nearest to a place; None if none is that near."""
        away = [float(np.linalg.norm(np.subtract(v.centre_lps_mm, point_lps))) for v in self.vertebrae]
        return int(np.argmin(away)) if away and min(away) <= within_mm else None


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Everything known about the normal structures of one study, on the primary stack's grid.

    Attributes
    ----------
    tissues : TissueMap
        Fractions per voxel on the primary sagittal stack's canonical grid.
    centreline : Centreline or None
        None where no canal was found.
    levels : Levels
    level_map : Volume
        uint8 ids of vertebrae and discs (VerSe, discs 100 + id); 0 elsewhere.
    model_sha256 : str
        Of the network that made it; empty for masks from elsewhere.
    """

    tissues: TissueMap
    centreline: Centreline | None
    levels: Levels
    level_map: Volume
    model_sha256: str = ""
    flags: tuple[Flag, ...] = field(default=())
