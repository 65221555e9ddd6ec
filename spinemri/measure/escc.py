"""Epidural spinal cord compression: the evidence, and a grade by rule.

The scale is that of Bilsky et al., J Neurosurg Spine 2010;13:324-328. For a mass that starts in the epidural space
grade 0 (bone only) is not used. The rule's limits below are ours; they are reported beside every number they
are applied to, so that a reader can disagree with the grade and keep the evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemri.errors import Flag, Severity
from spinemri.measure.planes import FloatMap, SectionStack
from spinemri.measure.profile import number
from spinemri.measure.references import CORD_AREA_MM2, References, above_any_conus, below_any_conus, conus_index
from spinemri.measure.sections import SMALLEST_AREA_MM2, Sections, smooth_along

__all__ = ["EsccEvidence", "escc_evidence", "escc_grade", "mass_cord_distance_mm", "why_no_cord", "why_no_grade"]

SAC_DEFORMED_RATIO = 0.85
"""Sacs at corresponding places of neighbouring segments differ by up to a tenth in health."""
CORD_COMPRESSED_RATIO = 0.85
CORD_TOUCHED_MM = 1.0
"""Dura and one in-plane voxel: a gap below this cannot be told from contact."""
COMPRESSED_GAP_MM = 2.0
"""The same beside a compressed cord: where mass, dura and flattened cord meet, a voxel or two belong to none of them by
half, and a grade that is too low does more harm than one that is too high."""
CSF_VISIBLE_FRACTION = 0.15
"""Smaller shares of the sac are the soft border of the cord, not a rim of fluid; in health about 0.7 is fluid."""
CSF_VISIBLE_MM2 = 6.0
"""A dozen pixels: where sac and cord are both pressed flat, a large share of little is nothing that can be seen."""
RAYS, RAY_MM, RAY_STEP_MM = 48, 20.0, 0.1
LEAST_CROSSED_MM = 0.5
SAC_SHUT_RATIO = 0.35
"""With less of its area left, the sac has no room for a cord that could be outlined."""


@dataclass(frozen=True)
class EsccEvidence:
    """What the grade rests on, at the worst section; NaN where not measurable.

    Attributes
    ----------
    sac_ap_ratio, sac_area_ratio : float
        AP diameter and area of the sac over those of the reference sections.
    mass_cord_distance_mm : float
        Shortest distance between the borders of mass and cord in the section plane.
    cord_ap_ratio, cord_area_ratio : float
        The same ratios of the cord.
    csf_fraction, csf_area_mm2 : float
        Part of the sac's area that is not cord, and that area.
    """

    sac_ap_ratio: float
    sac_area_ratio: float
    mass_cord_distance_mm: float
    cord_ap_ratio: float
    cord_area_ratio: float
    csf_fraction: float
    csf_area_mm2: float

    @property
    def complete(self) -> bool:
        """Whether every input of the rule is known."""
        return all(np.isfinite(v) for v in vars(self).values())

    @property
    def sac_deformed(self) -> bool:
        """The sac is smaller than 85 % of its references, in AP diameter or in area."""
        return min(self.sac_ap_ratio, self.sac_area_ratio) < SAC_DEFORMED_RATIO

    @property
    def cord_touched(self) -> bool:
        """The mass reaches the cord, as far as voxels can tell."""
        limit_mm = COMPRESSED_GAP_MM if self.cord_compressed else CORD_TOUCHED_MM
        return self.mass_cord_distance_mm < limit_mm

    @property
    def csf_visible(self) -> bool:
        """Fluid can be seen around the cord: enough of it, and enough of the sac."""
        return self.csf_fraction >= CSF_VISIBLE_FRACTION and self.csf_area_mm2 >= CSF_VISIBLE_MM2

    @property
    def cord_compressed(self) -> bool:
        """The cord is smaller than 85 % of its references, in AP diameter or in area."""
        return min(self.cord_ap_ratio, self.cord_area_ratio) < CORD_COMPRESSED_RATIO

    def record(self, grade: str | None) -> dict[str, float | str | bool | None]:
        """Return the evidence as a flat mapping, with what is said of it if a grade was given."""
        values: dict[str, float | str | bool | None] = {k: number(v) for k, v in vars(self).items()}
        if grade is None:
            return values
        return values | {
            "sac_deformed": self.sac_deformed,
            "cord_touched": self.cord_touched,
            "cord_compressed": self.cord_compressed,
            "csf_visible": self.csf_visible,
            "high_grade": grade in ("2", "3"),
        }


def mass_cord_distance_mm(stack: SectionStack, index: int) -> float:
    """Return the shortest distance in a section plane between mass and cord in mm.

    Along rays from the cord's centre the gap is the way to the middle of the mass, less what the ray crosses of the
    cord and less half of what it crosses of the mass: lengths and middles are not changed by the averaging over thick
    slices, whereas borders at half coverage are. The median over three neighbouring sections of the shortest gap.

    Parameters
    ----------
    stack : SectionStack
    index : int
        Section.

    Returns
    -------
    float
        NaN where either is missing.
    """
    near = [i for i in range(max(0, index - 1), min(len(stack.cut), index + 2)) if not stack.cut[i]]
    gaps = [_gap_mm(stack.cord[i], stack.mass[i], stack.offsets_mm) for i in near]
    known = [gap for gap in gaps if np.isfinite(gap)]
    return float(np.median(known)) if known else float("nan")


def _gap_mm(cord: FloatMap, mass: FloatMap, offsets_mm: NDArray[np.float64]) -> float:
    """Shortest gap along any ray of one section; NaN where cord or mass is missing."""
    filled = np.maximum(cord, 0.0)
    total = float(filled.sum())
    if total * (offsets_mm[1] - offsets_mm[0]) ** 2 < SMALLEST_AREA_MM2:
        return float("nan")
    centre = np.array([filled.sum(1) @ offsets_mm, filled.sum(0) @ offsets_mm]) / total
    angle = np.arange(RAYS) * (2 * np.pi / RAYS)
    way = np.arange(0.0, RAY_MM, RAY_STEP_MM)
    points = centre[:, None, None] + np.stack([np.cos(angle), np.sin(angle)])[..., None] * way
    at = (points - offsets_mm[0]) / (offsets_mm[1] - offsets_mm[0])
    cord_way, mass_way = (ndimage.map_coordinates(one, at, order=1, mode="constant") for one in (cord, mass))
    crossed = np.cumsum(np.clip(mass_way, 0.0, 1.0), axis=1) * RAY_STEP_MM
    half = 0.5 * crossed[:, -1]
    middle = way[(crossed >= half[:, None]).argmax(1)]
    gap = middle - np.clip(cord_way, 0.0, 1.0).sum(1) * RAY_STEP_MM - half
    gap = gap[crossed[:, -1] >= LEAST_CROSSED_MM]
    return max(0.0, float(gap.min())) if len(gap) else float("nan")


def escc_evidence(stack: SectionStack, sections: Sections, references: References, worst: int) -> EsccEvidence:
    """Collect the evidence at one section.

    Parameters
    ----------
    stack : SectionStack
    sections : Sections
    references : References
        At corresponding places of their segments (see `same_place`). One side is enough here: neighbours are needed,
        not an interpolation between two. Of two, the thinner cord counts, since the cord is thicker at its
        enlargements, and the mean of the sacs.
    worst : int
        Section.

    Returns
    -------
    EsccEvidence
    """

    def here(name: Literal["sac", "cord"], quantity: str) -> float:
        """Smooth along the canal and take the worst section."""
        return float(smooth_along(getattr(sections.known(name), quantity), step_mm=sections.step_mm)[worst])

    def ratio(name: Literal["sac", "cord"], quantity: str) -> float:
        """Compare the worst section with what the structure would have there; NaN if that is not known."""
        beside = references.least_of_known if name == "cord" else references.mean_of_known
        reference = beside(f"{name}_{quantity}")
        return here(name, quantity) / reference if reference > 0 else float("nan")

    sac, cord = here("sac", "area_mm2"), here("cord", "area_mm2")
    return EsccEvidence(
        sac_ap_ratio=ratio("sac", "ap_mm"),
        sac_area_ratio=ratio("sac", "area_mm2"),
        mass_cord_distance_mm=mass_cord_distance_mm(stack, worst),
        cord_ap_ratio=ratio("cord", "ap_mm"),
        cord_area_ratio=ratio("cord", "area_mm2"),
        # np.maximum keeps what is not known; max would make it 0.
        csf_fraction=float(np.maximum(0.0, 1.0 - cord / sac)) if sac > 0 else float("nan"),
        csf_area_mm2=float(np.maximum(0.0, sac - cord)),
    )


def escc_grade(evidence: EsccEvidence) -> str | None:
    """Return the grade of epidural spinal cord compression.

    1a sac not deformed; 1b sac deformed, cord not touched; 1c cord touched, not compressed; 2 cord compressed,
    CSF visible; 3 cord compressed, no CSF (Bilsky et al. 2010).

    Parameters
    ----------
    evidence : EsccEvidence

    Returns
    -------
    str or None
        None unless the evidence is complete.

    Examples
    --------
    >>> escc_grade(EsccEvidence(0.5, 0.5, 0.0, 0.6, 0.7, 0.3, 12.0))
    '2'
    """
    if not evidence.complete:
        return None
    if evidence.cord_touched and evidence.cord_compressed:
        return "2" if evidence.csf_visible else "3"
    if evidence.cord_touched:
        return "1c"
    return "1b" if evidence.sac_deformed else "1a"


def why_no_cord(sections: Sections, evidence: EsccEvidence, worst: int, level: str | None) -> Flag | None:
    """Explain why no grade can be given at a section without cord.

    A cord that is gone where the sac is pressed shut, and there again below, is a cord that is compressed.

    Parameters
    ----------
    sections : Sections
    evidence : EsccEvidence
    worst : int
        Section.
    level : str or None
        Its name.

    Returns
    -------
    Flag or None
        None where the cord is there.
    """
    area = smooth_along(sections.known("cord").area_mm2, step_mm=sections.step_mm)[worst]
    tip = conus_index(sections)
    # The outline of a cord may end too early, and roots outlined as cord farther down make it seem to end too late.
    seen = bool(np.nan_to_num(area) >= CORD_AREA_MM2)
    beyond_tip = tip is not None and worst > tip and not above_any_conus(level)
    below = beyond_tip or (below_any_conus(level) and not seen)
    if seen and not below:
        return None
    if tip is not None and worst < tip and evidence.sac_area_ratio < SAC_SHUT_RATIO:
        return None
    lumbar = level is not None and level[0] in "LS"
    if below or (tip is None and lumbar):
        return Flag(
            "ESCC_BELOW_CONUS",
            f"The worst section ({level or 'level unknown'}) lies below the conus: grades of cord compression do "
            "not apply there, the Schizas grade does.",
            Severity.INFO,
        )
    return Flag(
        "CORD_NOT_SEEN",
        f"No spinal cord was outlined at the worst section ({level or 'level unknown'}): MSCC and the ESCC grade "
        "are not given. Look at the cord there and correct the outline if needed.",
    )


def why_no_grade(evidence: EsccEvidence, level: str | None) -> Flag:
    """Explain why there is no grade where a cord is, or must be.

    Parameters
    ----------
    evidence : EsccEvidence
        Not complete.
    level : str or None
        Of the worst section.

    Returns
    -------
    Flag
    """
    where = level or "level unknown"
    if evidence.sac_area_ratio < SAC_SHUT_RATIO:
        message = (
            f"At the worst section ({where}) the sac is pressed nearly shut and no cord can be outlined in it: the "
            "ESCC grade is not given. Take the compression for high-grade until you have looked at the images."
        )
    elif not np.isfinite(evidence.sac_ap_ratio):
        message = (
            f"The sac at the worst section ({where}) or an unaffected one to compare it with cannot be measured: the "
            "ESCC grade is not given. Grade it by eye."
        )
    else:
        message = (
            f"Cord and mass at the worst section ({where}) cannot be measured against an unaffected section: the ESCC "
            "grade is not given. Grade it by eye."
        )
    return Flag("ESCC_NOT_ASSESSABLE", message)
