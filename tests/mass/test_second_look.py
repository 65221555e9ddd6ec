"""The second look at the canal: what is shown to the network, where, and what becomes of its answer."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from shapes import ellipsoid, oblique_affine

from spinemri.anatomy.model import TissueMap
from spinemri.errors import InternalError
from spinemri.mass import second_look
from spinemri.mass.canal_input import (
    CHANNELS_IN,
    PRIOR,
    SLOTS,
    CanalView,
    network_input,
    slot_of,
    to_working,
)
from spinemri.mass.second_look import SequenceImage, look_again
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume

SHAPE, SPACING = (9, 60, 90), (3.6, 0.9, 0.7)
AFFINE = oblique_affine(SPACING, 11)
CLICK = CHANNELS_IN - len(SLOTS) - 2
MASS = [int(Tissue.MASS_CANAL), int(Tissue.MASS_OUTSIDE)]


def _tissues(affine: np.ndarray = AFFINE) -> TissueMap:
    canal = ellipsoid(SHAPE, SPACING, (4, 30, 45), (9, 9, 1e4))
    mass = np.minimum(ellipsoid(SHAPE, SPACING, (5, 34, 40), (6, 5, 14)), canal)
    cord = np.minimum(ellipsoid(SHAPE, SPACING, (4, 28, 45), (4, 3, 1e4)), canal - mass)
    coverage = np.zeros((len(Tissue), *SHAPE), dtype=np.float32)
    coverage[Tissue.CORD], coverage[Tissue.MASS_CANAL] = cord, mass
    coverage[Tissue.DURAL_SAC] = canal - mass - cord
    coverage[Tissue.BODY, :, :20] = 1 - canal[:, :20]
    coverage[0] = 1 - coverage[1:].sum(0)
    return TissueMap(coverage, affine, "frame")


def _says(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[np.ndarray]:
    """Let a function of the input stand in for the network, and it alone decide; what it was shown is collected."""
    shown: list[np.ndarray] = []

    def run(_: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        shown.append(inputs["canal"][0])
        return [np.asarray(answer(inputs["canal"][0]), dtype=np.float32)[None, None]]

    monkeypatch.setattr(second_look, "session", lambda _: SimpleNamespace(run=run))
    monkeypatch.setattr(second_look, "_SHARE", np.float32(1.0))
    monkeypatch.setattr(second_look, "tells", lambda _: True)
    return shown


def _image(value: np.ndarray, affine: np.ndarray = AFFINE) -> Volume:
    return Volume(value.astype(np.float32), affine, "frame")


def _centre(tissues: TissueMap) -> np.ndarray:
    mass = tissues.coverage[MASS].sum(0)
    index = np.argwhere(mass > 0.5)
    return np.asarray(np.average(tissues.grid.to_lps(index.astype(float)), axis=0, weights=mass[mass > 0.5]))


def test_a_network_that_changes_nothing_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _says(monkeypatch, lambda canal: canal[PRIOR])
    before = _tissues()
    after = look_again(before, [SequenceImage(_image(before.coverage[2] + 1), "T2", False, False)])
    assert np.allclose(after.coverage.sum(0), 1.0, atol=1e-5)
    assert after.coverage[MASS].sum() == pytest.approx(before.coverage[MASS].sum(), rel=0.02)
    # Twice interpolated in plane: nothing else moves either.
    assert np.abs(after.coverage - before.coverage).mean() < 2e-3


def test_what_the_mass_leaves_is_shared_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    _says(monkeypatch, lambda canal: np.full(canal.shape[1:], 0.25))
    before = _tissues()
    after = look_again(before, [])
    looked_at = after.coverage[MASS].sum(0) > 0.1
    canal = before.coverage[[*second_look._CONTENTS, MASS[0]]].sum(0)
    pure = looked_at & (before.coverage[MASS].sum(0) == 0) & ((canal < 1e-6) | (canal > 1 - 1e-6))
    assert np.allclose(after.coverage[MASS].sum(0)[looked_at], 0.25, atol=1e-4)
    assert np.allclose(after.coverage[:8, pure], 0.75 * before.coverage[:8, pure], atol=1e-4)
    # The canal keeps its extent, where bone and canal share a voxel too, unless the mass is more than fits into it.
    kept = after.coverage[[*second_look._CONTENTS, MASS[0]]].sum(0)
    assert np.allclose(kept, canal, atol=1e-4)
    assert np.allclose(after.coverage.sum(0), 1.0, atol=1e-5)
    # Inside the canal it is mass in the canal, in bone mass outside it; 14 mm from the canal nothing is looked at.
    assert after.coverage[Tissue.MASS_CANAL, 4, 30, 70] > 0.2
    assert after.coverage[Tissue.MASS_OUTSIDE, 4, 10, 70] > 0.2
    assert not looked_at[:, :3].any()


@pytest.mark.parametrize("degrees", [0, 17])
def test_the_click_lands_where_it_was_made_on_oblique_anisotropic_slices(
    monkeypatch: pytest.MonkeyPatch, degrees: float
) -> None:
    _says(monkeypatch, lambda canal: canal[CLICK])
    affine = oblique_affine(SPACING, degrees)
    tissues = _tissues(affine)
    point = tissues.grid.to_lps(np.array([[3.0, 27.0, 60.0]]))[0]
    after = look_again(tissues, [], (float(point[0]), float(point[1]), float(point[2])))
    assert np.linalg.norm(_centre(after) - point) < 1.0


def test_every_sequence_is_shown_in_its_place_and_at_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    spot = ellipsoid(SHAPE, SPACING, (5, 33, 50), (8, 4, 6))
    flair = 10 + 30 * spot
    other = oblique_affine(SPACING, 5)
    other[:3, 3] = AFFINE[:3, 3] + [2.0, -1.0, 3.0]
    tissues = _tissues()
    moved = TissueMap(tissues.coverage, other, "frame")
    index = tissues.grid.to_index(moved.grid.to_lps(np.argwhere(np.ones(SHAPE)).astype(float)))
    elsewhere = ndimage.map_coordinates(flair, index.T, order=1, mode="nearest").reshape(SHAPE)
    shown = _says(monkeypatch, lambda canal: np.clip((canal[3] - canal[0]) / 4, 0, 1))
    look_again(
        tissues,
        [
            SequenceImage(_image(np.full(SHAPE, 10.0) + spot), "T2", False, False),
            SequenceImage(_image(elsewhere, other), "T1", True, True),
            SequenceImage(_image(np.full(SHAPE, 90.0)), "T2", False, False),
            SequenceImage(_image(flair), "unknown", None, None),
        ],
    )
    assert [float(value) for value in shown[0][-len(SLOTS) - 1 : -1, 0, 0]] == [1.0, 0.0, 0.0, 1.0]
    assert float(shown[0][-1, 0, 0]) == 1.0
    after = look_again(
        tissues,
        [
            SequenceImage(_image(np.full(SHAPE, 10.0)), "T2", False, False),
            SequenceImage(_image(elsewhere, other), "T1", True, True),
        ],
    )
    expected = tissues.grid.to_lps(np.array([[5.0, 33.0, 50.0]]))[0]
    mass = after.coverage[MASS].sum(0)
    index = np.argwhere(mass > 0.5 * mass.max())
    assert np.linalg.norm(tissues.grid.to_lps(index.astype(float)).mean(0) - expected) < 1.5


def test_a_sequence_that_misses_the_canal_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _says(monkeypatch, lambda canal: canal[PRIOR])
    far = AFFINE.copy()
    far[:3, 3] += 40.0
    look_again(_tissues(), [SequenceImage(_image(np.ones(SHAPE) * 50, far), "T1", True, True)])
    assert float(np.abs(shown[0][-len(SLOTS) - 1 :]).max()) == 0.0


def test_a_mirrored_patient_gets_the_mirrored_result(monkeypatch: pytest.MonkeyPatch) -> None:
    _says(monkeypatch, lambda canal: 1 / (1 + np.exp(-canal[: CHANNELS_IN - 6].mean(0))))
    tissues = _tissues()
    rng = np.random.default_rng(0)
    signal = rng.random(SHAPE) * 100
    image = _image(signal)
    mirrored = replace(tissues, coverage=tissues.coverage[:, ::-1].copy())
    one = look_again(tissues, [SequenceImage(image, "T2", False, False)])
    other = look_again(mirrored, [SequenceImage(_image(signal[::-1]), "T2", False, False)])
    assert np.allclose(one.coverage[:, ::-1], other.coverage, atol=1e-5)


def test_both_networks_have_their_say_where_two_sequences_show_the_canal(monkeypatch: pytest.MonkeyPatch) -> None:
    share, tells = second_look._SHARE, second_look.tells
    _says(monkeypatch, lambda canal: np.zeros(canal.shape[1:]))
    monkeypatch.setattr(second_look, "_SHARE", share)
    monkeypatch.setattr(second_look, "tells", tells)
    tissues = _tissues()
    one = SequenceImage(_image(np.full(SHAPE, 50.0)), "T2", fat_suppressed=False, contrast_enhanced=False)
    other = SequenceImage(_image(np.full(SHAPE, 60.0)), "T1", fat_suppressed=False, contrast_enhanced=False)
    again = SequenceImage(_image(np.full(SHAPE, 70.0)), "T2", fat_suppressed=False, contrast_enhanced=False)
    assert look_again(tissues, [one]) is tissues
    assert look_again(tissues, [one, again]) is tissues, "two of a kind are one kind"
    both = look_again(tissues, [one, other])
    assert np.allclose(both.coverage[MASS].sum(0), tissues.coverage[MASS].sum(0) / 3, atol=1e-4)
    assert np.allclose(both.coverage.sum(0), 1.0, atol=1e-5)


def test_where_a_sequence_has_no_data_the_first_network_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _says(monkeypatch, lambda canal: np.zeros(canal.shape[1:]))
    tissues = _tissues()
    short = (slice(0, 9), slice(0, 60), slice(0, 78))
    grid = tissues.grid.part(short)
    part = Volume(np.full(grid.shape, 80.0, np.float32), grid.affine, "frame")
    whole = SequenceImage(_image(np.full(SHAPE, 50.0)), "T2", fat_suppressed=False, contrast_enhanced=False)
    after = look_again(tissues, [whole, SequenceImage(part, "T1", fat_suppressed=True, contrast_enhanced=True)])
    assert len(shown) == 9
    assert np.array_equal(after.coverage[MASS][..., 78:], tissues.coverage[MASS][..., 78:])
    assert float(after.coverage[MASS][..., :77].max()) == 0.0


@pytest.mark.parametrize(
    ("slots", "seen"),
    [
        *(((0, 2), True), ((0, 3), True), ((2, 3), True), ((0, 1), True), ((1, 2, 3), True)),
        *(((0,), False), ((3,), False), ((1, 2), False), ((1, 3), False), ((), False)),
    ],
)
def test_it_looks_only_at_studies_of_a_kind_that_it_has_learned_from(slots: tuple[int, ...], seen: bool) -> None:
    present = np.zeros(len(SLOTS), dtype=np.float32)
    present[list(slots)] = 1.0
    assert second_look.tells(present) is seen


def test_without_a_canal_nothing_happens() -> None:
    coverage = np.zeros((len(Tissue), *SHAPE), dtype=np.float32)
    coverage[0] = 1.0
    tissues = TissueMap(coverage, AFFINE, "frame")
    assert look_again(tissues, []) is tissues


def test_an_installation_without_the_network_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_look, "MODEL_NAME", "nothing.onnx")
    with pytest.raises(InternalError, match=r"nothing\.onnx"):
        second_look.networks_sha256()


@pytest.mark.parametrize(
    ("weighting", "fat_suppressed", "contrast_enhanced", "place"),
    [
        ("T2", False, False, 0),
        ("T2", True, None, 1),
        ("STIR", None, None, 1),
        ("T1", False, False, 2),
        ("T1", None, None, 2),
        ("T1", True, True, 3),
        ("T1", False, True, 3),
        ("unknown", None, None, None),
    ],
)
def test_places(weighting: str, fat_suppressed: bool | None, contrast_enhanced: bool | None, place: int | None) -> None:
    assert slot_of(weighting, fat_suppressed=fat_suppressed, contrast_enhanced=contrast_enhanced) == place


def test_neighbours_enter_alike_and_the_ends_repeat() -> None:
    rng = np.random.default_rng(1)
    images = rng.random((len(SLOTS), 5, 8, 8)).astype(np.float32)
    coverage = rng.random((len(Tissue), 5, 8, 8)).astype(np.float32)
    view = CanalView(images, np.ones(4, dtype=np.float32), True, coverage)
    turned = CanalView(images[:, ::-1], view.present, True, coverage[:, ::-1])
    assert network_input(view, 2, 1).shape == (CHANNELS_IN, 8, 8)
    assert np.allclose(network_input(view, 1, 1), network_input(turned, 3, 1))
    first = network_input(view, 0, 2)
    assert np.allclose(first[4:8], (images[:, 0] + images[:, 2]) / 2)
    assert np.allclose(first[PRIOR], coverage[MASS, 0].sum(0))


def test_working_pixels_keep_the_first_centre() -> None:
    ramp = np.broadcast_to(np.arange(50, dtype=np.float32) * 0.5, (2, 3, 40, 50))
    out = to_working(ramp, (4.0, 0.8, 0.5))
    assert out.shape == (2, 3, 40, 31)
    assert np.allclose(out[0, 0, 0], np.arange(31) * 0.8, atol=1e-4)
