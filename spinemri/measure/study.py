"""All measurements of one study, top to bottom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spinemri.anatomy.model import Anatomy, Centreline
from spinemri.anatomy.sections import level_of_sections
from spinemri.errors import Flag, Severity
from spinemri.intake.model import Role
from spinemri.mass.model import Mass
from spinemri.measure.compromise import compromise_record
from spinemri.measure.levels import levels_record
from spinemri.measure.mass import Extent, find_extent, mass_record
from spinemri.measure.planes import sample_sections
from spinemri.measure.profile import profile_rows
from spinemri.measure.record import CompromiseRecord, LevelsRecord, MassRecord, ProfileRow, SignalRecord
from spinemri.measure.references import find_references
from spinemri.measure.schizas import grade_cauda_equina
from spinemri.measure.sections import MeasuredCanal, measure_sections
from spinemri.measure.signal import find_regions, measure_signal
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume

__all__ = ["Measured", "measure_study"]

UNREMARKABLE_MM = 10.0
"""Where the canal slants out of the field of view a few sections at its ends are always cut."""
EPIDURAL_SHARE = 0.02
"""Epidural fat takes at least a tenth of a normal canal; less than this share of sac and mass was never outlined."""


@dataclass(frozen=True)
class Measured:
    """Every number of one study.

    Attributes
    ----------
    levels : LevelsRecord
    mass : MassRecord
    compromise : CompromiseRecord
    profile : tuple of ProfileRow
        One row per mm of canal, cranial to caudal; empty without a centreline.
    flags : tuple of Flag
        Why numbers are missing or doubtful; those of earlier stages are not repeated.
    """

    levels: LevelsRecord
    mass: MassRecord
    compromise: CompromiseRecord
    profile: tuple[ProfileRow, ...]
    flags: tuple[Flag, ...]


def measure_study(images: Mapping[Role, Volume], primary: Role, anatomy: Anatomy, mass: Mass) -> Measured:
    """Measure one study in its own native space.

    Parameters
    ----------
    images : mapping of Role to Volume
        Canonical images of the study.
    primary : Role
        The stack on whose grid anatomy and mass lie.
    anatomy : Anatomy
    mass : Mass

    Returns
    -------
    Measured
        Numbers that cannot be trusted are None and a flag says why.

    Raises
    ------
    InternalError
        If anatomy and mass lie on different grids.
    """
    if anatomy.centreline is None or len(anatomy.centreline) == 0:
        return _without_canal(anatomy)
    canal = _measure_canal(anatomy, mass, anatomy.centreline)
    extent = None
    if mass.status == "measured":
        extent = find_extent(canal.sections, anatomy.levels, canal.centreline)
    signal, compromise, flags = SignalRecord(), CompromiseRecord(), _canal_flags(canal)
    if extent is not None:
        references = find_references(canal.sections, anatomy.levels, canal.centreline, extent)
        compromise, missing = compromise_record(canal, anatomy.levels, extent, references)
        if any(flag.code == "ESCC_BELOW_CONUS" for flag in missing):
            compromise, ungraded = _with_schizas(compromise, images, primary, anatomy, mass, canal)
            missing += ungraded
        regions = find_regions(anatomy, mass, canal.centreline, extent)
        signal, apart = measure_signal(images, primary, anatomy.tissues.grid, regions)
        flags += (*missing, *apart)
    return Measured(
        levels=levels_record(anatomy.levels, anatomy.level_map),
        mass=mass_record(mass, anatomy.levels, canal, extent, signal),
        compromise=compromise,
        profile=profile_rows(canal),
        flags=flags + _mass_flags(mass, canal, extent),
    )


def _with_schizas(
    compromise: CompromiseRecord,
    images: Mapping[Role, Volume],
    primary: Role,
    anatomy: Anatomy,
    mass: Mass,
    canal: MeasuredCanal,
) -> tuple[CompromiseRecord, tuple[Flag, ...]]:
    """Add the grade of the dural sac at the worst section, where there is no cord to grade."""
    worst = int(canal.centreline.nearest(np.array(compromise.worst_point_lps_mm)))
    found = grade_cauda_equina(images, primary, anatomy, mass, canal, worst)
    graded = compromise.model_copy(update={"schizas_grade": found.grade, "schizas_evidence": found.evidence})
    return graded, found.flags


def _measure_canal(anatomy: Anatomy, mass: Mass, centreline: Centreline) -> MeasuredCanal:
    """Measure all sections of the canal and name their levels."""
    stack = sample_sections(anatomy, mass, centreline)
    return MeasuredCanal(
        centreline=centreline,
        stack=stack,
        sections=measure_sections(stack, step_mm=centreline.step_mm),
        names=level_of_sections(anatomy.levels, anatomy.level_map, centreline),
        bony=_epidural_outlined(anatomy),
    )


def _without_canal(anatomy: Anatomy) -> Measured:
    """Return nothing but levels and the reason."""
    flag = Flag(
        "NO_CANAL",
        "No spinal canal was found: nothing can be measured along it. Check that a sagittal stack of the spine was "
        "read, or give masks of your own.",
    )
    flags = () if any(f.severity is Severity.ERROR for f in anatomy.flags) else (flag,)
    nothing = MassRecord(status="not_assessable")
    return Measured(levels_record(anatomy.levels, anatomy.level_map), nothing, CompromiseRecord(), (), flags)


def _epidural_outlined(anatomy: Anatomy) -> bool:
    """Whether anything outlines the bony canal outside sac and mass."""
    coverage = anatomy.tissues.coverage
    epidural = float(coverage[Tissue.EPIDURAL].sum(dtype=np.float64))
    rest = float(coverage[[Tissue.CORD, Tissue.DURAL_SAC, Tissue.MASS_CANAL]].sum(dtype=np.float64))
    return epidural > EPIDURAL_SHARE * rest


def _canal_flags(canal: MeasuredCanal) -> tuple[Flag, ...]:
    """Return flags about sections that cannot be measured."""
    flags = []
    if not canal.bony:
        flags.append(
            Flag(
                "CANAL_UNKNOWN",
                "The epidural space is not outlined: sizes of the bony canal and its occupancy are not given. Add "
                "tissue 3 to the anatomy mask.",
            )
        )
    missing = int(canal.stack.cut.sum())
    if missing * canal.sections.step_mm > UNREMARKABLE_MM:
        flags.append(
            Flag(
                "CANAL_CUT",
                f"The canal is missing or leaves the field of view on {missing} of {len(canal.sections)} sections: "
                "its area is not measured there, nor is what the edge cuts.",
                Severity.INFO,
            )
        )
    return tuple(flags)


def _mass_flags(mass: Mass, canal: MeasuredCanal, extent: Extent | None) -> tuple[Flag, ...]:
    """Return flags about the mass as a whole, without those that the mass stage has raised itself."""
    if mass.status != "measured":
        return ()
    flags = []
    if mass.truncated and not any(f.code == "MASS_TOUCHES_EDGE" for f in mass.flags):
        flags.append(
            Flag(
                "MASS_TOUCHES_EDGE",
                "The mass reaches the edge of the field of view: its volume and extent are lower bounds.",
            )
        )
    if extent is None:
        flags.append(
            Flag("MASS_OUTSIDE_CANAL", "No part of the mass lies in the measured canal: compromise is not given.")
        )
    elif _is_open(canal, extent):
        flags.append(
            Flag(
                "EXTENT_OPEN",
                "The mass reaches a section where the canal could not be measured: its extent and length are lower "
                "bounds.",
            )
        )
    return tuple(flags)


def _is_open(canal: MeasuredCanal, extent: Extent) -> bool:
    """Whether the mass goes up to the end of what could be measured of the canal."""
    beyond = np.concatenate([[True], canal.stack.cut, [True]])
    return bool(beyond[extent.first] or beyond[extent.last + 2])
