"""A call outside `jit` runs a compiled program, which is kept as long as its system."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.safeguards import _compiled
from safe_wrappers.safeguards._safe_action import _safe_action

REQUESTS = (0.3, -0.0, 5.0, np.inf, np.nan)


def pendulum():
    certificate = sw.envs.load_certificate("safe_pendulum", "narrow")
    return sw.ModelSystem(certificate, state=lambda x: x)


SYSTEM = pendulum()


def traces(system):
    """How often the safe action set is traced or evaluated from now on."""
    count = []
    safe_action_set = type(system).safe_action_set

    def counted(self, x):
        count.append(x)
        return safe_action_set(self, x)

    return count, counted


def test_a_second_call_evaluates_nothing_op_by_op(monkeypatch):
    system = pendulum()
    count, counted = traces(system)
    monkeypatch.setattr(sw.ModelSystem, "safe_action_set", counted)
    for request in REQUESTS:
        # A new object each time, as it is written in a loop.
        sw.safe_action(system, sw.BoundaryProjection(), [0.3, 1.0], [request])
    assert len(count) == 1
    sw.safe_action(system, sw.Replacement(), [0.3, 1.0], [0.0])
    sw.safe_action(system, sw.BoundaryProjection(gradient="blend"), [0.3, 1.0], [0.0])
    sw.safe_action(system, sw.BoundaryProjection(gradient=sw.Blend(0.25)), [0.3, 1.0], [0.0])
    assert len(count) == 4
    with jax.enable_x64():
        output = sw.safe_action(system, sw.BoundaryProjection(), np.array([0.3, 1.0]), [0.0])
    assert len(count) == 5
    assert output.action.dtype == jnp.float64


@pytest.mark.parametrize("request_", REQUESTS)
def test_it_gives_what_the_operations_give(request_):
    x, action = jnp.array([0.3, 1.0]), jnp.array([request_], jnp.float32)
    found = sw.safe_action(SYSTEM, sw.BoundaryProjection(), x, action)
    expected = _safe_action(SYSTEM, sw.BoundaryProjection(), x, action)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_within_a_trace_nothing_is_nested():
    def call(x, action):
        return sw.safe_action(SYSTEM, sw.BoundaryProjection(), x, action).action

    sw.safe_action(SYSTEM, sw.BoundaryProjection(), jnp.zeros(2), jnp.zeros(1))
    program = str(jax.make_jaxpr(call)(jnp.zeros(2), jnp.zeros(1)))
    assert "name=program" not in program
    gradient = jax.grad(lambda action: call(jnp.array([0.3, 1.0]), action)[0])
    np.testing.assert_array_equal(gradient(jnp.array([0.1])), [1.0])


def test_a_program_goes_with_its_system():
    system = pendulum()
    sw.safe_action(system, sw.BoundaryProjection(), [0.3, 1.0], [0.0])
    assert system in _compiled._PROGRAMS
    gone = weakref.ref(system)
    del system
    gc.collect()
    assert gone() is None


def test_what_its_owner_may_change_is_not_compiled():
    """An obstacle that moves: a program would go on with its first place."""
    obstacle = {"at": 1.0}
    system = sw.ExplicitSystem(
        action_size=1,
        rows=lambda x: (jnp.array([[1.0]]), jnp.array([obstacle["at"] - 0.5])),
        margin=lambda x: 1 - jnp.abs(x[0]),
        sample_initial=lambda key: jnp.zeros(1),
        state=lambda state: state,
    )
    for place in (1.0, 0.75):
        obstacle["at"] = place
        output = sw.safe_action(system, sw.BoundaryProjection(), [0.0], [1.0])
        np.testing.assert_allclose(output.action, [place - 0.5], atol=1e-5)


def test_the_programs_of_a_system_are_limited(monkeypatch):
    monkeypatch.setattr(_compiled, "_MOST", 2)
    system = pendulum()
    for alpha in (0.1, 0.2, 0.3):
        guard = sw.BoundaryProjection(gradient=sw.Blend(alpha))
        sw.safe_action(system, guard, [0.3, 1.0], [0.0])
    assert len(_compiled._PROGRAMS[system]) == 1
