"""Settings that a clinician may want to change: YAML profiles in `configs/`, checked on reading.

Constants of nature and of the definitions of the measures live in code, beside the formula that uses them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spinemri.errors import UsageError

__all__ = [
    "Config",
    "FollowupSettings",
    "MassSettings",
    "ReportSettings",
    "SegmentationSettings",
    "SequenceWeights",
    "config_sha256",
    "load_config",
    "profile_names",
    "write_config",
]


_PROFILES = ("default", "emh", "metastasis")


class Settings(BaseModel):
    """Base of all groups of settings: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SegmentationSettings(Settings):
    """What outlines the tissues.

    Attributes
    ----------
    engine : {"network", "totalspineseg", "spineps", "sct"}
        Our network, or a tool that the user has installed, run as a process of its own.
    timeout_minutes : float
        When such a process is given up.
    """

    engine: Literal["network", "totalspineseg", "spineps", "sct"] = "network"
    timeout_minutes: float = Field(60.0, gt=0, le=1440)


class SequenceWeights(Settings):
    """How much each sequence says about the mass when several are fused; 0 leaves a sequence out."""

    sagittal_t2: float = Field(1.0, ge=0, le=10)
    sagittal_t1: float = Field(0.7, ge=0, le=10)
    sagittal_t1_post_fs: float = Field(1.0, ge=0, le=10)


class MassSettings(Settings):
    """When a mass is reported.

    Attributes
    ----------
    existence_threshold : float
        Probability above which a mass is said to exist.
    minimum_volume_ml : float
        Smallest volume in ml that is reported.
    sequence_weights : SequenceWeights
    """

    existence_threshold: float = Field(0.5, ge=0, le=1)
    minimum_volume_ml: float = Field(0.2, ge=0, le=100)
    sequence_weights: SequenceWeights = SequenceWeights()


class FollowupSettings(Settings):
    """What is asked of a follow-up.

    Attributes
    ----------
    radiotherapy_margin_levels : int
        Whole treated vertebrae that are expected beyond either end of the mass; fewer is a finding.
    """

    radiotherapy_margin_levels: int = Field(1, ge=0, le=5)


class ReportSettings(Settings):
    """What is written beside the numbers.

    Attributes
    ----------
    html : bool
        Write ``report.html`` and ``figures/``; a cohort run may want the tables only.
    """

    html: bool = True


class Config(Settings):
    """All settings of a run."""

    segmentation: SegmentationSettings = SegmentationSettings()
    mass: MassSettings = MassSettings()
    followup: FollowupSettings = FollowupSettings()
    report: ReportSettings = ReportSettings()


def _profile_folder() -> Path:
    """Where the shipped profiles lie: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def profile_names() -> tuple[str, ...]:
    """Return the names of the shipped profiles, sorted; the rules for series lie beside them and are none."""
    return tuple(sorted(path.stem for path in _profile_folder().glob("*.yaml") if path.stem != "series_rules"))


def load_config(source: str = "default") -> Config:
    """Read a shipped profile or a YAML file; what it leaves out keeps its default.

    Parameters
    ----------
    source : str
        Name of a shipped profile (``"default"``, ``"emh"``, ``"metastasis"``) or path of a YAML file.

    Returns
    -------
    Config

    Raises
    ------
    UsageError
        BAD_CONFIG if the file is missing, is not YAML, or holds an unknown key or an impossible value.
    """
    path = _locate(source)
    values = _read_mapping(path)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise UsageError("BAD_CONFIG", f"{path.name}: {_explain(error)}.", "Correct this setting.") from None


def _locate(source: str) -> Path:
    if source in profile_names():
        return _profile_folder() / f"{source}.yaml"
    path = Path(source)
    if path.is_file():
        return path
    known = ", ".join(profile_names())
    raise UsageError(
        "BAD_CONFIG", f"{source!r} is neither a profile nor a file.", f"Give one of {known}, or a YAML file."
    )


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        what = str(error).splitlines()[0]
        raise UsageError("BAD_CONFIG", f"{path.name} is not readable YAML: {what}.", "Correct the file.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(
            "BAD_CONFIG", f"{path.name} holds a {type(values).__name__}, not settings.", "Write 'group: {key: value}'."
        )
    return values


def _explain(error: ValidationError) -> str:
    parts = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            parts.append(f"unknown key {key!r}")
        else:
            parts.append(f"{key} = {problem['input']!r}: {problem['msg']}")
    return "; ".join(parts)


def write_config(config: Config, path: Path) -> None:
    """Write every setting of a run, defaults included, as YAML that `load_config` reads back."""
    path.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def config_sha256(config: Config) -> str:
    """Return the SHA-256 of all settings, whatever file or order they came from."""
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
