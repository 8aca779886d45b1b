"""What is proved is the program that runs: the ways in which the two could differ are refused by
name or give a true answer.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.certificates import Claim, prove
from safe_wrappers.certificates._derivative import require_one_derivative
from safe_wrappers.certificates._rounding import rounding_bound
from safe_wrappers.models import Model, require_affine

S = sw.Polytope(np.array([[1.0], [-1.0]], np.float32), np.ones(2, np.float32))
X = sw.Box.symmetric([1.1])


def line(step, w=0.05):
    """The claim that |x| <= 1 is invariant for x' = step(x, a, w)."""
    W = sw.Box.symmetric([w])
    model = Model("line", step, 1, 1, 1)
    return Claim(model, safe_state_set=S, constraint_set=X, disturbance_set=W)


def decided(step, w=0.05):
    """ "proved", or the reason why not: an answer or an error."""
    try:
        proof = prove(line(step, w))
    except (sw.ModelError, sw.CertificateError) as error:
        return str(error)
    return proof.status


@jax.custom_jvp
def doubled_gradient(value):
    return value


doubled_gradient.defjvp(lambda primals, tangents: (primals[0], 2.0 * tangents[0]))


@jax.custom_vjp
def backwards(value):
    return value


backwards.defvjp(lambda value: (value, None), lambda _, cotangent: (2.0 * cotangent,))

HALVES = {"float16": jnp.float16, "bfloat16": jnp.bfloat16}
PLACES = {
    "state": lambda x, a, w, half: (0.5 * x).astype(half).astype(x.dtype) + 0.5 * a + w,
    "action": lambda x, a, w, half: x + (0.5 * a).astype(half).astype(x.dtype) + w,
    "disturbance": lambda x, a, w, half: x + 0.5 * a + w.astype(half).astype(x.dtype),
    "loop": lambda x, a, w, half: (
        jax.lax.fori_loop(0, 2, lambda i, y: y.astype(half).astype(x.dtype), x) + 0.5 * a + w
    ),
    "branch": lambda x, a, w, half: (
        jax.lax.cond(x[0] > 0, lambda y: y.astype(half).astype(x.dtype), lambda y: y, x)
        + 0.5 * a
        + w
    ),
}


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("place", PLACES)
def test_a_part_in_a_lower_precision_is_refused_by_name(place, half):
    answer = decided(lambda x, a, w: PLACES[place](x, a, w, HALVES[half]))
    assert f"the dtype {half}" in answer
    assert "must compute in float32" in answer


OTHER_NUMBERS = {
    "complex64": lambda x, a, w: jnp.real(jnp.exp(1j * x) * x) + 0.5 * a + w,
    "float16": lambda x, a, w: (
        jax.lax.dot(x[None], x[:, None], preferred_element_type=jnp.float16)[0].astype(x.dtype)
        + 0.5 * a
        + w
    ),
    "reduce_precision": lambda x, a, w: jax.lax.reduce_precision(x, 8, 7) + 0.5 * a + w,
    "multiply at full float32 precision": lambda x, a, w: (
        jnp.dot(jnp.eye(1) * 0.9, x, precision="bfloat16") + 0.5 * a + w
    ),
    "key<fry>": lambda x, a, w: x * jax.random.uniform(jax.random.key(0)) + 0.5 * a + w,
}


@pytest.mark.parametrize("found", OTHER_NUMBERS)
def test_other_numbers_than_float32_are_refused_by_name(found):
    assert found in decided(OTHER_NUMBERS[found])


def test_float64_of_a_user_who_switched_it_on_is_refused_with_the_remedy():
    with jax.enable_x64():
        answer = decided(lambda x, a, w: x * jnp.array([0.9]) + 0.5 * a + w)
        follows = decided(lambda x, a, w: 0.9 * x + jnp.zeros(1, x.dtype) + 0.5 * a + w)
    assert "float64" in answer
    assert "switch `jax_enable_x64` off" in answer
    assert follows == "proved"


