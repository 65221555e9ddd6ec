"""Settings are read, checked and written back."""

from pathlib import Path

import pytest
import yaml

from spinemri.config import Config, config_sha256, load_config, profile_names, write_config
from spinemri.errors import UsageError


def test_the_default_profile_states_every_setting_at_its_default() -> None:
    folder = Path(__file__).parents[1] / "configs"
    stated = yaml.safe_load((folder / "default.yaml").read_text(encoding="utf-8"))
    assert stated == Config().model_dump(mode="json")


@pytest.mark.parametrize("name", ["default", "emh", "metastasis"])
def test_shipped_profiles_load(name: str) -> None:
    assert name in profile_names()
    assert load_config(name).mass.minimum_volume_ml > 0


def test_the_series_rules_are_no_profile() -> None:
    assert "series_rules" not in profile_names()


def test_settings_left_out_keep_their_default(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("mass: {minimum_volume_ml: 0.5}\n", encoding="utf-8")
    config = load_config(str(path))
    assert config.mass.minimum_volume_ml == 0.5
    assert config.mass.existence_threshold == Config().mass.existence_threshold


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("mass: {minimum_volume: 1}", "mass.minimum_volume"),
        ("colour: red", "colour"),
        ("mass: {existence_threshold: 1.5}", "1.5"),
        ("mass: {existence_threshold: high}", "high"),
        ("- mass", "list"),
        ("mass: [", "not readable YAML"),
        ("mass: !!python/object/apply:os.getcwd []", "not readable YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_config(str(path))
    assert caught.value.code == "BAD_CONFIG"
    assert named in str(caught.value)


def test_an_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="default, emh, metastasis"):
        load_config("glioma")


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("", encoding="utf-8")
    assert load_config(str(tmp_path / "empty.yaml")) == Config()


def test_written_settings_read_back_with_the_same_hash(tmp_path: Path) -> None:
    config = load_config("metastasis")
    write_config(config, tmp_path / "config.yaml")
    again = load_config(str(tmp_path / "config.yaml"))
    assert again == config
    assert config_sha256(again) == config_sha256(config) != config_sha256(Config())
