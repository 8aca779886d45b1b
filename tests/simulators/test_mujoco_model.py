import mujoco
import numpy as np
import pytest
from mujoco_models import BALL, CART_POLE, FALLING, TWO_ARMS

from safe_wrappers.simulators._mujoco_model import (
    influence_from_outside,
    names_of_joints,
    quaternions,
    short_episodes,
    touching_at,
    velocity_of,
)

FREE = """<mujoco><worldbody><body><freejoint name="root"/><geom size="0.1"/>
<body><joint name="leg" type="hinge"/><geom size="0.1" pos="1 0 0"/></body></body></worldbody>
</mujoco>"""


def load(xml):
    return mujoco.MjModel.from_xml_string(xml)


def test_the_quaternions_of_free_and_ball_joints_are_found():
    assert quaternions(load(FREE)) == {i: "free joint `root`" for i in range(3, 7)}
    assert quaternions(load(BALL)) == {i: "ball joint `shoulder`" for i in range(4)}
    assert quaternions(load(CART_POLE)) == {}


def test_every_straight_position_has_its_velocity():
    assert velocity_of(load(FREE)) == {0: 0, 1: 1, 2: 2, 7: 6}
    assert velocity_of(load(CART_POLE)) == {0: 0, 1: 1}
    assert velocity_of(load(BALL)) == {}


def test_states_are_named_after_joints():
    assert names_of_joints(load(CART_POLE), [1], [0, 1]) == (
        "pole",
        "rail velocity",
        "pole velocity",
    )
    assert names_of_joints(load(FREE), range(8), range(7)) == ()  # seven of one name


@pytest.mark.parametrize(
    ("xml", "q", "qd", "found"),
    [
        (CART_POLE, [0, 1], [0, 1], None),
        (CART_POLE, [1], [0, 1], "the position of joint `rail`"),  # the end of the rail
        (CART_POLE, [0], [0], "the position of joint `pole`"),
        (CART_POLE, [0, 1], [0], "the velocity of joint `pole`"),
        (TWO_ARMS, [0], [0], None),
        (TWO_ARMS, [1], [1], None),
        (TWO_ARMS, [], [0], None),
    ],
)
def test_joints_that_matter_and_are_left_out_are_named(xml, q, qd, found):
    model = load(xml)
    _, speeds = short_episodes(model, model.qpos0)
    assert np.all(speeds > 0)
    text = influence_from_outside(model, np.array(q, int), np.array(qd), model.qpos0, speeds)
    assert text is None if found is None else text.startswith(found)


def test_contacts_and_limits_are_counted():
    ball, cart = load(FALLING), load(CART_POLE)
    seen = touching_at(ball, np.array([[0.0], [-0.2], [-0.449], [-0.46]]))
    assert (seen.states, seen.contacts, seen.limits) == (4, 1, 0)
    seen = touching_at(cart, np.array([[0.0, 3.0], [0.9, 0.0], [1.1, 0.0]]))
    assert (seen.states, seen.contacts, seen.limits) == (3, 0, 1)
    falls, _ = short_episodes(ball, np.array([-0.4]))
    assert 0 < falls.contacts < falls.states
    with pytest.warns(UserWarning, match=r"At 1 of 3 states of mine .* end of its range .* `rail`"):
        seen.warn_of_limits("mine", "of mine", stacklevel=1)
    with pytest.warns(UserWarning, match="bodies touch .for example `world` and `ball`"):
        falls.warn_of_contacts("mine", "of mine", stacklevel=1)
