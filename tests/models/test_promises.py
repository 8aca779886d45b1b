import jax.numpy as jnp
import pytest

from safe_wrappers import ModelError
from safe_wrappers.certificates._enclosure import ModelEnclosure
from safe_wrappers.models import Model, require_affine

UNDEFINED = {
    "two values for one element": lambda x: x.at[jnp.array([0, 0])].set(0.5 * x),
    "overlapping values": lambda x: x.at[jnp.array([[0, 1], [1, 0]])].set(jnp.outer(x, x)),
    "sums that were promised apart": lambda x: x.at[jnp.array([0, 0])].add(
        0.2 * x, unique_indices=True
    ),
    "indices that were promised sorted": lambda x: x.at[jnp.array([1, 0])].add(
        0.2 * x, indices_are_sorted=True
    ),
    "a value from beyond the promise": lambda x: x.at[jnp.array([7, 0])].get(
        mode="promise_in_bounds"
    ),
    "a value to beyond the promise": lambda x: x.at[jnp.array([-3])].set(
        5.0, mode="promise_in_bounds"
    ),
    "a sum to beyond the promise": lambda x: x.at[jnp.array([2])].add(
        x[:1], mode="promise_in_bounds"
    ),
}
DEFINED = {
    "a scalar index": lambda x: x.at[0].set(0.9 * x[1]),
    "a slice": lambda x: x.at[0:2].set(0.9 * x[::-1]),
    "an empty slice": lambda x: x.at[2:].set(0.0),
    "other elements": lambda x: x.at[jnp.array([1, 0])].set(0.9 * x),
    "sums on one element": lambda x: x.at[jnp.array([0, 0])].add(0.2 * x),
    "beyond the end, dropped": lambda x: x.at[jnp.array([0, 7])].set(x, mode="drop"),
    "within the promise": lambda x: x.at[jnp.array([1, 1])].get(mode="promise_in_bounds"),
    "beyond the end, filled": lambda x: x.at[jnp.array([1, 7])].get(mode="fill", fill_value=0.0),
    "a row of a matrix": lambda x: jnp.outer(x, x).at[1].set(x)[0],
}


def model(term):
    return Model("indices", lambda x, a, w: term(x) + a + w, 2, 2, 2)


@pytest.mark.parametrize("name", UNDEFINED)
def test_what_jax_leaves_open_is_refused_by_name(name):
    with pytest.raises(ModelError, match=r"The result of `.*` in the model must be defined by JAX"):
        require_affine(model(UNDEFINED[name]))


@pytest.mark.parametrize("name", DEFINED)
def test_what_jax_defines_is_accepted(name):
    require_affine(model(DEFINED[name]))


COUNTED = {
    "a sum": lambda x: x * jnp.sum(x > 0.1),
    "a running sum": lambda x: x * jnp.cumsum(x > 0.1),
    "a product": lambda x: x * ((x > 0.1).astype(jnp.int32) * 2),
    "a scalar product": lambda x: x * jnp.dot((x > 0.1).astype(jnp.int32), jnp.array([1, 2])),
    "a choice of integers": lambda x: x * jnp.where(x > 0.1, 2, 1),
    "an index": lambda x: jnp.take(jnp.array([0.5, 0.9]), (x > 0.1).astype(jnp.int32)) * x,
}


@pytest.mark.parametrize("name", COUNTED)
def test_integers_that_depend_on_the_state_have_no_rule(name):
    enclosure = ModelEnclosure(model(COUNTED[name]), jnp.zeros(2))
    with pytest.raises(ModelError, match="has no rule"):
        enclosure.dependence()
