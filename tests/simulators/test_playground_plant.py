"""Plants read off environments in the form of MuJoCo Playground's, here a pendulum of two substeps
that is written by hand; Playground's own are in `test_playground_environments.py`.
"""

import copy
import types

import brax.envs
import gymnasium
import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from flax import struct
from mujoco import mjx

import safe_wrappers as sw

PENDULUM = """<mujoco><option timestep="0.01" integrator="Euler"/>
    <worldbody><body name="pole">
    <joint name="hinge" type="hinge" axis="0 1 0" damping="0.1"/>
    <geom type="capsule" fromto="0 0 0 0 0 0.5" size="0.02" mass="1"/></body>
    <body name="target"><joint name="slide" type="slide" axis="1 0 0"/>
    <geom type="sphere" size="0.01" mass="1" contype="0" conaffinity="0"/></body></worldbody>
    <actuator><motor joint="hinge" gear="4" ctrlrange="-1 1" ctrllimited="true"/></actuator>
    </mujoco>"""
MUSCLE = """<general joint="hinge" dyntype="filter" dynprm="0.1"/>"""


@struct.dataclass
class State:
    data: mjx.Data
    obs: jax.Array
    reward: jax.Array
    done: jax.Array
    metrics: dict
    info: dict


class Pendulum:
    """Has what Playground's environments have, and none of its classes."""

    action_size, dt, n_substeps = 1, 0.02, 2

    def __init__(self, xml=PENDULUM):
        self.mj_model = mujoco.MjModel.from_xml_string(xml)
        self.mjx_model = mjx.put_model(self.mj_model)

    @property
    def unwrapped(self):
        return self

    def reset(self, rng):
        qpos = jax.random.uniform(rng, (2,), minval=-0.1, maxval=0.1)
        data = mjx.forward(self.mjx_model, mjx.make_data(self.mj_model).replace(qpos=qpos))
        info = {"rng": rng}
        zero = jnp.zeros(())
        return State(data, self._get_obs(data, info), zero, zero, {"mine": zero}, info)

    def step(self, state, action):
        data = state.data.replace(ctrl=action)
        substep = lambda data, _: (mjx.step(self.mjx_model, data), None)  # noqa: E731
        data, _ = jax.lax.scan(substep, data, length=self.n_substeps)
        state.metrics["mine"] = data.qpos[0]  # as some of Playground's write
        return state.replace(data=data, obs=self._get_obs(data, state.info))

    def _get_obs(self, data, info):
        return jnp.concatenate([jnp.cos(data.qpos[:1]), data.qvel])


@pytest.fixture(scope="module")
def plant():
    return sw.PlaygroundPlant(Pendulum(), q=[0], qd=[0])


class Resting(Pendulum):
    """Starts where it hangs, without a compilation."""

    def reset(self, rng):
        return self.at_rest

    def __init__(self, xml=PENDULUM):
        super().__init__(xml)
        self.at_rest = self._at_rest()

    def _at_rest(self):
        zero = jnp.zeros(())
        data = mjx.make_data(self.mj_model)
        return State(data, jnp.zeros(3), zero, zero, {"mine": zero}, {})


def test_the_model_is_what_mujoco_steps(plant):
    """MuJoCo in C and float64, two steps under each action."""
    rng = np.random.default_rng(0)
    x = rng.uniform([-3, -5], [3, 5], (64, 2))
    actions = rng.uniform(-1, 1, (64, 1))
    step = jax.jit(jax.vmap(plant.model.step))
    pushes = rng.uniform(-0.1, 0.1, (64, 2))
    found = step(jnp.float32(x), jnp.float32(actions), jnp.float32(pushes))
    physics = plant.env.mj_model
    expected = np.empty_like(x)
    for i in range(64):
        data = mujoco.MjData(physics)
        data.qpos[0], data.qvel[0], data.ctrl[0] = *x[i], actions[i, 0]
        for _ in range(2):
            mujoco.mj_step(physics, data)
        expected[i] = data.qpos[0] + pushes[i, 0], data.qvel[0] + pushes[i, 1]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    assert np.abs(expected - x).max() > 0.1
    assert plant.model.state_names == ("hinge", "hinge velocity")
    assert plant.model.parameters["dt"] == 0.02


def test_a_reset_can_be_put_at_a_state(plant):
    key, x = jax.random.PRNGKey(3), jnp.array([0.25, -1.5])
    state, own = jax.jit(plant.reset_to)(x, key), jax.jit(plant.env.reset)(key)
    np.testing.assert_array_equal(plant.state(state), x)
    assert state.data.qpos[1] == own.data.qpos[1]
    np.testing.assert_allclose(state.obs, [np.cos(0.25), -1.5, 0.0], atol=1e-6)
    # all that follows from the joints is there as well
    assert abs(float(state.data.xmat[1, 0, 2]) - np.sin(0.25)) < 1e-6
    assert jax.tree.structure(state) == jax.tree.structure(own)


