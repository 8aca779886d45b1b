import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers import Model, ModelError
from safe_wrappers.certificates._branches import HULLS
from safe_wrappers.models import require_affine, require_known_operations
from safe_wrappers.models._known_operations import SCALAR_OPERATIONS


def mass(x):
    return jnp.array([[2.0 + jnp.cos(x[0]), 0.1], [0.1, 1.0]])


def model(step):
    return Model("mine", step, 2, 1, 1)


KNOWN = {
    "a division by the state": lambda x, a, w: x + a / (2.0 + x) + w / x,
    "an update in place": lambda x, a, w: x.at[0].add(a[0]).at[1].add(w[0]),
    "a mass matrix": lambda x, a, w: x + jnp.linalg.solve(mass(x), jnp.stack([a[0], w[0]])),
    "drag": lambda x, a, w: x - 0.1 * x * jnp.abs(x) + a + w,
    "a slice that stays inside": lambda x, a, w: jax.lax.dynamic_slice(x, (1,), (2,)) + a + w,
}
WRONG = {
    "numpy": (
        lambda x, a, w: jnp.stack([np.sin(x[0]), a[0] + w[0]]),
        r"`step` of the model 'mine' must be written with jax\.numpy.*`jnp\.sin`, not `np\.sin`",
    ),
    "a broadcast": (
        lambda x, a, w: x[:, None] + a + w,
        r"returned shape \(2, 1\), but it must return shape \(2,\)",
    ),
    "a row": (lambda x, a, w: (x + a + w)[None], r"returned shape \(1, 2\), but it must"),
    "a tuple": (lambda x, a, w: (x[0] + a[0], w[0]), r"returned 2 arrays.*`jnp\.stack"),
    "a condition": (lambda x, a, w: x + a + w if x[0] > 0 else x, r"Write `jnp\.where`"),
    "another size": (
        lambda x, a, w: x + jnp.ones((2, 3)) @ x + a + w,
        r"an action of shape \(1,\) and a disturbance of shape \(1,\), but it raised TypeError",
    ),
    "an index beyond the end": (
        lambda x, a, w: jnp.stack([x[0] + a[1], x[1] + w[0]]),
        "reads the index 1 of an array of length 1, and JAX would silently take the nearest",
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_what_a_proof_can_follow_passes(name):
    require_affine(model(KNOWN[name]))
    require_known_operations(model(KNOWN[name]))


def test_an_operation_without_a_rule_is_named():
    with pytest.raises(ModelError, match=r"No proof can follow the model 'mine': .*`erf`, which"):
        require_known_operations(model(lambda x, a, w: x + jax.scipy.special.erf(x) + a + w))


@pytest.mark.parametrize("name", WRONG)
def test_a_step_that_is_none_is_refused_in_words(name):
    step, message = WRONG[name]
    square = sw.Polytope(np.concatenate([np.eye(2), -np.eye(2)]), np.ones(4))
    with pytest.raises(ModelError, match=message):
        sw.Claim(
            model(step),
            safe_state_set=square,
            constraint_set=sw.Box.symmetric([2.0, 2.0]),
            disturbance_set=sw.Box.symmetric([1.0]),
        )


def test_a_disturbance_set_that_is_no_box_is_refused():
    square = sw.Polytope(np.concatenate([np.eye(2), -np.eye(2)]), np.ones(4))
    with pytest.raises(sw.SetDimensionError, match="`disturbance_set` must be a `Box`"):
        sw.Claim(
            model(KNOWN["drag"]),
            safe_state_set=square,
            constraint_set=sw.Box.symmetric([2.0, 2.0]),
            disturbance_set=([-0.3], [0.3]),  # pyright: ignore[reportArgumentType]
        )


def test_the_names_are_those_of_the_prover():
    assert HULLS.operations.keys() == SCALAR_OPERATIONS
