"""Rows that are wrong, whoever got them wrong: no action that leaves the set goes unnoticed."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import facets, worst_margins

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum, get_environment
from safe_wrappers.safeguards import safe_unit_action
from safe_wrappers.safeguards._confirmed import confirmed

FAULTS = {
    "none": lambda A, b: (A, b),
    "a slope of half its size": lambda A, b: (A.at[2].multiply(0.5), b),
    "one row has too much room": lambda A, b: (A, b.at[2].add(0.1)),
    "all rows have 1e-4 too much": lambda A, b: (A, b + 1e-4),
    "the slopes of the row before": lambda A, b: (jnp.roll(A, 1, axis=0), b),
    "half of the rows are missing": lambda A, b: (A, jnp.where(np.arange(len(b)) % 2, b, 1e3)),
}


class Faulty(sw.ModelSystem):
    """Its rows have a fault that is chosen at run time, so that all faults are one program."""

    fault = jnp.int32(0)

    def safe_action_set(self, x):
        found = super().safe_action_set(x)
        A, b = self._wrong(found.A, found.b)
        return dataclasses.replace(found, A=A, b=b)

    def facet_rows(self, x, facets=None):
        A, b = self._wrong(*super().facet_rows(x))
        return (A, b) if facets is None else (A[facets], b[facets])

    def _wrong(self, A, b):
        found = [fault(A, b) for fault in FAULTS.values()]
        return tuple(jnp.stack(part)[Faulty.fault] for part in zip(*found, strict=True))


def caller(system):
    """A compiled function of a fault, states and requests to outputs."""

    def call(fault, x, request):
        Faulty.fault = fault
        return safe_unit_action(system, sw.BoundaryProjection(), x, request)

    return jax.jit(jax.vmap(call, in_axes=(None, 0, 0)))


def states_at_the_boundary(system, count):
    x = jax.vmap(system.sample_initial)(jax.random.split(jax.random.PRNGKey(0), count))
    gauge = 1 - jax.vmap(system.margin)(x)[:, None]
    scale = jnp.array([0.9, 0.999, 0.99999])[jnp.arange(count) % 3][:, None]
    return x * scale / gauge


@pytest.mark.parametrize("name", ["safe_pendulum", "safe_quadrotor"])
def test_wrong_rows_execute_nothing_that_leaves_without_a_flag(name):
    system = get_environment(name).system
    faulty = caller(Faulty(system.certificate, state=system.state))
    x = states_at_the_boundary(system, 3000)
    d = system.action_size
    request = np.random.default_rng(1).choice([-1.0, 0.4, 1.0], (len(x), d)).astype(np.float32)
    stays = jax.jit(jax.vmap(system.stays))
    for number, fault in enumerate(FAULTS):
        output = faulty(np.int32(number), x, request)
        leaves = ~np.asarray(stays(x, output.action))
        refused = np.asarray(output.fallback)
        assert np.all(np.abs(output.action) <= 1)
        assert np.all(refused[leaves]), fault
        assert not np.any(np.asarray(output.feasible)[leaves]), fault
        assert np.all(np.asarray(output.intervened)[refused]), fault
        assert refused.any() == (fault != "none"), fault


def test_an_independent_plant_agrees_that_only_flagged_actions_leave():
    env = SafePendulum(safe_set="narrow")
    x = states_at_the_boundary(env.system, 3000)
    request = np.where(np.arange(len(x)) % 2, -1.0, 1.0).astype(np.float32)[:, None]
    faulty = caller(Faulty(env.system.certificate, state=env.system.state))
    number = list(FAULTS).index("one row has too much room")
    output = faulty(np.int32(number), x, request)
    margin = worst_margins(facets(env), x, np.asarray(output.action)[:, 0])
    # The anchor of rows with too much room is still an action well inside the set.
    assert np.all(margin > -1e-6)
    assert 10 < np.sum(output.fallback) < len(x) / 2
    assert not np.any(output.feasible & output.fallback)
    distance = np.abs(output.action - request)[:, 0]
    np.testing.assert_allclose(output.distance, distance, atol=1e-6)
    np.testing.assert_array_equal(output.changed, distance > 0)


@pytest.mark.parametrize("gradient", ["exact", pytest.param("passthrough", marks=pytest.mark.slow)])
def test_derivatives_are_finite_where_an_action_is_refused(gradient):
    system = get_environment("safe_quadrotor").system
    faulty = Faulty(system.certificate, state=system.state)
    guard = sw.BoundaryProjection(gradient=gradient)
    x = states_at_the_boundary(system, 60)

    def call(x, request):
        Faulty.fault = jnp.int32(3)
        output = safe_unit_action(faulty, guard, x, request)
        return output.action, output

    jacobians, output = jax.jit(jax.vmap(jax.jacrev(call, (0, 1), has_aux=True)))(
        x, jnp.ones((60, 2))
    )
    assert np.any(output.fallback)
    assert all(np.isfinite(part).all() for part in jacobians)


def test_of_a_system_without_a_step_the_output_is_what_it_was():
    system = get_environment("safe_seeker").system
    output = object()
    assert confirmed(system, jnp.zeros(2), output, jnp.zeros(2)) is output
