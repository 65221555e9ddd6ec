"""The shipped network: geometry, determinism, and what it reaches on real scans that training never saw."""

from pathlib import Path

import numpy as np
import pytest

from spinemri.anatomy import network
from spinemri.anatomy.centreline import find_centreline
from spinemri.anatomy.network import model_sha256, segment
from spinemri.config import MassSettings
from spinemri.mass.find import find_mass
from spinemri.nomenclature import Tissue
from spinemri.training.real import VALIDATION_IDS, load_spider
from spinemri.volume import Volume


def _noise(shape: tuple[int, int, int] = (5, 70, 90)) -> Volume:
    affine = np.diag([3.6, 0.8, 0.9, 1.0])
    affine[:3, 1] = (0.1, 0.79, 0.08)
    return Volume(np.random.default_rng(0).random(shape).astype(np.float32), affine, "frame")


def test_coverage_lies_on_the_images_own_grid_and_sums_to_one() -> None:
    volume = _noise()
    tissues = segment(volume, "T2")
    assert tissues.grid.same_as(volume.grid)
    assert np.allclose(tissues.coverage.sum(0), 1, atol=1e-5)


def test_the_same_image_gives_the_same_bytes() -> None:
    first, again = (segment(_noise(), "T1", contrast_enhanced=True).coverage for _ in range(2))
    assert first.tobytes() == again.tobytes()


def test_a_mirrored_patient_gets_the_mirrored_result() -> None:
    volume = _noise()
    mirrored = volume.with_array(np.ascontiguousarray(volume.array[::-1]))
    straight, turned = (segment(each, "T2").coverage for each in (volume, mirrored))
    assert np.array_equal(straight, turned[:, ::-1])


@pytest.mark.parametrize("kind", ["constant", "noise"])
def test_what_is_not_a_spine_has_no_mass(kind: str) -> None:
    volume = _noise((9, 160, 200))
    if kind == "constant":
        volume = volume.with_array(np.full(volume.shape, 100, dtype=np.float32))
    tissues = segment(volume, "T2")
    mass = find_mass(tissues, find_centreline(tissues), MassSettings())
    assert mass.status in {"not_found", "not_assessable"}


def test_the_network_has_a_name_in_every_record() -> None:
    assert len(model_sha256()) == 64


@pytest.mark.slow
def test_dice_on_unseen_scans(real_data: Path) -> None:
    """Mean Dice on the fixed validation scans stays above the stated floor."""
    pairs = (
        ((Tissue.CORD, Tissue.DURAL_SAC, Tissue.MASS_CANAL), 3, 0.90),
        ((Tissue.BODY, Tissue.POSTERIOR_ELEMENTS), 1, 0.85),
        ((Tissue.DISC,), 2, 0.80),
    )
    scores: list[list[float]] = []
    for scan in sorted(VALIDATION_IDS):
        case = load_spider(real_data, scan)
        labels = segment(case.image, "T2", fat_suppressed=False, contrast_enhanced=False).labels.array
        scores.append([_dice(np.isin(labels, ours), case.labels == theirs) for ours, theirs, _ in pairs])
    assert np.all(np.mean(scores, axis=0) >= [floor for *_, floor in pairs])


def _dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * int((first & second).sum()) / int(first.sum() + second.sum())


def test_what_lies_far_before_and_behind_the_canal_is_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """A canal 60 mm from the front of a deep image: what lies before it is seen, 50 mm behind it are."""
    monkeypatch.setattr(network, "_infer", _canal_seen_by_depth)
    tissues = segment(_deep(), "T2")
    known = np.flatnonzero((tissues.coverage[Tissue.BACKGROUND] < 1).any((0, 2))) * 0.8
    # Working pixels of 1 mm: the canal fills 60 to 75 mm.
    assert known.min() == 0
    assert known.max() == pytest.approx(74 + 50, abs=1)
    assert np.allclose(tissues.coverage.sum(0), 1, atol=1e-5)


def test_a_canal_that_leaves_the_slices_seen_first_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The middle slices show the canal 60 to 75 mm deep, the outer ones 100 to 115 mm deep."""

    def infer(image: np.ndarray, _: np.ndarray) -> np.ndarray:
        probability = np.zeros((len(Tissue), *image.shape[1:]), np.float32)
        probability[Tissue.BODY] = 1.0
        inside = image[1] > 0.5
        probability[:, inside] = 0
        probability[Tissue.DURAL_SAC, inside] = 1
        return probability

    array = np.zeros((6, 280, 60), dtype=np.float32)
    array[2:4, 75:94] = 1.0
    array[[0, 1, 4, 5], 125:144] = 1.0
    monkeypatch.setattr(network, "_infer", infer)
    monkeypatch.setattr(network, "flatten_illumination", lambda volume: volume)
    tissues = segment(_deep().with_array(array), "T2")
    sac = tissues.coverage[Tissue.DURAL_SAC] >= 0.5
    assert sac[0].any(1).nonzero()[0].min() == pytest.approx(125, abs=1)
    known = np.flatnonzero((tissues.coverage[Tissue.BACKGROUND] < 1).any((0, 2))) * 0.8
    assert known.max() == pytest.approx(114 + 50, abs=1.5)


def test_what_is_seen_needs_no_padding_unless_the_image_ends() -> None:
    canal = np.zeros(400)
    canal[150:171] = 30.0
    depth = network._depth_of_spine(canal)
    assert depth.stop == 171 + 50
    assert 96 - network._STRIDE < depth.start <= 96
    assert (depth.stop - depth.start) % network._STRIDE == 0
    assert network._depth_of_spine(canal[100:200]) == slice(0, 100)


def test_an_image_without_a_canal_is_seen_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_infer", lambda image, _: np.full((len(Tissue), *image.shape[1:]), 0.1, np.float32))
    assert np.allclose(segment(_deep(), "T2").coverage, 0.1, atol=1e-5)


def test_working_pixels_come_back_where_they_were() -> None:
    """A ramp over the working grid is the same ramp in mm on the image's own grid, from any first row on."""
    volume = _deep()
    shape = (len(Tissue), 150, 80)
    ramp = np.broadcast_to(np.arange(150, dtype=np.float32)[:, None] / 200, shape)
    probability = np.array(ramp)
    probability[1:] = (1 - ramp[1:]) / (len(Tissue) - 1)
    rows, values = network._from_working_grid(probability, 20, volume)
    mm = np.arange(rows.start, rows.stop) * 0.8
    assert rows.start == 25
    assert np.allclose(values[0, :, 3], (mm - 20) / 200, atol=1e-5)
    assert np.allclose(values.sum(0), 1, atol=1e-5)


def _deep() -> Volume:
    affine = np.diag([3.6, 0.8, 0.9, 1.0])
    return Volume(np.random.default_rng(0).random((6, 280, 60)).astype(np.float32), affine, "frame")


def _canal_seen_by_depth(image: np.ndarray, _: np.ndarray) -> np.ndarray:
    """Half background everywhere, and a sac from row 60 to 75 of the whole image."""
    probability = np.zeros((len(Tissue), *image.shape[1:]), np.float32)
    probability[Tissue.BACKGROUND] = 0.5
    probability[Tissue.BODY] = 0.5
    if image.shape[1] > 200:
        probability[:, 60:75] = 0
        probability[Tissue.DURAL_SAC, 60:75] = 1
    return probability
