"""From frames to groups of parallel slices of one contrast.

One series may hold several echoes, Dixon images, repeats, stations along the spine and blocks of different angle: each
becomes a group of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spinemri.intake.model import Rejected
from spinemri.intake.tags import Frame

__all__ = ["SliceGroup", "group_frames", "slice_normal", "without_copies"]

_PARALLEL_DEG = 0.5
_SAME_PLACE_MM = 0.05
_STATION_MM = 15.0
_BLOCK_GAP = 2.5
_FILLED_STEPS = 3
_FILLED_MM = 10.0
_WHOLE_STEPS = 0.1
_DRIFT_MM = 1.0


@dataclass(frozen=True)
class SliceGroup:
    """Parallel slices of one contrast that make one stack.

    Attributes
    ----------
    frames : tuple of Frame
        Ordered along the slice normal, one a place.
    gap_mm : float
        The wider of the gaps that part it from other slices of the same slab, which are missing there; 0 for none.
    """

    frames: tuple[Frame, ...]
    gap_mm: float = 0.0


def slice_normal(frame: Frame) -> NDArray[np.float64]:
    """Return the unit vector across a slice: row direction x column direction, LPS."""
    normal = np.cross(frame.orientation[:3], frame.orientation[3:])
    out: NDArray[np.float64] = normal / np.linalg.norm(normal)
    return out


def without_copies(frames: Iterable[Frame]) -> tuple[tuple[Frame, ...], tuple[Rejected, ...]]:
    """Drop second copies of the same SOP instance."""
    seen: dict[str, Frame] = {}
    kept: list[Frame] = []
    dropped: dict[str, Rejected] = {}
    for frame in frames:
        first = seen.get(frame.sop_uid) if frame.sop_uid else None
        if first is None:
            seen[frame.sop_uid] = frame
            kept.append(frame)
        elif frame.source != first.source:
            reason = f"the same image as {first.source.name}"
            dropped[frame.source.name] = Rejected(frame.source.name, "DUPLICATE", reason)
    return tuple(kept), tuple(dropped.values())


def group_frames(frames: Sequence[Frame]) -> tuple[list[SliceGroup], list[Rejected]]:
    """Split the frames of one study into stacks of parallel slices.

    Parameters
    ----------
    frames : sequence of Frame
        One study, without copies of one SOP instance.

    Returns
    -------
    groups : list of SliceGroup
        In order of series number and position.
    rejected : list of Rejected
        Frames at a place that another frame of the same contrast holds.
    """
    groups: list[SliceGroup] = []
    rejected: list[Rejected] = []
    for series in _split(frames, _contrast_key):
        for parallel in _by_orientation(series):
            for single in _by_repeat(parallel):
                kept, doubles = _one_frame_a_place(single)
                rejected += doubles
                groups += [block for station in _by_station(kept) for block in _by_gap(station)]
    return sorted(groups, key=_order), rejected


def _order(group: SliceGroup) -> tuple[object, ...]:
    first = min(group.frames, key=lambda frame: (frame.instance_number, frame.source, frame.index))
    return (first.series_number, first.series_uid, first.instance_number, first.source, first.index)


def _split(frames: Sequence[Frame], key: Callable[[Frame], Hashable]) -> list[list[Frame]]:
    parts: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame in frames:
        parts[key(frame)].append(frame)
    return list(parts.values())


def _contrast_key(frame: Frame) -> Hashable:
    """Return what is equal within a stack; the whole image type, because it tells Dixon images apart."""
    tags = frame.tags
    echo = round(tags.echo_ms, 1) if tags.echo_ms else 0.0
    spacing = tuple(round(value, 4) for value in frame.pixel_spacing)
    place = (frame.frame_of_reference_uid, frame.rows, frame.columns, spacing)
    return (frame.series_uid, place, echo, tags.echo_number, tags.image_type, tags.complex_component)


def _by_orientation(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Gather frames whose row and column directions agree within half a degree."""
    limit = np.cos(np.radians(_PARALLEL_DEG))
    parts: list[tuple[NDArray[np.float64], list[Frame]]] = []
    for frame in frames:
        axes = np.array(frame.orientation).reshape(2, 3)
        for reference, members in parts:
            if np.all(np.sum(axes * reference, axis=1) >= limit):
                members.append(frame)
                break
        else:
            parts.append((axes, [frame]))
    return [members for _, members in parts]


