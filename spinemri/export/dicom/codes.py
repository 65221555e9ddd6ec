"""Codes: SNOMED CT, DICOM and UCUM from pydicom's dictionary, and ours where no standard has one.

The private scheme is ``99SPINEMRI``; its codes are listed in ``docs/dicom.md`` and never change their meaning.
"""

from __future__ import annotations

from typing import cast

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from spinemri.nomenclature import Tissue

__all__ = [
    "PRIVATE_CODES",
    "PRIVATE_SCHEME",
    "TISSUE_CODES",
    "dcm",
    "disc_code",
    "level_code",
    "private",
    "sct",
    "ucum",
    "vertebra_code",
]

PRIVATE_SCHEME = "99SPINEMRI"

PRIVATE_CODES: dict[str, str] = {
    # Structures.
    "EPIDURAL_SPACE": "Spinal epidural space",
    "VERTEBRAL_BODY": "Body of vertebra",
    "DISC": "Intervertebral disc",
    "L6_VERTEBRA": "L6 vertebra",
    "T13_VERTEBRA": "T13 vertebra",
    "FORAMEN": "Intervertebral foramen",
    "PARAVERTEBRAL": "Paravertebral region",
    # What a group of numbers is about.
    "MRI_SPINE": "Magnetic resonance imaging of the spine",
    "REPORT_NOTES": "What the report rests on",
    "COMPROMISE": "Compromise of the spinal canal",
    "LARGEST_OCCUP": "Section of largest canal occupancy",
    "NUMBERING_GROUP": "Numbering of vertebral levels",
    "TREATMENT": "Radiotherapy and the mass",
    # Numbers.
    "CI95_LOW": "Lower end of the 95 % confidence interval",
    "CI95_HIGH": "Upper end of the 95 % confidence interval",
    "ALONG_CANAL": "Length along the spinal canal",
    "AP": "Antero-posterior, perpendicular to the spinal canal",
    "TRANSVERSE": "Transverse, perpendicular to the spinal canal",
    "PERPENDICULAR": "Section perpendicular to the spinal canal",
    "EXISTENCE": "Probability that there is a mass",
    "T1_TO_MARROW": "Signal on T1 relative to unaffected marrow",
    "T2_TO_MARROW": "Signal on T2 relative to unaffected marrow",
    "ENHANCEMENT": "Signal after relative to before contrast",
    "MCC": "Maximum canal compromise",
    "MSCC": "Maximum spinal cord compression",
    "OCCUPANCY": "Largest share of the canal taken by the mass",
    "LENGTH_OVER_25": "Length of canal with more than 25 % taken by the mass",
    "LENGTH_OVER_50": "Length of canal with more than 50 % taken by the mass",
    "ASCOR": "Cord area relative to canal area",
    "CORD_RATIO": "Cord AP diameter relative to transverse diameter",
    "SAC_AP_RATIO": "Sac AP diameter relative to unaffected levels",
    "SAC_AREA_RATIO": "Sac area relative to unaffected levels",
    "CORD_AP_RATIO": "Cord AP diameter relative to unaffected levels",
    "CORD_AREA_RATIO": "Cord area relative to unaffected levels",
    "MASS_CORD_GAP": "Distance between mass and spinal cord",
    "CSF_FRACTION": "Share of cerebrospinal fluid in the dural sac",
    "CSF_AREA": "Area of the cerebrospinal fluid around the cord",
    "SAC_FLUID": "Share of fluid signal in the dural sac below the conus",
    "SAC_POOLS": "Share of the dural sac in patches of fluid at least 1.5 mm wide",
    "SAC_SPREAD": "Spread of signal in the dural sac, nerve 0 to fluid 1",
    "POSTERIOR_FAT": "Area of epidural fat behind the dural sac",
    "FLUID_TO_NERVE": "Signal of fluid relative to nerve",
    "SAC_VOXELS": "Voxels wholly within the dural sac",
    "SLICE_OFFSET": "Distance of the graded section from the worst section",
    "CONFIDENCE": "Probability that the level name is right",
    "CHANGE": "Change of volume from baseline, independent outlines",
    "PAIRED_CHANGE": "Change of volume from baseline, registered pair",
    "SMALLEST_CHANGE": "Smallest detectable change of volume",
    "DIAMETER_CHANGE": "Change of the longest diameter from baseline",
    "DAYS_FROM_RT": "Days from the end of radiotherapy",
    "RT_DOSE": "Total dose of radiotherapy",
    "RT_FRACTIONS": "Number of fractions of radiotherapy",
    "RT_MARGIN_ABOVE": "Treated vertebrae above the mass",
    "RT_MARGIN_BELOW": "Treated vertebrae below the mass",
    # Answers in words.
    "STATUS": "Status of the mass",
    "MEASURED": "Measured",
    "NOT_FOUND": "Not found",
    "NOT_ASSESSABLE": "Not assessable",
    "POSITION": "Position around the dural sac",
    "EXTENT_FROM": "Vertebra at the cranial end of the mass",
    "EXTENT_TO": "Vertebra at the caudal end of the mass",
    "TRUNCATED": "Cut by the field of view",
    "WORST_LEVEL": "Level of the worst section",
    "REFERENCE_ABOVE": "Unaffected reference level above",
    "REFERENCE_BELOW": "Unaffected reference level below",
    "NUMBERING": "What the level names rest on",
    "ABSOLUTE": "Counted from an anchor",
    "RELATIVE": "Most likely names, nothing to count from",
    "UNKNOWN": "No names",
    "COMPLETE": "Wholly in the field of view",
    "ESCC": "Epidural spinal cord compression grade (Bilsky)",
    "ESCC_1A": "Epidural, dural sac not deformed (1a)",
    "ESCC_1B": "Dural sac deformed, cord not touched (1b)",
    "ESCC_1C": "Cord touched, not compressed (1c)",
    "ESCC_2": "Cord compressed, CSF visible (2)",
    "ESCC_3": "Cord compressed, no CSF (3)",
    "SAC_DEFORMED": "Dural sac deformed",
    "CORD_TOUCHED": "Spinal cord touched by the mass",
    "CORD_COMPRESSED": "Spinal cord compressed",
    "CSF_VISIBLE": "Cerebrospinal fluid visible",
    "HIGH_GRADE": "High grade compression (2 or 3)",
    "SCHIZAS": "Schizas grade of the dural sac below the conus",
    "SCHIZAS_A": "Fluid clearly visible (A)",
    "SCHIZAS_B": "Rootlets fill the sac, some fluid (B)",
    "SCHIZAS_C": "No fluid, fat behind the sac (C)",
    "SCHIZAS_D": "No fluid, no fat behind the sac (D)",
    "GRADED_SERIES": "Series on which the dural sac was graded",
    "AXIAL_T2": "Axial T2",
    "SAGITTAL_T2": "Sagittal T2",
    "REFORMATTED": "Resampled across the slices",
    "SAC_FLUID_SEEN": "Fluid clearly visible in the dural sac",
    "ROOTLETS_SEEN": "Rootlets can be told from fluid",
    "FAT_BEHIND": "Fat remains behind the dural sac",
    "VERDICT": "Verdict on the change of volume",
    "VERDICT_BASIS": "Change on which the verdict rests",
    "DECREASED": "Decreased",
    "INCREASED": "Increased",
    "NOT_DISTINCT": "Not distinguishable from no change",
    "RECURRENCE": "Recurrence suspected",
    "MASS_COVERED": "Treated levels cover the mass",
    "FLAG": "Finding that qualifies the numbers",
}


