"""Environments of a model in volts: agents speak [-1, 1]^d, tasks speak volts."""

import jax
import jax.numpy as jnp
import numpy as np
from volts import cart, claim

import safe_wrappers as sw
from safe_wrappers.evaluation import lqr


class Cart(sw.envs.CertifiedEnv):
    def observe(self, x, info):
        return x

    def reward(self, x, action, info):
        return -(x[1] ** 2) - action[0]

    @property
    def observation_size(self):
        return 2


def test_a_step_takes_agents_actions_and_the_task_gets_volts():
    env = sw.SafeguardWrapper(
        Cart(
            claim(cart("one-sided")),
            disturbance=lambda key, x, a: jnp.where(a[0] > 3.74, jnp.ones(1), -jnp.ones(1)),
        ),
        sw.BoundaryProjection(),
    )
    step = jax.jit(env.step)
    state = env.reset_to(jnp.array([0.0, 0.3]), jax.random.PRNGKey(0))
    after = step(state, jnp.array([0.5]))  # 3.75 V of 0 to 5 V
    assert float(after.info["safeguard"]["action"][0]) == 0.5
    speed = 0.3 + 0.1 * 0.5 + 0.05
    np.testing.assert_allclose(env.system.state(after)[1], speed, rtol=1e-6)
    np.testing.assert_allclose(after.reward, -(speed**2) - 3.75, rtol=1e-6)
    assert after.info["safeguard"]["clipped"] == 0
    assert step(state, jnp.array([1.5])).info["safeguard"]["clipped"] == 1


def test_the_regulator_of_a_model_in_volts_acts_on_its_states():
    class Plain(Cart):
        def reward(self, x, action, info):
            return -jnp.sum(x * x) - 0.001 * action[0] ** 2

    found = lqr(Plain(claim(cart("12 V"))))
    assert found is not None
    closed = np.array([[0.9, 0.05], [0.0, 1.0]]) - np.array([[0.0], [0.1]]) @ found.gain
    assert np.abs(np.linalg.eigvals(closed)).max() < 1
    np.testing.assert_allclose(found.action, 0, atol=1e-6)