def _positions(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """Return positions (n, 3) along row, column and normal of the first frame, in mm."""
    row, column = np.array(frames[0].orientation).reshape(2, 3)
    basis = np.stack([row, column, slice_normal(frames[0])], axis=1)
    out: NDArray[np.float64] = np.array([frame.position for frame in frames]) @ basis
    return out


def _places(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Gather frames that lie at the same place, ordered along the normal."""
    places: list[tuple[NDArray[np.float64], list[Frame]]] = []
    positions = _positions(frames)
    for index in np.lexsort(positions.T):
        here = positions[index]
        for place, members in reversed(places):
            if here[2] - place[2] > _SAME_PLACE_MM:
                places.append((here, [frames[index]]))
                break
            if np.all(np.abs(here - place) <= _SAME_PLACE_MM):
                members.append(frames[index])
                break
        else:
            places.append((here, [frames[index]]))
    return [members for _, members in places]


def _by_repeat(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Split frames that lie twice or more at every place, where temporal position or acquisition number differ."""
    places = _places(frames)
    copies = {len(place) for place in places}
    parts = _split(frames, lambda frame: frame.repeat)
    if copies == {1} or len(parts) == 1:
        return [list(frames)]
    covers_all = all(len(part) == len(places) for part in parts)
    return parts if covers_all else [list(frames)]


def _one_frame_a_place(frames: Sequence[Frame]) -> tuple[list[Frame], list[Rejected]]:
    """Keep the frame acquired last at each place: a repeat is made because the first one was poor."""
    kept: list[Frame] = []
    rejected: list[Rejected] = []
    for place in _places(frames):
        best = max(place, key=lambda frame: (frame.acquired, frame.instance_number, frame.source, frame.index))
        kept.append(best)
        for frame in place:
            if frame is not best:
                reason = f"same position and contrast as {best.source.name}, which was acquired last"
                rejected.append(Rejected(frame.source.name, "DUPLICATE", reason))
    return kept, rejected


def _by_station(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Split parallel slabs that lie side by side in plane, as stations along a whole spine do."""
    positions = _positions(frames)
    order = np.argsort(positions[:, 2], kind="stable")
    gaps = np.diff(positions[order, 2])
    if len(frames) < 2 or np.all(gaps > _SAME_PLACE_MM):
        return [list(frames)]
    stations: list[list[int]] = []
    for index in range(len(frames)):
        near = [
            s for s in stations if np.min(np.linalg.norm(positions[s, :2] - positions[index, :2], axis=1)) < _STATION_MM
        ]
        merged = [index, *(member for station in near for member in station)]
        stations = [station for station in stations if station not in near] + [merged]
    return [[frames[index] for index in sorted(station)] for station in stations]


def _by_gap(frames: Sequence[Frame]) -> list[SliceGroup]:
    """Order slices along the normal and split where a gap or a sideways step separates blocks."""
    positions = _positions(frames)
    order = np.argsort(positions[:, 2], kind="stable")
    ordered = [frames[index] for index in order]
    if len(frames) < 3:
        return _pair(ordered, np.diff(positions[order, 2]))
    steps = np.diff(positions[order], axis=0)
    apart = steps[:, 2] > _SAME_PLACE_MM
    if not np.any(apart):
        return [SliceGroup((frame,)) for frame in ordered]
    nominal = float(np.median(steps[apart, 2]))
    shear = np.median(steps[apart, :2] / steps[apart, 2:], axis=0)
    sideways = np.linalg.norm(steps[:, :2] - shear * steps[:, 2:], axis=1) > _DRIFT_MM
    wide = _too_wide(ordered, steps[:, 2], nominal)
    lacking = np.where(wide & ~sideways & (not _is_axial(ordered[0])), steps[:, 2], 0.0)
    return _cut(ordered, ~apart | wide | sideways, lacking)


def _cut(ordered: Sequence[Frame], cut: NDArray[np.bool_], lacking: NDArray[np.float64]) -> list[SliceGroup]:
    """Cut between slices, and keep on either side how wide a gap of missing slices is there."""
    edges = [0, *(np.flatnonzero(cut) + 1).tolist(), len(ordered)]
    beside = np.concatenate([[0.0], lacking, [0.0]])
    return [SliceGroup(tuple(ordered[a:b]), float(max(beside[a], beside[b]))) for a, b in pairwise(edges)]


def _pair(ordered: list[Frame], gaps: NDArray[np.float64]) -> list[SliceGroup]:
    """Two slices belong together unless far apart for their thickness."""
    thickness = max((frame.slice_thickness_mm for frame in ordered), default=0.0)
    far = len(ordered) == 2 and thickness > 0 and gaps[0] > _BLOCK_GAP * thickness
    if far or (len(ordered) == 2 and gaps[0] <= _SAME_PLACE_MM):
        return [SliceGroup((ordered[0],)), SliceGroup((ordered[1],))]
    return [SliceGroup(tuple(ordered))]


def _is_axial(frame: Frame) -> bool:
    return bool(abs(slice_normal(frame)[2]) >= np.cos(np.radians(45)))


def _too_wide(ordered: Sequence[Frame], gaps: NDArray[np.float64], nominal: float) -> NDArray[np.bool_]:
    """Mark the gaps across which slices make no common stack.

    Axial blocks lie apart on purpose, and go on in their numbering where a missing file would leave a number out.
    Sagittal and coronal slices are one slab through the patient: after a whole number of steps it goes on.
    """
    ratio = gaps / nominal
    wide: NDArray[np.bool_] = ratio > _BLOCK_GAP
    if _is_axial(ordered[0]):
        instance = np.array([frame.instance_number for frame in ordered])
        wide |= (ratio > 1.5) & (np.abs(np.diff(instance)) == 1)
        return wide
    whole = np.abs(ratio - np.round(ratio)) <= _WHOLE_STEPS
    few = (np.round(ratio) <= _FILLED_STEPS) | (gaps <= _FILLED_MM)
    wide &= ~(whole & few)
    return wide
