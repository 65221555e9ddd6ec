"""Labelled scans as training stacks: what the labels leave open is filled where the network sees it on T2."""

import numpy as np
import pytest

from spinemri.anatomy.model import TissueMap
from spinemri.nomenclature import Tissue
from spinemri.training import real
from spinemri.training.stacks import SPIDER_GROUPS
from spinemri.volume import Volume

AFFINE = np.diag([3.3, 0.7, 0.7, 1.0])
SHAPE = (3, 40, 60)
FAT, SAC, OPEN = (SPIDER_GROUPS.index(g) for g in (SPIDER_GROUPS[9], SPIDER_GROUPS[2], SPIDER_GROUPS[0]))
NO_FAT = SPIDER_GROUPS.index((Tissue.BACKGROUND,))


def _scan() -> real.SpiderScan:
    """Body, sac, bright fat, ligament, and bright fat of the back, from front to back."""
    image, labels = np.ones(SHAPE, np.float32), np.zeros(SHAPE, np.uint8)
    labels[:, :10], labels[:, 10:18] = 1, 3
    labels[:, 2:8, 2:12], labels[:, 2:8, 40:44] = 2, 2
    image[:, 10:18], image[:, 18:26], image[:, 26:30], image[:, 30:] = 4.0, 3.0, 0.2, 3.0
    return real.SpiderScan(Volume(image, AFFINE), labels, np.zeros(SHAPE, dtype=bool))


@pytest.fixture
def _network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is sure of the first rows of fat, doubts what follows, sees none behind, and leaks in front."""
    coverage = np.zeros((len(Tissue), *SHAPE), np.float32)
    coverage[Tissue.EPIDURAL, :, 16:22] = 0.8
    coverage[Tissue.EPIDURAL, :, 22:26] = 0.5
    coverage[Tissue.EPIDURAL, :, 26:30] = 0.1
    coverage[Tissue.BACKGROUND] = 1 - coverage[Tissue.EPIDURAL]
    monkeypatch.setattr(real, "segment", lambda *_, **__: TissueMap(coverage, AFFINE))
    monkeypatch.setattr(real, "flatten_illumination", lambda volume: volume)


@pytest.mark.usefixtures("_network")
@pytest.mark.parametrize("kind", ["none", "T1:none"])
def test_epidural_fat_is_labelled_where_the_network_is_sure(kind: str) -> None:
    (stack,) = real.spider_stacks(_scan(), [kind], np.random.default_rng(0))
    rows = stack.target[:, 1].argmax(0)
    assert np.unique(rows[18, 24:]).tolist() == [OPEN]
    assert np.unique(rows[19:22]).tolist() == [FAT]
    assert np.unique(rows[22:26, 24:]).tolist() == [OPEN]
    assert np.unique(rows[26:, 24:]).tolist() == [NO_FAT]


@pytest.mark.usefixtures("_network")
def test_labels_count_more_than_what_the_network_sees() -> None:
    (stack,) = real.spider_stacks(_scan(), ["none"], np.random.default_rng(0))
    assert np.unique(stack.target[:, 1].argmax(0)[10:18]).tolist() == [SAC]


@pytest.mark.usefixtures("_network")
def test_a_mass_takes_the_place_of_the_fat() -> None:
    (stack,) = real.spider_stacks(_scan(), ["mass"], np.random.default_rng(3))
    total = stack.target.astype(int).sum(0)
    mass = stack.target[SPIDER_GROUPS.index((Tissue.MASS_CANAL,))]
    assert mass.max() > 200
    assert np.abs(total - 255).max() <= 2


def test_far_from_the_sac_nothing_says_whether_a_mass_lies_in_the_canal() -> None:
    """Of a mass over all rows, what lies within 4 mm of the sac (5 rows of 0.7 mm) is in the canal."""
    scan = _scan()
    mass, none = np.ones(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    target = real._target(np.zeros(SHAPE, np.uint8), mass, none, real._from_sac_mm(scan) > 4.0)
    assert np.unique(target[:, 1].argmax(0)[5:23]).tolist() == [8]
    assert np.unique(target[:, 1].argmax(0)[23:]).tolist() == [10]
    assert np.unique(target.sum(0)).tolist() == [255]
