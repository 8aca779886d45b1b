import warnings

import brax.envs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.envs.wrappers import training
from brax.io import mjcf
from helpers import keys
from mujoco_models import CART_POLE, FALLING
from pipeline_env import STOPPING, Arm, arm_plant, safe_arm

import safe_wrappers as sw
from safe_wrappers.certificates import Claim
from safe_wrappers.models import require_affine


def test_the_model_is_the_environments_own_step():
    """From running states of the environment, and whatever the target is."""
    plant = arm_plant()

    def rollout(key, actions):
        def step(state, action):
            after = plant.env.step(state, action)
            x = plant.state(state)
            return after, (x, plant.state(after), plant.model(x, action, jnp.zeros(2)))

        return jax.lax.scan(step, plant.env.reset(key), actions)[1]

    actions = np.random.default_rng(0).uniform(-1, 1, (64, 10, 1)).astype(np.float32)
    x, after, predicted = (
        np.asarray(part, np.float64) for part in jax.jit(jax.vmap(rollout))(keys(0, 64), actions)
    )
    np.testing.assert_allclose(predicted, after, rtol=0, atol=1e-5)
    assert np.abs(after - x).max() > 0.5


def test_disturbances_are_added_to_the_declared_components():
    plant = sw.BraxPlant(arm_plant().env, q=[0], qd=[0], disturbed=[1])
    x, action = jnp.array([0.1, 0.2]), jnp.array([0.3])
    assert plant.model.disturbance_size == 1
    step = jax.jit(plant.model.step)
    np.testing.assert_allclose(
        step(x, action, jnp.array([0.5])) - step(x, action, jnp.zeros(1)), [0.0, 0.5], atol=1e-6
    )
    np.testing.assert_array_equal(plant.model.disturbance_matrix, [[0.0], [1.0]])


def test_a_reset_can_be_put_at_a_state():
    """The chosen joints are where they should be, the others where the environment's own reset puts
    them, and the observation is its own.
    """
    plant, key, x = arm_plant(), jax.random.PRNGKey(3), jnp.array([0.25, -1.5])
    reset = jax.jit(plant.env.reset)
    state, own = jax.jit(plant.reset_to)(x, key), reset(key)
    np.testing.assert_array_equal(plant.state(state), x)
    assert state.pipeline_state.q[1] == own.pipeline_state.q[1]
    np.testing.assert_array_equal(state.obs, [0.25, -1.5, own.pipeline_state.q[1]])
    assert jax.tree.structure(state) == jax.tree.structure(own)
    # the environment itself is unchanged
    np.testing.assert_array_equal(plant.state(reset(key)), plant.state(own))


def test_all_joints_are_the_state_unless_told_otherwise():
    plant = sw.BraxPlant(Arm())
    assert plant.model.state_size == 4
    state = jax.jit(plant.env.reset)(jax.random.PRNGKey(0))
    np.testing.assert_array_equal(
        plant.state(state), jnp.concatenate([state.pipeline_state.q, state.pipeline_state.qd])
    )


# Brax mixes its float32 with the float64 of the trace
@pytest.mark.filterwarnings("ignore:scatter inputs have incompatible types:FutureWarning")
def test_whether_it_is_affine_is_not_decided_by_samples():
    """The arm is affine, but its jaxpr has a loop over frames: without a declared remainder a
    claim about it is refused.
    """
    plant = arm_plant()
    with pytest.raises(sw.ModelError, match="one of them passes through `max`"):
        require_affine(plant.model)
    with pytest.raises(sw.ModelError, match="or bound what is left by a remainder"):
        Claim(
            plant.model,
            safe_state_set=STOPPING,
            constraint_set=sw.Box.symmetric([1.0, 2.0]),
            disturbance_set=sw.Box.symmetric([0.0, 0.0]),
        )


def test_other_environments_are_refused():
    with pytest.raises(
        TypeError,
        match=r"must be a `brax\.envs\.PipelineEnv` without wrappers.*but it is a `VmapWrapper`",
    ):
        sw.BraxPlant(training.VmapWrapper(arm_plant().env))
    with pytest.raises(
        TypeError, match=r"but it is a `SafePendulum`.*`Model` or an `ExplicitSystem`"
    ):
        sw.BraxPlant(sw.envs.get_environment("safe_pendulum"))


@pytest.mark.parametrize("backend", ["spring", "positional"])
def test_backends_without_a_joint_state_are_refused(backend):
    with pytest.raises(
        ValueError, match=f"on the backends 'generalized' and 'mjx', but `env` steps '{backend}'"
    ):
        sw.BraxPlant(Arm(backend=backend))


@pytest.mark.parametrize(
    ("name", "indices", "message"),
    [
        ("q", [2], "`q` must hold different indices from 0 to"),
        ("qd", [-1], r"`qd\[0\]` is -1, but it must be an integer of at least 0"),
        ("q", [0, 0], "`q` must hold different indices from 0 to"),
        ("disturbed", [4], "`disturbed` must hold different indices from 0 to"),
    ],
)
def test_wrong_indices_are_refused(name, indices, message):
    with pytest.raises(ValueError, match=message):
        sw.BraxPlant(arm_plant().env, **{name: indices})


