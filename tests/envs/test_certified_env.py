import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import facets, keys, margins, pendulum_step, states_in, worst_margins

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"backend": "generalised"},
            r"`backend` is 'generalised', but it must be one of 'closed_form', 'generalized', "
            r"'mjx'\..* Did you mean 'generalized'\?",
        ),
        (
            {"backend": "spring"},
            r"`backend` is 'spring', but it must be one of .*\. "
            "The maximal-coordinate backends step another system",
        ),
        (
            {"backend": "positional"},
            r"`backend` is 'positional', but it must be one of .*\. "
            "The maximal-coordinate backends step another system",
        ),
        (
            {"disturbance": "worst-case"},
            r"`disturbance` is 'worst-case', but it must be one of 'uniform', 'none', "
            r"'worst_case'\. Did you mean 'worst_case'\?",
        ),
        (
            {"initial_states": "generator"},
            r"`initial_states` is 'generator', but it must be one of 'uniform', 'generators'.* "
            r"Did you mean 'generators'\?",
        ),
        (
            {"safe_set": "walter2052"},
            r"`safe_set` is 'walter2052', but it must be one of 'full', 'narrow', 'upright', "
            r"'walter2025'.* Did you mean 'walter2025'\?",
        ),
        ({"safe_set": "my_set"}, r"A path to a certificate file must end in \.json\."),
        (
            {"safe_set": "narrow", "initial_states": "generators"},
            "needs a safe set with generators, but .*'narrow'.* has none",
        ),
    ],
)
def test_wrong_options_are_refused_with_the_nearest_valid_one(options, message):
    with pytest.raises(ValueError, match=message):
        SafePendulum(**options)


def disturbances(env, x, action, seed=0):
    """The disturbance of one step from each state."""
    step = jax.jit(
        jax.vmap(lambda x, key, a: env.step(env.reset_to(x, key), a).info["disturbance"])
    )
    return np.asarray(step(x, keys(seed, len(x)), np.asarray(action, np.float32)[:, None]))[:, 0]


def test_the_worst_case_is_the_worst_vertex():
    env = SafePendulum(safe_set="narrow", disturbance="worst_case")
    x, action = (
        states_in(env, 4000),
        np.random.default_rng(0).uniform(-1, 1, 4000).astype(np.float32),
    )
    w = disturbances(env, x, action)
    assert set(np.unique(w)) == {-np.float32(0.1), np.float32(0.1)}
    found = margins(facets(env), pendulum_step(x, action, w.astype(float)))
    np.testing.assert_allclose(found, worst_margins(facets(env), x, action), atol=1e-6)


def test_ties_of_the_worst_case_are_broken_by_the_key():
    env = SafePendulum(safe_set="narrow", disturbance="worst_case")
    # the origin: both vertices are equally bad
    w = disturbances(env, np.zeros((400, 2), np.float32), np.zeros(400))
    assert 0.4 < (w > 0).mean() < 0.6


def test_the_worst_case_is_a_constant_of_the_derivative():
    """The worst vertex depends on the state, its derivative does not: the Jacobian is that of the
    model alone.
    """
    env = SafePendulum(safe_set="narrow", disturbance="worst_case")

    def step(x):
        return env.system.state(env.step(env.reset_to(x, jax.random.PRNGKey(0)), jnp.zeros(1)))

    x = jnp.array([0.3, 0.1])
    jacobian = jax.jit(jax.jacrev(step))(x)
    stiffness = 0.05 * 14.715 * np.cos(0.3)
    np.testing.assert_allclose(jacobian, [[1 + 0.05 * stiffness, 0.05], [stiffness, 1]], rtol=1e-5)


def test_uniform_disturbances_fill_w_and_change_with_every_step():
    env = SafePendulum(safe_set="narrow")
    w = disturbances(env, np.zeros((4000, 2), np.float32), np.zeros(4000))
    assert np.abs(w).max() <= np.float32(0.1)
    assert np.abs(np.sort(w) - np.linspace(-0.1, 0.1, 4000)).max() < 0.006
    state, step = env.reset(jax.random.PRNGKey(0)), jax.jit(env.step)
    drawn = []
    for _ in range(5):
        state = step(state, jnp.zeros(1))
        drawn.append(float(state.info["disturbance"][0]))
    assert len(set(drawn)) == 5


def test_no_disturbance_and_ones_own():
    x = np.full((3, 2), 0.1, np.float32)
    assert not disturbances(
        SafePendulum(safe_set="narrow", disturbance="none"), x, np.zeros(3)
    ).any()
    own = SafePendulum(safe_set="narrow", disturbance=lambda key, x, a: 0.1 * a * jnp.sign(x[0]))
    np.testing.assert_allclose(disturbances(own, x, [1.0, -1.0, 0.5]), [0.1, -0.1, 0.05], rtol=1e-6)


