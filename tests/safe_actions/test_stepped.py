"""The second route to what rows say, against steps in float64 at the corners of W."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import facets, worst_margins

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum, get_environment

ENV = SafePendulum(safe_set="narrow")


def states_and_actions(system, count):
    """States of S, half of them at its boundary, and actions, half of them at the box's."""
    first, second = jax.random.split(jax.random.PRNGKey(3))
    x = jax.vmap(system.sample_initial)(jax.random.split(first, count))
    middle = jnp.asarray(system.center)
    gauge = 1 - jax.vmap(system.margin)(x)[:, None]
    x = x.at[::2].set(middle + ((x - middle) * (1 - 1e-5) / gauge)[::2])
    a = jax.random.uniform(second, (count, system.action_size), minval=-1.0, maxval=1.0)
    return x, a.at[::2].set(jnp.sign(a)[::2])


def test_it_says_whether_the_pendulum_leaves_the_set():
    x, a = states_and_actions(ENV.system, 4000)
    says = np.asarray(jax.jit(jax.vmap(ENV.system.stays))(x, a))
    margin = worst_margins(facets(ENV), x, np.asarray(a)[:, 0])
    assert 0.1 < says.mean() < 0.9
    assert np.all(margin[says] > -1e-6)
    assert np.all(margin[~says] < 1e-6)


@pytest.mark.parametrize("name", ["safe_quadrotor", "zonotope"])
def test_blocks_and_pairs_of_facets_are_all_facets(name):
    system = get_environment("safe_quadrotor").system
    S = system.safe_state_set
    if name == "zonotope":
        boxed = sw.Zonotope(np.zeros(6), np.diag(np.max(S.vertices(), axis=0) * 0.7))
        system = sw.ZonotopeSystem(
            system.model, boxed, system.disturbance_set, system.constraint_set, state=system.state
        )
        S = boxed
    H, h = (np.asarray(part, np.float64) for part in S.halfspaces())
    x, a = states_and_actions(system, 500)
    W = system.disturbance_set
    corners = np.array(list(itertools.product(*zip(W.lower, W.upper, strict=True))), np.float32)
    step = jax.jit(jax.vmap(jax.vmap(system.model.unit_step, (None, None, 0)), (0, 0, None)))
    margin = np.min(h - np.float64(step(x, a, corners)) @ H.T, axis=(1, 2))
    says = np.asarray(jax.jit(jax.vmap(system.stays))(x, a))
    assert 0.02 < says.mean() < 0.98
    assert np.all(margin[says] > -2e-5)
    assert np.all(margin[~says] < 2e-5)


def test_what_is_not_finite_does_not_stay():
    for x, a in (([np.nan, 0.0], [0.0]), ([0.0, np.inf], [0.0]), ([0.0, 0.0], [np.nan])):
        assert not ENV.system.stays(jnp.array(x), jnp.array(a))


def test_without_an_allowance_for_rounding_nothing_is_tested():
    claim = ENV.system.claim
    without = dataclasses.replace(claim, eps=np.zeros_like(claim.eps), gain=claim.gain)
    system = sw.ModelSystem(without, state=ENV.system.state)
    assert system.stays(jnp.array([9.0, 9.0]), jnp.array([1.0]))
