"""Environments of equal content compile once, and none outlives its last user."""

import gc
import subprocess
import sys
import weakref

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest
from counting import compilations

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum


def factory(half_width=0.3):
    """A plant with a system of its own, as a vector environment or a sweep makes them."""

    def step(x, a, w):
        speed = x[1] + 0.05 * (15 * jnp.sin(x[0]) + 6 * a[0])
        return jnp.stack([x[0] + 0.05 * speed, speed])

    facets = [[1 / half_width, 0], [1 / half_width, 0.25]]
    claim = sw.Claim(
        sw.Model("p", step, 2, 1, 0),
        safe_state_set=sw.Polytope(np.concatenate([facets, np.negative(facets)]), [1.0] * 4),
        constraint_set=sw.Box.symmetric([0.5, 8.0]),
        disturbance_set=sw.Box.symmetric([]),
    )
    return sw.GymSafeguardWrapper(
        gymnasium.make("Pendulum-v1"),
        sw.Replacement(),
        system=sw.ModelSystem(claim, state=lambda env: env.state),
        set_state=lambda env, x: setattr(env, "state", x) or env._get_obs(),
    )


def safeguarded(kind=SafePendulum, **options):
    return sw.SafeguardWrapper(kind(safe_set="narrow", **options), sw.BoundaryProjection())


def use(env):
    env.reset(seed=0)
    return env.step(np.full(env.action_space.shape, 0.5, np.float32))


def test_eight_equal_environments_compile_once():
    use(factory())
    with compilations() as count:
        use(gymnasium.vector.SyncVectorEnv([factory] * 8))
    assert count.programs == 0
    with compilations() as count:
        use(factory(half_width=0.29))
    assert count.programs == 4  # reset: where and whether inside; step: the guard, the record


@pytest.mark.parametrize(
    "adapt", [sw.GymEnv, lambda env: sw.GymVectorEnv(env, 3)], ids=["GymEnv", "GymVectorEnv"]
)
def test_equal_environments_of_brax_compile_once(adapt):
    use(adapt(safeguarded()))
    with compilations() as count:
        use(adapt(safeguarded()))
    assert count.everything == 0
    with compilations() as count:
        use(adapt(safeguarded(target_angle=0.123)))
    assert count.programs == 2


def test_a_subclass_runs_its_own_code():
    class Upset(SafePendulum):
        def reward(self, x, action, info):
            return -7.0

    rewards = [use(sw.GymEnv(safeguarded(kind)))[1] for kind in (SafePendulum, Upset, SafePendulum)]
    assert rewards[1] == -7.0
    assert rewards[0] == rewards[2] != -7.0


@pytest.mark.parametrize(
    "make",
    [
        factory,
        lambda: sw.GymEnv(safeguarded()),
        lambda: sw.GymVectorEnv(safeguarded(), 3),
    ],
    ids=["GymSafeguardWrapper", "GymEnv", "GymVectorEnv"],
)
def test_nothing_outlives_its_last_user(make):
    """Neither the environment nor its system nor its model; the next equal one compiles nothing."""
    alive = []
    for _ in range(2):
        env = make()
        use(env)
        inner = env.env if hasattr(env.env, "system") else env
        alive += [weakref.ref(value) for value in (env, inner.system, inner.system.model)]
        del env, inner
        gc.collect()
    assert [reference() for reference in alive] == [None] * 6


def test_the_brax_wrapper_is_freed_after_a_reset_that_was_compiled_for_it():
    from third_party import Integrator, IntegratorSystem

    env = sw.SafeguardWrapper(Integrator(), sw.BoundaryProjection(), system=IntegratorSystem())
    env.reset(jnp.zeros(2, jnp.uint32))
    alive = weakref.ref(env)
    del env
    gc.collect()
    assert alive() is None


def test_a_sweep_of_options_keeps_a_few():
    made = []
    for i in range(8):
        env = gymnasium.make("SafeWrappers/Pendulum-v0", safe_set="narrow", target_angle=0.01 * i)
        made.append(weakref.ref(env.unwrapped.env))
        del env
    gc.collect()
    assert 1 <= sum(reference() is not None for reference in made) <= 4


MANY = """
import gc, os
import gymnasium, numpy as np
import safe_wrappers

def megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

for i in range(60):
    env = gymnasium.make("SafeWrappers/Pendulum-v0", safe_set="narrow", target_angle=0.001 * i)
    env.reset(seed=0)
    env.step(np.zeros(1, np.float32))
    env.close()
    del env
    gc.collect()
    if i % 20 == 19:
        print(megabytes())
"""


@pytest.mark.slow
def test_environments_that_come_and_go_take_no_more_memory():
    """Each one is another program: what is measured is that these are freed."""
    command = [sys.executable, "-c", MANY]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    first, second, third = map(float, printed.split())
    assert third - second < 40.0
    assert third - first < 80.0