def test_a_disturbance_of_another_shape_is_refused():
    env = SafePendulum(safe_set="narrow", disturbance=lambda key, x, a: jnp.zeros(2))
    with pytest.raises(
        ValueError, match=r"`disturbance` must return shape \(1,\), but its shape is \(2,\)"
    ):
        env.step(env.reset(jax.random.PRNGKey(0)), jnp.zeros(1))


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        (lambda x, action: -(action**2), -0.25),
        (lambda x, action: action[None] ** 2, 0.25),
        (lambda x, action: 3, 3.0),
        (lambda x, action: np.float64(0.5), 0.5),
        (lambda x, action: x[0] > 100, 0.0),
    ],
    ids=["(1,)", "(1, 1)", "Python", "NumPy", "bool"],
)
def test_a_reward_is_one_number_however_it_is_written(reward, expected):
    class Rewarding(SafePendulum):
        def reward(self, x, action, info):
            return reward(x, action)

    env = Rewarding(safe_set="narrow")
    state = env.reset(jax.random.PRNGKey(0))
    after = jax.eval_shape(env.step, state, jnp.ones(1))
    for reported in (state, after):
        assert (reported.reward.shape, reported.reward.dtype) == ((), jnp.float32)
        assert not reported.reward.weak_type
    assert state.reward == 0
    assert env.step(state, jnp.full(1, 0.5)).reward == expected


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "reward",
            jnp.ones(2),
            r"The reward of `Broken` must be one number, but its shape is \(2,\)",
        ),
        ("reward", None, "`reward` is None, but it must be made of real numbers"),
        (
            "observe",
            jnp.ones((1, 4)),
            r"`observe` of `Broken` must return shape \(4,\), its `observation_size`, but its "
            r"shape is \(1, 4\)",
        ),
    ],
)
def test_rewards_and_observations_of_another_shape_are_refused_at_the_first_reset(
    name, value, message
):
    kind = type("Broken", (SafePendulum,), {name: lambda self, x, *rest: value})
    with pytest.raises(sw.SetDimensionError, match=message):
        kind(safe_set="narrow").reset(jax.random.PRNGKey(0))


@pytest.mark.parametrize("initial_states", ["uniform", "generators"])
def test_every_reset_is_fresh_and_inside(initial_states):
    env = SafePendulum(safe_set="walter2025", initial_states=initial_states)
    state = jax.jit(jax.vmap(env.reset))(keys(0, 2000))
    x = np.asarray(jax.vmap(env.system.state)(state))
    assert len(np.unique(x, axis=0)) == 2000
    assert margins(facets(env), x).min() > 0
    np.testing.assert_allclose(state.info["margin"], margins(facets(env), x), atol=1e-6)
    assert not state.metrics["left_set_per_step"].any()
    assert not state.reward.any()


def test_generators_are_drawn_nearer_to_the_centre_than_by_volume():
    spread = {}
    for initial_states in ("uniform", "generators"):
        env = SafePendulum(safe_set="walter2025", initial_states=initial_states)
        x = np.asarray(jax.vmap(env.system.state)(jax.jit(jax.vmap(env.reset))(keys(0, 4000))))
        spread[initial_states] = margins(facets(env), x).mean()
    assert spread["generators"] > spread["uniform"] + 0.05


def test_resets_and_steps_are_reproducible():
    env = SafePendulum(safe_set="narrow")
    one, other = (
        jax.jit(env.step)(jax.jit(env.reset)(jax.random.PRNGKey(4)), jnp.ones(1)) for _ in range(2)
    )
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_copy_under_other_disturbances_is_the_same_plant_otherwise():
    env = SafePendulum(safe_set="narrow", disturbance="none")
    pushed = env.with_disturbance(lambda key, x, a: jnp.full(1, 0.07))
    state = env.reset_to(jnp.array([0.1, 0.2]), jax.random.PRNGKey(0))
    action = jnp.array([0.3])
    assert env.step(state, action).info["disturbance"].tolist() == [0.0]
    after = pushed.step(state, action)
    np.testing.assert_allclose(after.info["disturbance"], 0.07, rtol=1e-6)
    expected = pendulum_step([0.1, 0.2], 0.3, 0.07)
    np.testing.assert_allclose(env.system.state(after), expected, rtol=1e-5)
    assert env.guarantee.status == "proved"
    assert pushed.guarantee.status == "tested"  # nobody knows where the function stays
    with pytest.raises(ValueError, match="`disturbance` is 'worst', but it must be one of"):
        env.with_disturbance("worst")
    with pytest.raises(AttributeError, match="cannot be changed after construction"):
        pushed.target_angle = 1.0
