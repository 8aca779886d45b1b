"""An environment with a cost, infos, metrics and rewards of its own keeps them behind a safeguard,
in every host.
"""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.envs.wrappers import training
from third_party import Integrator, IntegratorSystem

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum

NAMES = ("cost", "safeguard", "task_reward", "state", "mine")
METRIC = "safeguard/task_reward"


class Reporting(Integrator):
    """Adds up its own cost from step to step, and reports under all names that a wrapper uses."""

    def __init__(self, names=NAMES, metrics=(METRIC,)):
        self.names, self.metrics = names, metrics

    def reset(self, rng):
        state = super().reset(rng)
        return state.replace(
            info={name: jnp.full((), 10.0) for name in self.names},
            metrics={name: jnp.full((), 20.0) for name in self.metrics},
        )

    def step(self, state, action):
        # It is given what it reported, and nothing of the wrapper's.
        assert {"cost", "safeguard", "environment"} & set(state.info) <= set(self.names)
        assert set(state.metrics) == set(self.metrics)
        state = super().step(state, action)
        return state.replace(
            reward=action**2,
            info={**state.info, **{name: state.info[name] + 1 for name in self.names}},
            metrics={name: state.metrics[name] + 1 for name in self.metrics},
        )


def safeguarded(**options):
    return sw.SafeguardWrapper(
        Reporting(**options), sw.BoundaryProjection(), system=IntegratorSystem()
    )


def stepped(env, steps=3):
    state = jax.jit(env.reset)(jax.random.PRNGKey(0))
    for _ in range(steps):
        state = jax.jit(env.step)(state, jnp.full(1, 0.25))
    return state


def test_brax():
    state = stepped(safeguarded())
    assert [state.info[name] for name in ("cost", "task_reward", "state", "mine")] == [13.0] * 4
    assert state.info["environment"]["safeguard"] == 13.0
    assert state.metrics["environment/safeguard/task_reward"] == 23.0
    assert state.metrics[METRIC] == state.info["safeguard"]["task_reward"] == 0.0625
    assert (state.info["safeguard"]["violation"], state.info["safeguard"]["inside"]) == (0.0, 1.0)


def test_where_the_environment_reports_no_cost_it_is_the_violation():
    """Also after many steps: the wrapper's own number must not pass for the environment's."""
    env = safeguarded(names=(), metrics=())
    outside = env.env.reset(None).replace(pipeline_state=jnp.full(1, 1.9))
    state = stepped(env).replace(pipeline_state=outside.pipeline_state)
    assert stepped(env).info["cost"] == 0.0
    assert set(state.info) == {"safeguard", "cost"}
    after = jax.jit(env.step)(state, jnp.zeros(1))
    assert after.info["cost"] == after.info["safeguard"]["violation"] == 1.0
    back = jax.jit(env.step)(after, -jnp.ones(1))
    assert back.info["cost"] == back.info["safeguard"]["violation"] == 0.0


def test_a_violation_and_a_cost_are_two_things():
    class Costly(SafePendulum):
        def step(self, state, action):
            state = super().step(state, action)
            return state.replace(info={**state.info, "cost": jnp.full((), 7.0)})

    env = sw.SafeguardWrapper(Costly(safe_set="narrow"), sw.BoundaryProjection())
    start = env.env.reset_to(jnp.array([0.6, 3.0]), jax.random.PRNGKey(0))
    after = jax.jit(env.step)(start, jnp.ones(1))
    assert (after.info["cost"], after.info["safeguard"]["violation"]) == (7.0, 1.0)


def test_reset_and_step_agree_under_the_wrappers_of_brax():
    env = training.wrap(safeguarded(), episode_length=3)
    state = jax.eval_shape(env.reset, jax.random.split(jax.random.PRNGKey(0), 2))
    after = jax.eval_shape(env.step, state, jnp.zeros((2, 1)))
    assert jax.tree.structure(state) == jax.tree.structure(after)
    assert jax.tree.leaves(state) == jax.tree.leaves(after)


@pytest.mark.parametrize("vector", [False, True])
def test_the_adapters_for_gymnasium(vector):
    env = safeguarded()
    host = sw.GymVectorEnv(env, 1) if vector else sw.GymEnv(env)
    host.reset(seed=0)
    action = np.full((1, 1) if vector else (1,), 0.25)
    _, reward, _, _, info = host.step(action)
    assert [float(np.squeeze(info[name])) for name in ("cost", "task_reward", "state", "mine")] == [
        11.0
    ] * 4
    assert np.squeeze(info["environment"]["safeguard"]) == 11.0
    assert np.squeeze(info["safeguard"]["task_reward"]) == np.squeeze(reward) == 0.0625


