from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from spinemri.anatomy.model import Centreline
from spinemri.errors import UsageError
from spinemri.followup import Radiotherapy, compare_results
from spinemri.followup.change import SHARED_CORRELATION, LogVolume, volume_change
from spinemri.followup.compatibility import error_correlation, protocol_differences, unlike_sequences
from spinemri.followup.paired import PairedEstimate, combined
from spinemri.intake.model import Plane, Role, Stack, Weighting
from spinemri.measure.record import ExtentRecord, FlagRecord
from spinemri.volume import Volume

TREATMENT = Radiotherapy(date(2024, 3, 4), date(2024, 3, 15), 20, 10, "T3-T9")


def codes(comparison):
    return [flag.code for flag in comparison.quality.flags]


def test_the_index_case_over_three_visits(make):
    results = [
        make.result(make.mass(6.0, 0.05), date="2024-03-01"),
        make.result(make.mass(5.016, 0.05), date="2024-03-22"),
        make.result(make.mass(2.0, 0.08), date="2024-09-15"),
    ]
    comparison = compare_results(results, TREATMENT)
    baseline, week, half_year = comparison.timepoints
    assert (baseline.verdict, baseline.change_percent, baseline.yardsticks) == (None, None, {})
    assert week.change_percent == pytest.approx(-16.4)
    assert (week.days_from_baseline, week.days_from_rt_end) == (21, 7)
    assert (baseline.days_from_baseline, baseline.days_from_rt_end) == (0, -14)
    expected = volume_change(LogVolume(6.0, 0.05), LogVolume(5.016, 0.05), correlation=SHARED_CORRELATION)
    assert week.change_ci95_percent == pytest.approx(expected.ci95_percent)
    assert (week.verdict, half_year.verdict) == ("decreased", "decreased")
    assert week.yardsticks["interobserver_volume_19_7_percent"] == "within"
    assert week.paired_change_percent is None
    assert comparison.nadir.volume_ml == 2.0
    assert comparison.recurrence.suspected is False
    assert (comparison.radiotherapy.mass_covered, comparison.radiotherapy.margin_levels) == (True, (2, 1))
    # Visits without images cannot be registered; each against the baseline says so.
    assert codes(comparison) == ["PAIRED_CHANGE_NOT_MEASURED"] * 2
    assert (baseline.verdict_basis, week.verdict_basis) == (None, "unpaired")


def test_recurrence_carries_its_date(make):
    volumes = {"2024-03-01": 6.0, "2024-03-22": 3.0, "2024-09-15": 5.0}
    comparison = compare_results([make.result(make.mass(v), date=d) for d, v in volumes.items()], None)
    assert (comparison.recurrence.suspected, comparison.recurrence.since) == (True, "2024-09-15")
    assert comparison.radiotherapy is None


@pytest.mark.parametrize(
    "second",
    [
        {"spacing_mm": 3.3},
        {"roles": (Role.SAGITTAL_T2,)},
        {"roles": (Role.SAGITTAL_T1, Role.SAGITTAL_T1_POST_FS)},
    ],
)
def test_another_protocol_widens_the_interval_and_is_flagged(make, second):
    masses = make.mass(6.0), make.mass(5.0)
    same = compare_results([make.result(masses[0]), make.result(masses[1], date="2024-04-01")], None)
    other = compare_results([make.result(masses[0]), make.result(masses[1], date="2024-04-01", **second)], None)
    (low, high), (wide_low, wide_high) = (c.timepoints[1].change_ci95_percent for c in (same, other))
    assert wide_low < low < high < wide_high
    assert "PROTOCOL_CHANGED" in codes(other)
    assert "PROTOCOL_CHANGED" not in codes(same)


def test_slice_spacing_within_ten_per_cent_is_the_same_protocol(make):
    comparison = compare_results([make.result(spacing_mm=4.4), make.result(date="2024-04-01", spacing_mm=4.0)], None)
    assert "PROTOCOL_CHANGED" not in codes(comparison)


