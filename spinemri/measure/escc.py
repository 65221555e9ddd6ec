"""Epidural spinal cord compression: the evidence, and a grade by rule.

The scale is that of Bilsky et al., J Neurosurg Spine 2010;13:324-328. For a mass that starts in the epidural space
grade 0 (bone only) is not used. The rule's limits below are ours; they are reported beside every number they
are applied to, so that a reader can disagree with the grade and keep the evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from spinemri.errors import Flag, Severity
from spinemri.measure.planes import SectionStack
from spinemri.measure.profile import number
from spinemri.measure.references import CORD_AREA_MM2, References, conus_index
from spinemri.measure.sections import Sections, smooth_along

__all__ = ["EsccEvidence", "escc_evidence", "escc_grade", "mass_cord_distance_mm", "why_no_cord"]

SAC_DEFORMED_RATIO = 0.9
CORD_COMPRESSED_RATIO = 0.85
CORD_TOUCHED_MM = 1.0
"""Dura and one in-plane voxel: a gap below this cannot be told from contact."""
COMPRESSED_GAP_MM = 2.0
"""The same beside a compressed cord: where mass, dura and flattened cord meet, a voxel or two belong to none of them by
half, and a grade that is too low does more harm than one that is too high."""
CSF_VISIBLE_FRACTION = 0.15
"""Smaller shares of the sac are the soft border of the cord, not a rim of fluid; in health about 0.7 is fluid."""


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
    csf_fraction : float
        Part of the sac's area that is not cord.
    """

    sac_ap_ratio: float
    sac_area_ratio: float
    mass_cord_distance_mm: float
    cord_ap_ratio: float
    cord_area_ratio: float
    csf_fraction: float

    @property
    def complete(self) -> bool:
        """Whether every input of the rule is known."""
        return all(np.isfinite(v) for v in vars(self).values())

    @property
    def sac_deformed(self) -> bool:
        """The sac is narrower than nine tenths of its references, in AP diameter or in area."""
        return min(self.sac_ap_ratio, self.sac_area_ratio) < SAC_DEFORMED_RATIO

    @property
    def cord_touched(self) -> bool:
        """The mass reaches the cord, as far as voxels can tell."""
        limit_mm = COMPRESSED_GAP_MM if self.cord_compressed else CORD_TOUCHED_MM
        return self.mass_cord_distance_mm < limit_mm

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
            "csf_visible": self.csf_fraction >= CSF_VISIBLE_FRACTION,
            "high_grade": grade in ("2", "3"),
        }


def mass_cord_distance_mm(stack: SectionStack, index: int) -> float:
    """Return the shortest distance in a section plane between mass and cord in mm.

    The median over three neighbouring sections of the gap between the borders at half coverage; resolved to half a
    millimetre.

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
    gaps = []
    for near in range(max(0, index - 1), min(len(stack.cut), index + 2)):
        cord, mass = stack.cord[near] >= 0.5, stack.mass[near] >= 0.5
        if stack.cut[near] or not cord.any() or not mass.any():
            continue
        distance = ndimage.distance_transform_edt(~cord, sampling=stack.pixel_mm)
        # Distances run between pixel centres; the borders lie half a pixel further in on either side.
        gaps.append(max(0.0, float(distance[mass].min()) - stack.pixel_mm))
    return float(np.median(gaps)) if gaps else float("nan")


def escc_evidence(stack: SectionStack, sections: Sections, references: References, worst: int) -> EsccEvidence:
    """Collect the evidence at one section.

    Parameters
    ----------
    stack : SectionStack
    sections : Sections
    references : References
        One side is enough here: neighbours are needed, not an interpolation between two.
    worst : int
        Section.

    Returns
    -------
    EsccEvidence
    """

    def here(name: str, quantity: str) -> float:
        values = getattr(getattr(sections, name), quantity)
        return float(smooth_along(values, step_mm=sections.step_mm)[worst])

    def ratio(name: str, quantity: str) -> float:
        reference = references.mean_of_known(f"{name}_{quantity}")
        return here(name, quantity) / reference if reference > 0 else float("nan")

    sac, cord = here("sac", "area_mm2"), here("cord", "area_mm2")
    return EsccEvidence(
        sac_ap_ratio=ratio("sac", "ap_mm"),
        sac_area_ratio=ratio("sac", "area_mm2"),
        mass_cord_distance_mm=mass_cord_distance_mm(stack, worst),
        cord_ap_ratio=ratio("cord", "ap_mm"),
        cord_area_ratio=ratio("cord", "area_mm2"),
        csf_fraction=max(0.0, 1.0 - cord / sac) if sac > 0 else float("nan"),
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
    >>> escc_grade(EsccEvidence(0.5, 0.5, 0.0, 0.6, 0.7, 0.3))
    '2'
    """
    if not evidence.complete:
        return None
    if evidence.cord_touched and evidence.cord_compressed:
        return "2" if evidence.csf_fraction >= CSF_VISIBLE_FRACTION else "3"
    if evidence.cord_touched:
        return "1c"
    return "1b" if evidence.sac_deformed else "1a"


def why_no_cord(sections: Sections, worst: int, level: str | None) -> Flag | None:
    """Explain why no grade can be given at a section without cord.

    Parameters
    ----------
    sections : Sections
    worst : int
        Section.
    level : str or None
        Its name.

    Returns
    -------
    Flag or None
        None where the cord is there.
    """
    area = smooth_along(sections.cord.area_mm2, step_mm=sections.step_mm)[worst]
    if np.nan_to_num(area) >= CORD_AREA_MM2:
        return None
    tip = conus_index(sections)
    lumbar = level is not None and level[0] in "LS"
    if (tip is not None and worst > tip) or (tip is None and lumbar):
        return Flag(
            "ESCC_BELOW_CONUS",
            f"The worst section ({level or 'level unknown'}) lies below the conus: grades of cord compression do "
            "not apply. Judge the cauda equina on axial images.",
            Severity.INFO,
        )
    return Flag(
        "CORD_NOT_SEEN",
        f"No spinal cord was outlined at the worst section ({level or 'level unknown'}): MSCC and the ESCC grade "
        "are not given. Look at the cord there and correct the outline if needed.",
    )
