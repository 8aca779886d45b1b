import jax
import jax.numpy as jnp
import numpy as np
import pytest
from square_plant import Square, claim

import safe_wrappers as sw
from safe_wrappers.evaluation import Evaluation, constrained_optimum, episode_keys, lqr, lqr_policy

NARROW = {"safe_set": "narrow", "target_angle": 0.8}
STEPS = 60


class Free(Square):
    """A target so near and actions so dear that nothing binds."""

    target = 0.0

    def reward(self, x, action, info):
        return -(x[0] ** 2 + x[1] ** 2 + 10.0 * action[0] ** 2)


def constant(parameter, state, key):
    return jnp.full(1, parameter)


def evaluated(env, keys, parameters):
    """Returns of clipped LQR, and of each constant request, shape (policies, episodes)."""
    guarded = sw.SafeguardWrapper(env.with_disturbance("none"), sw.BoundaryProjection())
    evaluation = Evaluation(guarded, {"lqr": lqr_policy(env), "constant": constant}, keys, STEPS)
    controller = lqr(env)
    tried = [evaluation("lqr", {"lqr": controller, "constant": 0.0})]
    tried += [evaluation("constant", {"lqr": controller, "constant": a}) for a in parameters]
    assert not any(np.any(episodes.violation) for episodes in tried)
    return np.array([episodes.returns for episodes in tried])


@pytest.fixture(scope="module")
def narrow():
    """Two episodes of the narrow pendulum, whose target lies beyond its set."""
    env, keys = sw.envs.SafePendulum(**NARROW), episode_keys(2, 5)
    return env, keys, constrained_optimum(env, keys, STEPS, iterations=60)


@pytest.mark.slow
def test_where_nothing_binds_it_is_the_regulators_return():
    env, keys = Free(claim), episode_keys(8, 0)
    optimum = constrained_optimum(env, keys, STEPS, iterations=100)
    (expected,) = evaluated(env, keys, ())
    # The horizon is finite, the regulator's is not: its return is a little lower.
    np.testing.assert_allclose(optimum.returns, expected, rtol=2e-3)
    assert np.all(optimum.returns >= expected - 1e-4)
    assert np.all(optimum.bound >= optimum.returns - 1e-4)
    assert optimum.gap < 2e-3


def test_where_safety_binds_both_sides_meet(narrow):
    _, _, optimum = narrow
    assert optimum.no_bound is None
    assert np.all(optimum.bound >= optimum.returns)
    assert 0 <= optimum.gap < 1e-3
    assert optimum.gap == pytest.approx(optimum.bound.mean() / optimum.returns.mean() * -1 + 1)


def test_what_was_found_is_reached_by_safe_actions(narrow):
    env, keys, optimum = narrow
    guarded = sw.SafeguardWrapper(env.with_disturbance("none"), sw.BoundaryProjection())

    def fly(key, actions):
        def step(state, action):
            state = guarded.step(state, action)
            left = state.metrics["safeguard/left_set_per_step"]
            return state, (state.reward, left, state.info["safeguard"]["distance"])

        return jax.lax.scan(step, guarded.reset(key), actions)[1]

    reward, left, moved = jax.jit(jax.vmap(fly, in_axes=(0, 1)))(keys, jnp.asarray(optimum.actions))
    np.testing.assert_allclose(reward.sum(axis=1), optimum.returns, rtol=1e-4)
    assert not np.any(left)
    assert np.max(moved) < 1e-4  # executed actions are safe already


def test_no_policy_exceeds_the_bound(narrow):
    env, keys, optimum = narrow

    tried = evaluated(env, keys, np.linspace(-1, 1, 9)).max(axis=0)
    assert np.all(tried <= optimum.bound)
    assert np.all(tried <= optimum.returns + 1e-3)


class Away(Square):
    """The farther from the middle the better: no concave reward."""

    def reward(self, x, action, info):
        return x[0] ** 2 - x[1] ** 2


@pytest.mark.slow
def test_policies_are_starts_and_what_has_no_bound_says_why():
    env, keys = Away(claim), episode_keys(3, 0)
    policies = {"outwards": lambda state: jnp.ones(1)}
    optimum = constrained_optimum(env, keys, 10, policies=policies, iterations=5)
    assert set(optimum.by_start) == {"still", "outwards"}
    np.testing.assert_array_equal(optimum.returns, np.max(list(optimum.by_start.values()), axis=0))
    assert np.all(optimum.by_start["outwards"] > optimum.by_start["still"])
    assert optimum.no_bound == "its reward is not concave"
    assert np.all(np.isinf(optimum.bound))
    assert np.isinf(optimum.gap)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (
            {"env": sw.SafeguardWrapper(Square(claim), sw.Replacement())},
            TypeError,
            "without a safe",
        ),
        (
            {"iterations": 0},
            ValueError,
            "`iterations` is 0, but it must be an integer of at least 1",
        ),
        ({"learning_rate": "fast"}, TypeError, "`learning_rate` is 'fast'"),
        ({"rounds": -1}, ValueError, "`rounds` is -1"),
        ({"episode_length": 2.5}, TypeError, r"`episode_length` is 2\.5"),
    ],
)
def test_bad_input_is_refused_in_words(changed, error, message):
    arguments = {"env": Square(claim), "keys": episode_keys(1, 0), "episode_length": 3}
    with pytest.raises(error, match=message):
        constrained_optimum(**{**arguments, **changed})
