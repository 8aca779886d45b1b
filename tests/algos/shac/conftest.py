"""A differentiable toy environment whose every step can be worked out by hand."""

import jax
import jax.numpy as jnp
import pytest
from brax import envs
from jax.experimental.compilation_cache import compilation_cache


class Line(envs.Env):
    """x' = x + a / 2 from random starts, reward -x'^2; terminates beyond `end`; an ordinary Brax
    environment without safeguard.

    A raw environment's own report: `left_set_per_step` where |x'| > `bound`, and the margin to it.
    """

    def __init__(self, end: float = 1e9, bound: float = 1e9):
        self.end, self.bound = end, bound

    def reset(self, rng):
        x = jax.random.uniform(rng, (1,), minval=-1.0, maxval=1.0)
        return self._state(
            x,
            envs.State(
                None,
                x,
                jnp.zeros(()),
                jnp.zeros(()),
                {"left_set_per_step": jnp.zeros(())},
                {"margin": jnp.zeros(())},
            ),
        )

    def step(self, state, action):
        return self._state(state.obs + 0.5 * action, state)

    def _state(self, x, state):
        margin = self.bound - jnp.abs(x[0])
        return state.replace(
            obs=x,
            reward=-jnp.sum(x * x),
            done=(jnp.abs(x[0]) > self.end).astype(jnp.float32),
            metrics={**state.metrics, "left_set_per_step": (margin < 0).astype(jnp.float32)},
            info={**state.info, "margin": margin},
        )

    @property
    def observation_size(self):
        return 1

    @property
    def action_size(self):
        return 1

    @property
    def backend(self):
        return "closed_form"


@pytest.fixture(scope="module", autouse=True)
def compile_once(tmp_path_factory):
    """Trainings that differ in data only compile to the same program: the persistent cache saves
    most of the tests' time.
    """
    names = (
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    )
    before = {name: getattr(jax.config, name) for name in names}
    for name, value in zip(names, (str(tmp_path_factory.mktemp("jax")), 0.0, -1), strict=True):
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # it is initialised once per process
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture(scope="session")
def make_line():
    return Line


@pytest.fixture
def line():
    return Line()


@pytest.fixture(scope="session")
def pendulum():
    """The default safeguarded pendulum."""
    import safe_wrappers as sw

    return sw.SafeguardWrapper(sw.envs.get_environment("safe_pendulum"), sw.BoundaryProjection())


@pytest.fixture
def tiny():
    """Options of a training that compiles and runs in seconds."""
    return {
        "num_timesteps": 4 * 8 * 6,
        "episode_length": 12,
        "num_envs": 4,
        "horizon_length": 8,
        "num_critic_updates": 2,
        "num_eval_envs": 4,
        "num_evals": 4,
    }