@pytest.mark.parametrize(
    ("second", "code"),
    [
        ({"patient": "q"}, "DIFFERENT_PATIENTS"),
        ({"uid": "1.2.20240301"}, "SAME_STUDY_TWICE"),
        ({"flags": (FlagRecord(code="VISITS_DO_NOT_MATCH", message="m", severity="error"),)}, "CHANGE_NOT_ASSESSABLE"),
    ],
)
def test_studies_that_must_not_be_compared_have_no_change(make, second, code):
    comparison = compare_results([make.result(), make.result(date="2024-04-01", **second)], None)
    last = comparison.timepoints[1]
    assert (last.verdict, last.change_percent, last.yardsticks) == ("not_assessable", None, {})
    assert last.volume_ml == 6.0
    assert code in codes(comparison)


def test_an_unknown_patient_key_is_no_mismatch(make):
    comparison = compare_results([make.result(patient=""), make.result(date="2024-04-01")], None)
    assert "DIFFERENT_PATIENTS" not in codes(comparison)


def test_a_follow_up_that_leaves_out_part_of_the_mass_is_not_assessable(make):
    names = tuple(f"T{n}" for n in range(7, 13))
    short = make.mass(3.0, extent=ExtentRecord(from_level="T7", to_level="T8", length_mm=40))
    comparison = compare_results(
        [make.result(), make.result(short, date="2024-04-01", levels=make.levels(names))], None
    )
    assert comparison.timepoints[1].verdict == "not_assessable"
    message = next(f.message for f in comparison.quality.flags if f.code == "COVERAGE_DIFFERS")
    assert "T5, T6" in message


def test_visits_brought_together_show_the_mass_whatever_the_levels_say(make, monkeypatch):
    whole = combined([PairedEstimate("outlines", -3.0, 0.3)])
    monkeypatch.setattr("spinemri.followup.compare.paired_change", lambda *_, **__: whole)
    levels = make.levels(tuple(f"T{n}" for n in range(6, 13)))
    comparison = compare_results([make.result(), make.result(make.mass(3.0), date="2024-04-01", levels=levels)], None)
    assert (comparison.timepoints[1].verdict, comparison.timepoints[1].verdict_basis) == ("decreased", "paired")
    assert "COVERAGE_DIFFERS" in codes(comparison)


def test_where_the_surroundings_of_the_mass_are_cut_the_levels_decide(make, monkeypatch):
    scarcely = replace(combined([PairedEstimate("outlines", -3.0, 0.3)]), wholly_seen=False)
    monkeypatch.setattr("spinemri.followup.compare.paired_change", lambda *_, **__: scarcely)
    levels = make.levels(tuple(f"T{n}" for n in range(6, 13)))
    comparison = compare_results([make.result(), make.result(make.mass(3.0), date="2024-04-01", levels=levels)], None)
    assert comparison.timepoints[1].verdict == "not_assessable"


def test_a_mass_that_one_outline_misses_is_not_called_gone(make, monkeypatch):
    still_there = combined([PairedEstimate("boundary_shift", -0.1, 0.3)])
    monkeypatch.setattr("spinemri.followup.compare.paired_change", lambda *_, **__: still_there)
    comparison = compare_results([make.result(), make.result(make.mass(None), date="2024-04-01")], None)
    visit = comparison.timepoints[1]
    assert (visit.verdict, visit.verdict_basis, visit.change_percent) == ("not_distinguishable", "paired", None)
    assert codes(comparison) == ["MASS_OUTLINED_ONCE"]


def test_a_shifted_field_of_view_that_still_covers_the_mass_is_compared(make):
    names = tuple(f"T{n}" for n in range(3, 11))
    comparison = compare_results([make.result(), make.result(date="2024-04-01", levels=make.levels(names))], None)
    assert comparison.timepoints[1].verdict == "not_distinguishable"
    assert "COVERAGE_DIFFERS" not in codes(comparison)


def _cut(levels, name):
    vertebrae = tuple(v.model_copy(update={"complete": v.complete and v.name != name}) for v in levels.vertebrae)
    return levels.model_copy(update={"vertebrae": vertebrae})


