"""All series of a study read one by one, brought to where the primary shows the same, and fused."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spinemri.anatomy.model import TissueMap
from spinemri.intake.model import Role, Weighting
from spinemri.mass import segment as module
from spinemri.mass.segment import roles_in_frame, segment_study
from spinemri.nomenclature import Tissue
from spinemri.volume import Volume

SHAPE, SPACING = (9, 90, 120), (3.3, 1.0, 1.0)
WEIGHTS = {Role.SAGITTAL_T2: 1.0, Role.SAGITTAL_T1: 0.5}
SHIFT = np.array([0.0, -4.0, 5.0])


def _coverage() -> np.ndarray:
    labels = np.zeros(SHAPE, dtype=int)
    labels[1:8, 15:45] = Tissue.BODY
    for height in range(10, 120, 34):
        labels[1:8, 15:45, height : height + 8] = Tissue.DISC
        labels[1:8, 65:80, height + 12 : height + 24] = Tissue.POSTERIOR_ELEMENTS
    labels[2:7, 45:65] = Tissue.DURAL_SAC
    labels[3:6, 55:65, 40:70] = Tissue.MASS_CANAL
    return np.stack([labels == tissue for tissue in Tissue]).astype(np.float32)


def _study(*roles: Role, shift: np.ndarray = SHIFT, frame: str = "frame") -> dict[Role, Any]:
    """Every series but the first says that it lies elsewhere."""
    stacks: dict[Role, Any] = {}
    for role in roles:
        affine = np.diag([*SPACING, 1.0])
        affine[:3, 3] -= shift if stacks else 0.0
        image = Volume(np.ones(SHAPE, np.float32), affine, frame if stacks else "frame")
        stacks[role] = (image, SimpleNamespace(weighting=Weighting.T2, fat_suppressed=False, contrast_enhanced=False))
    return stacks


@pytest.fixture(autouse=True)
def network_read(monkeypatch: pytest.MonkeyPatch) -> list[Volume]:
    """A network that sees the same spine in every series."""
    read: list[Volume] = []

    def segment(volume: Volume, *_: Any, **__: Any) -> TissueMap:
        read.append(volume)
        return TissueMap(_coverage(), volume.affine, volume.frame_of_reference_uid)

    monkeypatch.setattr(module, "segment", segment)
    return read


def _fused(stacks: Mapping[Role, Any], weights: Mapping[Role, float] = WEIGHTS) -> module.FusedStudy:
    return segment_study(stacks, Role.SAGITTAL_T2, weights)


def test_a_moved_series_is_fused_where_it_shows_what_the_primary_shows() -> None:
    fused = _fused(_study(Role.SAGITTAL_T2, Role.SAGITTAL_T1))
    assert list(fused.shifts) == [Role.SAGITTAL_T1]
    assert fused.shifts[Role.SAGITTAL_T1] == pytest.approx(SHIFT, abs=0.1)
    inside = (slice(1, -1), slice(8, -8), slice(8, -8))
    wrong = np.abs(fused.tissues.coverage - _coverage())[:, *inside]
    assert wrong.mean() < 0.01
    unmoved = _fused(_study(Role.SAGITTAL_T2, Role.SAGITTAL_T1, shift=np.zeros(3)))
    assert not unmoved.shifts[Role.SAGITTAL_T1].any()
    assert np.allclose(unmoved.tissues.coverage[:, *inside], _coverage()[:, *inside], atol=1e-5)


def test_a_series_without_weight_is_placed_but_has_no_say(network_read: list[Volume]) -> None:
    fused = _fused(_study(Role.SAGITTAL_T2, Role.SAGITTAL_T1), {Role.SAGITTAL_T2: 1.0, Role.SAGITTAL_T1: 0.0})
    assert len(network_read) == 2
    assert fused.shifts[Role.SAGITTAL_T1] == pytest.approx(SHIFT, abs=0.1)
    assert np.array_equal(fused.tissues.coverage, _coverage())


def test_a_series_of_another_frame_of_reference_is_neither_read_nor_placed(network_read: list[Volume]) -> None:
    stacks = _study(Role.SAGITTAL_T2, Role.SAGITTAL_T1, frame="another")
    assert roles_in_frame({role: volume for role, (volume, _) in stacks.items()}, Role.SAGITTAL_T2) == (
        Role.SAGITTAL_T2,
    )
    fused = _fused(stacks)
    assert len(network_read) == 1
    assert fused.shifts == {}
