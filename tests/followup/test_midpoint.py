import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spinemri.followup.midpoint import Bend, Midpoint, half_transform, level_positions

NODES = np.array([[0.0, 2.0, 40.0], [1.0, 0.0, 18.0], [0.5, 1.0, -5.0]])


def rigid(turn, shift):
    out = np.eye(4)
    out[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    out[:3, 3] = shift
    return out


def test_half_a_motion_twice_is_the_motion():
    whole = rigid([0.2, -0.1, 0.15], [12.0, -7.0, 30.0])
    half = half_transform(whole)
    assert half @ half == pytest.approx(whole, abs=1e-12)


def test_the_inverse_motion_has_the_inverse_half():
    whole = rigid([0.2, -0.1, 0.15], [12.0, -7.0, 30.0])
    assert half_transform(np.linalg.inv(whole)) == pytest.approx(np.linalg.inv(half_transform(whole)), abs=1e-12)


def test_positions_count_vertebrae_and_stop_at_the_ends():
    points = np.vstack([NODES, 0.5 * (NODES[0] + NODES[1]), [[0.0, 2.0, 90.0]]])
    assert level_positions(points, NODES) == pytest.approx([0, 1, 2, 0.5, 0], abs=1e-9)


def test_a_bend_is_rigid_at_its_nodes_and_shared_between_them():
    bend = Bend(
        NODES, np.array([[0.0, 1.0, 0], [0, 0, 0], [0, 2.0, 0]]), np.array([[0.01, 0, 0], [0, 0, 0], [0, 0, 0]])
    )
    beside = NODES[:1] + np.array([0.0, 0.0, 10.0])
    assert bend.at(beside, np.array([0.0])) == pytest.approx(np.array([[0.0, 1.0 - 0.1, 0.0]]))
    between = 0.5 * (NODES[1:2] + NODES[2:])
    assert bend.at(between, np.array([1.5])) == pytest.approx(np.array([[0.0, 1.0, 0.0]]))


def test_both_visits_take_half_of_the_bend():
    half = half_transform(rigid([0.1, 0.0, 0.05], [4.0, 2.0, 1.0]))
    bend = Bend(NODES, np.full((3, 3), 0.8), np.zeros((3, 3)))
    midpoint = Midpoint((np.linalg.inv(half), half), bend)
    still = Midpoint(midpoint.to_visits, Bend.none(NODES))
    levels = level_positions(NODES, NODES)
    moved = [midpoint.points(v, NODES, levels) - still.points(v, NODES, levels) for v in (0, 1)]
    lengths = [np.linalg.norm(shift, axis=1) for shift in moved]
    assert lengths[0] == pytest.approx(0.4 * np.sqrt(3))
    assert lengths[0] == pytest.approx(lengths[1])
