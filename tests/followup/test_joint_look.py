"""Two visits looked at together: what the network is shown of them, and what becomes of its answer."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sampled_pairs import SHAPE, sampled_pair

from spinemri.errors import InternalError
from spinemri.followup import compare, joint_look
from spinemri.followup.joint_look import PAIR_CHANNELS, look_jointly
from spinemri.followup.paired import ESTIMATE_SD_MM, JOINT_ESTIMATE_SD_MM, compare_pair
from spinemri.followup.sampled_pair import AROUND, MASS, SampledPair
from spinemri.intake.model import Role, Weighting
from spinemri.mass.canal_input import CHANNELS_IN, PRIOR, SLOTS
from spinemri.measure.record import FlagRecord
from spinemri.nomenclature import Tissue

ROLES = (Role.SAGITTAL_T2, Role.SAGITTAL_T1, Role.SAGITTAL_T1_POST_FS)
STACKS: dict[Role, Any] = {
    role: SimpleNamespace(weighting=weighting, fat_suppressed=agent, contrast_enhanced=agent)
    for role, weighting, agent in zip(
        ROLES, (Weighting.T2, Weighting.T1, Weighting.T1), (False, False, True), strict=True
    )
}


def _pair(borders_mm: tuple[float, float] = (17.3, 18.3)) -> SampledPair:
    """Two visits whose mass begins at these depths; bone behind the canal and in front of it."""
    pair = sampled_pair(borders_mm, roles=ROLES)
    around = pair.around.copy()
    around[:, AROUND.index(Tissue.BODY)] = 1 - pair.coverage.sum(1)
    return replace(pair, around=around)


def _says(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[np.ndarray]:
    """Let a function of a visit's channels stand in for the network; what it was shown is collected."""
    shown: list[np.ndarray] = []

    def run(_: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        shown.append(inputs["pair"])
        return [np.stack([answer(visit) for visit in inputs["pair"]])[:, None].astype(np.float32)]

    monkeypatch.setattr(joint_look, "session", lambda _: SimpleNamespace(run=run))
    monkeypatch.setattr(joint_look, "_MAXIMUM_THREADS", 1)
    return shown


def test_each_visit_is_shown_with_the_other_one_and_with_itself_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _says(monkeypatch, lambda visit: visit[PRIOR])
    pair = _pair()
    look_jointly(pair, STACKS)
    assert len(shown) == SHAPE[0]
    height, width = SHAPE[1:]
    for index, looks in enumerate(shown):
        assert looks.shape[:2] == (4, PAIR_CHANNELS)
        assert all(size % 8 == 0 for size in looks.shape[2:])
        own, other = looks[:, :CHANNELS_IN], looks[:, CHANNELS_IN:]
        assert np.array_equal(own, own[[0, 1, 0, 1]])
        assert np.array_equal(other, own[[0, 0, 1, 1]])
        for visit, channels in enumerate(looks[:2]):
            assert np.array_equal(channels[PRIOR, :height, :width], pair.coverage[visit, MASS, index])
            for number, slot in enumerate((0, 2, 3)):
                assert np.array_equal(channels[slot, :height, :width], pair.signal[visit, number, index])
            assert not channels[1].any(), "there is no fat-suppressed T2"
            assert channels[CHANNELS_IN - len(SLOTS) - 1 : CHANNELS_IN - 1, 0, 0].tolist() == [1, 0, 1, 1]


def test_a_network_that_changes_nothing_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _says(monkeypatch, lambda visit: visit[PRIOR])
    pair = _pair()
    after = look_jointly(pair, STACKS)
    assert np.allclose(after.coverage, pair.coverage, atol=1e-5)
    assert not after.outside.any()


def test_the_other_visit_counts_half(monkeypatch: pytest.MonkeyPatch) -> None:
    _says(monkeypatch, lambda visit: visit[CHANNELS_IN + PRIOR])
    pair = _pair()
    after = look_jointly(pair, STACKS)
    assert (pair.coverage[0, MASS] != pair.coverage[1, MASS]).any()
    for coverage in after.coverage:
        assert np.allclose(coverage[MASS], pair.coverage[:, MASS].mean(0), atol=1e-5)


def test_the_canal_keeps_its_extent_and_what_is_more_lies_outside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _says(monkeypatch, lambda visit: np.ones_like(visit[PRIOR]))
    pair = _pair()
    after = look_jointly(pair, STACKS)
    canal = pair.coverage.sum(1)
    assert np.allclose(after.coverage.sum(1), canal, atol=1e-5)
    assert np.allclose(after.coverage[:, MASS], canal, atol=1e-5)
    assert np.allclose(after.outside, 1 - canal, atol=1e-5)


def test_what_the_mass_leaves_is_shared_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    _says(monkeypatch, lambda visit: np.zeros_like(visit[PRIOR]))
    pair = _pair()
    after = look_jointly(pair, STACKS)
    assert not after.coverage[:, MASS].any()
    rest = pair.coverage[:, :MASS].sum(1)
    mixed = (rest > 0.2) & (rest < 0.8)
    assert mixed.any()
    share = pair.coverage[:, :MASS] / np.maximum(rest, 1e-6)[:, None]
    wanted = share * pair.coverage.sum(1)[:, None]
    assert np.allclose(after.coverage[:, :MASS].swapaxes(0, 1)[:, mixed], wanted.swapaxes(0, 1)[:, mixed], atol=1e-5)


def test_where_one_visit_has_no_data_the_outlines_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    _says(monkeypatch, lambda visit: np.zeros_like(visit[PRIOR]))
    pair = _pair()
    seen = np.ones(SHAPE, bool)
    seen[:, :, 20:] = False
    after = look_jointly(replace(pair, seen=seen), STACKS)
    assert np.allclose(after.coverage[..., 20:], pair.coverage[..., 20:], atol=1e-5)
    assert not after.coverage[:, MASS, :, :, :20].any()


@pytest.mark.parametrize("kept", [(0,), (1,), (2,)])
def test_one_sequence_alone_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch, kept: tuple[int, ...]) -> None:
    shown = _says(monkeypatch, lambda visit: np.zeros_like(visit[PRIOR]))
    pair = _pair()
    alone = replace(pair, roles=tuple(ROLES[k] for k in kept), signal=pair.signal[:, list(kept)])
    assert look_jointly(alone, STACKS) is alone
    assert not shown


