from dataclasses import replace

import pytest
from synthetic_result import make_comparison, make_followup, make_result, make_unmeasured

from spinemri.measure.record import ExtentRecord, FlagRecord, QualityRecord
from spinemri.report.reasons import why_missing
from spinemri.report.tables import change_rows, measurement_groups
from spinemri.report.tiles import tiles
from spinemri.report.wording import (
    change_sentence,
    compromise_sentence,
    decimal,
    extent_text,
    finding_sentence,
    interval_text,
    signed,
    volume_text,
)


def plain(text):
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{EN DASH}", "-").replace("\N{MINUS SIGN}", "-")


@pytest.fixture(scope="module")
def result():
    return make_result()


@pytest.fixture(scope="module")
def comparison(result):
    return make_comparison(result, make_followup())


def changed(comparison, **update):
    baseline, later = comparison.timepoints
    return comparison.model_copy(update={"timepoints": (baseline, later.model_copy(update=update))})


def test_numbers_have_true_minus_signs_and_no_negative_zero():
    assert decimal(-1.26, 1) == "\N{MINUS SIGN}1.3"
    assert decimal(-0.01, 1) == "0.0"
    assert signed(3.0, 0) == "+3"
    assert signed(0.0, 0) == "0"
    assert plain(interval_text((9.76, 12.1), 1)) == "95 % CI 9.8-12.1"
    assert plain(interval_text((-22.0, 4.0), 0, with_sign=True)) == "95 % CI -22 to +4"
    assert plain(volume_text(10.94, (9.8, 12.1))) == "10.9 ml (95 % CI 9.8-12.1)"
    assert plain(volume_text(0.456, None)) == "0.46 ml"
    assert volume_text(None, None) == "not assessable"


def test_an_unanchored_extent_is_in_doubt():
    extent = ExtentRecord(from_level="T5", to_level="T8", length_mm=70)
    assert plain(extent_text(extent)) == "T5-T8"
    assert plain(extent_text(extent, anchored=False)) == "T5?-T8?"
    assert extent_text(ExtentRecord(from_level="T5", to_level="T5", length_mm=9)) == "T5"
    assert extent_text(ExtentRecord(from_level=None, to_level="T5", length_mm=9)) == "not assessable"


def test_the_finding_is_one_plain_sentence(result):
    volume = result.measurements.mass.volume_ml
    text = plain(finding_sentence(result.measurements))
    assert text.startswith(f"Posterior epidural mass T5-T8, worst at T6/7, {volume:.2f} ml (95 % CI ")
    assert "cord compression (MSCC) 33 %" in plain(compromise_sentence(result.measurements))


def test_no_mass_and_no_answer_are_said_plainly():
    assert finding_sentence(make_unmeasured("not_found").measurements) == "No epidural mass found."
    assert finding_sentence(make_unmeasured().measurements) == "Epidural mass not assessable."
    assert compromise_sentence(make_unmeasured().measurements) == ""


@pytest.mark.parametrize(
    ("update", "start"),
    [
        ({}, "Decreased by 16."),
        ({"verdict": "increased", "change_percent": 20.04}, "Increased by 20.0 %"),
        (
            {"verdict": "not_distinguishable", "change_percent": -3.0, "change_ci95_percent": (-9.0, 4.0)},
            "Not distinguishable from no change after 19 days: -3.0 % (95 % CI -9.0 to +4.0)",
        ),
        ({"verdict": "not_assessable", "change_percent": None}, "Change after 19 days not assessable."),
        (
            {"verdict": "decreased", "change_percent": None},
            "Decreased: the mass is no longer found after 19 days; no change in per cent is given.",
        ),
    ],
)
def test_the_verdict_leads(comparison, update, start):
    assert plain(change_sentence(changed(comparison, **update))).startswith(start)


# Outlines alone cannot tell this change from none, registered visits can: the two must not be mixed.
_PAIRED = {
    "change_percent": -14.4,
    "change_ci95_percent": (-27.8, 1.3),
    "paired_change_percent": -15.2,
    "paired_change_ci95_percent": (-27.0, -3.4),
    "verdict": "decreased",
    "verdict_basis": "paired",
}


def test_the_change_beside_the_verdict_is_the_one_it_rests_on(comparison):
    paired = changed(comparison, **_PAIRED)
    said = plain(change_sentence(paired))
    assert said.startswith("Decreased by 15.2 % (paired, 95 % CI -27.0 to -3.4) after 19 days")
    verdict = next(row for row in change_rows(paired) if row.name == "Verdict").cells[1]
    assert (verdict.text, verdict.note) == ("decreased", "from the paired change")
    unpaired = changed(comparison, **{**_PAIRED, "verdict": "not_distinguishable", "verdict_basis": "unpaired"})
    assert "-14.4 % (95 % CI -27.8 to +1.3)" in plain(change_sentence(unpaired))