def test_the_bare_adapter_keeps_infos_that_are_no_random_keys():
    class Keyed(SafePendulum):
        def task_info(self, x, key):
            return {"typed": jax.random.wrap_key_data(key)}

    _, info = sw.GymEnv(Keyed()).reset(seed=0)
    assert not {"key", "typed"} & set(info)

    class Locked(Reporting):
        system = IntegratorSystem()

    _, info = sw.GymEnv(Locked(names=("key", "cost"))).reset(seed=0)
    assert (info["key"], info["cost"]) == (10.0, 10.0)


class Plant(gymnasium.Env):
    """x' = 0.5 x + 0.1 a in Gymnasium."""

    action_space = gymnasium.spaces.Box(-1, 1, (1,))
    observation_space = gymnasium.spaces.Box(-9, 9, (2,))

    def __init__(self, info=None, reward=0.0):
        self.info, self.value = info or {}, reward

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = np.zeros(2, np.float32)
        return self.x, dict(self.info)

    def step(self, action):
        self.x = np.float32(0.5 * self.x + 0.1 * action)
        return self.x, self.value, False, False, dict(self.info)


def plant_system():
    model = sw.Model("m", lambda x, a, w: 0.5 * x + 0.1 * a, 2, 1, 0)
    claim = sw.Claim(
        model,
        safe_state_set=sw.Polytope([[1, 0], [-1, 0], [0, 1], [0, -1]], [1.0] * 4),
        constraint_set=sw.Box.symmetric([2.0, 2.0]),
        disturbance_set=sw.Box.symmetric([]),
    )
    return sw.ModelSystem(claim, state=lambda env: env.x)


SYSTEM = plant_system()


def gymnasium_env(**options):
    return sw.GymSafeguardWrapper(Plant(**options), sw.Replacement(), system=SYSTEM)


def test_gymnasium():
    own = {"cost": 7.0, "safeguard": "on", "task_reward": np.arange(2), "mine": None}
    env = gymnasium_env(info=own, reward=3)
    for info in (env.reset(seed=0)[1], env.step(np.zeros(1))[-1]):
        assert (info["cost"], info["mine"]) == (7.0, None)
        np.testing.assert_array_equal(info["task_reward"], [0, 1])
        assert info["environment"] == {"safeguard": "on"}
        assert (info["safeguard"]["violation"], info["safeguard"]["inside"]) == (0.0, 1.0)
    assert info["safeguard"]["task_reward"] == 3.0


def test_gymnasium_without_reports_of_its_own():
    env = gymnasium_env(reward=3)
    assert env.reset(seed=0)[1]["task_reward"] == 0.0
    info = env.step(np.zeros(1))[-1]
    assert set(info) == {"safeguard", "cost", "task_reward"}
    assert (info["cost"], info["task_reward"]) == (0.0, 3.0)


@pytest.mark.parametrize(
    "reward",
    [1.5, np.float64(1.5), np.float32([1.5]), np.array([[1.5]]), [1.5], jnp.ones(1) * 1.5],
    ids=["number", "scalar", "(1,)", "(1, 1)", "list", "jax"],
)
def test_rewards_of_gymnasium_become_python_numbers(reward):
    env = gymnasium_env(reward=reward)
    env.reset(seed=0)
    found = env.step(np.zeros(1))[1]
    assert (type(found), found) == (float, 1.5)


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (np.ones(2), r"The reward of `Plant` must be one number, but its shape is \(2,\)"),
        (np.ones(0), r"The reward of `Plant` must be one number, but its shape is \(0,\)"),
        (None, "`reward` is None, but it must be made of real numbers"),
        (1j, "`reward` is 1j, but it must be made of real numbers"),
        ("3", "`reward` is '3', but it must be made of real numbers"),
    ],
)
def test_what_is_no_reward_is_refused_by_name(reward, message):
    env = gymnasium_env(reward=reward)
    env.reset(seed=0)
    with pytest.raises(sw.SetDimensionError, match=message):
        env.step(np.zeros(1))


def test_rewards_of_brax():
    """Of shape (1,), since the action is: a learner would broadcast (N, 1) against (N,)."""
    env = training.wrap(safeguarded(), episode_length=3)
    state = jax.eval_shape(env.reset, jax.random.split(jax.random.PRNGKey(0), 4))
    after = jax.eval_shape(env.step, state, jnp.zeros((4, 1)))
    assert state.reward.shape == after.reward.shape == after.done.shape == (4,)

    class Two(Reporting):
        def step(self, state, action):
            return super().step(state, action).replace(reward=jnp.ones(2))

    env = sw.SafeguardWrapper(Two(), sw.BoundaryProjection(), system=IntegratorSystem())
    with pytest.raises(sw.SetDimensionError, match=r"reward of `Two` must be one number.*\(2,\)"):
        env.step(env.reset(jax.random.PRNGKey(0)), jnp.zeros(1))
