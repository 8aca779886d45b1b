"""`safe_action`: every value for the action and for the state."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hostile.oracle import Oracle
from hostile.tally import Case, check
from hostile.values import actions, states

import safe_wrappers as sw

SAFEGUARDS = {
    "boundary projection": sw.BoundaryProjection(),
    "ray mask": sw.RayMask(),
    "ray mask, orthogonal": sw.RayMask(center="orthogonal"),
    "gauge map": sw.GaugeMap(),
    "generator mask": sw.GeneratorMask(),
    "replacement": sw.Replacement(),
}


@functools.cache
def oracle(name):
    return Oracle(name)


def caller(system, safeguard):
    """`safe_action`, compiled for what passes the gate."""
    compiled = jax.jit(lambda x, a: sw.safe_action(system, safeguard, x, a))

    def call(x, a):
        # `jax.jit` itself drops masks, and takes no text
        numeric = all(type(v) is np.ndarray and v.dtype == np.float32 for v in (x, a))
        return compiled(x, a) if numeric else sw.safe_action(system, safeguard, x, a)

    return call


def cases(name, safeguard, of):
    known = oracle(name)
    call = caller(known.system, safeguard)
    x = (known.edge * (1 - 1e-6)).astype(np.float32)
    ones = np.ones(known.d, np.float32)
    given = actions(known.d, number=True) if of == "action" else states(known.edge)
    for case, (value, taken) in given.items():
        arguments = (x, value) if of == "action" else (value, ones)
        yield Case(
            f"{of} {case}",
            functools.partial(call, *arguments),
            functools.partial(_judged, known, *arguments) if taken else None,
            "action" if of == "action" else "`x`",
        )


def _judged(known, x, request, output):
    return known.of_output(x, output, request)


@pytest.mark.parametrize("safeguard", [SAFEGUARDS["boundary projection"]])
@pytest.mark.parametrize(("of", "count"), [("action", 55), ("state", 42)])
def test_one_action(safeguard, of, count):
    check(cases("safe_pendulum", safeguard, of), count)


@pytest.mark.slow
@pytest.mark.parametrize("safeguard", SAFEGUARDS.values(), ids=SAFEGUARDS.keys())
@pytest.mark.parametrize(("of", "count"), [("action", 55), ("state", 42)])
@pytest.mark.parametrize("name", ["safe_pendulum", "safe_quadrotor"])
def test_every_safeguard_and_number_of_actions(name, safeguard, of, count):
    check(cases(name, safeguard, of), count)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16], ids=["float16", "bfloat16"])
def test_many_states_of_low_precision(dtype):
    """Their numbers are exact in float32, in which everything is computed."""
    known = oracle("safe_pendulum")
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(2000, 2))
    x = (
        directions
        / np.max(directions @ known.H.T, axis=1)[:, None]
        * rng.uniform(0.9, 1, (2000, 1))
    )
    low = jnp.asarray(x, dtype)
    exact = np.asarray(low, np.float64)
    inside = np.min(known.h - exact @ known.H.T, axis=1) >= 0
    requests = np.sign(rng.normal(size=(2000, 1))).astype(np.float32)
    system, safeguard = known.system, sw.BoundaryProjection()
    call = jax.jit(jax.vmap(lambda x, a: sw.safe_action(system, safeguard, x, a)))
    output = call(low, requests)
    assert inside.sum() > 1000
    executed = np.asarray(output.action, np.float64)
    found = [known.of_action(exact[i], executed[i]) for i in np.flatnonzero(inside)]
    assert not any(found)
    assert np.all(np.asarray(output.inside)[inside])