def test_the_smallest_detectable_change_stands_beside_the_verdict(comparison):
    assert "smallest detectable change 12.0 %" in plain(change_sentence(comparison))


def test_a_missing_change_says_why(comparison):
    flag = FlagRecord(code="CHANGE_NOT_ASSESSABLE", message="Both visits are the same study.", severity="warning")
    unknown = changed(comparison, verdict="not_assessable", change_percent=None)
    unknown = unknown.model_copy(update={"quality": QualityRecord(flags=(flag,))})
    assert "Both visits are the same study." in change_sentence(unknown)


def test_every_missing_value_has_a_reason():
    for status in ("not_assessable", "not_found"):
        groups = measurement_groups([make_unmeasured(status)])
        cells = [cell for group in groups for row in group.rows for cell in row.cells]
        missing = [cell for cell in cells if cell.missing]
        assert len(missing) >= len(cells) - 1
        assert all(cell.note for cell in missing)
        assert not any(cell.text in {"None", "nan", ""} for cell in cells)


def test_a_reason_is_the_finding_that_explains_it(result):
    flags = (
        FlagRecord(code="CANAL_UNKNOWN", message="m", severity="warning"),
        FlagRecord(code="MCC_REFERENCE_MISSING", message="m", severity="warning"),
    )
    measured = result.measurements.model_copy(update={"quality": QualityRecord(flags=flags)})
    assert why_missing("mcc_percent", measured) == "see MCC_REFERENCE_MISSING"
    assert why_missing("canal_area_mm2", measured) == "see CANAL_UNKNOWN"
    bare = measured.model_copy(update={"series": (), "quality": QualityRecord()})
    assert why_missing("t1_to_marrow", bare) == "no sagittal T1 sequence used"
    assert why_missing("t2_to_marrow", bare) == "no sagittal T2 sequence used"
    axial = tuple(series for series in measured.series if series.plane == "axial")
    assert {series.weighting for series in axial if series.used} == {"T2"}
    assert why_missing("t2_to_marrow", bare.model_copy(update={"series": axial})) == "no sagittal T2 sequence used"
    assert why_missing("enhancement_ratio", bare) == "no post-contrast sequence used"


@pytest.mark.parametrize(("role", "weighting"), [("sagittal_t1", "T1"), ("sagittal_t2", "T2")])
def test_a_ratio_to_marrow_is_missing_where_fat_is_suppressed(result, role, weighting):
    only = result.measurements.series[0].model_copy(
        update={"role": role, "weighting": weighting, "fat_suppressed": True, "used": True}
    )
    measured = result.measurements.model_copy(update={"series": (only,), "quality": QualityRecord()})
    wanted = f"the sagittal {weighting} is fat-suppressed"
    assert why_missing(f"{weighting.lower()}_to_marrow", measured) == wanted


def test_change_rows_hold_interval_verdict_and_yardsticks(comparison):
    rows = {row.name: row for row in change_rows(comparison)}
    assert plain(rows["Change, independent outlines"].cells[1].text).startswith("-16.")
    assert plain(rows["Change, independent outlines"].cells[1].note).startswith("95 % CI -")
    assert rows["Verdict"].cells[1].text == "decreased"
    assert rows["Change, paired"].cells[1].missing
    assert rows["Days from end of radiotherapy"].cells[1].text == "7"
    assert rows["Yardstick: recist"].cells[1].text == "stable"


@pytest.fixture(scope="module")
def lumbar(result):
    """The same mass below the conus."""
    evidence = {"csf_share": 0.234, "fat_behind": True, "reformatted": True}
    update = {"escc_grade": None, "schizas_grade": "B", "schizas_evidence": evidence}
    compromise = result.measurements.compromise.model_copy(update=update)
    flags = (FlagRecord(code="ESCC_BELOW_CONUS", message="Below the conus.", severity="info"),)
    changes = {"compromise": compromise, "quality": QualityRecord(flags=flags)}
    return replace(result, measurements=result.measurements.model_copy(update=changes))


def test_below_the_conus_the_cauda_equina_is_graded(lumbar, result):
    assert "Schizas grade B" in compromise_sentence(lumbar.measurements)
    assert "ESCC" not in compromise_sentence(lumbar.measurements)
    assert [(tile.name, tile.values) for tile in tiles([lumbar])][-1] == ("Schizas grade", ("B",))
    assert [tile.name for tile in tiles([lumbar, result])][-1] == "ESCC grade"
    rows = {row.name: row.cells[0] for group in measurement_groups([lumbar]) for row in group.rows}
    assert rows["ESCC grade (Bilsky)"].note == "see ESCC_BELOW_CONUS"
    assert rows["Schizas grade"].text == "B"
    assert plain(rows["Schizas grade"].note) == "fluid 23 % of the sac, fat behind it, sagittal T2, reformatted"
    assert not any(row.name == "Schizas grade" for group in measurement_groups([result]) for row in group.rows)
