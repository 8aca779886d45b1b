"""Conformance: Brax's physics and the closed form are the same system, far closer than the rounding
allowance eps.
"""

import brax.io.image
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import PENDULUM_SETS, facets, keys, pendulum_step, states_in

import safe_wrappers as sw
from safe_wrappers import envs
from safe_wrappers.envs import SafePendulum, dynamics

EPS = 5e-6
BACKENDS = ("closed_form", "generalized", "mjx")


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_step_agrees_with_the_model_to_a_tenth_of_the_margin(backend):
    """On the largest set, for actions over the whole box and disturbances over W; in the scale h =
    1 of every shipped set.
    """
    env = SafePendulum(safe_set="full", backend=backend)
    x, action = (
        states_in(env, 4096),
        np.random.default_rng(0).uniform(-1, 1, 4096).astype(np.float32),
    )

    def step(x, key, action):
        after = env.step(env.reset_to(x, key), action)
        return env.system.state(after), after.info["disturbance"], after.reward

    after, w, reward = jax.jit(jax.vmap(step))(x, keys(0, 4096), action[:, None])
    expected = pendulum_step(x, action, np.asarray(w, np.float64)[:, 0])
    for safe_set in PENDULUM_SETS:
        residual = np.abs(
            (np.asarray(after, np.float64) - expected) @ facets(SafePendulum(safe_set=safe_set)).T
        ).max()
        assert residual < EPS / 10
    np.testing.assert_allclose(
        reward,
        -(expected[:, 0] ** 2 + 0.1 * expected[:, 1] ** 2 + 0.001 * action**2),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.slow
def test_the_derivatives_of_generalized_and_closed_form_agree():
    def jacobians(backend):
        env = SafePendulum(safe_set="full", backend=backend)

        def step(x, action, key):
            after = env.step(env.reset_to(x, key), action)
            return env.system.state(after), after.reward, after.obs

        x, action = (
            states_in(env, 64),
            np.random.default_rng(0).uniform(-0.99, 0.99, (64, 1)).astype(np.float32),
        )
        return jax.tree.leaves(jax.jit(jax.vmap(jax.jacrev(step, (0, 1))))(x, action, keys(0, 64)))

    for one, other in zip(jacobians("closed_form"), jacobians("generalized"), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * max(1, np.abs(one).max()))


def test_the_mjcf_describes_the_rod_of_the_model():
    """Mass, inertia, gravity, torque, disturbance and time step, read back from what the physics
    engines step.
    """
    env, parameters = SafePendulum(backend="generalized"), dynamics.pendulum().parameters
    sys = env.sys
    mass, length = parameters["mass"], parameters["length"]
    np.testing.assert_allclose(sys.link.inertia.mass, [mass])
    np.testing.assert_allclose(sys.link.inertia.transform.pos, [[0, 0, length / 2]])
    np.testing.assert_allclose(sys.link.inertia.i[0, 1, 1], mass * length**2 / 12, rtol=1e-6)
    np.testing.assert_allclose(sys.gravity, [0, 0, -parameters["gravity"]], rtol=1e-6)
    np.testing.assert_allclose(
        env._physics(sys).actuator.gear, [parameters["torque"], mass * length**2 / 3], rtol=1e-6
    )
    np.testing.assert_allclose(sys.opt.timestep, parameters["dt"], rtol=1e-6)
    assert env.dt == parameters["dt"]
    assert sys.dof.damping.sum() == sys.dof.armature.sum() == 0


def test_the_pose_follows_the_angle_for_rendering():
    env = SafePendulum(disturbance="none")
    state = env.reset_to(jnp.array([0.7, 0.0]), jax.random.PRNGKey(0))
    turned = jax.vmap(lambda rot: 2 * jnp.arctan2(rot[2], rot[0]))(state.pipeline_state.x.rot)
    np.testing.assert_allclose(turned, [0.7], rtol=1e-5)


@pytest.mark.parametrize(
    ("system", "backend"),
    [
        ("safe_pendulum", "closed_form"),
        ("safe_pendulum", "generalized"),
        ("safe_pendulum", "mjx"),
        ("safe_cart_pole", "closed_form"),
        ("safe_cart_pole", "generalized"),
    ],
)
def test_the_actuators_that_are_shown_are_the_actions(system, backend):
    """Brax's wrappers for other hosts read the action space off them."""
    env = sw.SafeguardWrapper(
        envs.get_environment(system, backend=backend), sw.BoundaryProjection()
    )
    assert env.sys.act_size() == env.action_size == 1
    assert env.sys.mj_model.nu == 1
    np.testing.assert_array_equal(env.sys.actuator.ctrl_range, [[-1.0, 1.0]])


@pytest.mark.slow
def test_randomised_physics_are_stepped():
    """What is changed in the system that is shown is what is stepped, actuators included."""
    env = envs.get_environment("safe_pendulum", backend="generalized", disturbance="none")
    x = jnp.array([0.0, 0.0])

    def speed_after(env):
        after = env.step(env.reset_to(x, jax.random.PRNGKey(0)), jnp.array([0.1]))
        return float(env.system.state(after)[1])

    before = speed_after(env)
    env.sys = env.sys.replace(actuator=env.sys.actuator.replace(gear=2 * env.sys.actuator.gear))
    assert speed_after(env) == pytest.approx(2 * before, rel=1e-5)


def test_a_trajectory_is_drawn_as_brax_environments_do(monkeypatch):
    drawn = []
    monkeypatch.setattr(brax.io.image, "render_array", lambda *given: drawn.append(given) or ["x"])
    env = sw.SafeguardWrapper(envs.get_environment("safe_pendulum"), sw.BoundaryProjection())
    state = env.reset(jax.random.PRNGKey(0))
    assert env.render([state.pipeline_state], 100, 200, "front") == ["x"]
    assert drawn == [(env.sys, [state.pipeline_state], 100, 200, "front")]
    with pytest.raises(ValueError, match="`SafeSeeker` has no MJCF file"):
        envs.get_environment("safe_seeker").render([])
