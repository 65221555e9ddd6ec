import csv
from pathlib import Path

import pytest
from synthetic_result import make_comparison, make_followup, make_result, make_unmeasured

from spinemri.export import write_comparison, write_study
from spinemri.export.schema import data_dictionary
from spinemri.measure.record import ProfileRow


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_study_is_one_row_with_units_in_the_names(tmp_path):
    result = make_result()
    write_study(result, tmp_path)
    (row,) = rows(tmp_path / "measurements.csv")
    assert row["extent_from"] == "T5"
    assert row["extent_to"] == "T8"
    assert row["worst_level"] == "T6/7"
    # Rounded to 3 decimals in the file.
    assert float(row["volume_ml"]) == pytest.approx(result.measurements.mass.volume_ml, abs=5e-4)
    assert float(row["epidural_volume_ml"]) == float(row["volume_ml"])
    assert float(row["foraminal_volume_ml"]) == 0
    assert row["truncated"] == "false"
    assert row["reference_level_below"] == "T9"
    assert row["t1_to_marrow"] == ""
    assert row["flags"] == "PAIRED_AXIAL;SIGNAL_NOT_MEASURED"


def test_what_was_not_measured_is_an_empty_cell(tmp_path):
    write_study(make_unmeasured(), tmp_path)
    (row,) = rows(tmp_path / "measurements.csv")
    assert row["mass_status"] == "not_assessable"
    assert {row[name] for name in ("volume_ml", "volume_ci95_low_ml", "epidural_volume_ml", "mcc_percent")} == {""}
    assert rows(tmp_path / "profile.csv") == []
    text = (tmp_path / "measurements.csv").read_text(encoding="utf-8").lower()
    assert "none," not in text.replace(",none,0.0", "")  # the anchor is called "none"
    assert "nan" not in text


def test_the_profile_has_every_field_and_one_row_per_mm(tmp_path):
    write_study(make_result(), tmp_path)
    table = rows(tmp_path / "profile.csv")
    assert list(table[0]) == list(ProfileRow.model_fields)
    assert [float(row["arc_length_mm"]) for row in table] == [float(i) for i in range(141)]
    assert table[0]["sac_area_mm2"] == ""


def test_a_comparison_has_one_row_per_visit(tmp_path):
    comparison = make_comparison(make_result(), make_followup())
    write_comparison(comparison, tmp_path)
    first, second = rows(tmp_path / "comparison.csv")
    assert first["change_percent"] == ""
    assert float(second["change_percent"]) == pytest.approx(comparison.timepoints[1].change_percent, abs=5e-3)
    assert float(second["change_ci95_low_percent"]) < float(second["change_percent"])
    assert second["verdict"] == "decreased"


def test_lines_end_as_on_unix(tmp_path):
    write_study(make_result(), tmp_path)
    for name in ("measurements.csv", "profile.csv", "measurements.json"):
        content = (tmp_path / name).read_bytes()
        assert b"\r" not in content
        assert content.endswith(b"\n")


def test_the_data_dictionary_is_up_to_date_and_names_every_column(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "data-dictionary.md").read_text(encoding="utf-8")
    assert text == data_dictionary()
    write_study(make_result(), tmp_path)
    write_comparison(make_comparison(make_result(), make_followup()), tmp_path)
    for path in tmp_path.glob("*.csv"):
        section = text.split(f"## {path.name}\n")[1].split("\n## ")[0]
        header = path.read_text(encoding="utf-8").splitlines()[0].split(",")
        assert [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")] == header
