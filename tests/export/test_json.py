import json
from importlib import resources

import jsonschema
import pytest
from synthetic_result import make_comparison, make_followup, make_result, make_unmeasured

from spinemri.errors import InternalError
from spinemri.export import write_comparison, write_study
from spinemri.export.jsonfile import as_json, json_text, rounded
from spinemri.export.schema import schema_texts
from spinemri.measure.record import ExtentRecord, MassRecord


def shipped(name):
    return json.loads((resources.files("spinemri.export") / "schemas" / name).read_text(encoding="utf-8"))


def validate(content, name):
    schema = shipped(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(content)


def test_shipped_schemas_are_those_of_the_types():
    for name, text in schema_texts().items():
        assert (resources.files("spinemri.export") / "schemas" / name).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("make", [make_result, make_unmeasured])
def test_written_measurements_follow_the_schema(tmp_path, make):
    write_study(make(), tmp_path)
    text = (tmp_path / "measurements.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    validate(json.loads(text), "measurements.schema.json")


def test_written_comparison_follows_the_schema(tmp_path):
    write_comparison(make_comparison(make_result(), make_followup()), tmp_path)
    content = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    validate(content, "comparison.schema.json")
    assert [t["verdict"] for t in content["timepoints"]] == [None, "decreased"]


def test_the_schema_refuses_an_unknown_field():
    content = as_json(make_result().measurements)
    content["volume"] = 3
    with pytest.raises(jsonschema.ValidationError):
        validate(content, "measurements.schema.json")


def test_extent_has_the_keys_of_the_contract_and_reads_back():
    record = MassRecord(status="measured", extent=ExtentRecord(from_level="T5", to_level="T8", length_mm=77.30004))
    written = as_json(record)
    assert written["extent"] == {"from": "T5", "to": "T8", "length_mm": 77.3}
    assert MassRecord.model_validate(written).extent == ExtentRecord(from_level="T5", to_level="T8", length_mm=77.3)


def test_keys_keep_the_order_of_the_contract():
    content = as_json(make_result().measurements)
    assert list(content) == [
        "schema_version",
        "software",
        "study",
        "series",
        "levels",
        "mass",
        "compromise",
        "quality",
    ]


@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        (1.23456, "volume_ml", 1.235),
        (41.2345, "mcc_percent", 41.23),
        (-0.0001, "centre_lps_mm", 0.0),
        (-9.876, "change_ci95_percent", -9.88),
    ],
)
def test_numbers_are_rounded_by_their_unit(value, key, expected):
    assert rounded(value, key) == expected
    assert not str(rounded(value, key)).startswith("-0.0")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused(value):
    with pytest.raises(InternalError, match="volume_ml"):
        rounded(value, "volume_ml")


def test_letters_outside_ascii_are_kept():
    assert json_text({"a": "Wirbelsäule"}) == '{\n  "a": "Wirbelsäule"\n}\n'
