"""Grade of the dural sac below the conus, where there is no cord to grade: the evidence, and a grade by rule.

The scale is that of Schizas et al., Spine 2010;35:1919-1924, made for axial T2 images of degenerative stenosis:

A
    No or minor stenosis: fluid is clearly visible, unevenly distributed. A1 to A4 tell how the rootlets lie within it;
    they are not told apart here.
B
    Moderate: rootlets take the whole sac, but can still be told from one another; some fluid gives it a grain.
C
    Severe: no rootlets are recognised, the sac is homogeneously grey without fluid. There is fat behind it.
D
    Extreme: as C, and no fat behind it.

Schizas et al. graded by eye. Here the sac's signal is put on a scale from the darkest inside this patient's dura (0) to
the fluid where nothing presses on the sac (1), in the same series near the same place (see `sac_signal`):

A
    The mean is at least 0.5, or fluid lies in patches at least 1.5 mm wide over 12 % of the section.
B
    Else, the mean is at least 0.3; or at least 0.15, with 0.35 or more between the 10th and the 90th percentile.
C
    Else, at least 8 mm2 of fat lie on the back of the sac.
D
    Else, at a disc. Behind a body the laminae leave no room for fat in health either: that there is none says nothing
    there, and the grade remains open between C and D.

Scale and limits are ours. They were set by looking at some forty sections of lumbar T2 scans of patients, and are
reported as evidence beside the grade, so that a reader can disagree with it. A mass in the place of the fat makes a D
of a C, though that says less of the canal than in degenerative stenosis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spinemri.anatomy.model import Anatomy
from spinemri.errors import Flag, Severity
from spinemri.intake.model import Role
from spinemri.mass.model import Mass
from spinemri.measure.profile import number
from spinemri.measure.references import above_any_conus, below_any_conus, conus_index
from spinemri.measure.sac_signal import SacContent, posterior_fat_mm2, reference_signals, sac_content
from spinemri.measure.sac_view import SacViews, axial_views, sagittal_views
from spinemri.measure.sections import MeasuredCanal
from spinemri.volume import Volume

__all__ = ["Schizas", "SchizasEvidence", "grade_cauda_equina", "schizas_grade"]

FREE_SHARE, POOL_SHARE = 0.5, 0.12
"""In 27 patients with back pain the mean was 0.52 to 0.69 on half of all sections below L1, and below 0.37 on 5 %."""
FLUID_SHARE, GRAINY_SHARE, GRAIN_SPREAD = 0.3, 0.15, 0.35
"""Below 0.15 lie noise and soft borders. Up to 0.3 a homogeneous grey may be dense rootlets in thick slices."""
FAT_MM2 = 8.0
"""The fat pad takes 15 to 50 mm2 at lumbar discs; a film of half a millimetre along the dura 5 mm2."""
FEWEST_VOXELS = 12.0
"""A mean and a spread of fewer voxels say nothing."""
THICKEST_SLICE_MM = 5.0
"""Of a sagittal series: three such slices or less show the whole sac."""
THICKEST_AXIAL_MM = 6.0


@dataclass(frozen=True)
class SchizasEvidence:
    """What the grade rests on; NaN where not measurable.

    Attributes
    ----------
    content : SacContent
    posterior_fat_mm2 : float
        NaN where fat cannot be told in the series.
    fluid_to_nerve : float
        Contrast of the series at this place.
    series : Role
    slice_offset_mm : float
        Distance along the canal of what was graded from the worst section.
    reformatted : bool
    at_disc : bool
        The section belongs to a disc, at which there is fat in health.
    """

    content: SacContent
    posterior_fat_mm2: float
    fluid_to_nerve: float
    series: Role
    slice_offset_mm: float
    reformatted: bool
    at_disc: bool

    @property
    def csf_visible(self) -> bool:
        """Fluid is visible as such: much of it, or in patches wider than gaps between rootlets."""
        return self.content.csf_share >= FREE_SHARE or self.content.pool_share >= POOL_SHARE

    @property
    def rootlets_visible(self) -> bool:
        """Rootlets can be told from fluid."""
        return self.content.signal_spread >= GRAIN_SPREAD

    @property
    def csf_present(self) -> bool:
        """Some fluid is left, if only between rootlets."""
        share = self.content.csf_share
        return self.csf_visible or share >= FLUID_SHARE or (share >= GRAINY_SHARE and self.rootlets_visible)

    @property
    def fat_behind(self) -> bool | None:
        """Fat remains behind the sac; None where that cannot be told."""
        if self.posterior_fat_mm2 >= FAT_MM2:
            return True
        return False if self.at_disc and np.isfinite(self.posterior_fat_mm2) else None

    def record(self) -> dict[str, float | str | bool | None]:
        """Return the evidence as a flat mapping."""
        known = np.isfinite(self.content.csf_share)
        return {
            "csf_share": number(self.content.csf_share),
            "csf_pool_share": number(self.content.pool_share),
            "signal_spread": number(self.content.signal_spread),
            "posterior_fat_mm2": number(self.posterior_fat_mm2),
            "fluid_to_nerve": number(self.fluid_to_nerve),
            "voxels": number(self.content.voxels),
            "slice_offset_mm": number(self.slice_offset_mm),
            "series": self.series.value,
            "reformatted": self.reformatted,
            "csf_visible": self.csf_visible if known else None,
            "rootlets_visible": self.rootlets_visible if known else None,
            "fat_behind": self.fat_behind,
        }


@dataclass(frozen=True)
class Schizas:
    """Grade with its evidence, or flags that say why there is none.

    Attributes
    ----------
    grade : str or None
    evidence : dict
        Empty where no series could be read.
    flags : tuple of Flag
    """

    grade: str | None
    evidence: dict[str, float | str | bool | None]
    flags: tuple[Flag, ...]


def schizas_grade(evidence: SchizasEvidence) -> str | None:
    """Return the grade of the sac by the rule above.

    Parameters
    ----------
    evidence : SchizasEvidence

    Returns
    -------
    str or None
        ``"A"`` to ``"D"``; None where shares are unknown, or where C and D cannot be told apart.
    """
    if not np.isfinite(evidence.content.csf_share):
        return None
    if evidence.csf_visible:
        return "A"
    if evidence.csf_present:
        return "B"
    return None if evidence.fat_behind is None else "C" if evidence.fat_behind else "D"


def grade_cauda_equina(
    images: Mapping[Role, Volume], primary: Role, anatomy: Anatomy, mass: Mass, canal: MeasuredCanal, index: int
) -> Schizas:
    """Grade the dural sac at a section below the conus.

    From the axial T2 slice at that place if there is one that can be graded, else from the sagittal T2 series,
    resampled across its slices.

    Parameters
    ----------
    images : mapping of Role to Volume
    primary : Role
        The series on whose grid anatomy and mass lie.
    anatomy : Anatomy
    mass : Mass
    canal : MeasuredCanal
    index : int
        Section.

    Returns
    -------
    Schizas
    """
    level = canal.names[index]
    if above_any_conus(level) or (conus_index(canal.sections) is None and not below_any_conus(level)):
        return Schizas(None, {}, (_conus_unknown(level),))
    views = (
        axial_views(images, primary, anatomy, mass, canal, index),
        sagittal_views(images, primary, canal, index),
    )
    at_disc = level is not None and "/" in level
    graded = [_graded(one, at_disc=at_disc) for one in views if one is not None]
    found = next((one for one in graded if one.grade is not None), None)
    return found or (graded[-1] if graded else Schizas(None, {}, (_no_t2(),)))


def _graded(views: SacViews, *, at_disc: bool) -> Schizas:
    """Grade what one series shows."""
    references = reference_signals(views)
    if not references.usable:
        return Schizas(None, {}, (_no_reference(views.role),))
    evidence = SchizasEvidence(
        content=sac_content(views, references),
        posterior_fat_mm2=posterior_fat_mm2(views, references),
        fluid_to_nerve=references.fluid / references.nerve,
        series=views.role,
        slice_offset_mm=float(views.along_mm[views.graded]),
        reformatted=views.reformatted,
        at_disc=at_disc,
    )
    flag = _not_trusted(views, evidence)
    grade = schizas_grade(evidence) if flag is None else None
    if flag is None and grade is None:
        flag = _fat_unknown()
    if flag is None and views.reformatted:
        flag = _reformatted()
    return Schizas(grade, evidence.record(), () if flag is None else (flag,))


def _not_trusted(views: SacViews, evidence: SchizasEvidence) -> Flag | None:
    """Return why a section says too little of the sac, or None."""
    limit_mm = THICKEST_SLICE_MM if views.reformatted else THICKEST_AXIAL_MM
    if views.slice_mm > limit_mm:
        return Flag(
            "SCHIZAS_SLICES_TOO_THICK",
            f"The {views.role.value} slices lie {views.slice_mm:.1f} mm apart, more than {limit_mm:.0f} mm: rootlets "
            "and fluid cannot be told apart, no Schizas grade is given. Judge the cauda equina by eye.",
        )
    if evidence.content.voxels < FEWEST_VOXELS:
        return Flag(
            "SCHIZAS_SAC_TOO_SMALL",
            f"Only {evidence.content.voxels:.0f} voxels of the {views.role.value} series lie wholly within the dural "
            f"sac at the worst section ({FEWEST_VOXELS:.0f} are needed): no Schizas grade is given. Judge it by eye.",
        )
    return None


def _conus_unknown(level: str | None) -> Flag:
    return Flag(
        "SCHIZAS_CONUS_UNKNOWN",
        f"No spinal cord was outlined at the worst section ({level or 'level unknown'}), but it may lie above the "
        "conus: neither cord nor cauda equina is graded. Look at the cord there and correct the outline if needed.",
    )


def _no_t2() -> Flag:
    return Flag(
        "SCHIZAS_NO_T2",
        "No T2 series that can be overlaid shows the worst section: the Schizas grade of the cauda equina is not "
        "given.",
    )


def _no_reference(role: Role) -> Flag:
    return Flag(
        "SCHIZAS_NO_REFERENCE",
        f"The {role.value} series shows too little free fluid near the worst section to compare with: no Schizas grade "
        "is given. Judge the cauda equina by eye.",
    )


def _fat_unknown() -> Flag:
    return Flag(
        "SCHIZAS_FAT_UNKNOWN",
        "No fluid is left in the sac at the worst section: the Schizas grade is C or D. Which of them cannot be told, "
        "since fat is suppressed, is not outlined, or is not found behind a vertebral body in health either.",
    )


def _reformatted() -> Flag:
    return Flag(
        "SCHIZAS_REFORMATTED",
        "The Schizas grade rests on sagittal images resampled across the canal, since no axial T2 slice there could be "
        "graded: rootlets may look like one.",
        Severity.INFO,
    )
