"""The columns of our CSV tables: one place for their order, unit, meaning and value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from spinemri.followup.record import TimepointRecord
from spinemri.measure.record import Measurements, ProfileRow

__all__ = ["COMPARISON_COLUMNS", "MEASUREMENT_COLUMNS", "PROFILE_COLUMNS", "Cell", "Column"]

Cell = str | int | float | bool | None
R = TypeVar("R")


@dataclass(frozen=True)
class Column(Generic[R]):
    """One column of a table of records.

    Attributes
    ----------
    name : str
        Header, with the unit in it.
    meaning : str
        One sentence for the data dictionary.
    value : callable
        From a record to its cell; None leaves the cell empty.
    """

    name: str
    meaning: str
    value: Callable[[R], Cell]


def _at(path: str) -> Callable[[Any], Cell]:
    """Follow a dotted path of attributes and positions; anything missing on the way gives None."""

    def value(record: object) -> Cell:
        """Follow the path from a record to its cell."""
        found: Any = record
        for name in path.split("."):
            if found is None:
                return None
            found = _step(found, name)
        cell: Cell = found
        return cell

    return value


def _step(found: Any, name: str) -> Any:  # noqa: ANN401 - records of any kind
    """Take one step along a path: a position, a key of a mapping, or an attribute."""
    if name.isdigit():
        return found[int(name)]
    return found.get(name) if isinstance(found, dict) else getattr(found, name)


def _field(name: str, meaning: str, path: str = "") -> Column[Any]:
    return Column(name, meaning, _at(path or name))


def _yardstick(name: str, meaning: str) -> Column[TimepointRecord]:
    return Column(name, meaning, lambda record: record.yardsticks.get(name))


def _compartment(name: str) -> Column[Measurements]:
    def value(record: Measurements) -> Cell:
        """Add up the parts of the mass in this compartment."""
        if record.mass.status != "measured":
            return None
        return sum((part.volume_ml for part in record.mass.components if part.compartment == name), 0.0)

    return Column(f"{name}_volume_ml", f"Volume of the {name} part of the mass in ml; 0 where there is none.", value)


def _flag_codes(record: Measurements) -> Cell:
    return ";".join(flag.code for flag in record.quality.flags)


def _mass(name: str, meaning: str, path: str = "") -> Column[Any]:
    return _field(name, meaning, f"mass.{path or name}")


def _compromise(name: str, meaning: str, path: str = "") -> Column[Any]:
    return _field(name, meaning, f"compromise.{path or name}")


MEASUREMENT_COLUMNS: tuple[Column[Measurements], ...] = (
    _field("schema_version", "Version of the layout of our JSON and CSV files."),
    _field(
        "study_instance_uid", "DICOM Study Instance UID; derived from the files for NIfTI.", "study.study_instance_uid"
    ),
    _field("study_date", "Date of the examination, YYYY-MM-DD; empty where unknown.", "study.study_date"),
    _field("level_numbering", "absolute, relative (names likely but not anchored) or unknown.", "levels.numbering"),
    _field("level_anchor", "What the level names were counted from.", "levels.anchor"),
    _field("level_confidence", "Probability that the level names are right, 0 to 1.", "levels.confidence"),
    _mass("mass_status", "measured, not_found or not_assessable.", "status"),
    _mass("mass_existence_probability", "Probability that there is a mass at all, 0 to 1.", "existence_probability"),
    _mass("volume_ml", "Volume of the mass in ml: sum of the mass probability times the voxel volume."),
    _mass("volume_sd_ml", "Standard deviation of the volume in ml."),
    _mass("volume_ci95_low_ml", "Lower end of the 95 % confidence interval of the volume in ml.", "volume_ci95_ml.0"),
    _mass("volume_ci95_high_ml", "Upper end of the 95 % confidence interval of the volume in ml.", "volume_ci95_ml.1"),
    _compartment("epidural"),
    _compartment("foraminal"),
    _compartment("paravertebral"),
    _mass("extent_from", "Vertebra at the cranial end of the mass.", "extent.from_level"),
    _mass("extent_to", "Vertebra at the caudal end of the mass.", "extent.to_level"),
    _mass("extent_length_mm", "Length of the mass along the canal in mm.", "extent.length_mm"),
    _mass("position", "Side of the dural sac on which the mass lies, or circumferential."),
    _mass("max_ap_mm", "Largest antero-posterior diameter of the mass in mm."),
    _mass("max_transverse_mm", "Largest transverse diameter of the mass in mm."),
    _mass("truncated", "true where the field of view cuts the mass."),
    _mass(
        "t1_to_marrow",
        "Signal of the mass over that of unaffected marrow on T1 (ratio); empty where the T1 is fat-suppressed.",
        "signal.t1_to_marrow",
    ),
    _mass(
        "t2_to_marrow",
        "Signal of the mass over that of unaffected marrow on T2 (ratio); empty where it is fat-suppressed or a STIR.",
        "signal.t2_to_marrow",
    ),
    _mass("enhancement_ratio", "Signal after over before contrast, normalised (ratio).", "signal.enhancement_ratio"),
    _compromise("worst_level", "Level of the section where the canal is most compromised."),
    _compromise("worst_x_lps_mm", "Worst section, mm to the patient's left.", "worst_point_lps_mm.0"),
    _compromise("worst_y_lps_mm", "Worst section, mm to posterior.", "worst_point_lps_mm.1"),
    _compromise("worst_z_lps_mm", "Worst section, mm to superior.", "worst_point_lps_mm.2"),
    _compromise("mcc_percent", "Maximum canal compromise in per cent of the mean of the reference levels."),
    _compromise("mscc_percent", "Maximum spinal cord compression in per cent of the mean of the reference levels."),
    _compromise("canal_occupancy_percent", "Largest mass area over bony canal area of any section in per cent."),
    _compromise("canal_occupancy_level", "Level of that section."),
    _compromise("length_over_25_percent_mm", "Length of canal of which the mass takes more than 25 %, in mm."),
    _compromise("length_over_50_percent_mm", "Length of canal of which the mass takes more than 50 %, in mm."),
    _compromise("canal_area_mm2", "Area of the bony canal at the worst section in mm2."),
    _compromise("sac_area_mm2", "Area of the dural sac at the worst section in mm2."),
    _compromise("cord_area_mm2", "Area of the spinal cord at the worst section in mm2."),
    _compromise("canal_ap_mm", "Antero-posterior diameter of the bony canal at the worst section in mm."),
    _compromise("sac_ap_mm", "Antero-posterior diameter of the dural sac at the worst section in mm."),
    _compromise("cord_ap_mm", "Antero-posterior cord diameter at the worst section in mm."),
    _compromise("ascor", "Cord area over canal area at the worst section (ratio)."),
    _compromise("compression_ratio", "Antero-posterior over transverse cord diameter at the worst section (ratio)."),
    _compromise("reference_level_above", "Unaffected vertebra above that served as reference.", "reference_levels.0"),
    _compromise("reference_level_below", "Unaffected vertebra below that served as reference.", "reference_levels.1"),
    _compromise("escc_grade", "Epidural spinal cord compression grade (Bilsky); empty below the conus."),
    _compromise("schizas_grade", "Schizas grade of the dural sac at the worst section, below the conus: A to D."),
    _compromise("schizas_csf_share", "Share of fluid in the sac there, 0 to 1.", "schizas_evidence.csf_share"),
    _compromise("schizas_posterior_fat_mm2", "Fat behind the sac there, mm2.", "schizas_evidence.posterior_fat_mm2"),
    _compromise("schizas_series", "Series that was graded: axial_t2 or sagittal_t2.", "schizas_evidence.series"),
    Column("flags", "Codes of all findings, separated by semicolons.", _flag_codes),
    _field("software_version", "Version of spinemri.", "software.version"),
    _field("config_sha256", "SHA-256 of the resolved configuration.", "software.config_sha256"),
    _field("model_sha256", "One SHA-256 of both networks; empty for masks from elsewhere.", "software.model_sha256"),
    _field("inputs_sha256", "SHA-256 over the contents of the input files.", "study.inputs_sha256"),
)
"""One row per study."""

PROFILE_COLUMNS: tuple[Column[ProfileRow], ...] = (
    _field("arc_length_mm", "Distance along the canal from its cranial end in the image, in mm."),
    _field("x_lps_mm", "Centre of the section, mm to the patient's left."),
    _field("y_lps_mm", "Centre of the section, mm to posterior."),
    _field("z_lps_mm", "Centre of the section, mm to superior."),
    _field("level", "Vertebra or disc at the section."),
    _field("canal_area_mm2", "Area of the bony canal in mm2."),
    _field("canal_ap_mm", "Antero-posterior diameter of the bony canal in mm."),
    _field("canal_transverse_mm", "Transverse diameter of the bony canal in mm."),
    _field("sac_area_mm2", "Area of the dural sac in mm2."),
    _field("sac_ap_mm", "Antero-posterior diameter of the dural sac in mm."),
    _field("sac_transverse_mm", "Transverse diameter of the dural sac in mm."),
    _field("cord_area_mm2", "Area of the spinal cord in mm2."),
    _field("cord_ap_mm", "Antero-posterior diameter of the spinal cord in mm."),
    _field("cord_transverse_mm", "Transverse diameter of the spinal cord in mm."),
    _field("mass_area_mm2", "Area of the mass in the canal in mm2."),
    _field("occupancy_percent", "Mass area over bony canal area in per cent."),
)
"""One row per mm of canal, cranial to caudal."""

COMPARISON_COLUMNS: tuple[Column[TimepointRecord], ...] = (
    _field("study_instance_uid", "DICOM Study Instance UID; derived from the files for NIfTI."),
    _field("study_date", "Date of the examination, YYYY-MM-DD; empty where unknown."),
    _field("days_from_baseline", "Days since the first visit."),
    _field("days_from_rt_end", "Days since the end of radiotherapy; negative before it."),
    _field("volume_ml", "Volume of the mass in ml."),
    _field("volume_ci95_low_ml", "Lower end of the 95 % confidence interval of the volume in ml.", "volume_ci95_ml.0"),
    _field("volume_ci95_high_ml", "Upper end of the 95 % confidence interval of the volume in ml.", "volume_ci95_ml.1"),
    _field("change_percent", "Change of the volume from the first visit in per cent, each visit outlined by itself."),
    _field("change_ci95_low_percent", "Lower end of its 95 % confidence interval.", "change_ci95_percent.0"),
    _field("change_ci95_high_percent", "Upper end of its 95 % confidence interval.", "change_ci95_percent.1"),
    _field("paired_change_percent", "Change from the first visit in per cent, from the registered pair of visits."),
    _field("paired_change_ci95_low_percent", "Lower end of its 95 % interval.", "paired_change_ci95_percent.0"),
    _field("paired_change_ci95_high_percent", "Upper end of its 95 % interval.", "paired_change_ci95_percent.1"),
    _field("smallest_detectable_change_percent", "Smallest change distinguishable from measurement error."),
    _field("verdict_basis", "Which change the verdict and the smallest detectable change rest on: paired or unpaired."),
    _field("verdict", "decreased, increased, not_distinguishable or not_assessable; empty for the first visit."),
    _field("mcc_percent", "Maximum canal compromise in per cent."),
    _field("mscc_percent", "Maximum spinal cord compression in per cent."),
    _field("escc_grade", "Epidural spinal cord compression grade (Bilsky)."),
    _field("schizas_grade", "Schizas grade of the dural sac, where the worst section lies below the conus."),
    _field("worst_level", "Level of the section where the canal is most compromised."),
    _yardstick("longest_diameter_change_percent", "Change of the longest diameter from the first visit in per cent."),
    _yardstick("recist_1_1_diameter", "What RECIST 1.1 says of the longest diameter."),
    _yardstick("recist_1_1_sphere_volume", "What the sphere-equivalent volume limits of RECIST 1.1 say."),
    _yardstick("reins_volume_20_percent", "What the REiNS limit of 20 % of volume says."),
    _yardstick("interobserver_volume_19_7_percent", "Whether the change exceeds the inter-observer limit of 19.7 %."),
)
"""One row per visit, in order of time."""