def test_which_components_are_disturbed_can_be_chosen():
    plant = sw.PlaygroundPlant(Resting(), q=[0], qd=[0], disturbed=[1])
    np.testing.assert_array_equal(plant.model.disturbance_matrix, [[0.0], [1.0]])
    assert sw.PlaygroundPlant(Resting()).model.state_size == 4


def test_a_copy_is_the_same_plant():
    plant = sw.PlaygroundPlant(Resting(), q=[0], qd=[0])
    twin = copy.deepcopy(plant)
    x, action = jnp.array([0.1, -0.2]), jnp.array([0.3])
    programs = [str(jax.make_jaxpr(p.model.unit_step)(x, action, x)) for p in (plant, twin)]
    assert programs[0] == programs[1]


def test_the_observation_can_be_given():
    class Other(Resting):
        def _get_obs(self, data, info, noise=0.0):
            return super()._get_obs(data, info)

    key, x = jax.random.PRNGKey(0), jnp.zeros(2)
    with pytest.raises(sw.ModelError, match=r"method `_get_obs\(data, info\)`.*`observation=`"):
        jax.eval_shape(sw.PlaygroundPlant(Other(), q=[0], qd=[0]).reset_to, x, key)
    read = lambda data, info: jnp.zeros(3)  # noqa: E731
    other = sw.PlaygroundPlant(Other(), q=[0], qd=[0], observation=read)
    np.testing.assert_array_equal(jax.jit(other.reset_to)(x, key).obs, jnp.zeros(3))
    wrong = sw.PlaygroundPlant(Other(), q=[0], qd=[0], observation=lambda data, info: data.qpos)
    with pytest.raises(sw.ModelError, match=r"`reset`, \(3,\), but it is \(2,\)"):
        jax.eval_shape(wrong.reset_to, x, key)
    with pytest.raises(TypeError, match="`observation`"):
        sw.PlaygroundPlant(Other(), observation=3)


@pytest.mark.slow
def test_two_substeps_are_not_affine_and_a_surrogate_encloses_them(plant):
    """The difference of the surrogate to MuJoCo's own steps stays inside its box."""
    with pytest.raises(sw.ModelError):
        sw.models.require_affine(plant.model)
    limits = sw.Box.symmetric([1.2, 6.0])
    fit = sw.fit_surrogate(plant, limits, jax.random.PRNGKey(0), samples=2_048)
    x = jax.random.uniform(jax.random.PRNGKey(1), (512, 2), minval=-1, maxval=1) * limits.upper
    a = jax.random.uniform(jax.random.PRNGKey(2), (512, 1), minval=-1, maxval=1)
    still = jnp.zeros((512, 2))
    steps = [jax.jit(jax.vmap(model.step))(x, a, still) for model in (plant.model, fit.model)]
    assert (jnp.abs(steps[0] - steps[1]) <= fit.disturbance_set.upper).all()
    assert (fit.disturbance_set.upper < 0.05).all()
    assert (fit.disturbance_set.upper > 1e-6).all()


@pytest.mark.parametrize(
    ("chosen", "error", "message"),
    [
        ({"q": [2]}, ValueError, "`q` must hold different indices from 0 to 1"),
        ({"q": [0, 1], "qd": [0]}, sw.ModelError, r"but q\[1\] of `Pendulum`"),
    ],
)
def test_joints_that_are_no_state_are_refused(plant, chosen, error, message):
    with pytest.raises(error, match=message):
        sw.PlaygroundPlant(plant.env, **chosen)


def test_an_actuator_with_a_state_of_its_own_is_refused():
    xml = PENDULUM.replace("<actuator>", f"<actuator>{MUSCLE}")
    with pytest.raises(sw.ModelError, match=r"1 actuator\(s\) of `Resting` have a state"):
        sw.PlaygroundPlant(Resting(xml), q=[0], qd=[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: brax.envs.get_environment("fast"), "it is a `Fast`. Write `BraxPlant"),
        (lambda: gymnasium.make("Pendulum-v1"), "Write `GymPlant"),
        (lambda: None, "it is a `NoneType`. Write a `Model` or"),
    ],
)
def test_other_environments_are_refused(make, message):
    with pytest.raises(TypeError, match=message):
        sw.PlaygroundPlant(make())


def test_wrapped_and_safeguarded_environments_are_refused(plant):
    parts = ("reset", "step", "mjx_model", "mj_model", "action_size")
    inner = {part: getattr(plant.env, part) for part in parts}
    wrapped = types.SimpleNamespace(**inner, unwrapped=plant.env)
    safeguarded = types.SimpleNamespace(**inner, safeguard=sw.BoundaryProjection())
    safeguarded.unwrapped = safeguarded
    for env in (wrapped, safeguarded):
        with pytest.raises(TypeError, match=r"without a safeguard.*PlaygroundPlant\(env\.env\)"):
            sw.PlaygroundPlant(env)
