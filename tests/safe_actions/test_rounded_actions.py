import jax
import jax.numpy as jnp
import numpy as np
import pytest
import volts
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

import safe_wrappers as sw
from safe_wrappers.safe_actions import SafeActionSet, onto_space
from safe_wrappers.safe_actions._rounded_actions import RoundedActions

SAFE = jax.jit(lambda A, b, a: sw.BoundaryProjection()(SafeActionSet.from_rows(A, b), a))


ROUNDING = np.array([0.02, 0.005])


def wedge(A, b):
    """A system of two actions that has these rows at all states."""
    return sw.ExplicitSystem(
        action_size=2,
        rows=lambda x: (A, b),
        margin=lambda x: jnp.ones(()),
        sample_initial=lambda key: jnp.zeros(1),
        state=lambda env_state: env_state,
    )


@jax.jit  # compiled once for all examples
def rounded_rows(A, b):
    return RoundedActions(wedge(A, b), ROUNDING).safe_action_set(jnp.zeros(1))


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_an_action_that_is_safe_for_the_tightened_rows_stays_safe_when_it_is_rounded(seed):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(6, 2)).astype(np.float32)
    b = rng.uniform(0.3, 1, 6).astype(np.float32)
    rows = rounded_rows(A, b)
    out = SAFE(rows.A, rows.b, rng.uniform(-3, 3, 2).astype(np.float32))
    assert bool(out.feasible)
    corners = np.asarray(out.action, float) + ROUNDING * np.array(
        [[1, 1], [1, -1], [-1, 1], [-1, -1]]
    )
    assert np.all(corners @ A.T.astype(float) <= b)


def test_all_else_is_the_systems_own():
    system = wedge(jnp.eye(2), jnp.ones(2))
    rounded = RoundedActions(system, np.full(2, 0.1))
    assert isinstance(rounded, sw.System)
    assert rounded.action_size == 2
    assert rounded.neutral_action.tolist() == [0, 0]
    assert float(rounded.margin(jnp.zeros(1))) == 1
    assert float(rounded.violation(jnp.zeros(1))) == 0
    assert rounded.sample_initial(jax.random.PRNGKey(0)).tolist() == [0]
    assert rounded.state(3) == 3


def test_an_ordinary_space_leaves_the_system_as_it_is():
    system = wedge(jnp.eye(2), jnp.ones(2))
    box, verified = onto_space(system, spaces.Box(-30.0, 30.0, (2,)))
    assert verified is system
    assert not box.coarse
    with pytest.raises(sw.CertificateError, match="would be rounded by up to"):
        onto_space(system, spaces.Box(1000.0, 1002.0, (2,)))


@pytest.mark.parametrize("space", [spaces.Box(-1.0, 1.0, (1,)), spaces.Box(-12.0, 11.0, (1,))])
def test_a_space_of_other_units_than_the_models_is_refused(space):
    system = volts.system()
    box, _ = onto_space(system, spaces.Box(-12.0, 12.0, (1,)))
    assert not box.coarse
    with pytest.raises(sw.CertificateError, match="must have the bounds of the model's"):
        onto_space(system, space)
