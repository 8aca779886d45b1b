import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import facets, keys, margins, pendulum_step, states_in

from safe_wrappers import CertificateError
from safe_wrappers.envs import SafePendulum


@pytest.fixture(scope="module")
def env():
    return SafePendulum(safe_set="narrow", disturbance=lambda key, x, a: 0.1 * jnp.sign(x[:1]))


def steps(env, x, action):
    """One step from each state x (N, 2) under action (N,), without the safeguard."""
    step = jax.jit(jax.vmap(lambda x, key, a: env.step(env.reset_to(x, key), a)))
    return step(x, keys(0, len(x)), np.asarray(action, np.float32)[:, None])


def test_the_step_is_that_of_the_task(env):
    x = states_in(env, 500)
    action = np.random.default_rng(0).uniform(-1, 1, 500).astype(np.float32)
    after = steps(env, x, action)
    expected = pendulum_step(x, action, 0.1 * np.sign(x[:, 0]))
    found = np.concatenate([after.pipeline_state.q, after.pipeline_state.qd], axis=1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
    np.testing.assert_allclose(
        after.obs,
        np.stack(
            [np.sin(expected[:, 0]), np.cos(expected[:, 0]), expected[:, 1], expected[:, 0]], axis=1
        ),
        rtol=0,
        atol=2e-6,
    )
    np.testing.assert_allclose(
        after.reward,
        -(expected[:, 0] ** 2 + 0.1 * expected[:, 1] ** 2 + 0.001 * action**2),
        rtol=1e-5,
        atol=1e-6,
    )
    np.testing.assert_allclose(after.info["disturbance"][:, 0], 0.1 * np.sign(x[:, 0]), rtol=1e-6)
    assert not after.done.any()


def test_the_target_angle_moves_the_optimum():
    after = steps(
        SafePendulum(safe_set="narrow", target_angle=0.8, disturbance="none"),
        np.array([[0.3, 0.5]], np.float32),
        [0.2],
    )
    th, thd = pendulum_step([0.3, 0.5], 0.2, 0.0)
    np.testing.assert_allclose(
        after.reward[0], -((th - 0.8) ** 2 + 0.1 * thd**2 + 0.001 * 0.2**2), rtol=1e-5
    )


def test_states_are_neither_clamped_nor_wrapped(env):
    x = np.array([[3.1, 7.9], [40.0, 100.0], [-3.1, -12.0]], np.float32)
    after = steps(env, x, [1.0, 1.0, -1.0])
    found = np.concatenate([after.pipeline_state.q, after.pipeline_state.qd], axis=1)
    np.testing.assert_allclose(
        found, pendulum_step(x, np.array([1, 1, -1]), 0.1 * np.sign(x[:, 0])), rtol=1e-6
    )
    assert np.all(np.abs(found[:, 0]) > np.pi)


def test_the_bare_environment_reports_its_exits(env):
    x = states_in(env, 2000)
    after = steps(env, x, np.sign(x[:, 1]))
    found = np.concatenate([after.pipeline_state.q, after.pipeline_state.qd], axis=1)
    truth = margins(facets(env), found)
    outside = truth < 0
    assert 0.2 < outside.mean() < 0.9
    np.testing.assert_array_equal(after.metrics["left_set_per_step"], outside)
    np.testing.assert_allclose(after.info["margin"], truth, rtol=1e-5, atol=1e-6)
    violated = (np.abs(found[:, 0]) > 0.5) | (np.abs(found[:, 1]) > 8)
    np.testing.assert_array_equal(after.info["cost"], violated)
    np.testing.assert_array_equal(after.metrics["cost_per_step"], violated)
    assert np.all(outside[violated])  # S lies in X


def test_a_state_that_is_not_a_number_has_left_the_set(env):
    after = steps(env, np.array([[np.nan, 0.0]], np.float32), [0.0])
    assert after.metrics["left_set_per_step"][0] == after.metrics["cost_per_step"][0] == 1


def test_the_sets_lie_in_their_constraints():
    for name, angle, area in (
        ("full", np.pi, 99.8),
        ("upright", np.pi / 3, 0),
        ("narrow", 0.5, 15),
        ("walter2025", np.pi, 0),
    ):
        env = SafePendulum(safe_set=name)
        vertices = env.system.safe_state_set.vertices()
        assert np.abs(vertices[:, 0]).max() <= angle
        assert np.abs(vertices[:, 1]).max() <= (np.inf if name == "walter2025" else 8)
        assert env.system.safe_state_set.volume() > area


def test_a_certificate_of_another_system_is_refused(tmp_path):
    path = tmp_path / "set.json"
    SafePendulum(safe_set="narrow").system.certificate.save(path)
    assert SafePendulum(safe_set=str(path)).system.certificate.name == "narrow"
    damaged = path.read_text().replace("9.81", "1.62")
    path.write_text(damaged)
    with pytest.raises(CertificateError):
        SafePendulum(safe_set=str(path))