def test_a_constant_that_was_rounded_before_is_the_number_that_it_is():
    """A third is 0.33398 in bfloat16, which makes x' = 1.04 x of what would be x' = x."""
    third = float(jnp.asarray(1.0 / 3.0, jnp.bfloat16))

    def step(x, a, w, third):
        return (1.0 + 60 * (third - 1.0 / 3.0)) * x + 0.02 * a + 0.01 * w

    assert decided(lambda x, a, w: step(x, a, w, third), w=1.0) == "counterexample"
    assert decided(lambda x, a, w: step(x, a, w, 1.0 / 3.0), w=1.0) == "proved"


def test_control_flow_on_the_dtype_is_that_of_float32():
    """The softening by the machine epsilon is 1.2e-4 in float64, and 1.9e-2 in the program that
    runs, which no action keeps inside.
    """

    def soft(x, a, w):
        return 0.97 / (1.0 - 5.0 * float(jnp.finfo(x.dtype).eps) ** 0.25) * x + 0.02 * a + 0.01 * w

    assert decided(soft, w=1.0) == "counterexample"


def test_integers_wrap_around_as_they_do_at_run_time():
    def turns(x, a, w):
        counts = jnp.array([50_000])
        return (1.2 - counts * counts * 1e-10) * x + 0.3 * a + w

    assert decided(turns) == "counterexample"
    assert (
        decided(lambda x, a, w: (1.2 - jnp.array([50]) ** 2 * 1e-4) * x + 0.3 * a + w) == "proved"
    )


@pytest.mark.parametrize(
    ("fill", "mode", "index", "expected"),
    [
        (0.0, "fill", 1, "counterexample"),
        (1.0, "fill", 1, "counterexample"),
        (2.0, "fill", 1, "counterexample"),
        (None, "fill", 1, "must have a bound over S"),  # NaN
        (0.0, "clip", 1, "proved"),
        (0.0, "promise_in_bounds", 0, "proved"),
        (0.0, "fill", 0, "proved"),
    ],
)
def test_what_is_gathered_beyond_the_end_is_the_fill_value(fill, mode, index, expected):
    """x' = 1.5 x - 0.7 x[index] + ...: with the element itself 0.8 x, without it 1.5 x."""

    def chain(x, a, w):
        beyond = x.at[jnp.array([index])].get(mode=mode, fill_value=fill)
        return 1.5 * x - 0.7 * beyond + 0.3 * a + w

    assert expected in decided(chain)


