"""The shipped network: geometry, determinism, and what it reaches on real scans that training never saw."""

from pathlib import Path

import numpy as np
import pytest

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
