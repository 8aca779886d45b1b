"""A simulator's joints as a mechanical model: what it says of a step, and who is refused."""

import functools
import warnings

import brax.envs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.io import mjcf
from pipeline_env import DAMPING, DT, GEAR, Arm

import safe_wrappers as sw

pytestmark = pytest.mark.filterwarnings(
    "ignore:Brax System, piplines and environments are not actively",
    "ignore:.*has .* states",
    "ignore:At .* bodies touch",
)

LIMITS = sw.Box.symmetric([0.6, 2.0])
KEY = jax.random.PRNGKey(0)
TWO_JOINTS = """
<mujoco>
  <option timestep="0.01" gravity="0 0 -9.81"/>
  <default><geom contype="0" conaffinity="0" mass="1" size="0.05"/></default>
  <worldbody><body>
    <joint name="one" type="hinge" axis="0 1 0"/><geom type="capsule" fromto="0 0 0 0.3 0 0"/>
    <body pos="0.3 0 0">
      <joint name="two" type="hinge" axis="0 1 0"/><geom type="capsule" fromto="0 0 0 0.3 0 0"/>
    </body>
  </body></worldbody>
  <actuator>{}</actuator>
</mujoco>
"""


class TwoJoints(Arm):
    """An arm in gravity with these motors."""

    def __init__(self, motors):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            system = mjcf.loads(TWO_JOINTS.format(motors))
        brax.envs.PipelineEnv.__init__(self, system, backend="generalized")

    def _observe(self, pipeline_state):
        return pipeline_state.q


@functools.cache
def arm_fit():
    return sw.BraxPlant(Arm(), q=[0], qd=[0]).mechanical(LIMITS, KEY, samples=512, safety=2.0)


def test_it_is_the_joint_of_the_simulator():
    """One capsule about one axis, whose inertia is known, in two frames."""
    fit = arm_fit()
    assert fit.model.state_names == ("hinge", "hinge velocity")
    assert fit.model.units["hinge velocity"] == "rad/s"
    assert fit.model.parameters["dt"] == pytest.approx(2 * DT, rel=1e-6)
    np.testing.assert_allclose(fit.model.action_box.upper, [GEAR])
    inertia = float(Arm().sys.mj_model.body_inertia[1][1]) + 1.0 * 0.25**2
    x, v = jnp.array([0.2, 0.5]), jnp.array([3.0])
    torque = fit.model.virtual.actions(x, v)
    assert float(torque[0]) == pytest.approx(inertia * 3.0 + DAMPING * 0.5, rel=0.02)


@pytest.mark.slow
def test_the_box_covers_what_brax_steps_elsewhere_and_is_not_vain():
    fit, plant = arm_fit(), sw.BraxPlant(Arm(), q=[0], qd=[0])
    assert str(fit).startswith("tested, not proved: off by at most")
    np.testing.assert_allclose(fit.disturbance_set.upper, 2.0 * fit.largest)
    assert (fit.largest < [1e-4, 2e-3]).all()
    rng = np.random.default_rng(5)
    x = rng.uniform(-1, 1, (256, 2)).astype(np.float32) * np.asarray(LIMITS.upper)
    # Accelerations that reach the largest speed in eight steps.
    v = rng.uniform(-1, 1, (256, 1)).astype(np.float32) * 2.0 / (8 * 2 * DT)
    a = jax.vmap(lambda x, v: fit.model.unit_action(fit.model.virtual.actions(x, v)))(x, v)
    assert np.abs(a).max() < 1
    still = jnp.zeros(2)
    after, predicted = jax.jit(
        jax.vmap(
            lambda x, a: (plant.model.unit_step(x, a, still), fit.model.unit_step(x, a, still))
        )
    )(x, a)
    difference = np.abs(np.asarray(after, np.float64) - predicted)
    assert (difference <= fit.disturbance_set.upper).all()
    assert (difference.max(axis=0) > 0.1 * fit.largest).all()


@pytest.mark.slow
def test_a_set_is_proved_for_it():
    """The lean polygon: two frames move the position by less than one long one."""
    fit = arm_fit()
    certificate = sw.certify(
        fit.model, constraints=LIMITS, disturbances=fit.disturbance_set, progress=False
    )
    assert certificate.record is not None
    (form,) = certificate.claim.virtual.forms
    np.testing.assert_allclose(form.B[:, 0], [0.75 * (2 * DT) ** 2, 2 * DT], rtol=1e-6)
    assert form.K is None
    assert certificate.metadata["share_of_constraints"] > 0.7


@pytest.mark.parametrize(
    ("name", "q", "qd", "message"),
    [
        pytest.param(
            "hopper",
            None,
            None,
            "of `Hopper` must have a motor, but rootx, rootz, rooty have none",
            marks=pytest.mark.slow,
        ),
        ("inverted_double_pendulum", None, None, "a motor, but hinge, hinge2 have none"),
        ("reacher", [1], [0, 1], "position and velocity of the same joints"),
    ],
)
def test_other_robots_are_refused_by_name(name, q, qd, message):
    env = brax.envs.get_environment(name, backend="generalized")
    plant = sw.BraxPlant(env, q=q, qd=qd)
    limits = sw.Box.symmetric(np.ones(plant.model.state_size))
    with pytest.raises(sw.ModelError, match=message):
        plant.mechanical(limits, KEY)


@pytest.mark.parametrize("name", ["ant", "humanoid"])
def test_legs_on_a_free_base_are_refused_with_and_without_the_base(name):
    """Their joints alone are no plant: how they move depends on how the body does."""
    env = brax.envs.get_environment(name, backend="generalized")
    with pytest.raises(sw.ModelError, match="quaternion of the free joint"):
        sw.BraxPlant(env)
    legs = range(7, env.sys.q_size()), range(6, env.sys.qd_size())
    with pytest.raises(sw.ModelError, match="The state must be all that its step depends on"):
        sw.BraxPlant(env, q=legs[0], qd=legs[1])


@pytest.mark.parametrize(
    ("motors", "message"),
    [
        ('<motor joint="two"/><motor joint="one"/>', r"drive the joints \[1, 0\] where \[0, 1\]"),
        (
            '<motor joint="one" gear="-2"/><motor joint="two"/>',
            "that of one pushes backwards",
        ),
        (
            '<motor joint="one"/><motor joint="two" ctrllimited="true" ctrlrange="-0.2 0.5"/>',
            "that of two is clipped between the actions -1 and 1: -0.2 N m for -1",
        ),
        (
            '<motor joint="one"/><position joint="two" kp="3"/>',
            "that of two feeds the joint's position or speed back",
        ),
    ],
)
def test_motors_that_are_no_plain_torques_are_refused(motors, message):
    plant = sw.BraxPlant(TwoJoints(motors))
    with pytest.raises(sw.ModelError, match=message):
        plant.mechanical(sw.Box.symmetric(np.ones(4)), KEY)


def test_bad_limits_are_refused():
    plant = sw.BraxPlant(Arm(), q=[0], qd=[0])
    with pytest.raises(sw.SetDimensionError, match="bounded box of dimension 2"):
        plant.mechanical(sw.Box.symmetric([1.0]), KEY)
    with pytest.raises(sw.SetDimensionError, match="bounded box of dimension 2"):
        plant.mechanical(sw.Box.symmetric([1.0, np.inf]), KEY)
    with pytest.raises(TypeError, match="`states`"):
        plant.mechanical([1.0, 1.0], KEY)
    with pytest.raises(ValueError, match="`safety`"):
        plant.mechanical(LIMITS, KEY, safety=0.5)