def _with_canal(result, posterior_mm):
    """The result with an image 60 mm deep whose canal runs at a distance from its front."""
    image = Volume(np.zeros((3, 60, 200), np.float32), np.diag([4.4, 1.0, 1.0, 1.0]))
    points = np.stack([np.full(200, 4.4), np.full(200, posterior_mm), np.arange(0.0, -200.0, -1.0)], axis=1)
    frame = np.broadcast_to([0.0, 1.0, 0.0], points.shape)
    anatomy = replace(result.anatomy, centreline=Centreline(points, frame, frame, frame))
    return replace(result, images=dict.fromkeys(result.images, image), anatomy=anatomy)


def test_a_body_cut_in_front_between_whole_ones_hides_none_of_the_mass(make):
    cut = make.result(date="2024-04-01", levels=_cut(make.levels(), "T6"))
    comparison = compare_results([make.result(), _with_canal(cut, 40.0)], None)
    assert "COVERAGE_DIFFERS" not in codes(comparison)
    assert comparison.timepoints[1].verdict == "not_distinguishable"


@pytest.mark.parametrize("posterior_mm", [5.0, 55.0])
def test_a_body_cut_where_the_canal_leaves_the_image_may_hide_some(make, posterior_mm):
    cut = make.result(date="2024-04-01", levels=_cut(make.levels(), "T6"))
    comparison = compare_results([make.result(), _with_canal(cut, posterior_mm)], None)
    assert "T6" in next(f.message for f in comparison.quality.flags if f.code == "COVERAGE_DIFFERS")


def test_a_body_cut_at_the_end_of_the_field_of_view_may_hide_some(make):
    names = tuple(f"T{n}" for n in range(5, 11))
    cut = make.result(date="2024-04-01", levels=_cut(make.levels(names), "T5"))
    comparison = compare_results([make.result(), cut], None)
    assert "T5" in next(f.message for f in comparison.quality.flags if f.code == "COVERAGE_DIFFERS")


def test_visits_without_dates_keep_their_order_and_say_so(make):
    results = [make.result(date="", uid="1"), make.result(date="", uid="2")]
    comparison = compare_results(results, TREATMENT)
    assert [t.days_from_baseline for t in comparison.timepoints] == [None, None]
    assert "NO_STUDY_DATES" in codes(comparison)


def test_relative_numbering_leaves_the_treated_levels_unjudged(make):
    results = [make.result(levels=make.levels(numbering="relative")), make.result(date="2024-04-01")]
    comparison = compare_results(results, TREATMENT)
    assert comparison.radiotherapy.mass_covered is None
    assert "RT_LEVELS_NOT_COMPARABLE" in codes(comparison)


def test_one_study_is_no_comparison(make):
    with pytest.raises(UsageError, match="TOO_FEW_STUDIES"):
        compare_results([make.result()], None)


def test_the_same_input_gives_the_same_json(make):
    results = [make.result(), make.result(make.mass(None), date="2024-04-01")]
    first, second = (compare_results(results, TREATMENT).model_dump_json() for _ in range(2))
    assert first == second
    assert '"MASS_NOT_FOUND_AT_FOLLOWUP"' in first


LUMBAR = ("L1", "L2", "L3", "L4", "L5")


@pytest.mark.parametrize(
    "between",
    [
        {"mass": None, "levels": LUMBAR},
        {"mass": 0.5, "flags": (FlagRecord(code="VISITS_DO_NOT_MATCH", message="", severity="error"),)},
        {"mass": 0.5, "patient": "another"},
    ],
    ids=["elsewhere", "does not match", "another patient"],
)
def test_a_visit_that_does_not_show_the_mass_hides_no_recurrence(make, between):
    fields = {key: value for key, value in between.items() if key not in ("mass", "levels")}
    levels = make.levels(between["levels"]) if "levels" in between else None
    volumes = {"2024-03-01": 8.0, "2024-06-01": 3.0, "2024-09-15": 7.0}
    results = [make.result(make.mass(v), date=d) for d, v in volumes.items()]
    results.insert(1, make.result(make.mass(between["mass"]), date="2024-04-01", levels=levels, **fields))
    comparison = compare_results(results, None)
    assert (comparison.nadir.study_date, comparison.nadir.volume_ml) == ("2024-06-01", 3.0)
    assert (comparison.recurrence.suspected, comparison.recurrence.since) == (True, "2024-09-15")