class Mujoco(Arm):
    """Brax's arm with another MuJoCo model inside."""

    def __init__(self, xml):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Brax System, piplines and environments")
            sys = mjcf.loads(xml)
        brax.envs.PipelineEnv.__init__(self, sys, backend="generalized", n_frames=2)

    def reset(self, rng):
        state = self.pipeline_init(self.sys.init_q, jnp.zeros(self.sys.qd_size()))
        zero = jnp.zeros(())
        return brax.envs.State(state, state.q, zero, zero, {"mine": zero})


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"q": [1], "qd": [1]}, "the position of joint `rail` changes the acceleration of joint `"),
        ({"q": [0], "qd": [0]}, "the position of joint `pole` changes the acceleration of joint `"),
        ({"q": [0, 1], "qd": [1]}, r"velocity of every position in it, but q\[0\] of `Mujoco`"),
    ],
)
def test_joints_that_depend_on_others_are_no_state(chosen, message):
    """Found in milliseconds, before anything is compiled."""
    with pytest.raises(sw.ModelError, match=message):
        sw.BraxPlant(Mujoco(CART_POLE), **chosen)


@pytest.mark.filterwarnings("ignore:Brax System, piplines and environments are not actively")
def test_quaternions_are_refused():
    env = brax.envs.get_environment("ant", backend="generalized")
    with pytest.raises(
        sw.ModelError, match=r"hold the quaternion of the free joint `root`.*Is my environment supp"
    ):
        sw.BraxPlant(env)
    with pytest.raises(sw.ModelError, match="the position of joint `root` changes"):
        sw.BraxPlant(env, q=[7], qd=[6])


def test_contacts_and_limits_are_warned_of():
    with pytest.warns(UserWarning, match="states of short episodes of `Mujoco` bodies touch"):
        plant = sw.BraxPlant(Mujoco(FALLING))
    assert plant.model.state_names == ("height", "height velocity")
    with pytest.warns(
        UserWarning, match=r"states sampled in `states` of Mujoco .generalized. bodies touch"
    ):
        sw.fit_surrogate(plant, sw.Box([-0.5, -0.1], [0.0, 0.1]), jax.random.PRNGKey(0), samples=80)


def test_more_states_than_sets_were_found_for_are_warned_of():
    arms = "".join(
        f'''<body pos="{2 * i} 0 0"><joint name="arm {i}" type="hinge" axis="0 0 1"/>
        <geom type="sphere" size="0.05" pos="0.3 0 0"/></body>'''
        for i in range(4)
    )
    xml = f"""<mujoco><worldbody>{arms}</worldbody>
        <actuator><motor joint="arm 0"/></actuator></mujoco>"""
    with pytest.warns(UserWarning, match="`Mujoco` has 8 states. Safe sets were found for up to 4"):
        sw.BraxPlant(Mujoco(xml))


def test_a_reset_that_places_nothing_is_refused():
    class Elsewhere(Arm):
        def reset(self, rng):
            pipeline_state = self._pipeline.init(self.sys, jnp.zeros(2), jnp.zeros(2))
            return brax.envs.State(
                pipeline_state, jnp.zeros(3), jnp.zeros(()), jnp.zeros(()), {"mine": jnp.zeros(())}
            )

    plant = sw.BraxPlant(Elsewhere(), q=[0], qd=[0])
    with pytest.raises(
        sw.ModelError, match=r"`Elsewhere\.reset` must place its joints by `self\.pipeline_init"
    ):
        jax.eval_shape(plant.reset_to, jnp.zeros(2), jax.random.PRNGKey(0))


@pytest.mark.slow
def test_the_gradient_flows_through_the_safeguard_and_the_physics():
    """At a state where the request 1 is unsafe the executed action depends on the state alone; a
    safe request passes with its derivative.
    """
    env = safe_arm()

    def after(request, x):
        state = env.step(env.reset_to(x, jax.random.PRNGKey(0)), request)
        return env.system.state(state)

    jacobians = jax.jit(jax.jacrev(after, (0, 1)))
    by_request, by_state = jacobians(jnp.array([1.0]), jnp.array([0.5, 0.3]))
    np.testing.assert_array_equal(by_request, 0.0)
    assert np.isfinite(by_state).all()
    # On the facet th + 0.22 thd <= 0.6 the next state stays on it, wherever it comes from.
    assert np.abs(np.array([1.0, 0.22]) @ by_state).max() < 1e-4 < np.abs(by_state).max()
    free, _ = jacobians(jnp.array([0.1]), jnp.array([0.0, 0.0]))
    np.testing.assert_allclose(free, arm_plant().model.affine(jnp.zeros(2)).B, rtol=1e-4)