def test_exchanged_visits_get_exchanged_outlines() -> None:
    pair = _pair()
    there = look_jointly(pair, STACKS)
    turned = {name: getattr(pair, name)[::-1].copy() for name in ("coverage", "outside", "signal", "around")}
    back = look_jointly(replace(pair, **turned), STACKS)
    assert np.allclose(there.coverage, back.coverage[::-1], atol=1e-5)


def test_a_mirrored_patient_gets_the_mirrored_outlines() -> None:
    pair = _pair()
    wider = pair.coverage.copy()
    wider[:, 2, :4] += wider[:, MASS, :4]
    wider[:, MASS, :4] = 0.0
    one_sided = replace(pair, coverage=wider)
    fields = ("coverage", "outside", "signal", "around", "seen", "near", "canal")
    mirrored = replace(one_sided, **{name: np.flip(getattr(one_sided, name), -3).copy() for name in fields})
    assert np.allclose(
        look_jointly(mirrored, STACKS).coverage, np.flip(look_jointly(one_sided, STACKS).coverage, -3), atol=1e-5
    )


def test_a_missing_network_is_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint_look, "MODEL_NAME", "absent.onnx")
    with pytest.raises(InternalError, match="absent") as caught:
        look_jointly(_pair(), STACKS)
    assert caught.value.code == "MODEL_MISSING"


@pytest.mark.parametrize(("edited", "looked"), [(False, True), (True, False)])
def test_what_people_drew_is_theirs(make: Any, monkeypatch: pytest.MonkeyPatch, edited: bool, looked: bool) -> None:
    told: list[Any] = []

    def paired_change(*_: Any, stacks: Any, **__: Any) -> str:
        told.append(stacks)
        return "not of interest here"

    monkeypatch.setattr(compare, "paired_change", paired_change)
    flags = (FlagRecord(code="MASKS_EDITED", message="", severity="info"),) if edited else ()
    compare.pair_change(make.result(), make.result(date="2024-04-01", flags=flags))
    assert [stacks is not None for stacks in told] == [looked]


def test_a_comparison_names_the_network_that_looks_at_two_visits(make: Any) -> None:
    results = [make.result(), make.result(date="2024-04-01")]
    comparison = compare.compare_results(results, None)
    assert comparison.pair_model_sha256 == joint_look.pair_network_sha256()
    assert len(comparison.pair_model_sha256) == 64
    assert comparison.pair_model_sha256 != joint_look.all_networks_sha256()


def test_what_was_looked_at_together_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    _says(monkeypatch, lambda visit: visit[PRIOR])
    pair = _pair()
    after = look_jointly(pair, STACKS)
    assert (pair.jointly, after.jointly) == (False, True)
    alone, together = compare_pair(pair), compare_pair(after)
    for one, other in zip(alone.estimates, together.estimates, strict=True):
        assert one.change_ml == pytest.approx(other.change_ml, abs=0.01)
        ratio = JOINT_ESTIMATE_SD_MM[one.method] / ESTIMATE_SD_MM[one.method]
        assert other.sd_ml == pytest.approx(one.sd_ml * ratio, rel=0.01)