def test_a_mass_that_is_gone_where_it_was_is_the_nadir(make):
    results = [make.result(make.mass(v), date=d) for d, v in (("2024-03-01", 8.0), ("2024-06-01", None))]
    assert compare_results(results, None).nadir.volume_ml is None


def test_a_visit_without_named_levels_may_not_show_where_the_mass_was(make):
    unknown = make.levels((), numbering="unknown")
    comparison = compare_results([make.result(), make.result(make.mass(None), date="2024-04-01", levels=unknown)], None)
    assert comparison.timepoints[1].verdict == "not_assessable"
    assert codes(comparison) == ["CHANGE_NOT_ASSESSABLE"]


def test_outlines_that_no_network_made_alone_share_no_error(make):
    edited = (FlagRecord(code="MASKS_EDITED", message="", severity="info"),)
    drawn = replace(make.result().anatomy, model_sha256="")
    pairs = {
        "read alike": (make.result(), make.result(date="2024-04-01")),
        "edited": (make.result(), make.result(date="2024-04-01", flags=edited)),
        "drawn": tuple(replace(make.result(date=day), anatomy=drawn) for day in ("2024-03-01", "2024-04-01")),
    }
    shared = {name: error_correlation(*pair) for name, pair in pairs.items()}
    assert shared == {"read alike": SHARED_CORRELATION, "edited": 0.0, "drawn": 0.0}


def test_a_sequence_that_only_one_visit_has_is_another_protocol(make):
    both = (Role.SAGITTAL_T2, Role.SAGITTAL_T1)
    results = make.result(roles=both), make.result(date="2024-04-01", roles=both[:1])
    assert protocol_differences(*results) == (
        "the sagittal sequences are sagittal_t2 and sagittal_t1, then sagittal_t2",
    )


def test_images_after_contrast_agent_count_as_sequences_where_both_visits_have_some(make):
    sagittal, axial = Role.SAGITTAL_T1_POST_FS, Role.AXIAL_POST_FS
    results = make.result(roles=(Role.SAGITTAL_T2, sagittal)), make.result(roles=(Role.SAGITTAL_T2, axial))
    assert protocol_differences(*results) == (
        "the sagittal sequences are sagittal_t2 and sagittal_t1_post_fs, then sagittal_t2",
    )
    plain = make.result(roles=(Role.SAGITTAL_T2,))
    assert protocol_differences(results[0], plain) == ("only one of the visits has images after contrast agent",)


def test_another_fat_suppression_of_a_sequence_beside_is_another_protocol(make):
    fat_suppressed, plain = (
        _taken_as(make.result(), weighting, Role.SAGITTAL_T1_POST_FS) for weighting in (Weighting.STIR, Weighting.T1)
    )
    assert protocol_differences(fat_suppressed, plain) == (
        "sagittal_t1_post_fs has another weighting or fat suppression",
    )


def _taken_as(result, weighting, role=Role.SAGITTAL_T2):
    stack = Stack(
        stack_id="", series_instance_uid="", series_description="", plane=Plane.SAGITTAL, weighting=weighting,
        fat_suppressed=weighting is Weighting.STIR, contrast_enhanced=False, region="", grid=result.primary_image.grid,
        frame_of_reference_uid="", acquired="", reader=lambda: result.primary_image, role=role,
    )  # fmt: skip
    return replace(result, study=replace(result.study, stacks=(stack,)))


def test_stir_in_the_place_of_t2_is_another_sequence(make):
    t2 = _taken_as(make.result(), Weighting.T2)
    stir = _taken_as(make.result(date="2024-04-01"), Weighting.STIR)
    assert unlike_sequences(t2, stir) == {Role.SAGITTAL_T2}
    assert protocol_differences(t2, stir) == ("the measured sequence has another weighting or fat suppression",)
    assert unlike_sequences(t2, t2) == frozenset()