def sct(keyword: str) -> Code:
    """Return a SNOMED CT code by its keyword in pydicom's dictionary."""
    return cast("Code", getattr(codes.SCT, keyword))


def dcm(keyword: str) -> Code:
    """Return a code of DICOM PS3.16 by its keyword in pydicom's dictionary."""
    return cast("Code", getattr(codes.DCM, keyword))


def ucum(keyword: str) -> Code:
    """Return a unit by its keyword in pydicom's dictionary; it has no millilitre of its own."""
    if keyword == "Milliliter":
        return Code("ml", "UCUM", "milliliter")
    return cast("Code", getattr(codes.UCUM, keyword))


def private(value: str) -> Code:
    """Return a code of our own.

    Raises
    ------
    KeyError
        If it is not in the list.
    """
    return Code(value, PRIVATE_SCHEME, PRIVATE_CODES[value])


TISSUE_CODES: dict[Tissue, Code] = {
    Tissue.CORD: sct("SpinalCord"),
    Tissue.DURAL_SAC: sct("SubarachnoidSpace"),
    Tissue.EPIDURAL: private("EPIDURAL_SPACE"),
    Tissue.BODY: private("VERTEBRAL_BODY"),
    Tissue.POSTERIOR_ELEMENTS: sct("ArchOfVertebra"),
    Tissue.DISC: private("DISC"),
    Tissue.SACRUM: sct("Sacrum"),
    Tissue.MASS_CANAL: sct("Mass"),
    Tissue.MASS_OUTSIDE: sct("Mass"),
}
"""What each tissue id is; the dural sac outside the cord is the subarachnoid space."""

_UNUSUAL = {"L6": "L6_VERTEBRA", "T13": "T13_VERTEBRA"}


def vertebra_code(name: str) -> Code:
    """Return the code of a vertebra by its name, such as ``"T7"``; the first sacral one stands for the sacrum."""
    if name == "S1":
        return sct("Sacrum")
    return private(_UNUSUAL[name]) if name in _UNUSUAL else sct(f"{name}Vertebra")


def disc_code(name: str) -> Code:
    """Return the code of a disc by its name, such as ``"T6/7"``; one beside an additional vertebra has only a name."""
    above, below = name.split("/")
    lower = below if below[0].isalpha() else f"{above[0]}{below}"
    keyword = f"{above}{lower}Disc"
    return sct(keyword) if hasattr(codes.SCT, keyword) else Code("DISC", PRIVATE_SCHEME, f"{name} disc")


def level_code(name: str) -> Code:
    """Return the code of a vertebra or disc by its name."""
    return disc_code(name) if "/" in name else vertebra_code(name)