ARGUMENTS = {
    "action": lambda rule: lambda x, a, w: x + 0.5 * rule(a) + w,
    "disturbance": lambda rule: lambda x, a, w: x + 0.5 * a + rule(w),
    "both": lambda rule: lambda x, a, w: rule(x + 0.5 * a + w),
    "action within a loop": lambda rule: (
        lambda x, a, w: x + 0.5 * jax.lax.fori_loop(0, 2, lambda i, v: rule(v), a) + w
    ),
}
RULES = {
    "custom_jvp_call": doubled_gradient,
    "custom_vjp_call": backwards,
    "stop_gradient": jax.lax.stop_gradient,
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_a_derivative_declared_by_hand_is_refused_on_action_and_disturbance(argument, rule):
    with pytest.raises(sw.ModelError, match=f"passes through `{rule}.*`. The derivative declared"):
        require_affine(Model("rule", ARGUMENTS[argument](RULES[rule]), 1, 1, 1))


@pytest.mark.parametrize("rule", [*RULES.values(), jax.nn.relu, jax.nn.silu, jax.nn.softplus])
def test_a_derivative_declared_by_hand_is_free_on_the_state(rule):
    assert decided(lambda x, a, w: 0.5 * rule(x) + 0.5 * a + w) == "proved"


class Halved(Model):
    def affine(self, x):
        c, B, E = super().affine(x)
        return c, 0.5 * B, E


class Called(Model):
    def __call__(self, x, action, disturbance):
        return 2.0 * super().__call__(x, action, disturbance)


@pytest.mark.parametrize(("kind", "method"), [(Halved, "affine"), (Called, "__call__")])
def test_a_subclass_that_computes_another_function_is_refused(kind, method):
    model = kind("line", lambda x, a, w: 0.5 * x + 0.5 * a + w, 1, 1, 1)
    with pytest.raises(sw.ModelError, match=f"must leave `{method}` as `Model` defines it"):
        require_one_derivative(model, S, np.zeros(1))


@pytest.mark.parametrize("argument", ["action", "disturbance", "both"])
def test_a_derivative_that_is_another_one_is_found_by_its_enclosure(argument):
    """Even without the refusal by name."""
    model = Model("rule", ARGUMENTS[argument](doubled_gradient), 1, 1, 1)
    with pytest.raises(sw.ModelError, match=r"must be the derivative of its `step`, but at x = \["):
        require_one_derivative(model, S, np.zeros(1))


OVERFLOW = {
    "a power": lambda x: x * (1e11 * (1.0 + 0.1 * x)) ** 4 / 1e22 / 1e22,
    "a product": lambda x: (x * 1e30) * (1e20 + x) / 1e20 / 1e30,
    "exp": lambda x: x * jnp.exp(90.0 + x) / jnp.exp(45.0) / jnp.exp(45.0) * 0.1,
    "a sum": lambda x: (3e38 * jnp.ones(1) + (2e38 + x)) - 3e38 - 2e38 + x,
    "a reciprocal": lambda x: x * 0.5 / ((1.0 + 0.1 * x) * 1e-30 * 1e-10) * 1e-30 * 1e-10,
    "a square that is taken off": lambda x: 0.5 * x + (2e19 + x) ** 2 - (2e19 + x) ** 2,
}


@pytest.mark.parametrize("case", OVERFLOW)
def test_numbers_beyond_float32_leave_no_bound(case):
    model = Model("large", lambda x, a, w: OVERFLOW[case](x) + 0.3 * a + w, 1, 1, 1)
    eps, _ = rounding_bound(model, S, sw.Box.symmetric([0.05]), np.zeros(S.dim))
    assert not np.any(eps <= 1e3)
    assert decided(model.step) != "proved"


def test_making_a_claim_leaves_the_models_own_programs_as_they_were():
    """A float64 matrix that JAX traced with 64-bit types on spoils every later eager call."""
    A, B = np.array([[1.0, 0.1], [0.0, 1.0]]), np.array([[0.0], [0.1]])
    model = Model("lti", lambda x, a, w: A @ x + B @ a, 2, 1, 0)
    before = model(jnp.ones(2), jnp.ones(1), jnp.zeros(0))
    square = sw.Polytope(np.array([[1, 0], [-1, 0], [1, 1], [-1, -1]], np.float32), np.ones(4))
    rounding_bound(model, square, sw.Box.symmetric([]), np.zeros(square.dim))
    require_affine(model)
    require_one_derivative(model, square, np.zeros(square.dim))
    np.testing.assert_array_equal(model(jnp.ones(2), jnp.ones(1), jnp.zeros(0)), before)
    np.testing.assert_array_equal(model.affine(jnp.ones(2)).B, np.float32(B))


REFUSED = {
    "sort": lambda x: jnp.sort(x),
    "while": lambda x: jax.lax.while_loop(lambda y: y[0] < -2.0, lambda y: y + 1.0, x),
    "convert_element_type": lambda x: (10 * x).astype(jnp.int32) * 0.1,
    "argmax": lambda x: jnp.array([0.1, 0.2])[jnp.argmax(jnp.append(x, 0.1))] * x,
    "pow": lambda x: (1.5 + x) ** (1.5 + x),
    "pure_callback": lambda x: jax.pure_callback(
        np.sin, jax.ShapeDtypeStruct((1,), jnp.float32), x
    ),
    "bitcast_convert_type": lambda x: jax.lax.bitcast_convert_type(
        jax.lax.bitcast_convert_type(x, jnp.int32), jnp.float32
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_refused_by_name(name):
    answer = decided(lambda x, a, w: 0.5 * REFUSED[name](x) + 0.5 * a + w)
    assert f"uses `{name}`, which has no rule" in answer
